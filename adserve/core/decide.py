"""The decision: which creative a slot request gets, as data, and why it got none.

DESIGN. Pure: the catalog, the request, what the page shows already, the moment and the draws are
arguments. Tiers are strict; within one, a campaign by its weight, then a creative by weight among
those of that campaign that fit. Two exact integer draws, each in `[0, total)`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from enum import StrEnum

from adserve.core.catalog import HOUSE, Candidate, CompiledSlot, Entry, running
from adserve.core.model import Campaign
from adserve.core.rotation import Draws


class Reason(StrEnum):
    """Why a candidate lost or a slot is empty. In the order in which they are looked at."""

    PAUSED = "paused"
    NO_CANDIDATES = "no_candidates"
    NOT_STARTED = "not_started"
    ENDED = "ended"
    WEIGHT_ZERO = "weight_zero"
    SIZE = "size"
    ALREADY_ON_PAGE = "already_on_page"


@dataclass(frozen=True, slots=True)
class SlotRequest:
    """What a request says of itself. `countable` is False for robots and prefetches."""

    width: int | None = None
    device: int = 0
    countable: bool = True


@dataclass(slots=True)
class PageView:
    """What one rendering of a page shows so far."""

    campaigns: set[int] = field(default_factory=set)
    creatives: set[int] = field(default_factory=set)

    def add(self, choice: Choice) -> None:
        if choice.tier != HOUSE:
            self.campaigns.add(choice.campaign.serial)
            self.creatives.add(choice.entry.creative.serial)


@dataclass(frozen=True, slots=True)
class Choice:
    """A decision with something to show."""

    entry: Entry
    campaign: Campaign
    tier: int


_NOTHING: frozenset[int] = frozenset()


def decide(slot: CompiledSlot, request: SlotRequest, page: PageView | None, now: int, draws: Draws) -> Choice | None:
    """The choice for one slot, or None (`why_empty` then says why)."""
    if not slot.live:
        return None
    draw: Callable[[Hashable, int], int]
    draw = draws.even if slot.slot.rotation == "even" and request.countable else draws.random
    for tier, candidates in enumerate(slot.tiers):
        if not candidates:
            continue
        used = _used(slot, page, candidates) if page is not None and tier != HOUSE else _NOTHING
        pool = slot.pool(tier, now, request.width, used)
        if pool is None:
            continue
        choices = pool.choices
        chosen = choices[0]
        if len(choices) > 1:
            chosen = choices[bisect_right(pool.cumulative, draw(pool.name, pool.total))]
        entry = chosen.entries[0]
        if len(chosen.entries) > 1:
            entry = chosen.entries[bisect_right(chosen.cumulative, draw(chosen.name, chosen.total))]
        return Choice(entry, chosen.campaign, tier)
    return None


def _used(slot: CompiledSlot, page: PageView, candidates: tuple[Candidate, ...]) -> frozenset[int]:
    """The part of the page view that matters to this slot: small, so that pools are found again."""
    if slot.slot.repeat == "never" and page.campaigns:
        return frozenset(page.campaigns.intersection(c.campaign.serial for c in candidates))
    if slot.slot.repeat == "creative" and page.creatives:
        return frozenset(page.creatives.intersection(e.creative.serial for c in candidates for e in c.entries))
    return _NOTHING


def why_empty(slot: CompiledSlot, request: SlotRequest, page: PageView | None, now: int) -> Reason:
    """The reason of an empty slot: that of the candidate which came furthest."""
    if not slot.live:
        return Reason.PAUSED
    order = list(Reason)
    furthest = Reason.NO_CANDIDATES
    for tier, candidates in enumerate(slot.tiers):
        used = _used(slot, page, candidates) if page is not None and tier != HOUSE else _NOTHING
        for candidate in candidates:
            reason = _why_lost(slot, candidate, request, used, now)
            if order.index(reason) > order.index(furthest):
                furthest = reason
    return furthest


def _why_lost(slot: CompiledSlot, candidate: Candidate, request: SlotRequest, used: frozenset[int], now: int) -> Reason:
    campaign = candidate.campaign
    if not running(campaign, now):
        return Reason.NOT_STARTED if campaign.starts_at is not None and now < campaign.starts_at else Reason.ENDED
    if campaign.weight == 0:
        return Reason.WEIGHT_ZERO
    open_now = [entry for entry in candidate.entries if running(entry.creative, now)]
    if not open_now:
        later = any((e.creative.starts_at or 0) > now for e in candidate.entries)
        return Reason.NOT_STARTED if later else Reason.ENDED
    weighty = [entry for entry in open_now if entry.creative.weight > 0]
    if not weighty:
        return Reason.WEIGHT_ZERO
    if request.width is not None and all(entry.content.width > request.width for entry in weighty):
        return Reason.SIZE
    return Reason.ALREADY_ON_PAGE
