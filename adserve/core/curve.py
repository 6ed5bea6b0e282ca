"""How the requests of slots spread over a week: curves, and what is made of counts that are few.

DESIGN. A curve has a number for each quarter-hour of a local week, 672 of them, Monday 00:00 first. What was counted
of a slot is a decayed average for each of these with the number of weeks behind it (`Learned`). Of a quarter-hour
that was seen less than some weeks, the same quarter of the other days tells something, and where no day tells
anything, a plausible day does, as high as the part of the day that was seen. So there is a curve from the first hour
on, and it becomes the slot's own by itself. Not chosen: a model of seasons and trends: what is off by a tenth only
makes a plan catch up, and needs no explaining.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate, pairwise
from zoneinfo import ZoneInfo

from msgspec import Struct

from adserve.core.schedule import BUCKET_S

DAY_QUARTERS = 96
WEEK_QUARTERS = 672
UNIT = 64
"""Parts of a request that averages and weights are counted in."""
DECAY = 4
"""Weeks that an average looks back, about: a new one counts for a quarter at least."""
FLOOR = 50
"""No quarter-hour weighs less than this part of the mean: where nobody was ever seen somebody may come, and a plan
that is behind has to be able to say so."""
_HOURS = (13, 8, 6, 5, 6, 12, 28, 52, 70, 74, 70, 66, 68, 66, 60, 58, 60, 66, 76, 90, 100, 92, 66, 34)
"""Requests an hour of a plausible day: a quiet night, a peak in the morning and a higher one in the evening."""


def _between(hours: Sequence[int]) -> tuple[int, ...]:
    """Quarter-hours out of hours: from the middle of one to the middle of the next in a straight line."""
    day = []
    for quarter in range(DAY_QUARTERS):
        at = 2 * quarter - 3  # eighths of an hour, from the middle of the first hour
        hour, past = divmod(at, 8)
        day.append(hours[hour % 24] * (8 - past) + hours[(hour + 1) % 24] * past)
    return tuple(day)


PLAUSIBLE = _between(_HOURS)
"""Of a day; only their proportions mean anything."""


class Curve:
    """Requests of each quarter-hour of a local week, in `UNIT`s of a request; none is 0. `known`: each quarter of
    the day was seen. Two are the same only when they are one: tables are kept for them."""

    __slots__ = ("known", "weights")

    def __init__(self, weights: Sequence[int], *, known: bool) -> None:
        if len(weights) != WEEK_QUARTERS:
            raise ValueError(f"a curve has {WEEK_QUARTERS} quarter-hours, not {len(weights)}")
        floor = max(1, sum(weights) // (WEEK_QUARTERS * FLOOR))
        self.weights = tuple(max(floor, weight) for weight in weights)
        self.known = known


UNKNOWN = Curve(PLAUSIBLE * 7, known=False)
"""Where nothing was counted yet."""


class Learned(Struct, frozen=True):
    """What was counted of a slot: of each quarter-hour of its site's week the average requests, in `UNIT`s, and over
    how many weeks, at most `DECAY`. `at`: the end of the last quarter-hour in it, epoch seconds."""

    at: int = 0
    averages: tuple[int, ...] = (0,) * WEEK_QUARTERS
    weeks: tuple[int, ...] = (0,) * WEEK_QUARTERS

    def seen(self, counts: Sequence[tuple[int, int]], at: int) -> Learned:
        """With quarter-hours more, as (quarter of the week, requests), complete up to `at`."""
        averages, weeks = list(self.averages), list(self.weeks)
        for quarter, requests in counts:
            weeks[quarter] = known = min(weeks[quarter] + 1, DECAY)
            averages[quarter] += (requests * UNIT - averages[quarter]) // known
        return Learned(at, tuple(averages), tuple(weeks))

    @property
    def quarters(self) -> int:
        """Of a day, that were seen on any day; at most 96."""
        return sum(any(self.weeks[quarter::DAY_QUARTERS]) for quarter in range(DAY_QUARTERS))

    def expected(self) -> tuple[int, ...]:
        """Requests of each quarter-hour of the week, in `UNIT`s; zeros when nothing was seen. After one week the
        average over all days counts for as much as the quarter-hour's own, after two for a quarter of it."""
        sums = [sum(a for a, n in self._days(quarter) if n) for quarter in range(DAY_QUARTERS)]
        counts = [sum(1 for _, n in self._days(quarter) if n) for quarter in range(DAY_QUARTERS)]
        seen = [quarter for quarter in range(DAY_QUARTERS) if counts[quarter]]
        height = sum(sums[quarter] // counts[quarter] for quarter in seen)
        plausible = sum(PLAUSIBLE[quarter] for quarter in seen)
        day = [
            sums[quarter] // counts[quarter] if counts[quarter] else PLAUSIBLE[quarter] * height // max(1, plausible)
            for quarter in range(DAY_QUARTERS)
        ]
        return tuple(
            (average * weeks**2 + day[quarter % DAY_QUARTERS]) // (weeks**2 + 1)
            for quarter, (average, weeks) in enumerate(zip(self.averages, self.weeks, strict=True))
        )

    def _days(self, quarter: int) -> list[tuple[int, int]]:
        step = slice(quarter, None, DAY_QUARTERS)
        return list(zip(self.averages[step], self.weeks[step], strict=True))


def quarter_of(epoch: int, tz: ZoneInfo) -> int:
    """The quarter-hour of the local week that a moment lies in."""
    local = datetime.fromtimestamp(epoch, tz)
    return local.weekday() * DAY_QUARTERS + local.hour * 4 + local.minute // 15


def turned(weights: Sequence[int], zone: ZoneInfo, into: ZoneInfo, now: int) -> Sequence[int]:
    """The week of one zone as that of another, by how far apart they are now."""
    by = (quarter_of(now, zone) - quarter_of(now, into)) % WEEK_QUARTERS
    return [*weights[by:], *weights[:by]] if by else weights


def together(curves: Sequence[tuple[Learned, ZoneInfo]], into: ZoneInfo, now: int) -> Curve | None:
    """The curve of several slots in a zone; None when nothing was seen of any."""
    told = [(one, zone) for one, zone in curves if any(one.weeks)]
    if not told:
        return None
    weeks = [turned(one.expected(), zone, into, now) for one, zone in told]
    known = all(one.quarters == DAY_QUARTERS for one, _ in told)
    return Curve([sum(quarter) for quarter in zip(*weeks, strict=True)], known=known)


class Week:
    """A curve with the hours that targeting leaves open, added up: what lies between two moments is a difference."""

    __slots__ = ("days", "each", "sums")

    def __init__(self, curve: Curve, open_s: Sequence[int] | None) -> None:
        """`open_s`: open seconds of each quarter-hour of the local week; None when all are."""
        self.each = [weight * BUCKET_S for weight in curve.weights]
        if open_s is not None:
            self.each = [weight * seconds for weight, seconds in zip(curve.weights, open_s, strict=True)]
        self.sums = [0, *accumulate(self.each + self.each[: 2 * DAY_QUARTERS])]
        """By quarter-hours from Monday on, for nine days."""
        bounds = self.sums[: WEEK_QUARTERS + 1 : DAY_QUARTERS]
        self.days = [end - begin for begin, end in pairwise(bounds)]
