"""Advisory locks on files that say who holds them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from pathlib import Path
from typing import Any


def take(path: Path, mode: int = fcntl.LOCK_EX) -> int | None:
    """The file, open and locked, or None if somebody has the lock."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, mode | fcntl.LOCK_NB)
        return handle
    except BlockingIOError:
        os.close(handle)
        return None


def alone(handle: int) -> bool:
    """Makes a shared lock the only one; False, and shared again, when somebody shares it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(handle, fcntl.LOCK_SH)  # a change of the kind gives the old lock up first
        return False
    return True


def write_facts(lock: int, **facts: object) -> None:
    """Writes into a taken lock file what `facts` reads."""
    os.ftruncate(lock, 0)
    os.pwrite(lock, json.dumps(facts).encode(), 0)


def facts(path: Path) -> dict[str, Any]:
    """What stands in a lock file; nothing while it is not there, or just being written."""
    with contextlib.suppress(OSError, ValueError):
        return dict(json.loads(path.read_bytes()))
    return {}
