"""The decision: which creative a slot request gets, as data, and why it got none.

DESIGN. Pure: the catalog, the request, what the page shows already, the moment and the draws are
arguments. Tiers are strict; within one, a campaign by its weight, then a creative by weight among
those of that campaign that fit. One draw picks both.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from msgspec import Struct

from adserve.core.pool import HOUSE
from adserve.core.pool import Choice as Choice  # what a decision is
from adserve.core.reasons import Reason
from adserve.core.rotation import Draws
from adserve.core.slot import CompiledSlot


class SlotRequest(Struct, frozen=True):
    """What a request says of itself. `countable` is False for robots and prefetches."""

    width: int | None = None
    device: int = 0
    countable: bool = True


@dataclass(slots=True)
class PageView:
    """What one rendering of a page shows so far, save house campaigns: by serial of a campaign the serials of its
    creatives."""

    shown: dict[int, set[int]] = field(default_factory=dict)

    def add(self, choice: Choice) -> None:
        if choice.tier != HOUSE:
            self.shown.setdefault(choice.campaign.serial, set()).add(choice.entry.creative.serial)


def decide(slot: CompiledSlot, request: SlotRequest, page: PageView | None, now: int, draws: Draws) -> Choice | None:
    """The choice for one slot, or None (`why_empty` then says why)."""
    if not slot.live:
        return None
    even = slot.even and request.countable
    repeat = slot.slot.repeat
    shown = page.shown if page is not None and repeat != "any" else None
    for pool in slot.eligible(now, request.width).pools:
        if not shown or pool.tier == HOUSE:
            return pool.pick(draws.even if even else draws.random)
        choice = pool.pick_beside(draws.even_rest if even else draws.random, shown, whole=repeat == "never")
        if choice is not None:
            return choice
    return None


def why_empty(slot: CompiledSlot, request: SlotRequest, page: PageView | None, now: int) -> Reason:
    """The reason of an empty slot: that of the candidate which came furthest."""
    return slot.eligible(now, request.width).reason if slot.live else Reason.PAUSED
