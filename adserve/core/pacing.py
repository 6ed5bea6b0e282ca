"""How far a campaign's delivery may have come by now: the plan of its local day.

DESIGN. A plan answers one question, `due`: the most that the count of the local day may have come to. Whoever hands
out allowances gives no more than that, so "has an allowance" is "behind its plan", and nothing else paces. Each local
day gets its part of what remained of the goal when the day began, by the requests that its open hours let expect; so
a deficit spreads over the days that are left. Within the day the plan follows the curve a little ahead of time. It
slows down at the end of the last day, early enough that serves which nobody confirmed can be given again, and slows
down only: an end must not black out. No state but sums that are looked up: the same numbers give the same answer
after a restart, a step of the clock, or on another worker. Not chosen: a controller that learns a probability to
serve, which lags, swings, and stops when it has spent a day too early.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import date
from functools import lru_cache
from itertools import accumulate
from typing import Literal
from zoneinfo import ZoneInfo

from adserve.core.curve import DAY_QUARTERS, UNKNOWN, Curve, Week, quarter_of
from adserve.core.hours import hours_of
from adserve.core.model import Campaign
from adserve.core.schedule import BUCKET_S, day_bounds, local_day, zone

UNLIMITED = 1 << 62
"""What is due of a campaign that nothing limits."""
LEAD_S, LEAD_UNKNOWN_S = 300, 900
"""How far a plan runs ahead of its curve: a serve is confirmed some time after it was given out, and one that is
not holds its allowance for minutes."""
AHEAD, AHEAD_UNKNOWN = 3, 25
"""Percent by which a day begins faster than its curve, and ends slower: what is behind late has no time left. More
while the curve is not the slot's own, for its evening may be quieter than a plausible one."""
CLOSING_S = 1_200
"""The end of the last day, in which a plan has little left: an allowance that nobody confirmed comes back after
about 12 minutes, and its place has to be served again."""
CLOSING_PACE = 5
"""In the closing a plan has one part in this many of what the curve has there. It never has nothing."""
CLICK_WORTH = 300
"""Impressions that a click of a click goal counts for, where goals share by what they need."""


class Day:
    """A local day of a curve: `at` says how much of it lies before a moment. Up to an hour beyond its end too."""

    __slots__ = ("_base", "_last", "_offset", "_sums", "begin", "end")

    def __init__(self, week: Week, day: date, tz: ZoneInfo) -> None:
        self.begin, self.end = day_bounds(day, tz)
        quarters = (self.end - self.begin) // BUCKET_S
        self._sums, self._offset = week.sums, day.weekday() * DAY_QUARTERS
        if quarters != DAY_QUARTERS or (quarter_of(self.begin, tz)) % DAY_QUARTERS:  # its clock is changed
            moments = range(self.begin, self.end + 2 * 3600, BUCKET_S)
            each = [week.each[quarter_of(moment, tz)] for moment in moments]
            self._sums, self._offset = [0, *accumulate(each)], 0
        self._base, self._last = self._sums[self._offset], self._offset + quarters + 4

    def at(self, now: int) -> int:
        """What lies between the day's beginning and a moment that is not before it."""
        quarter, past = divmod(now - self.begin, BUCKET_S)
        quarter += self._offset
        if quarter >= self._last:
            return self._sums[self._last] - self._base
        low = self._sums[quarter]
        return low - self._base + (self._sums[quarter + 1] - low) * past // BUCKET_S

    def within(self, begin: int, end: int) -> tuple[int, int]:
        """The part of a span in which anything lies, in whole quarter-hours but at most the span."""
        low, high = self.at(begin) + self._base, self.at(end) + self._base
        first = bisect_right(self._sums, low, self._offset, self._last) - 1 - self._offset
        last = bisect_left(self._sums, high, self._offset, self._last) - self._offset
        return max(begin, self.begin + first * BUCKET_S), min(end, self.begin + last * BUCKET_S)


@lru_cache(maxsize=4_096)
def _week(curve: Curve, open_s: tuple[int, ...] | None) -> Week:
    return Week(curve, open_s)


_day = lru_cache(maxsize=8_192)(Day)


class Plan:
    """Of one campaign as it is now. `counts` names what its numbers are; None when neither goal nor cap counts."""

    __slots__ = (
        "_ahead",
        "_before",
        "_begin",
        "_ceiling",
        "_closing",
        "_closing_s",
        "_daily",
        "_day",
        "_end",
        "_even",
        "_fast",
        "_lead_most_s",
        "_lead_s",
        "_opened",
        "_part",
        "_start",
        "_tz",
        "_week",
        "_whole",
        "counts",
    )

    def __init__(self, campaign: Campaign, curve: Curve | None) -> None:
        self.counts = counted(campaign)
        ceiling = daily = None
        if self.counts is not None:
            ceiling, daily = getattr(campaign.ceiling, self.counts), getattr(campaign.daily, self.counts)
        self._ceiling: int = UNLIMITED if ceiling is None else ceiling
        self._daily: int = UNLIMITED if daily is None else daily
        self._even = campaign.paces == "even" and campaign.ends_at is not None and self.counts is not None
        self._start, self._end = campaign.starts_at or 0, campaign.ends_at or 0
        self._tz = zone(campaign.zone)
        curve = curve or UNKNOWN
        hours = hours_of(campaign.target.hours, campaign.zone) if campaign.target is not None else None
        self._week = _week(curve, None if hours is None else hours.quarters())
        self._ahead = AHEAD if curve.known else AHEAD_UNKNOWN
        self._lead_most_s = LEAD_S if curve.known else LEAD_UNKNOWN_S
        self._day: Day | None = None
        self._before = self._begin = self._part = self._fast = self._opened = self._whole = 0
        self._closing = self._closing_s = self._lead_s = 0

    def due(self, now: int, total: int, today: int) -> int:
        """The most that the count of the local day may have come to by `now`. `total`: counted in all, `today`: of it
        on this local day. Not more than `today` means that nothing may be given out."""
        most, left = self._daily, today + self._ceiling - total
        if left < most:
            most = left
        if self._even:
            day = self._day
            if day is None or not day.begin <= now < day.end or self._before != total - today:
                day = self._turn(now, total - today)
            planned = self._planned(day, now)
            if planned < most:
                most = planned
        return most if most > 0 else 0

    def need(self, now: int, total: int, today: int) -> int:
        """What it still needs, in impressions: `even` of the day's part, `asap` until goal or daily cap. At least 1."""
        most = min(self._daily, today + self._ceiling - total)
        if self._even:
            day = self._day
            if day is None or not day.begin <= now < day.end or self._before != total - today:
                self._turn(now, total - today)
            most = min(most, self._part)
        return max(1, most - today) * (CLICK_WORTH if self.counts == "clicks" else 1)

    def _planned(self, day: Day, now: int) -> int:
        """What the day's part has come to when this second ends."""
        if now < self._begin or now >= self._end or not self._part:
            return 0
        fast = self._fast
        if now >= self._closing:
            left_s = self._closing + self._closing_s - now - 1
            return self._part - (self._part - fast) * left_s // self._closing_s if left_s > 0 else self._part
        done, whole = day.at(now + self._lead_s + 1) - self._opened, self._whole
        if done >= whole:  # into the day after, whose plan will know
            return fast if self._closing < UNLIMITED else fast + fast * (done - whole) // whole
        done = done * 100 + self._ahead * done * (whole - done) // whole
        return -(-fast * done // (whole * 100))

    def _turn(self, now: int, before: int) -> Day:
        """Begins the local day of `now`, at whose beginning `before` stood. Some 10 us, once a day."""
        local = local_day(now, self._tz)
        self._day = day = _day(self._week, local, self._tz)
        self._before = before
        self._begin, end = max(day.begin, self._start), min(day.end, self._end)
        self._part = 0
        if self._begin >= end or (self._ceiling <= before):
            return day
        self._opened = opened = day.at(self._begin)
        self._whole = whole = day.at(end) - opened
        if not whole:
            return day
        others = [] if end == self._end else self._later(local)
        self._part = self._fast = part = self._divided(self._ceiling - before, whole, others)
        first, last = day.within(self._begin, end)
        self._lead_s = min(self._lead_most_s, (last - first) // 20)
        self._closing = UNLIMITED
        if not others or part == self._daily:
            self._closing_s = min(CLOSING_S, (last - first) // 4)
            self._closing = last - self._closing_s
            rest = whole - (day.at(self._closing) - opened)
            self._fast = part - part * rest // (whole * CLOSING_PACE)
            self._whole = day.at(self._closing + self._lead_s) - opened
        return day

    def _later(self, today: date) -> list[tuple[int, int]]:
        """The days of the flight after today: how much of the curve each has, and how many there are of them."""
        last = local_day(self._end - 1, self._tz)
        weeks, days = divmod((last - today).days - 1, 7)
        found = [(_day(self._week, last, self._tz).at(self._end), 1)]
        for at in range(7):
            count = weeks + (at < days)
            if count:
                found.append((self._week.days[(today.weekday() + 1 + at) % 7], count))
        return found

    def _divided(self, remains: int, whole: int, others: list[tuple[int, int]]) -> int:
        """Today's part of what remains: by the curve, save that no day gets more than the daily cap; what a day
        cannot take the smaller ones do."""
        if self._ceiling == UNLIMITED:
            return self._daily
        total = whole + sum(weight * count for weight, count in others)
        for weight, count in sorted(others, reverse=True):
            if weight <= whole or remains * weight <= self._daily * total:
                break
            remains, total = remains - self._daily * count, total - weight * count
        return min(self._daily, -(-remains * whole // total))


def plan_of(campaign: Campaign, curve: Curve | None) -> Plan:
    """The plan of a campaign. `curve`: of its slots together, in its zone; None when nothing is known yet."""
    return Plan(campaign, curve)


def counted(campaign: Campaign) -> Literal["impressions", "clicks"] | None:
    """What a plan counts: what the goal counts, else impressions before clicks."""
    if campaign.goal is not None and campaign.goal.clicks is not None:
        return "clicks"
    if campaign.allotted:
        return "impressions"
    return "clicks" if campaign.limited else None
