"""The hands of a campaign: the grants that a worker holds of it, and how it stands by them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from adserve.core.grants import Ask, Ceilings, Quoted
from adserve.core.model import Campaign
from adserve.core.pacing import Plan
from adserve.core.reasons import Reason
from adserve.core.schedule import day_bounds, local_day, zone

AGAIN_S = 1.0
"""Until the next look at what may serve more in a moment."""
PATIENCE_S = 8
"""For which one that is ahead of its plan is left alone at most."""


class Taking(NamedTuple):
    """What is asked of the campaign of a serial, and what is given back: by grant how many serves it has issued."""

    campaign: int
    ask: Ask
    returned: Mapping[str, int]


class Taken(NamedTuple):
    """What came of it; `clicks` in all and `clicks_today` of the day."""

    quoted: Quoted
    clicks: int
    clicks_today: int


class Hand:
    """A grant in hand: `left` of `size` serves, until an epoch second."""

    __slots__ = ("left", "name", "number", "owner", "size", "until")

    def __init__(self, owner: str, number: int, size: int, until: int) -> None:
        self.owner, self.number, self.name = owner, number, f"{owner}:{number}"
        self.size = self.left = size
        self.until = until


class Account:
    """A campaign with goals or caps, as this worker knows it."""

    __slots__ = (
        "again", "allotted", "asking", "back", "campaign", "ceiling", "ceilings", "daily", "day", "day_begins",
        "day_ends", "even", "gone", "hands", "looked", "mark", "need", "next", "plan", "planned", "planned_out", "rate",
        "scarce", "stood", "used", "used_at",
    )  # fmt: skip

    def __init__(self, campaign: Campaign) -> None:
        self.hands: list[Hand] = []
        self.back: dict[str, int] = {}
        """To be given back, with the next taking."""
        self.asking: Taking | None = None
        """On its way."""
        self.rate, self.looked = 0.0, 0.0
        self.used = self.used_at = self.mark = self.need = 0
        self.planned_out = False
        """Its plan, and nothing else, made the last grant smaller than was asked for."""
        self.scarce = self.gone = self.again = False
        """Nothing is left for others; it is in the catalog no more; it was used up while an answer was on its way."""
        self.day = self.day_begins = self.day_ends = 0
        self.stood: Taken | None = None
        self.renew(campaign)

    def renew(self, campaign: Campaign) -> None:
        """Another version of it: its next look is due."""
        self.campaign, self.gone = campaign, False
        self.ceiling, self.daily = campaign.ceiling, campaign.daily
        self.ceilings = Ceilings(self.ceiling.impressions, self.daily.impressions)
        self.allotted, self.even = campaign.allotted, campaign.paces == "even"
        self.plan: Plan | None = None
        self.planned, self.next = 0.0, -1.0
        self.day_ends = 0

    @property
    def left(self) -> int:
        hands = self.hands
        return sum([hand.left for hand in hands]) if len(hands) > 1 else hands[0].left if hands else 0

    @property
    def paced(self) -> bool:
        """Whether its impressions go by a plan."""
        return self.even and self.plan is not None and self.plan.counts == "impressions"

    def turn_day(self, moment: int) -> None:
        """Begins the local day of a moment."""
        tz = zone(self.campaign.zone)
        day = local_day(moment, tz)
        self.day, (self.day_begins, self.day_ends) = day.toordinal(), day_bounds(day, tz)

    def put_back(self, which: Callable[[Hand], bool]) -> None:
        """Gives hands back; what they have issued stays theirs."""
        kept = []
        for hand in self.hands:
            if which(hand):
                self.back[hand.name] = hand.size - hand.left
            else:
                kept.append(hand)
        self.hands = kept


def why_closed(account: Account, taken: Taken, now: int) -> Reason | None:
    """Why a campaign may not serve now; None when it may."""
    plan, goal = account.plan, account.campaign.goal
    ceiling, daily = account.ceiling, account.daily
    if reached(taken.clicks, ceiling.clicks):
        return Reason.GOAL_REACHED if goal is not None and goal.clicks == ceiling.clicks else Reason.CAP_TOTAL
    if reached(taken.clicks_today, daily.clicks):
        return Reason.CAP_DAILY
    by_clicks = account.even and plan is not None and plan.counts == "clicks"
    if by_clicks and plan is not None and taken.clicks_today >= plan.due(now, taken.clicks, taken.clicks_today):
        return Reason.PACING
    if not account.allotted or account.hands:
        return None
    quoted = taken.quoted
    if reached(quoted.total + quoted.open, ceiling.impressions):
        return Reason.GOAL_REACHED if goal is not None and goal.impressions == ceiling.impressions else Reason.CAP_TOTAL
    if reached(quoted.today + quoted.open_today, daily.impressions):
        return Reason.CAP_DAILY
    return Reason.PACING


def reached(count: int, ceiling: int | None) -> bool:
    return ceiling is not None and count >= ceiling


def until_due(account: Account, stood: Quoted, now: int) -> int:
    """Seconds until the plan of a campaign has come to more than it has, roughly: up to `PATIENCE_S`."""
    wait = 1
    if account.plan is not None:
        has = stood.today + stood.likely
        while wait < PATIENCE_S and account.plan.due(now + wait, stood.total, stood.today) <= has:
            wait *= 2
    return wait
