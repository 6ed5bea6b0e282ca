"""The compiled copy of the catalog: what a decision reads, made once per change.

DESIGN. Immutable and swapped whole: a request that began with one copy ends with it. Per slot the
candidates stand by tier; `core.slot` says which of them are eligible. Not chosen: filtering candidates per
request (cost grows with the catalog).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from adserve.core.model import TIERS, Advertiser, Campaign, Content, Creative, Site, Slot, Thing
from adserve.core.pool import Candidate, Entry
from adserve.core.pool import Snippet as Snippet
from adserve.core.slot import CompiledSlot as CompiledSlot
from adserve.core.urls import UrlError, check_landing_url, compile_landing_url


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
