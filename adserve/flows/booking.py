"""Campaigns with what stands around them, for those who book them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import NamedTuple

from adserve.core.booking import Around, Remark, remarks
from adserve.core.model import Advertiser, Campaign, Creative, Site, Slot, Thing
from adserve.flows.services import Services
from adserve.store.totals import read_totals

AT_ONCE = 50
"""Campaigns that are looked at in one go, which takes 1 ms where each books 20 slots."""


class Booked(NamedTuple):
    """A campaign, and what stands in its way."""

    campaign: Campaign
    around: Around
    remarks: list[Remark]


async def booked(services: Services, campaigns: Iterable[Campaign]) -> AsyncIterator[Booked]:
    """Each of them, in their order. Of 10,000 all but a few turns of the event loop are for others."""
    found = _Found(await services.catalog.all())
    now = int(services.clock())
    for at, one in enumerate(campaigns):
        if at % AT_ONCE == AT_ONCE - 1:
            await asyncio.sleep(0)
        yield _of(one, found, now)


async def one_booked(services: Services, campaign: Campaign) -> Booked:
    return _of(campaign, _Found(await services.catalog.all()), int(services.clock()))


async def delivered(services: Services) -> dict[tuple[int, str], int]:
    """What campaigns have in all, by serial and `i` or `c`, impressions or clicks."""
    return await read_totals(services.client, services.keys)


class _Found:
    """Everything in use, by what it lies below."""

    def __init__(self, things: Mapping[str, Thing]) -> None:
        self.things = things
        self.slots: defaultdict[str, list[Slot]] = defaultdict(list)
        self.creatives: defaultdict[str, list[Creative]] = defaultdict(list)
        for one in things.values():
            if one.state == "archived":
                continue
            if isinstance(one, Slot):
                self.slots[one.site].append(one)
            elif isinstance(one, Creative):
                self.creatives[one.campaign].append(one)

    def booked(self, campaign: Campaign) -> list[tuple[Slot, Site]]:
        pairs = []
        for site_id in dict.fromkeys(place.partition("/")[0] for place in campaign.slots):
            site = self.things.get(f"site:{site_id}")
            if isinstance(site, Site) and site.state != "archived":
                wanted = (one for one in self.slots[site_id] if {one.id, f"{site_id}/*"} & {*campaign.slots})
                pairs += [(one, site) for one in sorted(wanted, key=lambda one: one.rank)]
        return pairs


def _of(campaign: Campaign, found: _Found, now: int) -> Booked:
    owner = found.things.get(f"advertiser:{campaign.advertiser}")
    creatives = sorted(found.creatives[campaign.id], key=lambda one: one.serial)
    around = Around(owner if isinstance(owner, Advertiser) else None, found.booked(campaign), creatives)
    return Booked(campaign, around, remarks(campaign, around, now))
