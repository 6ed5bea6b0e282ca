"""What a signal does to a loop, in processes of its own: wherever it falls, and once."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import uvloop

from adserve import stopping

PROGRAM = """
import asyncio, os, signal, socket, sys
import uvloop
from adserve import stopping

NUMBER = int(sys.argv[1])
LOOP = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}[sys.argv[2]]
signal.signal(signal.SIGTERM, lambda number, _: sys.exit(70 + number))
signal.signal(signal.SIGINT, lambda number, _: sys.exit(70 + number))


class Killed(asyncio.Protocol):
    def data_received(self, data):
        os.kill(os.getpid(), NUMBER)  # Python runs the handler before the next line
        print("whole callback", flush=True)


async def connected():
    ours, theirs = socket.socketpair()
    await asyncio.get_running_loop().create_connection(Killed, sock=ours)
    theirs.send(b"x")
    return theirs


async def waits(held=None):
    held = held or await connected()
    try:
        await asyncio.sleep(30)
    finally:
        await asyncio.sleep(0)
        print("closed", flush=True)
        held.close()


async def lost():
    held = await connected()
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        print("lost", flush=True)
    return held


async def loses_it():
    await waits(await lost())


async def serves():
    held = await lost()
    asked = asyncio.Event()
    stopping.when_asked(asked.set)
    await asked.wait()
    os.kill(os.getpid(), NUMBER)
    await asyncio.sleep(stopping.AGAIN_S + 0.2)
    print("drained", flush=True)
    held.close()


async def fails():
    raise ValueError("of its own")


try:
    stopping.run(globals()[sys.argv[3]](), LOOP)
finally:
    stands = signal.getsignal(NUMBER)
    print("handler", getattr(stands, "__name__", stands))
"""


def outcome(what: str, number: int, loop: str) -> tuple[int, list[str], str]:
    """Exit code, lines said, stderr."""
    command = [sys.executable, "-c", PROGRAM, str(int(number)), loop, what]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout.splitlines(), done.stderr


LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
NUMBERS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


@LOOPS
@NUMBERS
def test_a_signal_within_a_callback_cancels_and_breaks_nothing(number: int, loop: str) -> None:
    """The callback ends, what is open is closed, and the handler of the process has the last word."""
    assert outcome("waits", number, loop) == (70 + number, ["whole callback", "closed", "handler <lambda>"], "")


@LOOPS
@NUMBERS
def test_a_cancellation_that_is_lost_comes_again(number: int, loop: str) -> None:
    said = ["whole callback", "lost", "closed", "handler <lambda>"]
    assert outcome("loses_it", number, loop) == (70 + number, said, "")


@LOOPS
@NUMBERS
def test_what_serves_is_asked_and_not_cancelled(number: int, loop: str) -> None:
    """Also for a signal that came before it served; its drain is cut off by none."""
    assert outcome("serves", number, loop) == (0, ["whole callback", "lost", "drained", "handler <lambda>"], "")


@LOOPS
def test_an_error_of_its_own_stays_one(loop: str) -> None:
    code, said, error = outcome("fails", signal.SIGTERM, loop)
    assert (code, said) == (1, ["handler <lambda>"])
    assert error.rstrip().endswith("ValueError: of its own")


@LOOPS
def test_beside_the_main_thread_it_just_runs(loop: str) -> None:
    """Which alone hears signals: a command that another program calls in a thread works."""
    factory = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}[loop]

    async def which() -> str:
        return type(asyncio.get_running_loop()).__module__.partition(".")[0]

    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(stopping.run, which(), factory).result() == loop
