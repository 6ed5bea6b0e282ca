"""How much of a slot can still be sold on the days to come: its forecast less what campaigns are booked for.

DESIGN. Arithmetic on two things that are known: the requests that the slot's learned week lets expect, and what the
plan of each campaign would give each day if every day before it went as planned. A campaign's part of a day is
divided over the slots that it can serve in by their requests while it is open. So the answer says what the booked
goals ask for, not what they will get, and a goal counts for no more than what is left of it. Not chosen: a
simulation of the days (seconds for an answer, and another one each time).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from datetime import date, timedelta
from itertools import accumulate
from typing import NamedTuple

from adserve.core.curve import together
from adserve.core.forecast import Forecasts
from adserve.core.grants import ENOUGH
from adserve.core.model import Campaign
from adserve.core.pacing import counted, plan_of
from adserve.core.schedule import day_bounds, local_day, zone

MOST_DAYS = 90
SLOT_OVERBOOKED, GOAL_TOO_LARGE, CAMPAIGN_BEHIND = "slot_overbooked", "goal_too_large", "campaign_behind"
SAID = {
    SLOT_OVERBOOKED: "the booked campaigns together ask for more than the slot's forecast",
    GOAL_TOO_LARGE: "the goal is more than the forecast of all its slots while it runs",
    CAMPAIGN_BEHIND: "what is left of the goal is more than the forecast of all its slots in the time left",
}


class Booking(NamedTuple):
    """A campaign and the serials of the slots that it can serve in. `booked`: of all that it books, which its plan goes
    by. Of its impressions `total` are confirmed in all and `today` on this local day of its zone; of `issued` serves
    `confirmed` were."""

    campaign: Campaign
    slots: frozenset[int]
    booked: frozenset[int]
    total: int = 0
    today: int = 0
    issued: int = 0
    confirmed: int = 0

    @property
    def ratio(self) -> float:
        """Impressions of a serve; 1 while too few serves are over to tell."""
        return self.confirmed / self.issued if self.issued >= ENOUGH and self.confirmed > 0 else 1.0

    @property
    def percent(self) -> int | None:
        """Of each slot's requests, where that is what it booked: its share, all for a sponsor that nothing limits."""
        if self.campaign.goal is not None and self.campaign.goal.share is not None:
            return self.campaign.goal.share
        return 100 if self.takes_all else None

    @property
    def takes_all(self) -> bool:
        return self.campaign.tier == "sponsor" and self.campaign.goal is None and not self.campaign.limited

    @property
    def plans(self) -> bool:
        """Whether it booked impressions: by a goal, by caps that are paced, or as a sponsor up to its caps."""
        one = self.campaign
        wants = (one.goal is not None and one.goal.impressions is not None) or one.paces == "even"
        return one.allotted and counted(one) == "impressions" and (wants or one.tier == "sponsor") and not self.percent


class DayLeft(NamedTuple):
    """A local day of the site: requests that are expected of what is left of it, what is booked by campaign."""

    day: date
    forecast: int | None
    campaigns: dict[str, int]
    taken: bool
    """Whether a sponsor takes everything while it runs."""

    @property
    def booked(self) -> int:
        return sum(self.campaigns.values())

    @property
    def available(self) -> int | None:
        return None if self.forecast is None else max(0, self.forecast - self.booked)


class Warning(NamedTuple):
    """`missing`: requests that the campaigns would need beside those that are expected."""

    code: str
    campaigns: tuple[str, ...]
    missing: int


class Availability(NamedTuple):
    """`uncounted`: campaigns whose goal is clicks, of which nobody can tell how many requests they need."""

    days: list[DayLeft]
    warnings: list[Warning]
    uncounted: list[str]


def availability(
    slot: int, days: int, bookings: Sequence[Booking], forecasts: Forecasts
) -> Generator[None, None, Availability]:
    """Of a slot for `days` local days of its site, today's first. `bookings`: the campaigns that can serve in it."""
    now, tz = forecasts.now, forecasts.zone(slot)
    first = local_day(now, tz)
    dates = [first + timedelta(days=at) for at in range(days)]
    spans = [(max(now, begin), end) for begin, end in (day_bounds(one, tz) for one in dates)]
    for other in {slot}.union(*(one.slots for one in bookings)):
        forecasts.expected(other)
        yield
    every = forecasts.of(frozenset({slot}))
    known = slot in forecasts.known
    forecast = _whole([every.between(*span) for span in spans])
    booked: dict[str, list[int]] = {}
    taken: set[int] = set()
    beyond: list[Warning] = []
    for one in bookings:
        yield
        beyond += _out_of_reach(one, forecasts)
        if one.percent is not None:
            each = [_of(one, slot, span, forecasts) * one.percent / 100 if known else 0.0 for span in spans]
            if one.takes_all:
                taken.update(at for at, (begin, end) in enumerate(spans) if _running(one.campaign, begin, end))
        elif one.plans:
            each = _divided(one, slot, spans, forecasts)
        else:
            continue
        booked[one.campaign.id] = _whole(each)
    found = [
        DayLeft(
            day,
            forecast[at] if known else None,
            {id_: parts[at] for id_, parts in sorted(booked.items()) if parts[at]},
            at in taken,
        )
        for at, day in enumerate(dates)
    ]
    warnings = _overbooked(found, spans, bookings) if known else []
    return Availability(
        found, warnings + beyond, sorted(one.campaign.id for one in bookings if _by_clicks(one.campaign))
    )


def _by_clicks(campaign: Campaign) -> bool:
    return campaign.goal is not None and campaign.goal.clicks is not None


def _whole(parts: Sequence[float]) -> list[int]:
    """Whole numbers whose sums never run ahead of those of the parts."""
    sums = [int(one + 1e-6) for one in accumulate(parts)]
    return [after - before for before, after in zip([0, *sums], sums, strict=False)]


def _flight(campaign: Campaign, begin: int, end: int) -> tuple[int, int]:
    """The part of a span in which it runs; empty when the end is not after the beginning."""
    start = begin if campaign.starts_at is None else max(begin, campaign.starts_at)
    return start, end if campaign.ends_at is None else min(end, campaign.ends_at)


def _running(campaign: Campaign, begin: int, end: int) -> bool:
    start, stop = _flight(campaign, begin, end)
    return start < stop


def _of(one: Booking, slot: int, span: tuple[int, int], forecasts: Forecasts) -> float:
    """The slot's requests of a span while the campaign runs and is open."""
    start, end = _flight(one.campaign, *span)
    return forecasts.of(frozenset({slot}), one.campaign).between(start, end) if start < end else 0.0


def planned(one: Booking, until: int, forecasts: Forecasts) -> list[tuple[int, int, int]]:
    """What its plan gives the local days of its zone up to the one of `until`, as (from, to, impressions): each as if
    all before had gone as planned. What has no plan takes what comes."""
    campaign, tz = one.campaign, zone(one.campaign.zone)
    plan = plan_of(campaign, together(forecasts.weeks(one.booked), tz, forecasts.now))
    slots = _weighed(one, forecasts)
    total, today, found = one.total, one.today, []
    paced = campaign.paces == "even" and campaign.ends_at is not None
    day, last = local_day(forecasts.now, tz), local_day(until - 1, tz)
    for _ in range(MOST_DAYS + 2):
        if day > last:
            break
        begin, end = day_bounds(day, tz)
        start, stop = _flight(campaign, max(begin, forecasts.now), end)
        if start < stop:
            due = max(0, plan.due(stop - 1, total, today) - today)
            part = min(due, plan.need(stop - 1, total, today))  # what is due runs into the day after
            if not paced and slots <= forecasts.known:
                part = min(part, int(forecasts.of(slots, campaign).between(start, stop) * one.ratio))
            found.append((start, stop, part))
            total += part
        today = 0
        day += timedelta(days=1)
    return found


def _weighed(one: Booking, forecasts: Forecasts) -> frozenset[int]:
    """The slots that share what it needs: those with a forecast, or all alike when none has one."""
    return (one.slots & forecasts.known) or one.slots


def _divided(one: Booking, slot: int, spans: Sequence[tuple[int, int]], forecasts: Forecasts) -> list[float]:
    """What one slot has to give of it, in serves, by the days of the slot's site."""
    slots = _weighed(one, forecasts)
    each = [0.0] * len(spans)
    if slot not in slots:
        return each
    mine, all_ = forecasts.of(frozenset({slot}), one.campaign), forecasts.of(slots, one.campaign)
    at = 0
    for start, stop, part in planned(one, spans[-1][1], forecasts):
        whole = all_.between(start, stop)
        while at and spans[at][0] > start:
            at -= 1
        while at < len(spans) and spans[at][0] < stop:
            low, high = max(start, spans[at][0]), min(stop, spans[at][1])
            if low < high:
                alike = (high - low) / ((stop - start) * len(slots))
                each[at] += part / one.ratio * (mine.between(low, high) / whole if whole else alike)
            at += 1
        at = min(at, len(spans) - 1)
    return each


def _overbooked(
    found: Sequence[DayLeft], spans: Sequence[tuple[int, int]], bookings: Sequence[Booking]
) -> list[Warning]:
    """The run of days that lacks most: where what has to be served within these days is more than what they have."""
    count = len(found)
    needs: list[Counter[tuple[int, int]]] = [Counter() for _ in range(count)]
    supply = [day.forecast or 0 for day in found]
    runs: dict[str, tuple[int, int]] = {}
    for one in bookings:
        id_ = one.campaign.id
        if one.percent is not None:
            supply = [left - day.campaigns.get(id_, 0) for left, day in zip(supply, found, strict=True)]
            continue
        on = [at for at, span in enumerate(spans) if _running(one.campaign, *span)]
        if on and (amount := sum(day.campaigns.get(id_, 0) for day in found)):
            runs[id_] = on[0], on[-1]
            needs[on[0]][runs[id_]] += amount
    worst, where = 0, (0, 0)
    ending = [0] * count
    for first in reversed(range(count)):
        for (_, last), amount in needs[first].items():
            ending[last] += amount
        lacking = 0
        for last in range(first, count):
            lacking += ending[last] - supply[last]
            if lacking > worst:
                worst, where = lacking, (first, last)
    if worst <= 0:
        return []
    first, last = where
    inside = [id_ for id_, (begin, end) in runs.items() if first <= begin and end <= last]
    inside += [
        one.campaign.id
        for one in bookings
        if one.percent is not None and any(one.campaign.id in day.campaigns for day in found[first : last + 1])
    ]
    return [Warning(SLOT_OVERBOOKED, tuple(sorted(inside)), worst)]


def _out_of_reach(one: Booking, forecasts: Forecasts) -> list[Warning]:
    """Whether all of its slots together, with nobody else in them, have less than what is left of its goal needs."""
    campaign = one.campaign
    goal = campaign.goal.impressions if campaign.goal is not None else None
    if goal is None or campaign.ends_at is None or not one.slots or not one.slots <= forecasts.known:
        return []
    start, end = _flight(campaign, forecasts.now, campaign.ends_at)
    if start >= end:
        return []
    needed = max(0, goal - one.total) / one.ratio
    missing = int(needed - forecasts.of(one.slots, campaign).between(start, end))
    if missing <= 0:
        return []
    code = CAMPAIGN_BEHIND if start == forecasts.now else GOAL_TOO_LARGE
    return [Warning(code, (campaign.id,), missing)]
