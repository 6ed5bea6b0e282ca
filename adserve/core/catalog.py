"""The compiled copy of the catalog: what a decision reads, made once per change.

DESIGN. Immutable and swapped whole: a request that began with one copy ends with it. Per slot the
candidates stand by tier; the *eligible set* of a request (its moment between two schedule
boundaries, its width class, the campaigns already on the page) names a pool that holds cumulative
weights, so that picking is two bisects, as fast at 10,000 candidates as at 10. Pools are made on
demand and bounded. Not chosen: filtering candidates per request (cost grows with the catalog).
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from adserve.core.model import TIERS, Advertiser, Campaign, Content, Creative, Site, Slot, Thing
from adserve.core.urls import UrlError, check_landing_url, compile_landing_url

POOLS_PER_SLOT = 512
HOUSE = TIERS.index("house")


class Snippet(NamedTuple):
    """Static text and holes in turn: `parts[1::2]` are indexes into the values of `fill`."""

    parts: tuple[str, ...]
    holes: tuple[int, ...]

    def fill(self, decision: str, view: str, click: str, base: str) -> str:
        """The HTML of one serve. All four values are made by us and need no escaping."""
        values = (decision, view, click, base)
        pieces = list(self.parts)
        for place, hole in enumerate(self.holes):
            pieces[2 * place + 1] = values[hole]
        return "".join(pieces)


class Entry(NamedTuple):
    """One servable creative of a campaign in one slot."""

    creative: Creative
    content: Content
    snippet: Snippet


class Candidate(NamedTuple):
    """A campaign that books a slot, with its creatives that fit the slot's sizes."""

    campaign: Campaign
    entries: tuple[Entry, ...]


class Pool(NamedTuple):
    """An eligible set: cumulative weights of campaigns, and of creatives within each."""

    name: bytes
    total: int
    cumulative: tuple[int, ...]
    choices: tuple[Choice, ...]


class Choice(NamedTuple):
    """A campaign of a pool."""

    name: bytes
    campaign: Campaign
    total: int
    cumulative: tuple[int, ...]
    entries: tuple[Entry, ...]


class CompiledSlot:
    """One slot with its candidates by tier."""

    __slots__ = ("_boundaries", "_pools", "_widths", "live", "site", "slot", "tiers")

    def __init__(self, site: Site, slot: Slot, tiers: tuple[tuple[Candidate, ...], ...]) -> None:
        self.site, self.slot, self.tiers = site, slot, tiers
        self.live = site.state == "active" and slot.state == "active"
        moments: set[int] = set()
        widths: set[int] = set()
        for candidate in (one for tier in tiers for one in tier):
            moments.update(m for m in (candidate.campaign.starts_at, candidate.campaign.ends_at) if m is not None)
            for entry in candidate.entries:
                moments.update(m for m in (entry.creative.starts_at, entry.creative.ends_at) if m is not None)
                widths.add(entry.content.width)
        self._boundaries = sorted(moments)
        self._widths = sorted(widths)
        self._pools: dict[tuple[int, int, int, frozenset[int]], Pool | None] = {}

    def pool(self, tier: int, now: int, width: int | None, used: frozenset[int]) -> Pool | None:
        """The eligible set of a tier, or None when nothing is. `used` holds serials of campaigns (or,
        with `repeat: creative`, of creatives) that are on the page already."""
        moment = bisect_right(self._boundaries, now)
        fitting = len(self._widths) if width is None else bisect_right(self._widths, width)
        key = (tier, moment, fitting, used)
        try:
            return self._pools[key]
        except KeyError:
            pass
        pool = self._make(tier, now, width, used)
        if len(self._pools) >= POOLS_PER_SLOT:
            self._pools.clear()
        self._pools[key] = pool
        return pool

    def _make(self, tier: int, now: int, width: int | None, used: frozenset[int]) -> Pool | None:
        by_creative = self.slot.repeat == "creative"
        choices: list[Choice] = []
        for campaign, entries in self.tiers[tier]:
            if not running(campaign, now) or campaign.weight == 0:
                continue
            if not by_creative and campaign.serial in used:
                continue
            fitting = tuple(
                entry
                for entry in entries
                if running(entry.creative, now)
                and entry.creative.weight > 0
                and (width is None or entry.content.width <= width)
                and not (by_creative and entry.creative.serial in used)
            )
            if fitting:
                cumulative = tuple(accumulate(entry.creative.weight for entry in fitting))
                name = _name(self.slot.serial, tier, ((e.creative.serial, e.creative.weight) for e in fitting))
                choices.append(Choice(name, campaign, cumulative[-1], cumulative, fitting))
        if not choices:
            return None
        sums = tuple(accumulate(choice.campaign.weight for choice in choices))
        name = _name(self.slot.serial, tier, ((c.campaign.serial, c.campaign.weight) for c in choices))
        return Pool(b"p" + name, sums[-1], sums, tuple(choices))


def running(thing: Campaign | Creative, now: int) -> bool:
    """Whether `now` lies in the half-open window of a campaign or creative."""
    return not (
        (thing.starts_at is not None and now < thing.starts_at) or (thing.ends_at is not None and now >= thing.ends_at)
    )


def _name(slot: int, tier: int, members: Iterable[tuple[int, int]]) -> bytes:
    """The name of an eligible set: the same members and weights give the same, across catalogs."""
    return hashlib.blake2b(repr((slot, tier, tuple(members))).encode(), digest_size=16).digest()


class Landing(NamedTuple):
    """Where a click on a revision goes. `parts` is None when it may not go anywhere any more."""

    creative: Creative
    campaign: Campaign
    parts: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Catalog:
    """The root. `slots` by `site/slot`; `pages` holds the slots of a site in rank order."""

    version: int = 0
    things: Mapping[str, Thing] = field(default_factory=dict)
    slots: Mapping[str, CompiledSlot] = field(default_factory=dict)
    slot_serials: Mapping[int, CompiledSlot] = field(default_factory=dict)
    pages: Mapping[str, tuple[CompiledSlot, ...]] = field(default_factory=dict)
    landings: Mapping[int, Landing] = field(default_factory=dict)
    bad: tuple[str, ...] = ()


Render = Callable[[str, Content, Slot], Snippet]


def compile_catalog(
    version: int, things: Mapping[str, Thing], render: Render, unreadable: Iterable[str] = ()
) -> Catalog:
    """Everything stored to the compiled copy. A creative that cannot be shown is skipped and named in
    `bad`, where the names of `unreadable` objects stand too."""
    sites = {t.id: t for t in things.values() if isinstance(t, Site)}
    slots = [t for t in things.values() if isinstance(t, Slot) and t.state != "archived" and t.site in sites]
    campaigns = {t.id: t for t in things.values() if isinstance(t, Campaign)}
    suspended = {t.id for t in things.values() if isinstance(t, Advertiser) and t.state == "archived"}
    bad = sorted(unreadable)
    landings: dict[int, Landing] = {}
    servable: dict[str, list[tuple[Creative, Content]]] = {}
    for creative in (t for t in things.values() if isinstance(t, Creative)):
        campaign = campaigns.get(creative.campaign)
        if campaign is None:
            bad.append(creative.id)
            continue
        parts = _landing(creative, bad)
        for revision in creative.revisions:
            landings[revision.serial] = Landing(creative, campaign, parts)
        leads = parts is not None or creative.kind == "passback"
        if leads and creative.live is not None and creative.state in ("approved", "pending"):
            servable.setdefault(creative.campaign, []).append((creative, creative.live))
    booked: dict[str, list[Campaign]] = {}
    for campaign in campaigns.values():
        if campaign.state == "active" and campaign.id in servable and campaign.advertiser not in suspended:
            for place in campaign.slots:
                booked.setdefault(place, []).append(campaign)
    compiled: dict[str, CompiledSlot] = {}
    pages: dict[str, list[CompiledSlot]] = {}
    for slot in sorted(slots, key=lambda one: (one.rank, one.serial)):
        tiers: list[list[Candidate]] = [[] for _ in TIERS]
        placed = {c.id: c for c in (*booked.get(slot.id, ()), *booked.get(f"{slot.site}/*", ()))}
        for campaign in sorted(placed.values(), key=lambda one: one.serial):
            entries = tuple(
                Entry(creative, content, render(creative.kind, content, slot))
                for creative, content in servable[campaign.id]
                if _fits(creative, content, slot)
            )
            if entries:
                tiers[TIERS.index(campaign.tier)].append(Candidate(campaign, entries))
        one = CompiledSlot(sites[slot.site], slot, tuple(tuple(tier) for tier in tiers))
        compiled[slot.id] = one
        if sites[slot.site].state != "archived":
            pages.setdefault(slot.site, []).append(one)
    return Catalog(
        version,
        things,
        {name: one for name, one in compiled.items() if one.site.state != "archived"},
        {one.slot.serial: one for one in compiled.values()},
        {site.id: tuple(pages.get(site.id, ())) for site in sites.values() if site.state != "archived"},
        landings,
        tuple(bad),
    )


def _fits(creative: Creative, content: Content, slot: Slot) -> bool:
    """Whether what has a size has one of the slot's, and is light enough for it."""
    if creative.kind == "text" or (creative.kind == "passback" and not content.width):
        return True
    light = content.media is None or content.media.bytes <= slot.max_kb * 1000
    return light and f"{content.width}x{content.height}" in slot.sizes


def _landing(creative: Creative, bad: list[str]) -> tuple[str, ...] | None:
    """The landing URL of the live revision, checked again: stored data may be tampered with. None
    without one, so that a token of an older revision never leads to what nobody has reviewed, and for a
    passback, which has none."""
    if creative.state in ("rejected", "archived") or creative.live is None or creative.kind == "passback":
        return None
    try:
        return compile_landing_url(check_landing_url(creative.live.click_url))
    except UrlError:
        bad.append(creative.id)
        return None
