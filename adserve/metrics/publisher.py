"""One worker's part in the figures of all: writes its own a few times a second, and answers for everybody."""

from __future__ import annotations

import asyncio
import os
import time
from types import TracebackType
from typing import Self

from adserve.metrics import sheets
from adserve.metrics.board import Board
from adserve.metrics.page import page
from adserve.metrics.table import counters_of, gauges_of
from adserve.store.backlog import Backlog
from adserve.store.client import end
from adserve.wiring import Running

PUBLISH_S = 0.25
"""How much of its figures a worker that is killed takes along."""


class Publisher:
    """Writes into one row of the board, as a context: from its beginning, when there is a worker to read, to the last
    figures of its end. It counts on from what the row holds."""

    def __init__(self, board: Board, row: int) -> None:
        self._board, self._row = board, row
        self._before = sheets.read(board, row).counters
        self._held: Running | None = None
        self._backlog: Backlog | None = None
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def alone(cls) -> Self:
        """Of a worker that no process stands above."""
        board = Board(sheets.Roster.rows_for(1))
        roster = sheets.Roster(board, 1)
        row = roster.take()
        roster.began(row, os.getpid())
        return cls(board, row)

    def begin(self, held: Running) -> None:
        """Writes what a worker counts from now on, at once and when asked."""
        self._held, self._backlog = held, Backlog(held.settings.data_dir / "spool")
        self.publish()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            await end([self._task])
        self.publish()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(PUBLISH_S)
            self.publish()

    def publish(self) -> None:
        """Writes the figures of now."""
        if self._held is None:
            return
        counters = sheets.add(self._before, counters_of(self._held))
        sheet = sheets.Sheet(counters, gauges_of(self._held), os.getpid(), time.monotonic())
        sheets.write(self._board, self._row, sheet)

    async def page(self) -> bytes:
        """The figures of all workers, this one's as of now."""
        self.publish()
        asked: dict[str, float] = {}
        if self._backlog is not None:
            waiting = await asyncio.to_thread(self._backlog.look)
            asked = {"spool_records": waiting.records, "spool_bytes": waiting.bytes}
        return page(self._board, asked)
