"""What the benches of decisions and of the catalog are made of: a site with slots, campaigns, pictures."""

from __future__ import annotations

from typing import Any

from adserve.core.model import Campaign, Content, Creative, Media, Revision, Site, Slot

NOW = 1_800_000_000
SLOT_COUNT = 5
SITE = Site(id="bench", serial=1, version=1, name="Bench")
SLOTS = [
    Slot(id=f"bench/s{at}", serial=at, version=1, site="bench", name=f"s{at}", sizes=("300x250", "728x90"), rank=at)
    for at in range(1, SLOT_COUNT + 1)
]


def campaign(serial: int, **fields: Any) -> Campaign:
    made = {"weight": 1 + serial % 7, "slots": ("bench/*",), **fields}
    return Campaign(id=f"c{serial}", serial=serial, version=1, advertiser="bench", name=f"Campaign {serial}", **made)


def creatives(campaign: int, width: int = 300) -> list[Creative]:
    """Two pictures of unequal weight."""
    found = []
    for serial in (2 * campaign - 1, 2 * campaign):
        content = Content(
            revision=1,
            serial=serial,
            click_url=f"https://shop.example/offers/{serial}?from={{slot}}",
            width=width,
            height=250,
            alt=f"Offer {serial}",
            media=Media(f"{serial:040x}.png", "image/png", 30_000),
        )
        found.append(
            Creative(
                id=f"x{serial}",
                serial=serial,
                version=1,
                campaign=f"c{campaign}",
                name=f"Picture {serial}",
                kind="image",
                weight=1 + serial % 2,
                state="approved",
                content=content,
                live=content,
                revisions=(Revision(1, serial),),
            )
        )
    return found
