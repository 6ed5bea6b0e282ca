"""A slow disk: a preloaded library that makes every sync of a process take 400 ms."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "slow_fsync.c"


def build(folder: Path) -> Path:
    """The library, for LD_PRELOAD. Skips, or fails where everything must run, without a compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if sys.platform != "linux" or compiler is None:
        if os.environ.get("ADSERVE_REQUIRE_BROWSER"):
            pytest.fail("a C compiler is required where everything must run (Debian: apt install gcc libc6-dev)")
        pytest.skip("needs Linux and a C compiler (Debian: apt install gcc libc6-dev) to slow a sync down")
    built = folder / "slow_fsync.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", built, SOURCE, "-ldl"], check=True)
    return built
