"""How far long work has come: a line on stderr that changes, where that is a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERY_S = 0.2
CLEAR = "\r\x1b[K"


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """What may be told for every record: what is done, keys and bytes so far. Leaves nothing of the line behind."""
    terminal, due, last = sys.stderr.isatty(), 0.0, ""

    def tell(what: str, keys: int, size: int) -> None:
        nonlocal due, last
        if terminal and (what != last or time.monotonic() >= due):
            due, last = time.monotonic() + EVERY_S, what
            print(f"{CLEAR}{what}: {keys:,} keys, {size / 1e6:,.1f} MB", end="", file=sys.stderr, flush=True)

    try:
        yield tell
    finally:
        if last:
            print(CLEAR, end="", file=sys.stderr, flush=True)
