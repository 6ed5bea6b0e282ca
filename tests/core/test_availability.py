"""What can still be sold: the arithmetic alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adserve.core.availability import SLOT_OVERBOOKED, Availability, Booking, availability, planned
from adserve.core.curve import UNIT, WEEK_QUARTERS, Learned
from adserve.core.forecast import LEAST_DAYS, Forecasts, confidence
from adserve.core.model import Campaign, Caps, Goal, Limit, Target
from adserve.core.schedule import BUCKET_S, day_bounds, parse_day, zone

DAY = 86_400
NOW = 1_780_272_000
"""2026-06-01T00:00:00Z, a Monday."""
TEN = Learned(1, (10 * UNIT,) * WEEK_QUARTERS, (4,) * WEEK_QUARTERS)
A_DAY = 960
TOP, SIDE = 1, 2
BOTH = frozenset({TOP, SIDE})


def campaign(**members: Any) -> Campaign:
    valid: dict[str, Any] = {"id": "a", "serial": 1, "version": 1, "advertiser": "acme", "name": "A"}
    return Campaign(**(valid | members))


def booking(slots: frozenset[int] = frozenset({TOP}), **members: Any) -> Booking:
    stood = {name: members.pop(name) for name in ("total", "today", "issued", "confirmed") if name in members}
    return Booking(campaign(**members), slots, slots, **stood)


def of(
    *bookings: Booking, days: int = 7, now: int = NOW, tz: str = "UTC", weeks: dict[int, Learned] | None = None
) -> Availability:
    known = {slot: (week, zone(tz)) for slot, week in (weeks or {TOP: TEN, SIDE: TEN}).items()}
    steps = availability(TOP, days, bookings, Forecasts(known, now, days))
    while True:
        try:
            next(steps)
        except StopIteration as done:
            found: Availability = done.value
            return found


def booked(found: Availability) -> list[int]:
    return [day.booked for day in found.days]


def test_a_goal_is_divided_over_its_days_and_slots() -> None:
    assert booked(of(booking(ends_at=NOW + 5 * DAY, goal=Goal(impressions=1_000)))) == [200] * 5 + [0] * 2
    assert booked(of(booking(BOTH, ends_at=NOW + 5 * DAY, goal=Goal(impressions=1_000)))) == [100] * 5 + [0] * 2
    half = Learned(1, (5 * UNIT,) * WEEK_QUARTERS, (4,) * WEEK_QUARTERS)
    one = booking(BOTH, ends_at=NOW + 5 * DAY, goal=Goal(impressions=1_500))
    assert booked(of(one, weeks={TOP: half, SIDE: TEN})) == [100] * 5 + [0] * 2


def test_a_flight_that_begins_and_ends_within_a_day_takes_that_much_of_it() -> None:
    one = booking(starts_at=NOW + DAY // 2, ends_at=NOW + 2 * DAY, goal=Goal(impressions=900))
    assert booked(of(one, days=3)) == [300, 600, 0]
    share = booking(starts_at=NOW + DAY // 2, ends_at=NOW + DAY + DAY // 4, goal=Goal(share=50))
    assert booked(of(share, days=3)) == [240, 120, 0]


def test_hours_decide_which_days_have_it() -> None:
    """Monday is half open, Tuesday whole, Wednesday not at all; also for a share."""
    hours = Target(hours=("mon 12:00-24:00", "tue 00:00-24:00"))
    one = booking(ends_at=NOW + 3 * DAY, goal=Goal(impressions=900), target=hours)
    assert booked(of(one, days=3)) == [300, 600, 0]
    assert booked(of(booking(goal=Goal(share=10), target=hours), days=3)) == [48, 96, 0]


def test_days_of_the_campaign_are_not_those_of_the_site() -> None:
    """A day of Kolkata, which is 5 h 30 of UTC's day before and 18 h 30 of its own."""
    begin, end = day_bounds(parse_day("2026-06-03"), zone("Asia/Kolkata"))
    one = booking(starts_at=begin, ends_at=end, goal=Goal(impressions=480), zone="Asia/Kolkata")
    assert booked(of(one, days=4)) == [0, 110, 370, 0]


@pytest.mark.parametrize(
    ("tz", "day", "forecast"), [("Europe/Berlin", "2026-03-29", 920), ("Europe/Berlin", "2026-10-25", 1_000)]
)
def test_days_whose_clock_is_changed_have_their_own_hours(tz: str, day: str, forecast: int) -> None:
    now = day_bounds(parse_day(day), zone(tz))[0]
    found = of(days=2, now=now, tz=tz)
    assert [one.forecast for one in found.days] == [forecast, A_DAY]
    assert str(found.days[0].day) == day


def test_the_last_of_today_alone_is_left() -> None:
    """Also of a daily cap: what was counted today is had."""
    now = NOW + 18 * 3600 + 450
    one = booking(pacing="asap", goal=Goal(impressions=10_000), caps=Caps(daily=Limit(100)), total=70, today=70)
    found = of(one, days=2, now=now)
    assert [day.forecast for day in found.days] == [235, A_DAY]
    assert booked(found) == [30, 100]


def test_what_has_no_plan_takes_what_comes() -> None:
    one = booking(pacing="asap", goal=Goal(impressions=1_500))
    found = of(one, days=3)
    assert booked(found) == [960, 540, 0]
    assert [day.available for day in found.days] == [0, 420, 960]


def test_paced_caps_book_and_others_do_not() -> None:
    caps = Caps(daily=Limit(100))
    assert booked(of(booking(pacing="even", ends_at=NOW + 2 * DAY, caps=caps), days=3)) == [100, 100, 0]
    assert booked(of(booking(ends_at=NOW + 2 * DAY, caps=caps), days=3)) == [0, 0, 0]
    assert booked(of(booking(tier="sponsor", ends_at=NOW + 2 * DAY, caps=caps), days=3)) == [100, 100, 0]
    assert booked(of(booking(weight=9), days=3)) == [0, 0, 0]


def test_serves_are_more_than_impressions_once_that_is_known() -> None:
    one: dict[str, Any] = {"ends_at": NOW + DAY, "goal": Goal(impressions=100)}
    assert booked(of(booking(**one, issued=19, confirmed=10), days=1)) == [100]
    assert booked(of(booking(**one, issued=20, confirmed=10), days=1)) == [200]
    assert booked(of(booking(**one, issued=20, confirmed=0), days=1)) == [100]


def test_the_worst_run_of_days_is_told() -> None:
    """Of goals that can wait none is named; a sponsor takes what others need."""
    late = booking(id="late", ends_at=NOW + 30 * DAY, goal=Goal(impressions=3_000))
    one = booking(id="one", starts_at=NOW + DAY, ends_at=NOW + 3 * DAY, goal=Goal(impressions=1_500))
    two = booking(id="two", starts_at=NOW + 2 * DAY, ends_at=NOW + 3 * DAY, goal=Goal(impressions=500))
    found = of(late, one, two)
    assert [(w.code, w.campaigns, w.missing) for w in found.warnings] == [(SLOT_OVERBOOKED, ("one", "two"), 80)]
    assert of(late, one).warnings == []
    big = booking(id="big", tier="sponsor", starts_at=NOW + DAY, ends_at=NOW + 2 * DAY)
    found = of(late, one, big)
    assert [(w.campaigns, w.missing) for w in found.warnings] == [(("big", "one"), 540)]
    assert [day.taken for day in found.days] == [False, True] + [False] * 5
    shares = [booking(id=f"s{at}", goal=Goal(share=60)) for at in range(2)]
    assert [(w.campaigns, w.missing) for w in of(*shares, days=1).warnings] == [(("s0", "s1"), 192)]


def test_what_lies_beyond_the_lay_out_is_as_the_week_before() -> None:
    """However many weeks later, in part of a quarter-hour too."""
    week = Learned(1, tuple(at * UNIT for at in range(WEEK_QUARTERS)), (4,) * WEEK_QUARTERS)
    requests = Forecasts({TOP: (week, zone("UTC"))}, NOW, 7).of(frozenset({TOP}))
    edge, second = NOW + LEAST_DAYS * DAY, requests.between
    for begin, end in ((-DAY, DAY), (3 * DAY + 450, 4 * DAY), (2 * DAY, 9 * DAY), (-450, 450)):
        first = second(NOW + 7 * DAY + begin, NOW + 7 * DAY + end)
        assert first > 0
        assert second(edge + begin, edge + end) == second(edge + 21 * DAY + begin, edge + 21 * DAY + end) == first


def test_confidence_grows_with_what_was_seen() -> None:
    week = Learned()
    assert confidence(None) == confidence(week) == "none"
    week = week.seen([(0, 5)], BUCKET_S)
    assert confidence(week) == "low"
    week = week.seen([(at, 5) for at in range(1, 96)], BUCKET_S)
    assert confidence(week) == "fair"
    assert confidence(week.seen([(at, 5) for at in range(96, 672)], BUCKET_S)) == "good"


FLIGHTS = st.fixed_dictionaries(
    {
        "starts_at": st.none() | st.integers(NOW - 20 * DAY, NOW + 20 * DAY),
        "ends_at": st.integers(NOW + 1, NOW + 40 * DAY),
        "zone": st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe"]),
        "pacing": st.sampled_from([None, "even", "asap"]),
        "target": st.sampled_from(
            [None, Target(hours=("mon-fri 09:07-17:00",)), Target(hours=("sat,sun 22:00-24:00",))]
        ),
        "caps": st.none() | st.builds(lambda n: Caps(daily=Limit(n)), st.integers(1, 500)),
        "goal": st.builds(lambda n: Goal(impressions=n), st.integers(1, 20_000)),
        "slots_of": st.sampled_from([frozenset({TOP}), BOTH]),
        "total": st.integers(0, 500),
    }
)


@given(FLIGHTS, st.lists(st.integers(0, 3_000), min_size=7, max_size=7), st.integers(0, 2 * DAY), st.integers(1, 30))
@settings(max_examples=150, deadline=None)
def test_no_more_is_booked_than_is_left_of_a_goal(
    flight: dict[str, Any], heights: list[int], past: int, days: int
) -> None:
    """Nor more by the slots than by the plan, outside the flight, or on a day than the daily cap has; what is booked
    and what is available are the forecast, unless there is more booked."""
    flight = dict(flight)
    slots, total, now = flight.pop("slots_of"), flight.pop("total"), NOW + past
    week = Learned(1, tuple(one for height in heights for one in (height,) * 96), (4,) * WEEK_QUARTERS)
    weeks = {TOP: week, SIDE: TEN}
    one = booking(slots, total=total, **flight)
    found = of(one, days=days, now=now, weeks=weeks, tz="Europe/Berlin")
    goal = flight["goal"].impressions
    assert sum(booked(found)) <= max(0, goal - total)
    forecasts = Forecasts({slot: (each, zone("Europe/Berlin")) for slot, each in weeks.items()}, now, days)
    parts = planned(one, now + days * DAY, forecasts)
    cap = flight["caps"].daily.impressions if flight["caps"] else goal
    for start, stop, part in parts:
        assert max(now, flight["starts_at"] or 0) <= start < stop <= flight["ends_at"]
        assert 0 <= part <= cap
    assert sum(part for *_, part in parts) <= max(0, goal - total)
    tz = zone("Europe/Berlin")
    for day in found.days:
        begin, end = day_bounds(day.day, tz)
        if flight["ends_at"] <= begin or (flight["starts_at"] or 0) >= end:
            assert day.booked == 0
        assert day.forecast is not None
        assert day.available == max(0, day.forecast - day.booked)
        assert day.booked == sum(day.campaigns.values())


@given(FLIGHTS)
@settings(max_examples=60, deadline=None)
def test_slots_together_give_what_the_plan_gives(flight: dict[str, Any]) -> None:
    """Of a flight whose days are all asked for, slot by slot, nothing is lost but what rounding takes."""
    flight = dict(flight) | {"pacing": "even", "caps": None, "target": None}
    flight.pop("slots_of")
    one = booking(BOTH, total=flight.pop("total"), **flight)
    whole = sum(
        part
        for *_, part in planned(
            one, NOW + 45 * DAY, Forecasts({TOP: (TEN, zone("UTC")), SIDE: (TEN, zone("UTC"))}, NOW, 45)
        )
    )
    top = sum(booked(of(one, days=45)))
    assert whole // 2 - 1 <= top <= whole / 2 + 1
