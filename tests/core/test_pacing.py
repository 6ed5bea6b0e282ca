"""Plans of campaigns: what is due by when, in whole impressions or clicks."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserve.core import schedule
from adserve.core.curve import PLAUSIBLE, Curve
from adserve.core.model import Campaign, Caps, Goal, Limit, Target
from adserve.core.pacing import CLICK_WORTH, CLOSING_S, UNLIMITED, plan_of
from adserve.core.schedule import day_bounds, local_day, parse_day

DAY = 86_400
START = 1_780_272_000
"""2026-06-01T00:00:00Z, a Monday."""


def campaign(**members: Any) -> Campaign:
    """One of 10,000 impressions within ten days of UTC."""
    valid: dict[str, Any] = {
        "id": "acme",
        "serial": 1,
        "version": 1,
        "advertiser": "acme",
        "name": "Acme",
        "starts_at": START,
        "ends_at": START + 10 * DAY,
        "goal": Goal(impressions=10_000),
    }
    return Campaign(**(valid | members))


def limits(total: int | None = None, daily: int | None = None) -> Caps:
    """Caps of impressions."""
    return Caps(Limit(total), Limit(daily))


def test_a_campaign_without_goal_and_caps_is_never_behind() -> None:
    plan = plan_of(campaign(goal=None), None)
    assert plan.counts is None
    assert plan.due(START, 5, 5) == UNLIMITED


def test_asap_is_due_up_to_goal_and_daily_cap() -> None:
    plan = plan_of(campaign(pacing="asap"), None)
    assert plan.due(START, 700, 300) == 9_600
    assert plan.need(START, 700, 300) == 9_300
    capped = plan_of(campaign(pacing="asap", caps=limits(daily=1_000)), None)
    assert capped.due(START, 700, 300) == 1_000
    assert capped.need(START, 700, 300) == 700


def test_a_click_goal_counts_clicks_and_weighs_what_they_cost() -> None:
    plan = plan_of(campaign(goal=Goal(clicks=200), caps=limits(daily=5)), None)
    assert plan.counts == "clicks"
    assert plan.due(START + DAY - 1, 0, 0) == 20
    assert plan.need(START, 0, 0) == 20 * CLICK_WORTH


def test_caps_alone_are_paced_too() -> None:
    """Of impressions before clicks; a daily cap alone fills each day alike."""
    plan = plan_of(campaign(goal=None, pacing="even", caps=Caps(Limit(clicks=7), Limit(impressions=400))), None)
    assert plan.counts == "impressions"
    assert plan.due(START + DAY // 2, 0, 0) < 300
    assert plan.due(START + DAY - 1, 0, 0) == 400
    total = plan_of(campaign(goal=None, pacing="even", caps=limits(total=1_000)), None)
    assert total.due(START + DAY - CLOSING_S, 0, 0) == 100


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "Asia/Kathmandu", "America/New_York", "Australia/Lord_Howe"])
@given(
    begin=st.integers(-40, 40),
    length_s=st.one_of(st.integers(1, 2 * DAY), st.integers(1, 400 * DAY)),
    goal=st.one_of(st.integers(1, 50), st.integers(1, 1_000_000_000)),
    daily=st.one_of(st.none(), st.integers(1, 20_000)),
    known=st.booleans(),
    steps=st.lists(st.tuples(st.integers(-DAY, 3 * DAY), st.floats(0, 1)), max_size=30),
)
def test_no_plan_ever_passes_its_ceilings(
    zone: str, begin: int, length_s: int, goal: int, daily: int | None, known: bool, steps: list[tuple[int, float]]
) -> None:
    """Whatever is delivered of what is due, and however the clock steps."""
    starts = START + begin * DAY // 3
    ends = starts + length_s
    booked = campaign(zone=zone, starts_at=starts, ends_at=ends, goal=Goal(impressions=goal), caps=limits(daily=daily))
    plan = plan_of(booked, Curve(PLAUSIBLE * 7, known=known))
    days: dict[date, int] = {}
    now = starts
    for step_s, part in steps:
        day = local_day(now, schedule.zone(zone))
        today, total = days.get(day, 0), sum(days.values())
        due = plan.due(now, total, today)
        assert 0 <= due <= (daily or goal)
        assert total + max(0, due - today) <= goal
        assert plan.need(now, total, today) >= 1
        if not starts <= now < ends:
            assert due == 0
        days[day] = today + int(max(0, due - today) * part)
        now += step_s


@pytest.mark.parametrize("known", [True, False])
def test_a_day_runs_ahead_of_its_curve_and_ends_on_it(known: bool) -> None:
    """At no moment of the last day less than the curve has by then, until the closing; then on to the end,
    never standing still."""
    curve = Curve(PLAUSIBLE * 7, known=known)
    plan = plan_of(campaign(goal=Goal(impressions=1_000_000), ends_at=START + DAY), curve)
    total = sum(curve.weights[:96])
    dues = [plan.due(START + quarter * 900, 0, 0) for quarter in range(96)]
    for quarter, due in enumerate(dues):
        assert due >= 1_000_000 * sum(curve.weights[:quarter]) // total
    assert all(later > earlier for earlier, later in pairwise(dues))
    assert plan.due(START + DAY - 1, 0, 0) == 1_000_000
    assert dues[95] > 995_000


def test_a_day_before_the_last_goes_over_into_the_next() -> None:
    """Its end gets no less than the curve has there: nothing closes at midnight."""
    curve = Curve(PLAUSIBLE * 7, known=True)
    plan = plan_of(campaign(goal=Goal(impressions=1_000_000)), curve)
    steps = [plan.due(START + DAY - at, 0, 0) for at in (1_801, 901, 1)]
    pace = 100_000 * curve.weights[95] // sum(curve.weights[:96])
    assert all(later - earlier > pace * 9 // 10 for earlier, later in pairwise(steps))
    assert steps[-1] > 100_000


def test_quiet_days_take_over_what_a_daily_cap_keeps_from_busy_ones() -> None:
    """A goal that fits below the cap only when each day does its part is planned so from the first day."""
    weights = [*([100] * 96 * 5), *([10] * 96 * 2)]
    booked = campaign(ends_at=START + 14 * DAY, goal=Goal(impressions=9_000), caps=limits(daily=800))
    plan = plan_of(booked, Curve(weights, known=True))
    total = 0
    for day in range(14):
        due = plan.due(START + (day + 1) * DAY - 1, total, 0)
        assert 240 <= due <= 260 or due == 800
        total += due
    assert total == 9_000


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/New_York", "2026-03-08", 23),
        ("America/New_York", "2026-11-01", 25),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
    ],
)
def test_days_whose_clock_is_changed_are_planned_by_their_own_hours(zone: str, day: str, hours: float) -> None:
    """What is due at local noon is what the local hours before noon have."""
    begin, end = day_bounds(parse_day(day), schedule.zone(zone))
    assert end - begin == hours * 3600
    curve = Curve([1 if quarter % 96 < 48 else 1_000 for quarter in range(672)], known=True)
    plan = plan_of(campaign(zone=zone, starts_at=begin, ends_at=end, goal=Goal(impressions=100_000)), curve)
    noon = end - 12 * 3600
    assert plan.due(noon - 901, 0, 0) < 3_000
    assert plan.due(noon + 3_600, 0, 0) > 7_000


def test_what_is_known_of_a_day_is_not_asked_for_again() -> None:
    """Late events of the day before move what it began with, and the plan with it."""
    plan = plan_of(campaign(), None)
    assert plan.due(START + 9 * DAY, 9_000, 0) == plan_of(campaign(), None).due(START + 9 * DAY, 9_000, 0)
    before = plan.due(START + 9 * DAY + DAY // 2, 9_000, 0)
    assert plan.due(START + 9 * DAY + DAY // 2, 9_500, 0) <= before // 2 + 1


@pytest.mark.parametrize("length_s", [1, 60, 900, 5_400])
def test_short_flights_give_out_all_of_their_goal(length_s: int) -> None:
    plan = plan_of(campaign(ends_at=START + length_s, goal=Goal(impressions=600)), None)
    assert plan.due(START, 0, 0) >= 1
    assert plan.due(START + length_s - 1, 0, 0) == 600
    assert plan.due(START + length_s // 2, 0, 0) <= 600 * 4 // 5 or length_s == 1


def test_a_deficit_spreads_over_the_days_that_are_left() -> None:
    plan = plan_of(campaign(), None)
    for at, total, most in ((1, 0, 1_000), (6, 1_000, 1_800), (9, 1_000, 4_500)):
        due = plan.due(START + at * DAY - 1, total, 0)
        assert most <= due <= most * 1.01
    assert plan.due(START + 10 * DAY - 1, 9_000, 100) == 1_100


def test_plans_count_only_the_hours_that_targeting_leaves_open() -> None:
    """On the days that have any, from the first minute on, all of the day's part before the last."""
    hours = Target(hours=("mon-fri 09:10-17:00",))
    booked = campaign(goal=Goal(impressions=6_000), target=hours, ends_at=START + 7 * DAY)
    plan, hour = plan_of(booked, Curve([1] * 672, known=True)), 3_600
    assert plan.due(START + 9 * hour - 1, 0, 0) <= 1_200 * 300 // 28_200 + 1
    assert 600 < plan.due(START + 13 * hour, 0, 0) < 680
    assert plan.due(START + 4 * DAY + 17 * hour - 1, 4_800, 0) == 1_200
    assert plan.due(START + 4 * DAY + 17 * hour - CLOSING_S, 4_800, 0) < 1_195
    assert plan.due(START + 5 * DAY + 12 * hour, 5_900, 0) == 0
