"""The requests that slots are expected to have from a moment on, laid out by quarter-hours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from itertools import accumulate
from zoneinfo import ZoneInfo

from adserve.core.curve import DAY_QUARTERS, PLAUSIBLE, UNIT, WEEK_QUARTERS, Learned, quarter_of
from adserve.core.hours import hours_of
from adserve.core.model import Campaign
from adserve.core.schedule import BUCKET_S, bucket_of, zone

LEAST_DAYS = 14
"""How far requests are laid out at least. What is later is as in the last week that is."""
KEPT = 16
"""Lay-outs that are remembered, of 0.4 MB each: those of one campaign, and of others like it."""


class Requests:
    """Expected requests from a moment on. What lies between two moments is a difference."""

    __slots__ = ("_begin", "_sums")

    def __init__(self, begin: int, each: Sequence[int]) -> None:
        """`each`: a week of quarter-hours or more from `begin` on, in UNITs times open seconds."""
        self._begin = begin
        self._sums = [0, *accumulate(each)]

    def between(self, start: int, end: int) -> float:
        """Of a span that begins no earlier than what is laid out."""
        return max(0.0, self._at(end) - self._at(start)) / (UNIT * BUCKET_S)

    def _at(self, moment: int) -> float:
        quarter, past = divmod(moment - self._begin, BUCKET_S)
        last, again = len(self._sums) - 1, 0
        if quarter >= last:
            weeks, into = divmod(quarter - last, WEEK_QUARTERS)
            quarter = last - WEEK_QUARTERS + into
            again = (weeks + 1) * (self._sums[last] - self._sums[last - WEEK_QUARTERS])
        low = self._sums[quarter]
        return again + low + (self._sums[quarter + 1] - low) * past / BUCKET_S


class Forecasts:
    """The slots' weeks laid out from a moment on. `weeks`: by serial, with the zone of the site."""

    def __init__(self, weeks: Mapping[int, tuple[Learned, ZoneInfo]], now: int, days: int) -> None:
        """`days`: how many are asked for."""
        self.now, self._days = now, max(LEAST_DAYS, days + 2)
        self._begin = bucket_of(now)
        self._weeks = weeks
        self.known = frozenset(slot for slot, (week, _) in weeks.items() if any(week.weeks))
        self.expected = cache(self._expected)
        self._places = cache(self._laid_out)
        self._open = lru_cache(KEPT)(self._opened)
        self._requests = lru_cache(KEPT)(self._made)

    def of(self, slots: frozenset[int], campaign: Campaign | None = None) -> Requests:
        """Of slots together, in all or in the hours of a campaign."""
        hours = campaign.target.hours if campaign is not None and campaign.target is not None else ()
        return self._requests(slots, hours, campaign.zone if campaign is not None and hours else "UTC")

    def zone(self, slot: int) -> ZoneInfo:
        """Of the slot's site."""
        return self._weeks[slot][1]

    def weeks(self, slots: frozenset[int]) -> list[tuple[Learned, ZoneInfo]]:
        """What is known of slots, with their zones."""
        return [self._weeks[slot] for slot in sorted(slots) if slot in self._weeks]

    def _expected(self, slot: int) -> tuple[int, ...]:
        """Of a slot that nothing is known of: the shape of a plausible day."""
        return self._weeks[slot][0].expected() if slot in self.known else PLAUSIBLE * 7

    def _laid_out(self, tz: ZoneInfo) -> list[int]:
        end = self._begin + self._days * 86_400
        return [quarter_of(moment, tz) for moment in range(self._begin, end, BUCKET_S)]

    def _opened(self, hours: tuple[str, ...], tz: str) -> list[int]:
        found = hours_of(hours, tz)
        week = found.quarters() if found is not None else (BUCKET_S,) * WEEK_QUARTERS
        return [week[place] for place in self._places(zone(tz))]

    def _made(self, slots: frozenset[int], hours: tuple[str, ...], tz: str) -> Requests:
        of_zone: dict[ZoneInfo, list[tuple[int, ...]]] = {}
        for slot in slots:
            of_zone.setdefault(self.zone(slot), []).append(self.expected(slot))
        each = [0] * (self._days * DAY_QUARTERS)
        for site, weeks in of_zone.items():
            week = [sum(quarter) for quarter in zip(*weeks, strict=True)]
            each = [sum_ + week[at] for sum_, at in zip(each, self._places(site), strict=True)]
        if hours:
            each = [requests * open_s for requests, open_s in zip(each, self._open(hours, tz), strict=True)]
        else:
            each = [requests * BUCKET_S for requests in each]
        return Requests(self._begin, each)


def confidence(week: Learned | None) -> str:
    """How much was seen of a slot: `none`, `low` (less than a day), `fair` (less than a week), `good`."""
    if week is None or not any(week.weeks):
        return "none"
    if week.quarters < DAY_QUARTERS:
        return "low"
    return "good" if all(week.weeks) else "fair"
