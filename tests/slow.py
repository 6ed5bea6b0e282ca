"""A slow disk: a preloaded library that makes every sync of a process take 400 ms."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.needs import lacks, need

SOURCE = Path(__file__).parent / "slow_fsync.c"


def build(folder: Path) -> Path:
    """The library, for LD_PRELOAD."""
    if sys.platform != "linux":
        lacks(
            "needs Linux: only there a preloaded library takes the place of fsync, elsewhere no disk can be made slow"
        )
    compiler = need("cc", "gcc", package="gcc libc6-dev")
    built = folder / "slow_fsync.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", built, SOURCE, "-ldl"], check=True)
    return built
