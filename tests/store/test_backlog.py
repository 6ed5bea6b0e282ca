"""How much waits in the spools: what was counted once is not read again."""

from __future__ import annotations

from pathlib import Path

from adserve.core.token import Serve
from adserve.store.backlog import Backlog, Waiting
from adserve.store.spool import Event, Flush, Spool

EVENT = Event("i", Serve(1, 2, 3, 4, 5, 0, 6, 1, 0, 0), "count")


def size_of(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.glob("*-*.*"))


def test_what_waits_is_counted_over_all_files_and_goes_with_them(tmp_path: Path) -> None:
    """Of two workers, events and flushes; a file that is being replayed still waits; one that was, does not."""
    backlog = Backlog(tmp_path / "spool")
    assert backlog.look() == Waiting(0, 0)
    one, two = (Spool(tmp_path / "spool", "p:", number) for number in (1, 2))
    for _ in range(3):
        one.put_event(EVENT, 7, again=False)
    two.put_flush(Flush(1, 2, 3, (0, 0), (0, 1), {"0 1.1.1.1.s": 1}))
    assert backlog.look() == Waiting(4, size_of(tmp_path / "spool"))
    replaying = one.rotate()
    assert replaying is not None
    one.put_event(EVENT, 7, again=False)
    assert backlog.look().records == 5
    replaying.end()
    assert backlog.look() == Waiting(2, size_of(tmp_path / "spool"))
    for spool in (one, two):
        spool.close()


def test_only_what_came_since_the_last_look_is_read(tmp_path: Path) -> None:
    """A spool may be as large as its disk. What stood there at the last look is changed behind its back."""
    backlog = Backlog(tmp_path)
    file = tmp_path / "a-1.events"
    file.write_bytes(b"x\n" * 1000)
    assert backlog.look() == Waiting(1000, 2000)
    file.write_bytes(b"\n" * 2000 + b"yy\n")
    assert backlog.look() == Waiting(1001, 2003)
