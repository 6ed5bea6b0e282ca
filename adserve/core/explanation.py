"""A decision explained: every creative that might have stood in the slot, its chance, or the first rule that it failed.

DESIGN. What serves a page and what explains it are the same functions on the same arguments: the decision is made again
by `core.decide` and compared, its masks come from the slot that it was made on, its chances from the pools that it drew
from. Only what never became a candidate (paused, waiting for review, of no size that fits) is looked up in the catalog
of that time. All of it yields between pieces: of 10,000 campaigns an explanation takes a tenth of a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from adserve.core.bits import flags_of
from adserve.core.chances import chances
from adserve.core.compile import PIECE, Steps
from adserve.core.decide import apart, decide
from adserve.core.entry import Entry
from adserve.core.explain import ask_the_unable, gates, why_empty, why_not_now
from adserve.core.fit import fits
from adserve.core.journal import Decision
from adserve.core.model import TIERS, Advertiser, Campaign, Creative, Slot, Thing
from adserve.core.pool import ANY_WIDTH, HOUSE, Choice
from adserve.core.reasons import Reason
from adserve.core.replay import Recorded
from adserve.core.slot import View
from adserve.core.standing import Standing

CHOSEN, PASSBACK = "chosen", "passback"
"""Reasons of a decision that is not empty."""
_ORDER = {reason: at for at, reason in enumerate(Reason)}
AT_ONCE = 50
"""Campaigns between two yields."""


class Row(NamedTuple):
    """One creative. `rejected`: why it had no chance; None when it had one."""

    creative: Creative
    campaign: Campaign
    share: Fraction
    odds: float
    """The same, near enough to show and to sort by."""
    rejected: Reason | None


class Explained(NamedTuple):
    """`rows`: those with a chance, the greatest first, then the others, who came furthest first; among equals by tier
    and in the order in which campaigns and creatives were made. `empty`: the chance of an empty slot. `same`: whether
    the decision, made again, comes out as it did."""

    rows: list[Row]
    empty: Fraction
    reason: str
    same: bool


class _Place(NamedTuple):
    """A campaign that is a candidate: its creatives that fit, and the rules that it fails besides schedules, sizes and
    weights, the first of them."""

    view: View
    entries: Mapping[int, Entry]
    fails: Reason | None
    waits: bool
    """It passes them all and was not offered: it came in a moment ago."""


def explain(decision: Decision, things: Mapping[str, Thing]) -> Steps[Explained]:
    """`things`: the catalog that it was made on, by `kind:id`."""
    slot, now = decision.slot, decision.now
    standing = decision.stood.standing() if decision.stood is not None else Standing()
    again = decide(slot, decision.request, decision.page, standing, now, Recorded(decision.point, decision.turns))
    yield
    found, empty, reached = yield from chances(decision, standing)
    places = yield from _places(decision, standing)
    booked = yield from _booked(slot.slot, things)
    groups: dict[Reason | None, list[Row]] = {}
    for at, (campaign, creatives) in enumerate(booked):
        place = places.get(campaign.serial)
        for creative in creatives:
            share = found.get(creative.serial, Fraction(0))
            why = None if share else _why(decision, things, campaign, creative, place, reached)
            groups.setdefault(why, []).append(Row(creative, campaign, share, float(share), why))
        if at % AT_ONCE == 0:
            yield
    rows = sorted(groups.pop(None, []), key=lambda row: -row.odds)
    yield
    for reason in sorted(groups, key=lambda reason: -_ORDER[reason] if reason else 0):
        rows += groups[reason]
    for view in slot.views(decision.request, now).every if slot.live else ():
        if not view.serving & view.masks.hours.mask(now):
            yield from ask_the_unable(view, now)
    return Explained(rows, empty, _reason(decision, standing), _names(again) == _names(decision.choice))


def _names(choice: Choice | None) -> tuple[str, int] | None:
    return None if choice is None else (choice.entry.creative.id, choice.entry.content.revision)


def _reason(decision: Decision, standing: Standing) -> str:
    choice = decision.choice
    if choice is not None:
        return PASSBACK if choice.entry.creative.kind == "passback" else CHOSEN
    return why_empty(decision.slot, decision.request, decision.page, standing, decision.now)


def _places(decision: Decision, standing: Standing) -> Steps[dict[int, _Place]]:
    """The candidates by serial of their campaign."""
    found: dict[int, _Place] = {}
    if not decision.slot.live:
        return found
    for view in decision.slot.views(decision.request, decision.now).every:
        tier = view.masks.tier
        count = len(tier.candidates)
        rules = [
            (reason, flags_of(passing, count))
            for reason, passing in gates(view, decision.request, decision.page, standing, decision.now)
        ]
        offer = view.offer(standing, decision.now) if view.mask else None
        offered = flags_of(view.masks.all if offer is None else offer.mask, count)
        yield
        for at, candidate in enumerate(tier.candidates):
            fails = next((reason for reason, flags in rules if not flags[at]), None)
            entries = {one.creative.serial: one for one in candidate.entries}
            waits = fails is None and not offered[at]
            found[candidate.campaign.serial] = _Place(view, entries, fails, waits)
            if at % AT_ONCE == 0:
                yield
    return found


def _booked(slot: Slot, things: Mapping[str, Thing]) -> Steps[list[tuple[Campaign, list[Creative]]]]:
    """The campaigns that book a slot, with their creatives, save what is archived."""
    names = {slot.id, f"{slot.site}/*"}
    campaigns: dict[str, tuple[Campaign, list[Creative]]] = {}
    creatives: list[Creative] = []
    for at, thing in enumerate(things.values()):
        if isinstance(thing, Campaign):
            if thing.state != "archived" and not names.isdisjoint(thing.slots):
                campaigns[thing.id] = (thing, [])
        elif isinstance(thing, Creative) and thing.state != "archived":
            creatives.append(thing)
        if at % PIECE == 0:
            yield
    for at, creative in enumerate(creatives):
        if creative.campaign in campaigns:
            campaigns[creative.campaign][1].append(creative)
        if at % PIECE == 0:
            yield
    found = sorted(campaigns.values(), key=lambda one: (TIERS.index(one[0].tier), one[0].serial))
    yield
    for at, (_, own) in enumerate(found):
        own.sort(key=lambda one: one.serial)
        if at % PIECE == 0:
            yield
    return found


def _why(
    decision: Decision,
    things: Mapping[str, Thing],
    campaign: Campaign,
    creative: Creative,
    place: _Place | None,
    reached: frozenset[int],
) -> Reason:
    """The first rule that a creative without a chance fails."""
    slot, now = decision.slot, decision.now
    owner = things.get(f"advertiser:{campaign.advertiser}")
    gone = isinstance(owner, Advertiser) and owner.state == "archived"
    if not slot.live or gone or "paused" in (campaign.state, creative.state):
        return Reason.PAUSED
    closed = why_not_now(campaign, creative, now)
    if closed is not None:
        return closed
    entry = place.entries.get(creative.serial) if place is not None else None
    if place is None or entry is None:
        live = creative.live if creative.state in ("approved", "pending") else None
        return Reason.NOT_APPROVED if live is None or fits(creative, live, slot.slot) else Reason.SIZE
    width = decision.request.width
    if entry.narrowest > (ANY_WIDTH if width is None else width):
        return Reason.SIZE
    if not (campaign.weight and creative.weight):
        return Reason.WEIGHT_ZERO
    tier = place.view.masks.tier.at
    fails = place.fails
    if decision.page is not None and slot.slot.repeat == "creative" and tier != HOUSE:
        shown = creative.serial in decision.page.shown.get(campaign.serial, ())
        if shown and (fails is None or _ORDER[fails] > _ORDER[Reason.ALREADY_ON_PAGE]):
            fails = Reason.ALREADY_ON_PAGE
    if fails is None and creative.serial in apart(slot, decision.page).get(campaign.serial, ()):
        fails = Reason.COMPANIONS
    if fails is not None:
        return fails
    shares = campaign.goal is not None and campaign.goal.share is not None
    return Reason.PACING if place.waits or (shares and tier in reached) else Reason.LOWER_TIER
