"""How SIGTERM and Ctrl-C reach what runs in an event loop: as a cancellation, or by what it says to do instead."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
SIGNALS = signal.SIGTERM, signal.SIGINT
AGAIN_S = 1.0
"""When to cancel once more what has not ended: `asyncio.wait_for` before Python 3.12 loses a cancellation that comes
as its call is done, and a client may take one for an error of its connection."""


@dataclass(slots=True)
class _Asked:
    """What signals asked of this process, whose they are, so far."""

    number: int | None = None
    again: asyncio.TimerHandle | None = None


_asked = _Asked()


def run(main: Coroutine[Any, Any, T], loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None) -> T:
    """Runs `main` in a loop of its own. A signal cancels it, and goes to whoever handled it before when the loop is
    closed. A handler that raises would do so within whatever callback of the loop runs just then, and uvloop takes
    that for an error of a connection, logs it and goes on."""
    if threading.current_thread() is not threading.main_thread():
        with asyncio.Runner(loop_factory=loop_factory) as runner:  # the main thread alone hears signals
            return runner.run(main)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    _asked.number = _asked.again = None
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            return runner.run(_stoppable(main))
    except asyncio.CancelledError:
        if _asked.number is None:
            raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    signal.raise_signal(_asked.number)
    raise SystemExit(128 + _asked.number)  # whoever handled it before let it pass


async def _stoppable(main: Coroutine[Any, Any, T]) -> T:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in one

    def stop(number: int) -> None:
        _forget_timer()
        _asked.number, _asked.again = number, loop.call_later(AGAIN_S, stop, number)
        task.cancel()

    for number in SIGNALS:
        loop.add_signal_handler(number, stop, number)
    try:
        return await main
    finally:
        _forget_timer()


def when_asked(act: Callable[[], Any]) -> None:
    """From here on a signal calls `act` and cancels nothing. One that came before, whose cancellation was lost, calls
    it at once."""
    _forget_timer()
    for number in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, act)
    if _asked.number is not None:
        act()


def _forget_timer() -> None:
    if _asked.again is not None:
        _asked.again.cancel()
        _asked.again = None
