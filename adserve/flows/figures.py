"""A report: the question, the names, the counts, the answer; and the roll-up of old quarter-hours."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from adserve.core.figures import Count, Flat, Names, RevisionNames, SlotNames, fold, to_csv
from adserve.core.model import Advertiser, Campaign, Creative, Site, Slot, Thing
from adserve.core.query import Query, parse_query
from adserve.core.schedule import bucket_of, day_bounds, local_day, zone
from adserve.errors import Invalid, Problem
from adserve.flows.services import Services
from adserve.store.buckets import read_buckets, read_days, roll_up
from adserve.store.ledger import LATE_S


async def report(services: Services, params: Mapping[str, str]) -> dict[str, Any] | str:
    """The report that the parameters ask for; text when they ask for CSV."""
    now = int(services.clock())
    _, things = await services.catalog.load_all()
    names = names_of(things)
    site = things.get(f"site:{params.get('site', '')}")
    sites = [t for t in things.values() if isinstance(t, Site) and t.state != "archived"]
    if site is None and len({one.timezone for one in sites}) == 1:
        site = sites[0]
    default_tz = site.timezone if isinstance(site, Site) else "UTC"
    query = parse_query(params, now=now, default_tz=default_tz)
    counts = [count async for count in read_buckets(services.client, services.keys, query.start, query.end)]
    if query.start < kept_from(services, now):
        counts += await _days(services, query, names)
    found = fold(query, counts, names, now=now, final_after_s=services.click_lifetime_s + LATE_S)
    return to_csv(found) if query.csv else found


def kept_from(services: Services, now: int) -> int:
    """The first quarter-hour that is not rolled up."""
    return bucket_of(now - services.keep_buckets_s)


async def _days(services: Services, query: Query, names: Names) -> list[Count]:
    """Rolled-up days of a question: only whole days in the zone of each site can be told."""
    first, last = local_day(query.start, query.tz), local_day(query.end, query.tz)

    def at(day: str) -> int:
        return day_bounds(date(int(day[:4]), int(day[4:6]), int(day[6:])), query.tz)[0]

    bounds = (f"{first:%Y%m%d}", f"{last:%Y%m%d}")
    days = [count async for count in read_days(services.client, services.keys, *bounds, at)]
    asked = query.filters.get("site")
    zones = {slot.tz for slot in names.slots.values() if asked in (None, slot.site)}
    if days and not (query.whole_days and zones <= {query.tz.key}):
        raise Invalid(
            [Problem("/from", "quarter-hours of this time are rolled up: ask by local day in the site's own zone")],
            code="rolled_up",
        )
    return days


async def roll_up_old(services: Services, things: Mapping[str, Thing]) -> int:
    """Rolls up what is older than the limit; quarter-hours moved."""
    zones = {slot: zone(name.tz) for slot, name in names_of(things).slots.items()}
    utc = zone("UTC")

    def day_of(slot: int, bucket: int) -> str:
        return f"{local_day(bucket, zones.get(slot, utc)):%Y%m%d}"

    limit = kept_from(services, int(services.clock()))
    return await roll_up(services.client, services.keys, limit, day_of)


def names_of(things: Mapping[str, Thing]) -> Names:
    """Serials to ids and names, from everything stored, archived or not."""
    sites = {t.id: t for t in things.values() if isinstance(t, Site)}
    advertisers = {t.id: t for t in things.values() if isinstance(t, Advertiser)}
    campaigns = {t.id: t for t in things.values() if isinstance(t, Campaign)}
    slots: dict[int, SlotNames] = {}
    revisions: dict[int, RevisionNames] = {}
    flats: dict[str, Flat] = {}
    for thing in things.values():
        if isinstance(thing, Slot) and thing.site in sites:
            site = sites[thing.site]
            slots[thing.serial] = SlotNames(site.id, site.name, thing.name, thing.title or thing.name, site.timezone)
        elif isinstance(thing, Creative) and thing.campaign in campaigns:
            owner = campaigns[thing.campaign]
            advertiser = advertisers.get(owner.advertiser)
            for revision in thing.revisions:
                revisions[revision.serial] = RevisionNames(
                    thing.id,
                    thing.name,
                    revision.revision,
                    owner.id,
                    owner.name,
                    owner.advertiser,
                    advertiser.name if advertiser else owner.advertiser,
                )
        elif isinstance(thing, Campaign) and thing.price is not None and thing.price.model == "flat":
            if thing.starts_at is not None and thing.ends_at is not None:
                flats[thing.id] = Flat(thing.price.micros, thing.price.currency, thing.starts_at, thing.ends_at)
    return Names(slots, revisions, flats)
