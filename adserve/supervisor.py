"""The process above the workers: starts them on one socket, restarts what dies, replaces them one by one.

DESIGN. The supervisor owns the listening socket and the embedded store; workers are processes of their
own that accept from the same socket, so a page is answered as long as one of them lives. Each holds the
reading end of a pipe whose writing end only the supervisor has: when that is gone, however it went, the
worker drains and ends, and the last one ends the store. Workers get the settings as environment, so a
replacement after SIGHUP runs the code and the settings of that moment.

Not chosen: a socket per worker (SO_REUSEPORT): what waits in the queue of one that dies is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from adserve.errors import AdserveError, SettingsError
from adserve.http import DRAIN_S
from adserve.metrics.board import Board
from adserve.metrics.sheets import Roster
from adserve.serving import banner, present, say, sharing, start_warnings, supervised
from adserve.settings import Settings
from adserve.stopping import when_asked
from adserve.store.embedded import EmbeddedStore

log = structlog.get_logger("adserve")
READY_S = 30.0
"""How long a worker may take until it accepts."""
END_S = DRAIN_S + 10.0
"""How long a worker may take to drain and to flush before it is killed."""
STEADY_S = 5.0
"""A worker that lived this long is started again at once; one that did not waits longer each time."""
SLOWEST_S = 5.0
HOLD_ALONE_S, HOLD_S = 3.0, 20.0
"""How long a worker that takes the place of a dead one waits for a catalog before it accepts and leaves slots empty:
while no other accepts, and while others do."""


class WorkerFailed(AdserveError):
    """A worker that could not start; it has said why."""

    code = "worker_failed"


@dataclass(slots=True)
class Place:
    """Where a worker runs: the same number again after a restart."""

    number: int
    process: asyncio.subprocess.Process | None = None
    born: float = 0.0
    accepts: bool = False
    failures: int = 0
    row: int = 0
    """Of the board: where its worker writes its figures."""
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while another worker takes this place; the other places go on."""


class Supervisor:
    """N workers over one socket. `run` returns when all have drained."""

    def __init__(
        self, settings: Settings, store: EmbeddedStore | None, sock: socket.socket, reload: Callable[[], Settings]
    ) -> None:
        self._settings, self._store, self._sock, self._reload = settings, store, sock, reload
        self._places = [Place(number) for number in range(settings.workers)]
        self._board = Board.shared(Roster.rows_for(settings.workers))
        self._roster = Roster(self._board, settings.workers)
        self._stopping = asyncio.Event()
        self._replacing = asyncio.Lock()
        self._read_life, self._write_life = os.pipe()
        self._failed: AdserveError | None = None

    async def run(self) -> None:
        """Serves until SIGTERM or SIGINT. SIGHUP replaces the workers. Raises what kept a worker from its
        first start, or that one has lost its last counters."""
        loop = asyncio.get_running_loop()
        when_asked(self._stopping.set)
        tasks: list[asyncio.Task[None]] = []
        loop.add_signal_handler(signal.SIGHUP, lambda: tasks.append(asyncio.create_task(self._replace_all())))
        try:
            async with supervised(self._store):
                await self._begin()
                tasks += [asyncio.create_task(self._keep(place)) for place in self._places]
                await self._stopping.wait()
                codes = await self._end()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            os.close(self._write_life)
            os.close(self._read_life)
        if self._failed is not None:
            raise self._failed
        if any(codes):
            raise WorkerFailed(f"workers ended with {', '.join(str(code) for code in codes if code)}")
        say("drained: in-flight requests finished, every counter flushed")

    async def _begin(self) -> None:
        """The first start: all workers, or none and the reason."""
        started = await asyncio.gather(*(self._start(place) for place in self._places))
        for place, ready in zip(self._places, started, strict=True):
            if not ready and place.process is not None:
                self._failed = _failure(await _end(place.process, 0))
        if self._failed is not None:
            self._stopping.set()
            return
        warnings = [f"warning: {text}" for text in (*start_warnings(self._settings), *sharing(self._store))]
        present(banner(self._settings, self._store, warnings))

    async def _start(self, place: Place, hold_s: float | None = None) -> bool:
        """A new worker in a place; whether it accepts. One that was there is left to the caller."""
        told, tell = os.pipe()
        files = (self._sock.fileno(), self._read_life, tell)
        row, board = self._roster.take(), self._board.file
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "adserve", "worker",
                *(str(file) for file in files), "--board", str(board), str(row),
                *([] if hold_s is None else ["--hold", str(hold_s)]),
                env={**_plain_environment(), **self._settings.environment()},
                pass_fds=(*files, board),
                stdin=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        finally:
            os.close(tell)
        place.process, place.row, place.born, place.accepts = process, row, time.monotonic(), False
        self._roster.began(row, process.pid)
        try:
            place.accepts = await _told(told, READY_S)
        finally:
            os.close(told)
        return place.accepts

    async def _keep(self, place: Place) -> None:
        """Starts a worker again whenever it is gone."""
        while not self._stopping.is_set():
            process = place.process
            assert process is not None  # noqa: S101 - started before
            code = await process.wait()
            async with place.changing:
                if self._stopping.is_set() or place.process is not process:
                    continue  # replaced meanwhile
                log.warning("worker_died", worker=place.number, code=code)
                self._roster.ended(place.row)
                accepted, place.accepts = place.accepts, False
                # one that had served was overtaken by newer code, which may be what the next start runs
                if code == SettingsError.exit_code and not accepted:
                    self._failed = _failure(code)
                    self._stopping.set()
                    return
                steady = time.monotonic() - place.born >= STEADY_S
                place.failures = 0 if steady else place.failures + 1
                if place.failures > 1:
                    await asyncio.sleep(min(SLOWEST_S, 0.1 * 2**place.failures))
                others = [one for one in self._places if one is not place and one.accepts]
                self._roster.restarted("died")
                await self._start(place, HOLD_S if others else HOLD_ALONE_S)

    async def _replace_all(self) -> None:
        """A new worker in each place, then the end of the old one; the first that fails ends the replacing."""
        async with self._replacing:
            try:
                settings = self._reload()
            except SettingsError as problem:
                log.error("settings_not_reloaded", problems=problem.problems)
                self._roster.reloaded("failed")
                return
            before, self._settings = self._settings, settings
            for place in self._places:
                if self._stopping.is_set():
                    return
                if not await self._replace(place):
                    self._settings = before
                    log.error("worker_not_replaced", worker=place.number)
                    self._roster.reloaded("failed")
                    return
            log.info("workers_replaced", workers=len(self._places))
            self._roster.reloaded("done")

    async def _replace(self, place: Place) -> bool:
        """A new worker, then the end of the old one, which stays when the new one does not come to accept."""
        async with place.changing:
            old, old_row = place.process, place.row
            if await self._start(place, READY_S):  # without a catalog it is no better than the old one
                self._roster.restarted("replaced")
                if old is not None:
                    await _end(old, END_S)
                self._roster.ended(old_row)
                return True
            new, place.process, place.accepts = place.process, old, True
            new_row, place.row = place.row, old_row
            if new is not None:
                await _end(new, 0)
            self._roster.ended(new_row)
            return False

    async def _end(self) -> list[int]:
        """Ends all workers; the codes of those that had anything to lose."""
        alive = [(place.process, place.accepts) for place in self._places if place.process is not None]
        codes = await asyncio.gather(*(_end(process, END_S) for process, _ in alive))
        return [code for code, (_, accepts) in zip(codes, alive, strict=True) if accepts]


async def _end(process: asyncio.subprocess.Process, patience_s: float) -> int:
    """Asks a worker to drain; kills it when it does not."""
    _signal(process, signal.SIGTERM)
    try:
        return await asyncio.wait_for(process.wait(), patience_s or 1.0)
    except TimeoutError:
        _signal(process, signal.SIGKILL)
        return await process.wait()


def _signal(process: asyncio.subprocess.Process, number: int) -> None:
    """Not `process.terminate`: that looks whether the process has ended, and asyncio then misses its exit code."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


async def _told(file: int, patience_s: float) -> bool:
    """Whether a worker says that it accepts before it is gone or late."""
    loop = asyncio.get_running_loop()
    heard: asyncio.Future[bool] = loop.create_future()

    def hear() -> None:
        if not heard.done():
            heard.set_result(bool(os.read(file, 1)))

    loop.add_reader(file, hear)
    try:
        return await asyncio.wait_for(heard, patience_s)
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(file)


def _failure(code: int) -> AdserveError:
    """What a worker's exit code means; its own words stand above."""
    failure = WorkerFailed("a worker could not start")
    failure.exit_code = code if code > 0 else 1
    return failure


def _plain_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("ADSERVE_")}
