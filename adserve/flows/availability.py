"""How much of a slot can still be sold: its learned week and its campaigns, as they stand in the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adserve.core.availability import (
    MOST_DAYS,
    SAID,
    Availability,
    Booking,
    DayLeft,
    availability,
)
from adserve.core.curve import Learned
from adserve.core.fit import fits
from adserve.core.forecast import Forecasts, confidence
from adserve.core.model import Advertiser, Campaign, Creative, Site, Slot, Thing
from adserve.core.schedule import local_day, moment_label, zone
from adserve.errors import NotFound
from adserve.flows.load import in_steps
from adserve.flows.services import Services
from adserve.store.curves import CurveStore
from adserve.store.totals import read_stood

DAYS = 7
"""When no number is given; at most MOST_DAYS."""
__all__ = ["DAYS", "MOST_DAYS", "available"]


async def available(services: Services, slot_id: str, days: int = DAYS) -> dict[str, Any]:
    """As JSON, for `days` local days of the site from today on. NotFound for a slot that is none."""
    _, things = await services.catalog.load_all()
    slot = things.get(f"slot:{slot_id}")
    site = things.get(f"site:{slot.site}") if isinstance(slot, Slot) else None
    if not isinstance(slot, Slot) or not isinstance(site, Site) or "archived" in (slot.state, site.state):
        raise NotFound("there is no slot with this id")
    now, tz = int(services.clock()), zone(site.timezone)
    places = _places(things)
    weeks = await CurveStore(services.client, services.keys).read()
    forecasts = Forecasts(
        {one.serial: (weeks.get(one.serial, Learned()), zone(at.timezone)) for one, at in places.values()}, now, days
    )
    campaigns = _campaigns(things, slot, places, now)
    ordinals = {one.serial: local_day(now, zone(one.zone)).toordinal() for one, _ in campaigns}
    stood = await read_stood(services.client, services.keys, ordinals)
    bookings = [
        Booking(one, can, frozenset(at.serial for at in _booked(one, places)), *stood[one.serial])
        for one, can in campaigns
    ]
    found = await in_steps(availability(slot.serial, days, bookings, forecasts))
    return {
        "slot": slot.id,
        "tz": site.timezone,
        "generated_at": moment_label(now, tz),
        "confidence": confidence(weeks.get(slot.serial)),
        **_as_json(found),
    }


def _as_json(found: Availability) -> dict[str, Any]:
    forecast = [day.forecast for day in found.days if day.forecast is not None]
    left = [day.available for day in found.days if day.available is not None]
    return {
        "days": [_day(day) for day in found.days],
        "totals": {
            "forecast": sum(forecast) if forecast else None,
            "booked": sum(day.booked for day in found.days),
            "available": sum(left) if left else None,
        },
        "warnings": [
            {
                "code": one.code,
                "detail": f"{SAID[one.code]}: {', '.join(one.campaigns)}, {one.missing:,} requests are missing",
                "campaigns": list(one.campaigns),
                "missing": one.missing,
            }
            for one in found.warnings
        ],
        "uncounted": found.uncounted,
    }


def _day(day: DayLeft) -> dict[str, Any]:
    return {
        "day": day.day.isoformat(),
        "forecast": day.forecast,
        "booked": day.booked,
        "available": day.available,
        "taken_by_sponsor": day.taken,
        "campaigns": [{"campaign": id_, "booked": part} for id_, part in day.campaigns.items()],
    }


Places = dict[str, tuple[Slot, Site]]


def _places(things: Mapping[str, Thing]) -> Places:
    """The slots that are there, by their ids, with their sites."""
    found: Places = {}
    for one in things.values():
        site = things.get(f"site:{one.site}") if isinstance(one, Slot) else None
        if isinstance(one, Slot) and isinstance(site, Site) and "archived" not in (one.state, site.state):
            found[one.id] = one, site
    return found


def _booked(campaign: Campaign, places: Places) -> list[Slot]:
    booked = {*campaign.slots}
    if not any(place.endswith("/*") for place in booked):
        return [places[id_][0] for id_ in sorted(booked) if id_ in places]
    return [one for one, site in places.values() if one.id in booked or f"{site.id}/*" in booked]


def _campaigns(
    things: Mapping[str, Thing], slot: Slot, places: Places, now: int
) -> list[tuple[Campaign, frozenset[int]]]:
    """Active campaigns that are not over and can serve in a slot, with the serials of all slots that they can serve
    in: where an approved creative fits. One without any yet is booked all the same, for all that it books."""
    books = {slot.id, f"{slot.site}/*"}
    wanted = {
        one.id: one
        for one in things.values()
        if isinstance(one, Campaign) and one.state == "active" and not books.isdisjoint(one.slots)
        if (one.ends_at is None or one.ends_at > now) and _owned(things, one)
    }
    shows: dict[str, list[Creative]] = {id_: [] for id_ in wanted}
    for one in things.values():
        if isinstance(one, Creative) and one.campaign in shows and _serves(one, now):
            shows[one.campaign].append(one)
    found = []
    for id_, campaign in sorted(wanted.items()):
        can = [
            place
            for place in _booked(campaign, places)
            if not shows[id_] or any(one.live is not None and fits(one, one.live, place) for one in shows[id_])
        ]
        if slot in can:
            found.append((campaign, frozenset(place.serial for place in can)))
    return found


def _serves(creative: Creative, now: int) -> bool:
    """Whether it counts impressions some time from now on, in the slots that it fits."""
    shows = creative.live is not None and creative.state in ("approved", "pending") and creative.kind != "passback"
    return shows and creative.weight > 0 and (creative.ends_at is None or creative.ends_at > now)


def _owned(things: Mapping[str, Thing], campaign: Campaign) -> bool:
    owner = things.get(f"advertiser:{campaign.advertiser}")
    return not (isinstance(owner, Advertiser) and owner.state == "archived")
