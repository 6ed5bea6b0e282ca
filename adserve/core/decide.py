"""The decision: which creative a slot request gets, as data, and why it got none.

DESIGN. Pure: the slot, the request, what the page shows already, how goals and caps stand, the moment and the draws are
arguments. Tiers are strict; within one come the goals that are behind their plan, by what they still need, then shares
of the slot's requests, then what is left by weight: a campaign, then one of its creatives that fit. One draw picks
both.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from adserve.core.entry import Entry
from adserve.core.model import Campaign
from adserve.core.pool import HOUSE, Less, Pool
from adserve.core.pool import Choice as Choice  # what a decision is
from adserve.core.rotation import Draws
from adserve.core.slot import CompiledSlot, Offer, SlotRequest, View
from adserve.core.standing import Standing
from adserve.core.sticky import stick

TRIES = 3
"""Draws of a large pool before those that went out since it was made are taken out of its numbers, which takes
longer."""
_NOBODY: frozenset[int] = frozenset()
_NONE: Mapping[int, Collection[int]] = {}
Beside = tuple[tuple[str, ...], tuple[str, ...]]
"""Tags of a campaign, and what it excludes."""
Frozen = tuple[tuple[tuple[int, tuple[int, ...]], ...], tuple[tuple[int, Beside], ...], bool, bool, tuple[int, ...]]


@dataclass(slots=True)
class PageView:
    """What one rendering of a page shows so far. `shown`: by serial of a campaign the serials of its creatives, save of
    house campaigns; `beside`: of all campaigns that are there, by their serials; `excluding`: whether any of them
    excludes others; `gathers`: whether a companion set may begin here, because whoever asks sees to the rest of it;
    `parted`: creatives of sets that have no place."""

    shown: dict[int, set[int]] = field(default_factory=dict)
    beside: dict[int, Beside] = field(default_factory=dict)
    excluding: bool = False
    gathers: bool = False
    parted: set[int] = field(default_factory=set)

    def add(self, choice: Choice) -> None:
        house = choice.tier == HOUSE
        self.put(choice.campaign, choice.entry.creative.serial, choice.tags, house=house)

    def put(self, campaign: Campaign, creative: int, tags: tuple[str, ...], *, house: bool) -> None:
        """`creative`: its serial; `tags`: what others may exclude of the campaign."""
        if not house:
            self.shown.setdefault(campaign.serial, set()).add(creative)
        self.beside[campaign.serial] = (tags, campaign.excludes)
        self.excluding = self.excluding or bool(campaign.excludes)

    def copied(self) -> PageView:
        """As it is now, for it changes with each slot that is filled."""
        return thawed(self.frozen())

    def frozen(self) -> Frozen:
        """As it is now, in tuples alone: a worker keeps a hundred thousand of these, and its garbage collector does not
        walk through tuples of numbers and texts."""
        shown = tuple([(serial, tuple(found)) for serial, found in self.shown.items()])
        return shown, tuple(self.beside.items()), self.excluding, self.gathers, tuple(self.parted)


def thawed(frozen: Frozen) -> PageView:
    """The page view again."""
    shown, beside, excluding, gathers, parted = frozen
    return PageView({serial: {*found} for serial, found in shown}, dict(beside), excluding, gathers, {*parted})


def apart(slot: CompiledSlot, page: PageView | None) -> Mapping[int, Collection[int]]:
    """The creatives of a slot's companion sets that cannot be chosen, by the serials of their campaigns. Without a page
    none has a place for its companions."""
    if not slot.sets or page is None or not page.gathers:
        return slot.sets
    parted = {serial: found & page.parted for serial, found in slot.sets.items()}
    return {serial: found for serial, found in parted.items() if found}


def decide(
    slot: CompiledSlot, request: SlotRequest, page: PageView | None, standing: Standing, now: int, draws: Draws
) -> Choice | None:
    """The choice for one slot, or None (`core.explain.why_empty` then says why)."""
    if not slot.live:
        return None
    even = slot.even and request.countable
    if slot.shares and request.countable:
        draws.asked(slot.slot.serial, slot.shares)
    if request.planned is not None:
        choice = as_planned(slot, request, page, standing, now)
        if choice is not None:
            if request.countable and choice.campaign.goal is not None and choice.campaign.goal.share is not None:
                draws.shared(slot.slot.serial, choice.campaign.serial, countable=True)
            return choice
    tired = request.tired or _NOBODY
    whole = slot.slot.repeat == "never"
    parted = apart(slot, page) if slot.sets else _NONE
    plain = request.sticky is None and not parted
    for view in slot.views(request, now).able:
        offer = view.offer(standing, now)
        shown = page.shown if page is not None and slot.slot.repeat != "any" and view.masks.tier.at != HOUSE else _NONE
        if page is not None and (page.excluding or (page.beside and view.masks.excluding)):
            offer = view.without(offer, view.masks.beside(page.beside), standing)
        if plain and not (shown or tired or offer.shares):
            pool = offer.goals or offer.rest
            if pool is not None:
                likely = pool.pick(draws.even if even else draws.random)
                if not offer.out or likely.campaign.serial not in offer.out:
                    return likely
        choice = _choose(view, offer, request, Less(shown, tired, parted, whole), draws, even=even)
        if choice is not None:
            return choice
    return None


def as_planned(
    slot: CompiledSlot, request: SlotRequest, page: PageView | None, standing: Standing, now: int
) -> Choice | None:
    """What the page has planned for the slot, if it may serve there now; whatever else might is not looked at."""
    if request.planned is None or not slot.live:
        return None
    campaign, creative = request.planned
    for view in slot.views(request, now).able:
        place = view.masks.tier.place(campaign)
        if place is not None:
            candidate = view.masks.tier.candidates[place]
            for entry in candidate.entries:
                if entry.creative.serial == creative:
                    able = entry.serves(now, view.width) and _may(view, place, entry, request, page, standing, now)
                    form = entry.within(view.width)
                    return Choice(form, candidate.campaign, view.masks.tier.at, candidate.tags) if able else None
    return None


def _may(
    view: View, place: int, entry: Entry, request: SlotRequest, page: PageView | None, standing: Standing, now: int
) -> bool:
    """Whether a creative that can serve may do so now, for this reader and on this page. Companions are no repeats of
    each other."""
    campaign = view.masks.tier.serials[place]
    if not view.open(standing, now) >> place & 1 or campaign in (request.tired or ()):
        return False
    if page is None:
        return True
    if view.masks.beside(page.beside) >> place & 1:
        return False
    repeat = view.slot.slot.repeat
    if repeat == "any" or view.masks.tier.at == HOUSE:
        return True
    shown = page.shown.get(campaign, ())
    if entry.creative.serial in shown:
        return False
    return repeat == "creative" or entry.mates.issuperset(shown)


def _choose(
    view: View,
    offer: Offer,
    request: SlotRequest,
    less: Less,
    draws: Draws,
    *,
    even: bool,
) -> Choice | None:
    """A share whose turn it is, a goal, or one of the rest."""

    def pick(pool: Pool | None) -> Choice | None:
        if pool is None:
            return None
        if request.sticky is not None:
            return stick(pool, request.sticky, draws.stuck, less._replace(out=less.out | offer.out))
        for _ in range(TRIES):
            if less.shown or less.out or less.apart:
                choice = pool.pick_beside(draws.even_rest if even else draws.random, less)
            else:
                choice = pool.pick(draws.even if even else draws.random)
            if choice is None or choice.campaign.serial not in offer.out:
                return choice
        return pool.pick_beside(draws.even_rest if even else draws.random, less._replace(out=less.out | offer.out))

    if offer.shares:
        place = draws.share(view.slot.slot.serial, view.masks.shares, offer.shares, countable=request.countable)
        if place is not None and (choice := pick(view.slot.pool(view, 1 << place))) is not None:
            draws.shared(view.slot.slot.serial, choice.campaign.serial, countable=request.countable)
            return choice
    return pick(offer.goals) or pick(offer.rest)
