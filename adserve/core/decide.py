"""The decision: which creative a slot request gets, as data, and why it got none.

DESIGN. Pure: the slot, the request, what the page shows already, how goals and caps stand, the moment and the draws are
arguments. Tiers are strict; within one come the goals that are behind their plan, by what they still need, then shares
of the slot's requests, then what is left by weight: a campaign, then one of its creatives that fit. One draw picks
both.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from adserve.core.pool import HOUSE, Pool
from adserve.core.pool import Choice as Choice  # what a decision is
from adserve.core.rotation import Draws
from adserve.core.slot import CompiledSlot, Offer, SlotRequest, View
from adserve.core.standing import Standing

TRIES = 3
"""Draws of a large pool before those that went out since it was made are taken out of its numbers, which takes
longer."""
_NOBODY: frozenset[int] = frozenset()
_NONE: Mapping[int, Collection[int]] = {}
Beside = tuple[tuple[str, ...], tuple[str, ...]]
"""Tags of a campaign, and what it excludes."""


@dataclass(slots=True)
class PageView:
    """What one rendering of a page shows so far. `shown`: by serial of a campaign the serials of its creatives, save of
    house campaigns; `beside`: of all campaigns that are there, by their serials; `excluding`: whether any of them
    excludes others."""

    shown: dict[int, set[int]] = field(default_factory=dict)
    beside: dict[int, Beside] = field(default_factory=dict)
    excluding: bool = False

    def add(self, choice: Choice) -> None:
        campaign = choice.campaign
        if choice.tier != HOUSE:
            self.shown.setdefault(campaign.serial, set()).add(choice.entry.creative.serial)
        self.beside[campaign.serial] = (choice.tags, campaign.excludes)
        self.excluding = self.excluding or bool(campaign.excludes)


def decide(
    slot: CompiledSlot, request: SlotRequest, page: PageView | None, standing: Standing, now: int, draws: Draws
) -> Choice | None:
    """The choice for one slot, or None (`core.explain.why_empty` then says why)."""
    if not slot.live:
        return None
    even = slot.even and request.countable
    if slot.shares and request.countable:
        draws.asked(slot.slot.serial, slot.shares)
    tired = request.tired or _NOBODY
    whole = slot.slot.repeat == "never"
    for view in slot.views(request, now).able:
        offer = view.offer(standing, now)
        shown = page.shown if page is not None and slot.slot.repeat != "any" and view.masks.tier.at != HOUSE else _NONE
        if page is not None and (page.excluding or (page.beside and view.masks.excluding)):
            offer = view.without(offer, view.masks.beside(page.beside), standing)
        if not (shown or tired or offer.shares):
            pool = offer.goals or offer.rest
            if pool is not None:
                likely = pool.pick(draws.even if even else draws.random)
                if not offer.out or likely.campaign.serial not in offer.out:
                    return likely
        choice = _choose(view, offer, request, shown, tired, draws, even=even, whole=whole)
        if choice is not None:
            return choice
    return None


def _choose(
    view: View,
    offer: Offer,
    request: SlotRequest,
    shown: Mapping[int, Collection[int]],
    tired: frozenset[int],
    draws: Draws,
    *,
    even: bool,
    whole: bool,
) -> Choice | None:
    """A share whose turn it is, a goal, or one of the rest."""

    def pick(pool: Pool | None) -> Choice | None:
        if pool is None:
            return None
        for _ in range(TRIES):
            if shown or tired:
                choice = pool.pick_beside(draws.even_rest if even else draws.random, shown, tired, whole=whole)
            else:
                choice = pool.pick(draws.even if even else draws.random)
            if choice is None or choice.campaign.serial not in offer.out:
                return choice
        return pool.pick_beside(draws.even_rest if even else draws.random, shown, tired | offer.out, whole=whole)

    if offer.shares:
        place = draws.share(view.slot.slot.serial, view.masks.shares, offer.shares, countable=request.countable)
        if place is not None and (choice := pick(view.slot.pool(view, 1 << place))) is not None:
            draws.shared(view.slot.slot.serial, choice.campaign.serial, countable=request.countable)
            return choice
    return pick(offer.goals) or pick(offer.rest)
