"""The spool: what was written is read back, whatever happened to the process, and never by two at once."""

from __future__ import annotations

import asyncio
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserve.core.terms import NO_TERMS, Terms
from adserve.core.token import Serve
from adserve.errors import StoreUnavailable
from adserve.store.breaker import FAILURES, OPEN_S, Breaker
from adserve.store.client import connect, end
from adserve.store.keys import Keys
from adserve.store.ledger import Ledger
from adserve.store.replay import Replay
from adserve.store.spaces import Spaces
from adserve.store.spool import Event, Flush, Record, Spool, SpooledEvent

SERVE = Serve(2**40 - 1, 2**32 - 1, 1_800_000_000, 7, 11, 0, 3, 1, 1)
EVENT = Event("c", SERVE, "count", "", "m.INR:4000000", "0a" * 12)
FLUSH = Flush(5, 3, 9, (499_999, 400), (500_000, 17), {"1800000000 7.11.1.1.s": 4})

WRITER = """
import os, signal, sys
from pathlib import Path
from tests.store.test_spool import EVENT, Spool
spool = Spool(Path(sys.argv[1]), "p:", 99)
for n in range(1000):
    spool.put_event(EVENT, n, again=False)
print("written", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def read(folder: Path, prefix: str = "p:") -> list[Record]:
    """Everything that nobody holds, replayed."""
    found: list[Record] = []
    for file in Spool(folder, prefix, 1).orphans():
        found += file.records(prefix)
        file.end()
    return found


def test_records_come_back_as_they_were_written(tmp_path: Path) -> None:
    """Events and flushes in their order; once replayed, the file is gone."""
    spool = Spool(tmp_path / "spool", "p:", 1)
    spool.put_event(EVENT, 1_800_000_001, again=False)
    spool.put_flush(FLUSH)
    spool.put_event(EVENT, 1_800_000_002, again=True)
    assert read(spool.directory) == [], "its writer lives"
    spool.close()
    first, flush, second = read(spool.directory)
    assert flush == FLUSH
    assert (first, second) == (SpooledEvent(EVENT, 1_800_000_001, False), SpooledEvent(EVENT, 1_800_000_002, True))
    assert list(spool.directory.iterdir()) == []


async def no_terms(_: Serve) -> Terms:
    return NO_TERMS


async def test_a_sync_that_is_cancelled_before_it_begins_lets_go_of_the_file(tmp_path: Path) -> None:
    """No thread is free when the worker ends: its file can be replayed all the same."""
    spool = Spool(tmp_path / "spool", "p:", 1)
    spool.put_event(EVENT, 1_800_000_001, again=False)
    client = connect(f"unix://{tmp_path}/none")
    replay = Replay(Ledger(client, Keys("p:"), Spaces(), spool, click_lifetime_s=1), "p:", time.time, no_terms)
    free = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        threads.submit(free.wait)
        replaying = asyncio.create_task(replay.run())
        async with asyncio.timeout(10):
            while spool._dirty:  # noqa: ASYNC110 - until the sync waits for a thread
                await asyncio.sleep(0.01)
        await end([replaying])
        free.set()
    spool.close()
    assert len(read(spool.directory)) == 1
    await client.aclose()


def test_a_killed_writer_has_lost_nothing(tmp_path: Path) -> None:
    """`kill -9` right after the last write: all thousand records are there, and free to be replayed."""
    done = subprocess.run(
        [sys.executable, "-c", WRITER, str(tmp_path)], cwd=Path(__file__).parents[2], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"written\n"), done.stderr
    assert [one.arrival for one in read(tmp_path) if isinstance(one, SpooledEvent)] == list(range(1000))


@given(at=st.integers(0, 400), cut=st.booleans(), bit=st.integers(0, 7))
def test_a_torn_or_spoilt_line_is_left_out_alone(
    tmp_path_factory: pytest.TempPathFactory, at: int, cut: bool, bit: int
) -> None:
    """Whatever is cut off or flipped: no record comes back that was not written."""
    spool = Spool(tmp_path_factory.mktemp("spool"), "p:", 1)
    written: list[Record] = [SpooledEvent(EVENT, n, False) for n in range(3)]
    for n in range(3):
        spool.put_event(EVENT, n, again=False)
    spool.close()
    (path,) = spool.directory.iterdir()
    data = bytearray(path.read_bytes())
    at %= len(data)
    if cut:
        del data[at:]
    else:
        data[at] ^= 1 << bit
    path.write_bytes(data)
    found = read(spool.directory)
    assert [one for one in written if one in found] == found
    assert len(found) >= (0 if cut else 1)


def test_a_file_half_replayed_is_marked(tmp_path: Path) -> None:
    """The next one knows that the store may have had some of it."""
    spool = Spool(tmp_path, "p:", 1)
    spool.put_event(EVENT, 5, again=False)
    own = spool.rotate()
    assert own is not None
    assert list(own.records("p:")) == [SpooledEvent(EVENT, 5, False)]
    assert read(tmp_path) == [], "it is being replayed"
    own.leave()
    assert read(tmp_path) == [SpooledEvent(EVENT, 5, True)]
    assert spool.rotate() is None


def test_records_of_another_prefix_are_not_taken(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "p:", 1)
    spool.put_event(EVENT, 5, again=False)
    spool.close()
    (file,) = Spool(tmp_path, "q:", 2).orphans()
    assert list(file.records("q:")) == []
    file.leave()


def test_a_full_spool_and_one_that_cannot_be_written_refuse(tmp_path: Path) -> None:
    """Before the answer, and without spoiling what is there; the bound is that of the directory."""
    spool = Spool(tmp_path, "p:", 1, limit=340)
    spool.put_event(EVENT, 0, again=False)
    spool.put_event(EVENT, 1, again=False)
    with pytest.raises(StoreUnavailable, match="full"):
        spool.put_event(EVENT, 2, again=False)
    with pytest.raises(StoreUnavailable, match="full"):
        Spool(tmp_path, "p:", 2, limit=340).put_event(EVENT, 0, again=False)
    spool.close()
    assert len(read(tmp_path)) == 2
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        Spool(blocked, "p:", 1).put_event(EVENT, 0, again=False)


@pytest.mark.parametrize("room", [0, 1, 40])
def test_a_full_disk_refuses(tmp_path: Path, room: int) -> None:
    """Also one that fills up within a record: it is not answered, and neither it nor what follows is lost
    or taken for another when there is room again."""
    spool = Spool(tmp_path, "p:", 1)
    spool.put_event(EVENT, 0, again=False)
    (path,) = tmp_path.iterdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + room, before[1]))
    try:
        with pytest.raises(StoreUnavailable, match="cannot be written"):
            spool.put_event(EVENT, 1, again=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    spool.put_event(EVENT, 2, again=False)
    spool.close()
    assert [one.arrival for one in read(tmp_path) if isinstance(one, SpooledEvent)] == [0, 2]


def test_what_can_never_be_taken_is_kept_for_an_operator(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "p:", 1)
    spool.refuse(SpooledEvent(EVENT, 5, False), "why")
    assert '"reason":"why"' in (tmp_path / "refused.events").read_text()
    assert read(tmp_path) == [], "and is not replayed"


def test_the_breaker_opens_probes_and_closes() -> None:
    """After `FAILURES` in a row, or one that took too long; one probe a second, whose outcome decides."""
    now = 0.0
    breaker = Breaker(lambda: now)
    for _ in range(FAILURES - 1):
        breaker.failed()
    assert (breaker.state, breaker.allows(), breaker.refuses()) == ("closed", True, False)
    breaker.succeeded()
    for _ in range(FAILURES):
        breaker.failed()
    assert (breaker.state, breaker.allows(), breaker.refuses(), breaker.opened) == ("open", False, True, 1)
    now += OPEN_S
    assert not breaker.refuses()
    assert [breaker.allows(), breaker.state, breaker.allows()] == [True, "half-open", False]
    breaker.failed()
    assert (breaker.state, breaker.allows()) == ("open", False)
    now += OPEN_S
    assert breaker.allows()
    breaker.succeeded()
    assert (breaker.state, breaker.allows()) == ("closed", True)
    breaker.failed(at_once=True)
    assert (breaker.state, breaker.opened) == ("open", 3)


def test_a_lost_probe_is_followed_by_another() -> None:
    """One whose caller was cancelled says nothing: the breaker does not wait for it for ever."""
    now = 0.0
    breaker = Breaker(lambda: now)
    breaker.failed(at_once=True)
    now += OPEN_S
    assert breaker.allows()
    now += OPEN_S
    assert breaker.allows()


def test_a_barred_breaker_lets_nothing_through_until_it_is_unbarred() -> None:
    """Neither time nor a call that was under way and succeeds opens it."""
    now = 0.0
    breaker = Breaker(lambda: now)
    breaker.bar()
    now += 100 * OPEN_S
    breaker.succeeded()
    assert (breaker.state, breaker.allows(), breaker.refuses()) == ("open", False, True)
    breaker.unbar()
    assert (breaker.state, breaker.allows(), breaker.refuses()) == ("closed", True, False)
    breaker.failed(at_once=True)
    breaker.unbar()
    assert breaker.state == "open"
