"""How much waits in the spools of a directory, for somebody who asks again and again."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import NamedTuple


class Waiting(NamedTuple):
    """Records (events and served counts) and bytes in files that are not replayed to their end yet."""

    records: int
    bytes: int


class Backlog:
    """Counts lines, not records: a torn one counts too. A file only grows, so what was read once is not read again:
    a spool of an outage may fill its disk."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read: dict[str, Waiting] = {}
        self._alone = threading.Lock()

    def look(self) -> Waiting:
        """Blocks while it reads what came since the last look."""
        with self._alone:
            found: dict[str, Waiting] = {}
            for path in self._directory.glob("*-*.*"):
                with contextlib.suppress(OSError):  # replayed meanwhile
                    found[path.stem] = _grown(path, self._read.get(path.stem, Waiting(0, 0)))
            self._read = found
            return Waiting(sum(one.records for one in found.values()), sum(one.bytes for one in found.values()))


def _grown(path: Path, before: Waiting) -> Waiting:
    records, place = before
    with path.open("rb") as file:
        file.seek(place)
        while chunk := file.read(1 << 20):
            records += chunk.count(b"\n")
            place += len(chunk)
    return Waiting(records, place)
