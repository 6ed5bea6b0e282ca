"""Plans of campaigns: what is due by when, in whole impressions or clicks."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from adserve.core.model import Campaign, Caps, Goal, Limit
from adserve.core.pacing import UNLIMITED, plan_of

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


def test_a_click_goal_counts_clicks() -> None:
    plan = plan_of(campaign(goal=Goal(clicks=200), caps=limits(daily=5)), None)
    assert plan.counts == "clicks"
    assert plan.due(START + DAY - 1, 0, 0) == 20


@given(st.integers(0, 20_000), st.integers(0, 20_000), st.integers(-DAY, 11 * DAY))
def test_nothing_is_due_beyond_the_goal(before: int, today: int, at: int) -> None:
    plan = plan_of(campaign(), None)
    total = before + today
    due = plan.due(START + at, total, today)
    assert due >= 0
    assert total >= 10_000 or total + due - today <= 10_000
    assert total < 10_000 or due <= today
    assert plan.need(START + at, total, today) >= 1


def test_a_deficit_spreads_over_the_days_that_are_left() -> None:
    plan = plan_of(campaign(), None)
    assert plan.due(START + DAY - 1, 0, 0) == 1_000
    assert plan.due(START + 6 * DAY - 1, 1_000, 0) == 1_800
    assert plan.due(START + 10 * DAY - 1, 9_000, 100) == 1_100
