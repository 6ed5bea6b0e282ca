"""A campaign's delivery beside its plan: which steps of time, what was planned by each, and how it stands in words.

DESIGN. The plan that is shown is the one the flight began with: each local day is asked of `core.pacing` as if all days
before had come to what was planned. So it is fixed as long as the campaign and the curve of its slots are, and what was
delivered can be behind it. The plan that serves divides what is left anew every day, and would show no deficit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from itertools import accumulate
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct

from adserve.core.curve import Curve
from adserve.core.model import Campaign
from adserve.core.pacing import counted, plan_of
from adserve.core.schedule import BUCKET_S, day_bounds, local_day, moment_label, zone

QUARTERS_UP_TO_S, HOURS_UP_TO_S = 2 * 86_400, 14 * 86_400
"""Flights up to these are shown by quarter-hours, by hours; longer ones by days."""
OPEN_DAYS = 30
"""Local days that are shown of a flight without a beginning or an end."""
CLOSE = 20
"""One part in this many off its plan is still on plan: serves are confirmed minutes after they were given out."""
Step = Literal["quarter", "hour", "day"]


class Standing(StrEnum):
    """How delivery stands beside the plan."""

    NOT_STARTED = "not_started"
    AHEAD = "ahead"
    ON_PLAN = "on_plan"
    BEHIND = "behind"
    REACHED = "reached"
    SHORT = "short"
    """It ended below its goal."""
    NO_PLAN = "no_plan"


class Window(NamedTuple):
    """What is shown: epoch seconds, half-open, in steps of its local time."""

    begin: int
    end: int
    step: Step
    tz: ZoneInfo

    def bounds(self) -> list[int]:
        """Where the steps begin, and where the last one ends. Every local midnight is one of them."""
        found, day = [self.begin], local_day(self.begin, self.tz)
        while True:
            first, last = day_bounds(day, self.tz)
            each = BUCKET_S if self.step == "quarter" else 3600 if self.step == "hour" else last - first
            found += [at for at in range(first, last, each) if self.begin < at < self.end]
            if last >= self.end:
                return [*found, self.end]
            day += timedelta(days=1)


class Point(NamedTuple):
    """The end of a step. `delivered`: in all by then, `each`: in the step; None where that is still to come. `planned`:
    in all by then; None without a plan."""

    at: int
    delivered: int | None
    each: int | None
    planned: int | None


class Delivery(Struct, frozen=True, kw_only=True):
    """`total`: delivered in all, as goals and caps see it. `approximate`: quarter-hours are gone, and the days that
    they were rolled up to are those of sites in other zones."""

    campaign: str
    name: str
    counts: Literal["impressions", "clicks"]
    goal: int | None
    share: int | None
    pacing: Literal["even", "asap"]
    window: Window
    now: int
    points: tuple[Point, ...]
    total: int
    expected: int | None
    standing: Standing
    words: str
    approximate: bool
    unreadable: int

    def as_json(self) -> dict[str, object]:
        """For programs; moments in the campaign's zone."""
        tz = self.window.tz
        return {
            **{name: getattr(self, name) for name in ("campaign", "name", "counts", "goal", "share", "pacing")},
            "tz": tz.key,
            "from": moment_label(self.window.begin, tz),
            "to": moment_label(self.window.end, tz),
            "step": self.window.step,
            "generated_at": moment_label(self.now, tz),
            **{name: getattr(self, name) for name in ("total", "expected", "standing", "words", "approximate")},
            "unreadable": self.unreadable,
            "points": [{**point._asdict(), "at": moment_label(point.at, tz)} for point in self.points],
        }


def window_of(campaign: Campaign, now: int, *, kept: int) -> Window:
    """The flight of a campaign as far as it has one. `kept`: since when there are quarter-hours."""
    tz = zone(campaign.zone)
    today = local_day(now, tz)
    begin, end = campaign.starts_at, campaign.ends_at
    if begin is None:
        last = today if end is None or end > now else local_day(end - 1, tz)
        begin = day_bounds(last - timedelta(days=OPEN_DAYS - 1), tz)[0]
    if end is None:
        shown = max(today, local_day(begin, tz))
        end = day_bounds(shown, tz)[1]
        begin = max(begin, day_bounds(shown - timedelta(days=OPEN_DAYS - 1), tz)[0])
    length = end - begin
    fine = begin >= kept
    step: Step = "day"
    if fine and length <= HOURS_UP_TO_S:
        step = "quarter" if length <= QUARTERS_UP_TO_S else "hour"
    return Window(begin, max(end, begin + BUCKET_S), step, tz)


def planned(campaign: Campaign, curve: Curve | None, moments: Sequence[int], before: int) -> list[int] | None:
    """What was planned to be delivered by each of these moments, in all; None for a campaign that is not paced.
    `moments` ascend from the beginning of what is shown, at which `before` was delivered, and have every local
    midnight among them."""
    counts = counted(campaign)
    if campaign.paces != "even" or campaign.ends_at is None or counts is None:
        return None
    plan, tz = plan_of(campaign, curve), zone(campaign.zone)
    found, day, base, last = [before], local_day(moments[0], tz), before, before
    for moment in moments[1:]:
        its = local_day(moment - 1, tz)
        if its != day:
            day, base = its, last
        last = max(last, base + plan.due(moment - 1, base, 0))
        found.append(last)
    return found


def laid_out(
    window: Window, each: Mapping[int, int], planned_by: Sequence[int] | None, before: int, now: int
) -> tuple[Point, ...]:
    """The points of a window. `each`: what was delivered by the beginning of the step it lies in."""
    bounds = window.bounds()
    steps = [each.get(begin, 0) for begin in bounds[:-1]]
    sums = list(accumulate(steps, initial=before))
    points = [Point(bounds[0], before if bounds[0] <= now else None, None, planned_by[0] if planned_by else None)]
    for at, end in enumerate(bounds[1:], 1):
        begun = bounds[at - 1] <= now
        plan = planned_by[at] if planned_by else None
        points.append(Point(end, sums[at] if begun else None, steps[at - 1] if begun else None, plan))
    return tuple(points)


def stands(campaign: Campaign, now: int, total: int, expected: int | None, goal: int | None) -> tuple[Standing, str]:
    """How it stands, and that in words."""
    what = counted(campaign) or "impressions"
    if campaign.starts_at is not None and now < campaign.starts_at:
        return Standing.NOT_STARTED, "It has not started."
    over = campaign.ends_at is not None and now >= campaign.ends_at
    if goal is not None and total >= goal:
        return Standing.REACHED, f"The goal of {goal:,} {what} is reached."
    if goal is not None and over:
        return Standing.SHORT, f"It ended {goal - total:,} {what} short of {goal:,}: {total / goal:.1%} delivered."
    if expected is None or over:
        return Standing.NO_PLAN, _without_plan(campaign, total, goal, what, over=over)
    off = total - expected
    if abs(off) * CLOSE <= expected or abs(off) <= 1:
        return Standing.ON_PLAN, f"On plan: {total:,} of the {expected:,} {what} that are planned by now."
    word, standing = ("ahead of", Standing.AHEAD) if off > 0 else ("behind", Standing.BEHIND)
    part = f" ({abs(off) / expected:.1%})" if expected else ""
    return standing, f"{abs(off):,} {what} {word} plan{part}: {total:,} delivered, {expected:,} planned by now."


def _without_plan(campaign: Campaign, total: int, goal: int | None, what: str, *, over: bool) -> str:
    if over:
        return f"It has ended with {total:,} {what}."
    if campaign.goal is not None and campaign.goal.share is not None:
        return f"It takes {campaign.goal.share} % of the requests of its slots; {total:,} {what} so far."
    if goal is not None:
        return f"{total:,} of {goal:,} {what}, as fast as its slots give them."
    return f"{total:,} {what} so far; it has no goal."
