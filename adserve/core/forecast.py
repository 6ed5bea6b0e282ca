"""The requests that slots are expected to have from a moment on, laid out by quarter-hours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import accumulate
from zoneinfo import ZoneInfo

from adserve.core.curve import DAY_QUARTERS, PLAUSIBLE, UNIT, WEEK_QUARTERS, Learned, quarter_of
from adserve.core.hours import hours_of
from adserve.core.model import Campaign
from adserve.core.schedule import BUCKET_S, bucket_of, zone

AHEAD_DAYS = 100
"""How far requests are laid out quarter-hour by quarter-hour; what is later goes by the mean of the week."""


class Requests:
    """Expected requests of a slot from a moment on; with `open_s` only those of hours that are open."""

    __slots__ = ("_begin", "_mean", "_sums")

    def __init__(self, begin: int, each: Sequence[int], mean: float) -> None:
        """`each`: quarter-hours from `begin` on, in UNITs times open seconds; `mean`: the same a second after these."""
        self._begin, self._mean = begin, mean
        self._sums = [0, *accumulate(each)]

    def between(self, start: int, end: int) -> float:
        return max(0.0, self._at(end) - self._at(start)) / (UNIT * BUCKET_S)

    def _at(self, moment: int) -> float:
        quarter, past = divmod(moment - self._begin, BUCKET_S)
        last = len(self._sums) - 1
        if quarter >= last:
            return self._sums[last] + self._mean * (moment - self._begin - last * BUCKET_S)
        low = self._sums[quarter]
        return low + (self._sums[quarter + 1] - low) * past / BUCKET_S


class Forecasts:
    """The slots' weeks laid out from a moment on. `weeks`: by serial, with the zone of the site."""

    def __init__(self, weeks: Mapping[int, tuple[Learned, ZoneInfo]], now: int) -> None:
        self.now = now
        self._begin = bucket_of(now)
        self._weeks = weeks
        self.known = frozenset(slot for slot, (week, _) in weeks.items() if any(week.weeks))
        self._expected = cache(lambda slot: self._weeks[slot][0].expected() if slot in self.known else PLAUSIBLE * 7)
        self._places = cache(self._laid_out)
        self._open = cache(self._opened)
        self._requests = cache(self._made)

    def of(self, slot: int, campaign: Campaign | None = None) -> Requests:
        """Of a slot, in all or in the hours of a campaign. Of one that nothing is known of: a plausible day's shape."""
        hours = campaign.target.hours if campaign is not None and campaign.target is not None else ()
        return self._requests(slot, hours, campaign.zone if campaign is not None and hours else "UTC")

    def zone(self, slot: int) -> ZoneInfo:
        return self._weeks[slot][1]

    def weeks(self, slots: frozenset[int]) -> list[tuple[Learned, ZoneInfo]]:
        return [self._weeks[slot] for slot in sorted(slots) if slot in self._weeks]

    def _laid_out(self, tz: ZoneInfo) -> list[int]:
        end = self._begin + AHEAD_DAYS * 86_400
        return [quarter_of(moment, tz) for moment in range(self._begin, end, BUCKET_S)]

    def _opened(self, hours: tuple[str, ...], tz: str) -> list[int]:
        found = hours_of(hours, tz)
        week = found.quarters() if found is not None else (BUCKET_S,) * WEEK_QUARTERS
        return [week[place] for place in self._places(zone(tz))]

    def _made(self, slot: int, hours: tuple[str, ...], tz: str) -> Requests:
        expected, places = self._expected(slot), self._places(self.zone(slot))
        if hours:
            each = [expected[at] * open_s for at, open_s in zip(places, self._open(hours, tz), strict=True)]
        else:
            each = [expected[at] * BUCKET_S for at in places]
        weeks = len(each) // WEEK_QUARTERS
        return Requests(self._begin, each, sum(each[: weeks * WEEK_QUARTERS]) / (weeks * WEEK_QUARTERS * BUCKET_S))


def confidence(week: Learned | None) -> str:
    """How much was seen of a slot: `none`, `low` (less than a day), `fair` (less than a week), `good`."""
    if week is None or not any(week.weeks):
        return "none"
    if week.quarters < DAY_QUARTERS:
        return "low"
    return "good" if all(week.weeks) else "fair"
