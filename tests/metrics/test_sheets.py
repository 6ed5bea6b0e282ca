"""Figures over many workers that come and go: counters only grow, gauges are of the living."""

from __future__ import annotations

import os

from adserve.metrics import sheets
from adserve.metrics.board import ROOM, Board
from adserve.metrics.page import page
from adserve.metrics.publisher import Publisher
from adserve.metrics.sheets import Roster, Sheet
from adserve.wiring import Running
from tests.figures import samples
from tests.flows.rest import until

MALFORMED = "adserve_malformed_parameters_total"


def test_a_row_is_one_workers_alone() -> None:
    """Two stand in a place while it changes hands; a row is given again when its worker is gone."""
    board = Board(Roster.rows_for(2))
    roster = Roster(board, 2)
    rows = [roster.take() for _ in range(4)]
    assert len({*rows, sheets.ROSTER}) == 5
    roster.ended(rows[1])
    assert roster.take() == rows[1]


async def test_counters_only_grow_over_thousands_of_workers(held: Running) -> None:
    """Each counts two and is replaced or killed; the sum is what all of them counted, in the same room as one."""
    board = Board(Roster.rows_for(2))
    roster = Roster(board, 2)
    held.worker.malformed, before = 2, 0.0
    for number in range(1, 2001):
        row = roster.take()
        roster.began(row, os.getpid())
        Publisher(board, row).begin(held)
        if number % 100 == 0:
            value = samples(page(board, {}).decode())[MALFORMED]
            assert value > before
            before = value
        roster.ended(row)
    assert before == 4000
    assert board.rows == Roster.rows_for(2)
    assert all(len(board.read(row)) < ROOM // 2 for row in range(board.rows))


async def test_gauges_are_of_living_workers(held: Running) -> None:
    """A worker that is gone, and one whose successor has not written yet, say nothing of now."""
    board = Board(Roster.rows_for(2))
    roster = Roster(board, 2)
    for _ in range(2):
        row = roster.take()
        roster.began(row, os.getpid())
        Publisher(board, row).begin(held)
    assert samples(page(board, {}).decode())["adserve_workers"] == 2
    roster.ended(row)
    both = samples(page(board, {}).decode())
    assert (both["adserve_workers"], both["adserve_workers_wanted"]) == (1, 2)
    assert roster.take() == row
    roster.began(row, os.getpid() + 1)
    one = samples(page(board, {}).decode())
    assert one["adserve_workers"] == 1
    assert one['adserve_breaker_workers{state="closed"}'] == 1


def test_gauges_of_workers_are_put_together_by_their_meaning() -> None:
    """Up and closed when all are, the version that all have, the age of the oldest copy, memory of all, the clock that
    is off most."""
    board = Board(Roster.rows_for(2))
    roster = Roster(board, 2)
    both = {
        "store_up": (1, 0),
        "breaker_closed": (1, 0),
        "catalog_version": (7, 9),
        "catalog_version_newest": (7, 9),
        "catalog_age_seconds": (0.1, 30),
        "clock_off_seconds": (1, -3),
        "memory_bytes": (100, 200),
        "open_files": (10, 20),
    }
    for one in (0, 1):
        row = roster.take()
        roster.began(row, 100 + one)
        gauges = {name: {"": float(values[one])} for name, values in both.items()}
        sheets.write(board, row, Sheet({}, gauges, 100 + one, 0.0))
    found = samples(page(board, {}).decode())
    together = {name: found[f"adserve_{name}"] for name in both}
    assert together == {
        "store_up": 0,
        "breaker_closed": 0,
        "catalog_version": 7,
        "catalog_version_newest": 9,
        "catalog_age_seconds": 30,
        "clock_off_seconds": -3,
        "memory_bytes": 300,
        "open_files": 30,
    }


async def test_what_other_code_has_counted_is_kept(held: Running) -> None:
    """A worker of newer code had a metric that this one does not know: the next that knows it finds it again, and
    nobody prints it meanwhile."""
    board = Board(Roster.rows_for(1))
    roster = Roster(board, 1)
    row = roster.take()
    newer = Sheet({"invented": {"a,b": 5.0}, "malformed_parameters": {"": 1.0}}, {"invented_too": {"": 1.0}}, 7, 1.0)
    sheets.write(board, row, newer)
    held.worker.malformed = 2
    Publisher(board, row).begin(held)
    assert sheets.read(board, row).counters["invented"] == {"a,b": 5.0}
    text = page(board, {}).decode()
    assert "invented" not in text
    assert samples(text)[MALFORMED] == 3


async def test_a_worker_writes_its_figures_without_being_asked(held: Running) -> None:
    """What it takes along when it is killed is what came since the last time."""
    board = Board(Roster.rows_for(1))
    async with Publisher(board, 1) as publisher:
        publisher.begin(held)
        held.worker.malformed = 5
        await until(lambda: sheets.read(board, 1).counters["malformed_parameters"] == {"": 5})


async def test_the_last_figures_of_a_worker_are_those_of_its_end(held: Running) -> None:
    """What it counts while it drains is written when it leaves."""
    board = Board(Roster.rows_for(1))
    async with Publisher(board, 1) as publisher:
        publisher.begin(held)
        held.worker.malformed = 5
    assert samples(page(board, {}).decode())[MALFORMED] == 5
