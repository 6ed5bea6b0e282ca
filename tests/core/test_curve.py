"""Curves: what is made of counts that are few, and of several slots."""

from __future__ import annotations

from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserve.core.curve import (
    DAY_QUARTERS,
    DECAY,
    PLAUSIBLE,
    UNIT,
    UNKNOWN,
    WEEK_QUARTERS,
    Curve,
    Learned,
    Week,
    quarter_of,
    together,
)

MONDAY = 1_780_272_000
"""2026-06-01T00:00:00Z."""
UTC, KOLKATA, NEW_YORK = ZoneInfo("UTC"), ZoneInfo("Asia/Kolkata"), ZoneInfo("America/New_York")


def seen(day: list[int], days: int, start: int = 0) -> Learned:
    """A slot with the same requests each day."""
    counts = [(quarter % WEEK_QUARTERS, day[quarter % 96]) for quarter in range(start, start + days * 96)]
    return Learned().seen(counts, MONDAY)


def test_the_plausible_day_is_quiet_at_night_and_has_two_peaks() -> None:
    hours = [sum(PLAUSIBLE[hour * 4 : hour * 4 + 4]) for hour in range(24)]
    assert hours.index(max(hours)) == 20
    assert max(hours[:13]) == hours[9] > 1.2 * hours[14]
    assert max(hours[2:5]) * 10 < hours[20]
    assert all(later < 2 * earlier for earlier, later in pairwise(PLAUSIBLE))


def test_no_quarter_of_a_curve_is_empty() -> None:
    assert min(Curve([0] * WEEK_QUARTERS, known=True).weights) == 1
    spiky = Curve([*[0] * 671, 67_200], known=True)
    assert min(spiky.weights) == 2
    with pytest.raises(ValueError, match="672"):
        Curve([1] * 96, known=True)


def test_nothing_seen_is_no_curve() -> None:
    assert together([], UTC, MONDAY) is None
    assert together([(Learned(), UTC)], UTC, MONDAY) is None
    assert not UNKNOWN.known


def test_a_morning_tells_how_high_a_plausible_day_is() -> None:
    """Four hours that had three times the plausible requests make a day of three times."""
    morning = [3 * PLAUSIBLE[quarter] if 32 <= quarter < 48 else 0 for quarter in range(96)]
    learned = Learned().seen([(quarter, morning[quarter]) for quarter in range(32, 48)], MONDAY)
    curve = together([(learned, UTC)], UTC, MONDAY)
    assert curve is not None
    assert not curve.known
    assert learned.quarters == 16
    assert curve.weights[96 + 80] == pytest.approx(3 * PLAUSIBLE[80] * UNIT, rel=0.01)


def test_a_day_stands_for_the_others_until_they_are_seen() -> None:
    day = [10 + quarter for quarter in range(96)]
    curve = together([(seen(day, 1), UTC)], UTC, MONDAY)
    assert curve is not None
    assert curve.known
    assert [weight // UNIT for weight in curve.weights[3 * 96 : 4 * 96]] == day


def test_weekends_show_after_some_weeks() -> None:
    counts = [(quarter, 100 if quarter < 480 else 40) for quarter in range(WEEK_QUARTERS)] * 6
    learned = Learned().seen(counts, MONDAY)
    assert max(learned.weeks) == DECAY
    expected = [weight / UNIT for weight in learned.expected()]
    assert expected[0] == pytest.approx(100, rel=0.02)
    assert expected[-1] == pytest.approx(40, rel=0.08)


@given(st.integers(1, 100_000), st.integers(0, 100_000))
def test_an_average_follows_a_change_within_weeks(before: int, after: int) -> None:
    """It is the new one's within 2 percent of the step, or a unit's fraction, after 16 weeks; and never beyond."""
    learned = Learned().seen([(5, before)] * 10, MONDAY).seen([(5, after)] * 16, MONDAY)
    off = abs(learned.averages[5] / UNIT - after)
    assert off <= abs(before - after) * 0.02 + DECAY / UNIT
    low, high = sorted((before, after))
    assert low - 1 <= learned.averages[5] / UNIT <= high


def test_slots_of_other_zones_are_turned_into_that_of_the_campaign() -> None:
    """A peak at 20:00 in Kolkata is one at 14:30 UTC; over the end of the week too."""
    day = [1] * 96
    day[80] = 1_000
    curve = together([(seen(day, 7), KOLKATA)], UTC, MONDAY)
    assert curve is not None
    assert [at for at, weight in enumerate(curve.weights) if weight > 100 * UNIT] == [58 + day * 96 for day in range(7)]
    early = [1] * 96
    early[0] = 1_000
    curve = together([(seen(early, 7), KOLKATA), (seen(day, 7), UTC)], UTC, MONDAY)
    assert curve is not None
    high = [at for at, weight in enumerate(curve.weights) if weight > 100 * UNIT]
    assert high[:3] == [74, 80, 170]


def test_a_quarter_of_the_week_is_a_local_one() -> None:
    assert quarter_of(MONDAY, UTC) == 0
    assert quarter_of(MONDAY, KOLKATA) == 22
    assert quarter_of(MONDAY - 1, UTC) == WEEK_QUARTERS - 1
    assert quarter_of(MONDAY, NEW_YORK) == 6 * DAY_QUARTERS + 80


def test_a_week_adds_up_what_is_open() -> None:
    curve = Curve([2] * WEEK_QUARTERS, known=True)
    assert Week(curve, None).days == [2 * 86_400] * 7
    only = [900 if quarter in (36, 37) else 300 if quarter == 38 else 0 for quarter in range(WEEK_QUARTERS)]
    week = Week(curve, only)
    assert week.days == [2 * 2_100, 0, 0, 0, 0, 0, 0]
    assert week.sums[WEEK_QUARTERS + 96] == 2 * week.sums[96]
