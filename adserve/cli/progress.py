"""How far long work has come, on stderr: a line that changes on a terminal, else one every few seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

TERMINAL_S, LOG_S = 0.2, 5.0


class Progress:
    """`tell(keys, bytes)` may be called for every record."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._terminal = sys.stderr.isatty()
        self._every_s = TERMINAL_S if self._terminal else LOG_S
        self._due = time.monotonic() + self._every_s
        self._shown = False

    def tell(self, keys: int, size: int) -> None:
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + self._every_s
            self._write(f"{self._what}: {keys:,} keys, {size / 1e6:,.1f} MB")

    def step(self, text: str) -> None:
        """Another part of the work begins; told on a terminal."""
        if self._terminal:
            self._write(text)

    def _write(self, text: str) -> None:
        sys.stderr.write(f"\r\x1b[K{text}" if self._terminal else f"{text}\n")
        sys.stderr.flush()
        self._shown = True

    def end(self) -> None:
        if self._terminal and self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


@contextmanager
def progress(what: str) -> Iterator[Progress]:
    """Leaves nothing of the changing line behind."""
    found = Progress(what)
    try:
        yield found
    finally:
        found.end()
