"""What the system says of this process."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

_TOLD = sys.platform == "linux" and os.stat("/dev/fd").st_size > 0
"""Whether this kernel says how many files are open (Linux from 6.2 on)."""


def memory_bytes() -> int:
    """Resident memory; the most it ever was where the system does not tell how much it is."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def open_files() -> int:
    """Listed where the kernel does not tell, which takes its time with 65,536 of them."""
    if _TOLD:
        return os.stat("/dev/fd").st_size
    try:
        return len(os.listdir("/dev/fd"))
    except OSError:  # there is none left to look with
        return open_files_limit()


def open_files_limit() -> int:
    """How many files this process may open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
