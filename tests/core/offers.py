"""Slots for tests of the decision: valid by default, each overriding what it is about."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from adserve.core.entry import Entry
from adserve.core.model import TIERS, Campaign, Content, Creative, Site, Slot
from adserve.core.pool import Candidate
from adserve.core.slot import CompiledSlot
from adserve.snippet import compile_snippet

SITE = Site(id="news", serial=1, version=1, name="News")
SLOT = Slot(id="news/top", serial=1, version=1, site="news", name="top")


def candidate(
    serial: int, *creatives: dict[str, Any], width: int = 0, advertiser_categories: tuple[str, ...] = (), **fields: Any
) -> Candidate:
    """A campaign of the standard tier with text creatives, one when none are named; or of `width`."""
    made = {"advertiser": "a", "name": "c", **fields}
    campaign = Campaign(id=f"c{serial}", serial=serial, version=1, **made)
    entries = []
    for n, own in enumerate(creatives or ({},), 10 * serial):
        own = {**own}
        content = Content(revision=1, serial=n, click_url="https://shop.example/", width=own.pop("width", width))
        made = {"campaign": campaign.id, "name": "x", "kind": "text", "content": content, **own}
        entries.append(Entry(Creative(id=f"x{n}", serial=n, version=1, **made), content, SLOT, compile_snippet))
    return Candidate(campaign, tuple(entries), advertiser_categories)


def slot_of(*candidates: Candidate, site: Site = SITE, **fields: Any) -> CompiledSlot:
    ordered = sorted(candidates, key=lambda one: one.campaign.serial)
    tiers = tuple(tuple(one for one in ordered if one.campaign.tier == tier) for tier in TIERS)
    return CompiledSlot(site, replace(SLOT, **fields), tiers)
