"""What stands on the board: a sheet of each worker, and the roster of the process above them.

A worker is given a row and counts on from the counters that its predecessor left there. So the sum over all
rows never goes back, whoever dies, a row needs no folding when its worker is gone, and the board is as
large after a thousand restarts as it was. What a sheet says of now (its gauges) holds as long as the
roster names its worker.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import msgspec

from adserve.metrics.board import Board

Samples = dict[str, float]
"""Values of one metric by label values, joined by commas; without labels by the empty text."""


class Sheet(msgspec.Struct, omit_defaults=True):
    """By the name of each metric. Names that this code does not know, of newer or older code, are kept."""

    counters: dict[str, Samples] = {}
    gauges: dict[str, Samples] = {}
    pid: int = 0
    at: float = 0.0
    """When it was written, by the steady clock that all processes share; of a roster: when the service began."""
    workers: dict[int, int] = {}
    """Of a roster: the process of each row that has one."""


ROSTER = 0
"""The row of the roster; those of workers follow."""
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Sheet).decode


def read(board: Board, row: int) -> Sheet:
    """The sheet of a row, an empty one before anybody wrote it."""
    data = board.read(row)
    return _decode(data) if data else Sheet()


def write(board: Board, row: int, sheet: Sheet) -> None:
    board.write(row, _encode(sheet))


def add(one: Mapping[str, Samples], other: Mapping[str, Samples]) -> dict[str, Samples]:
    """The sums, sample by sample."""
    total = {name: dict(samples) for name, samples in one.items()}
    for name, samples in other.items():
        into = total.setdefault(name, {})
        for labels, value in samples.items():
            into[labels] = into.get(labels, 0) + value
    return total


class Roster:
    """Which worker writes into which row, kept by the process above the workers. While a place changes hands two
    workers stand in it, so the board has two rows a place."""

    def __init__(self, board: Board, places: int) -> None:
        self._board = board
        self._free = set(range(ROSTER + 1, board.rows))
        self._restarts = {"died": 0, "replaced": 0}
        self._reloads = {"done": 0, "failed": 0}
        self._sheet = Sheet({}, {"workers_wanted": {"": places}}, at=time.monotonic())
        self._write()

    @classmethod
    def rows_for(cls, places: int) -> int:
        return ROSTER + 1 + 2 * places

    def take(self) -> int:
        """A row for a worker that is about to be started."""
        row = min(self._free)
        self._free.remove(row)
        return row

    def began(self, row: int, pid: int) -> None:
        self._sheet.workers[row] = pid
        self._write()

    def ended(self, row: int) -> None:
        """The worker of a row is gone; another one may count on in it."""
        self._sheet.workers.pop(row, None)
        self._free.add(row)
        self._write()

    def restarted(self, why: str) -> None:
        """A worker took the place of one that `died` or was `replaced`."""
        self._restarts[why] += 1
        self._write()

    def reloaded(self, how: str) -> None:
        """A reload of all workers was `done` or `failed`."""
        self._reloads[how] += 1
        self._write()

    def _write(self) -> None:
        counters: dict[str, Samples] = {"worker_restarts": {**self._restarts}, "reloads": {**self._reloads}}
        self._sheet.counters = counters
        write(self._board, ROSTER, self._sheet)
