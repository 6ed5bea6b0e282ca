"""Ticks: round, whole where things are counted, and at local midnights, months and hours."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserve.charts.axis import NARROW, ROWS, WIDE, Span, amounts, short, ticks

KOLKATA, BERLIN = ZoneInfo("Asia/Kolkata"), ZoneInfo("Europe/Berlin")


def at(text: str, tz: ZoneInfo) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=tz).timestamp())


def span(begin: str, end: str, tz: ZoneInfo = KOLKATA) -> Span:
    return Span(at(begin, tz), at(end, tz), tz)


@given(st.integers(0, 10**15))
def test_amounts_are_whole_few_and_reach_the_most(most: int) -> None:
    """Counts have no half steps, and the highest point lies within the axis, in its upper half."""
    steps = amounts(most, whole=True)
    assert steps[0] == 0
    assert steps[-1] >= most
    assert steps[-1] <= max(1, 2 * most)
    assert 2 <= len(steps) <= ROWS + 1
    assert all(isinstance(step, int) for step in steps)
    assert len({after - before for before, after in pairwise(steps)}) == 1


@given(st.integers(0, 10**12))
def test_labels_of_amounts_are_short_and_differ(most: int) -> None:
    """Two ticks never say the same, and a label has room beside the plot."""
    labels = [short(step) for step in amounts(most, whole=True)]
    assert len(set(labels)) == len(labels)
    assert max(map(len, labels)) <= 6


ZONES = st.sampled_from(["UTC", "Asia/Kathmandu", "Europe/Berlin"])


@given(st.integers(0, 4 * 10**9), st.integers(900, 5 * 366 * 86_400), ZONES)
def test_no_span_has_more_labels_than_have_room(begin: int, length: int, zone: str) -> None:
    """Whatever a report spans, few labels stay, and the narrowest page has fewer, evenly spread."""
    found = ticks(Span(begin, begin + length, ZoneInfo(zone)))
    assert len(found) <= WIDE
    kept = [n for n, tick in enumerate(found) if tick.always]
    assert len(kept) <= NARROW
    assert len({after - before for before, after in pairwise(kept)}) <= 1
    assert all(begin <= tick.at <= begin + length for tick in found)
    assert [tick.at for tick in found] == sorted({tick.at for tick in found})


def test_a_week_has_its_local_midnights() -> None:
    """Of a zone that is half an hour off, too."""
    found = ticks(span("2026-11-23", "2026-11-30"))
    assert [tick.label for tick in found] == [f"{day} Nov" for day in range(23, 31)]
    assert found[0].at == at("2026-11-23", KOLKATA)


def test_a_day_has_its_local_hours() -> None:
    """Midnight says which day it is."""
    found = ticks(span("2026-11-24", "2026-11-25"))
    assert [tick.label for tick in found] == ["24 Nov", "06:00", "12:00", "18:00", "25 Nov"]


def test_days_across_a_clock_change_stay_midnights() -> None:
    """The 25-hour day is one step, like all others."""
    found = ticks(span("2026-10-23", "2026-10-28", BERLIN))
    assert [tick.at for tick in found] == [at(f"2026-10-{day}", BERLIN) for day in range(23, 29)]


def test_an_hour_that_a_clock_change_leaves_out_has_no_tick() -> None:
    """02:00 to 03:00 is not there on that night."""
    found = ticks(span("2026-03-29T00:00", "2026-03-29T06:00", BERLIN))
    assert [tick.label for tick in found] == ["29 Mar", "01:00", "03:00", "04:00", "05:00", "06:00"]


@pytest.mark.parametrize(
    ("begin", "end", "labels"),
    [
        ("2026-01-15", "2026-06-20", ["Feb 2026", "Mar 2026", "Apr 2026", "May 2026", "Jun 2026"]),
        ("2022-01-01", "2026-12-31", ["Jan 2022", "Jan 2023", "Jan 2024", "Jan 2025", "Jan 2026"]),
    ],
)
def test_long_spans_have_months(begin: str, end: str, labels: list[str]) -> None:
    """Each at its first day."""
    assert [tick.label for tick in ticks(span(begin, end))] == labels
