"""How far a campaign's delivery may have come by now: the plan of its local day.

DESIGN. A plan answers one question, `due`: the most that the count of the local day may have come to. Whoever hands
out allowances gives no more than that, so "has an allowance" is "behind its plan", and nothing else paces. What
remains of the goal is divided anew each day, by what stood when the day began, so a deficit spreads over the days
that are left. No state: the same numbers give the same answer after a restart, a step of the clock or on another
worker. Not chosen: a controller that learns a probability to serve, which lags, swings and blacks out at midnight.
"""

from __future__ import annotations

from typing import Literal

from adserve.core.model import Campaign
from adserve.core.schedule import day_bounds, local_day, zone

UNLIMITED = 1 << 62
"""What is due of a campaign that nothing limits."""


class Curve:
    """How the requests of some slots spread over a local week."""


class Plan:
    """Of one campaign as it is now. `counts` names what its numbers are: None when neither goal nor cap counts."""

    __slots__ = ("_ceiling", "_daily", "_day", "_end", "_even", "_start", "_tz", "counts")

    def __init__(self, campaign: Campaign, curve: Curve | None) -> None:
        self.counts: Literal["impressions", "clicks"] | None = _counted(campaign)
        ceiling = daily = None
        if self.counts is not None:
            ceiling, daily = getattr(campaign.ceiling, self.counts), getattr(campaign.daily, self.counts)
        self._ceiling = UNLIMITED if ceiling is None else int(ceiling)
        self._daily = UNLIMITED if daily is None else int(daily)
        self._even = campaign.paces == "even" and campaign.ends_at is not None and self.counts is not None
        self._tz = zone(campaign.zone)
        self._start, self._end = campaign.starts_at or 0, campaign.ends_at or 0
        self._day = (0, 0)

    def due(self, now: int, total: int, today: int) -> int:
        """The most that the count of the local day may have come to by `now`. `total`: counted in all, `today`: of it
        on this local day. Not more than `today` means that nothing may be given out."""
        most = min(self._daily, today + self._ceiling - total)
        if not self._even:
            return max(0, most)
        begin, end = self._bounds(now)
        begin, end = max(begin, self._start), min(end, self._end)
        if not begin <= now < self._end or end <= begin:
            return 0
        part = self._part(begin, end, total - today)
        return max(0, min(most, -(-part * (now - begin + 1) // (end - begin))))

    def need(self, now: int, total: int, today: int) -> int:
        """What it still needs: `even` of the day's part, `asap` until goal or daily cap. At least 1."""
        most = min(self._daily, today + self._ceiling - total)
        if self._even:
            begin, end = self._bounds(now)
            begin, end = max(begin, self._start), min(end, self._end)
            most = min(most, self._part(begin, end, total - today) if begin < end else 0)
        return max(1, most - today)

    def _bounds(self, now: int) -> tuple[int, int]:
        if not self._day[0] <= now < self._day[1]:
            self._day = day_bounds(local_day(now, self._tz), self._tz)
        return self._day

    def _part(self, begin: int, end: int, before: int) -> int:
        """What the day from `begin` to `end` is to bring, when `before` stood at its beginning."""
        if self._ceiling == UNLIMITED:
            return self._daily
        return min(self._daily, -(-max(0, self._ceiling - before) * (end - begin) // (self._end - begin)))


def plan_of(campaign: Campaign, curve: Curve | None) -> Plan:
    """The plan of a campaign. `curve`: of its slots together, in its zone; None when nothing is known yet."""
    return Plan(campaign, curve)


def _counted(campaign: Campaign) -> Literal["impressions", "clicks"] | None:
    """What its plan counts: what the goal counts, else impressions before clicks."""
    if campaign.goal is not None and campaign.goal.clicks is not None:
        return "clicks"
    if campaign.allotted:
        return "impressions"
    return "clicks" if campaign.limited else None
