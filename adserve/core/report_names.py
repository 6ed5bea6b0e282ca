"""The serials of counters to the objects that people know, and which of them a report is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple
from zoneinfo import ZoneInfo

from adserve.core.model import Advertiser, Campaign, Creative, Site, Slot, Thing
from adserve.core.schedule import zone

UTC = ZoneInfo("UTC")


class Ad(NamedTuple):
    """A revision of a creative with its campaign."""

    creative: Creative
    revision: int
    campaign: Campaign


class Names:
    """What a report knows of the catalog, archived objects included: names stay in reports. `sees`: what its
    reader may ask for, which is all unless it is said."""

    def __init__(self, things: Iterable[Thing], sees: Callable[[Thing], bool] = lambda _: True) -> None:
        self._sees = sees
        every = list(things)
        self.sites = {t.id: t for t in every if isinstance(t, Site)}
        self.advertisers = {t.id: t for t in every if isinstance(t, Advertiser)}
        self.campaigns = {t.id: t for t in every if isinstance(t, Campaign)}
        self.creatives = {t.id: t for t in every if isinstance(t, Creative)}
        self.slots = {t.id: t for t in every if isinstance(t, Slot)}
        self.slot_serials = {slot.serial: slot for slot in self.slots.values()}
        self.revisions = {
            trail.serial: Ad(creative, trail.revision, self.campaigns[creative.campaign])
            for creative in self.creatives.values()
            if creative.campaign in self.campaigns
            for trail in creative.revisions
        }

    def zone_of(self, slot_serial: int) -> ZoneInfo:
        """The time zone of a slot's site; UTC when there is none."""
        slot = self.slot_serials.get(slot_serial)
        return self._zone(slot.site) if slot else UTC

    def zones(self, filters: Mapping[str, str]) -> list[ZoneInfo]:
        """The time zones of the sites that filters leave, each once."""
        found = {self._zone(id_).key: self._zone(id_) for id_ in self._sites(filters)}
        return list(found.values())

    def default_zone(self, filters: Mapping[str, str]) -> str:
        """The time zone that these sites share, else UTC."""
        found = self.zones(filters)
        return found[0].key if len(found) == 1 else UTC.key

    def left(self, filters: Mapping[str, str]) -> list[Campaign]:
        """The campaigns that filters leave."""
        creative = self.creatives.get(filters.get("creative", ""))
        return [
            one
            for one in self.campaigns.values()
            if has_campaign(one, filters) and (creative is None or creative.campaign == one.id)
        ]

    def missing(self, filters: Mapping[str, str]) -> str | None:
        """The first filter that names nothing that its reader sees, or nothing under the filters above it."""
        if "site" in filters and not self._is_seen(self.sites.get(filters["site"])):
            return "site"
        slots = (one for one in self.slots.values() if has_slot(one, filters))
        if "slot" in filters and not any(self._sees(one) for one in slots):
            return "slot"
        if "advertiser" in filters and not self._is_seen(self.advertisers.get(filters["advertiser"])):
            return "advertiser"
        campaign = self.campaigns.get(filters.get("campaign", ""))
        if "campaign" in filters and not (campaign and self._sees(campaign) and has_campaign(campaign, filters)):
            return "campaign"
        creative = self.creatives.get(filters.get("creative", ""))
        if "creative" in filters:
            owner = self.campaigns.get(creative.campaign) if creative and self._sees(creative) else None
            if owner is None or not has_campaign(owner, filters):
                return "creative"
        return None

    def _is_seen(self, thing: Thing | None) -> bool:
        return thing is not None and self._sees(thing)

    def _sites(self, filters: Mapping[str, str]) -> set[str]:
        if "slot" in filters:
            return {slot.site for slot in self.slots.values() if has_slot(slot, filters)}
        return {id_ for id_ in self.sites if filters.get("site", id_) == id_}

    def _zone(self, site: str) -> ZoneInfo:
        try:
            return zone(self.sites[site].timezone)
        except (KeyError, ValueError):  # stored data may be tampered with
            return UTC


def has_slot(slot: Slot, filters: Mapping[str, str]) -> bool:
    """Whether the filters `site` and `slot` (`news/top`, or `top` of any site) leave a slot."""
    return filters.get("site", slot.site) == slot.site and filters.get("slot", slot.id) in (slot.id, slot.name)


def has_campaign(campaign: Campaign, filters: Mapping[str, str]) -> bool:
    """Whether the filters `advertiser` and `campaign` leave a campaign."""
    return (
        filters.get("advertiser", campaign.advertiser) == campaign.advertiser
        and filters.get("campaign", campaign.id) == campaign.id
    )


def has_ad(ad: Ad, filters: Mapping[str, str]) -> bool:
    """Whether the filters leave a revision of a creative."""
    return has_campaign(ad.campaign, filters) and filters.get("creative", ad.creative.id) == ad.creative.id
