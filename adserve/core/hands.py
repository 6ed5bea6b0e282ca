"""The hands of a campaign: the grants that a worker holds of it, and how it stands by them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from adserve.core.grants import Ask, Quoted
from adserve.core.model import Campaign
from adserve.core.pacing import Plan
from adserve.core.reasons import Reason

AGAIN_S = 1.0
"""Until the next look at what may serve more in a moment."""


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
        "again", "asking", "back", "campaign", "day", "day_begins", "day_ends", "gone", "hands", "looked", "mark",
        "need", "next", "plan", "planned", "rate", "scarce", "stood", "used", "used_at",
    )  # fmt: skip

    def __init__(self, campaign: Campaign) -> None:
        self.hands: list[Hand] = []
        self.back: dict[str, int] = {}
        """To be given back, with the next taking."""
        self.asking: Taking | None = None
        """On its way."""
        self.rate, self.looked = 0.0, 0.0
        self.used = self.used_at = self.mark = self.need = 0
        self.scarce = self.gone = self.again = False
        """Nothing is left for others; it is in the catalog no more; it was used up while an answer was on its way."""
        self.day = self.day_begins = self.day_ends = 0
        self.stood: Taken | None = None
        self.renew(campaign)

    def renew(self, campaign: Campaign) -> None:
        """Another version of it: its next look is due."""
        self.campaign, self.gone = campaign, False
        self.plan: Plan | None = None
        self.planned, self.next = 0.0, -1.0
        self.day_ends = 0

    @property
    def left(self) -> int:
        return sum(hand.left for hand in self.hands)

    def put_back(self, which: Callable[[Hand], bool]) -> None:
        """Gives hands back; what they have issued stays theirs."""
        for hand in self.hands:
            if which(hand):
                self.back[hand.name] = hand.size - hand.left
        self.hands = [hand for hand in self.hands if not which(hand)]


def why_closed(account: Account, taken: Taken, now: int) -> Reason | None:
    """Why a campaign may not serve now; None when it may."""
    campaign, plan = account.campaign, account.plan
    ceiling, daily, goal = campaign.ceiling, campaign.daily, campaign.goal
    if reached(taken.clicks, ceiling.clicks):
        return Reason.GOAL_REACHED if goal is not None and goal.clicks == ceiling.clicks else Reason.CAP_TOTAL
    if reached(taken.clicks_today, daily.clicks):
        return Reason.CAP_DAILY
    by_clicks = campaign.paces == "even" and plan is not None and plan.counts == "clicks"
    if by_clicks and plan is not None and taken.clicks_today >= plan.due(now, taken.clicks, taken.clicks_today):
        return Reason.PACING
    if not campaign.allotted or account.hands:
        return None
    quoted = taken.quoted
    if reached(quoted.total + quoted.open, ceiling.impressions):
        return Reason.GOAL_REACHED if goal is not None and goal.impressions == ceiling.impressions else Reason.CAP_TOTAL
    if reached(quoted.today + quoted.open_today, daily.impressions):
        return Reason.CAP_DAILY
    return Reason.PACING


def reached(count: int, ceiling: int | None) -> bool:
    return ceiling is not None and count >= ceiling
