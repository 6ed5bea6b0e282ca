"""Where a figure belongs: the values of a row, their order, and the names beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from adserve.core.model import DEVICES, TIERS, Advertiser, Campaign, Creative, Site
from adserve.core.report_cells import Cell, Where
from adserve.core.report_names import Names, has_ad, has_slot
from adserve.core.report_query import Query
from adserve.core.schedule import (
    day_bounds,
    hour_start,
    local_day,
    moment_label,
    month_label,
    next_month,
    week_start,
)

Value = str | int | tuple[str, int] | None
"""As rows sort by it: hours as epoch seconds, tiers and devices as indexes, revisions as
`(creative, number)`, everything else as text. None: does not apply, or not known any more."""
Parts = dict[str, Value]
Key = tuple[Value, ...]


def find_place(query: Query, names: Names, where: Where) -> Parts | None:
    """The values of a `Where`; None when the filters leave it out."""
    filters = query.filters
    slot = names.slot_serials.get(where.slot)
    ad = names.revisions.get(where.revision)
    if ("site" in filters or "slot" in filters) and (slot is None or not has_slot(slot, filters)):
        return None
    if not query.requests_known and (ad is None or not has_ad(ad, filters)):
        return None
    place: Parts = {"device": where.device}
    if slot is not None:
        place |= {"site": slot.site, "slot": slot.id}
    if where.revision:
        place["tier"] = where.tier
    if ad is not None:
        place |= {"advertiser": ad.campaign.advertiser, "campaign": ad.campaign.id, "creative": ad.creative.id}
        place["revision"] = (ad.creative.id, ad.revision)
    return place


def find_times(query: Query, when: int | date) -> tuple[Parts, int]:
    """The values of a quarter-hour or a whole day, and when the shortest of them ends in the range."""
    tz = query.tz
    day = local_day(when, tz) if isinstance(when, int) else when
    times: Parts = {}
    ends = [query.end]
    for name in query.by:
        if name == "hour":
            start = hour_start(when if isinstance(when, int) else day_bounds(day, tz)[0], tz)
            times[name] = start
            ends.append(start + 3600)
        elif name == "day":
            times[name] = day.isoformat()
            ends.append(day_bounds(day, tz)[1])
        elif name == "week":
            times[name] = week_start(day).isoformat()
            ends.append(day_bounds(week_start(day) + timedelta(days=6), tz)[1])
        elif name == "month":
            times[name] = month_label(day)
            ends.append(day_bounds(next_month(day), tz)[0])
    return times, min(ends)


def with_reason(parts: Parts, cell: Cell) -> Parts:
    """The same, with the reason of what was set aside or stayed empty."""
    if cell.figure in ("filtered", "empty"):
        return {**parts, "filter_reason" if cell.figure == "filtered" else "empty_reason": cell.detail}
    return parts


def make_key(query: Query, parts: Mapping[str, Value]) -> Key:
    return tuple(parts.get(name) for name in query.by)


def sort_key(key: Key) -> list[tuple[bool, Any]]:
    """By every value in turn, what is not known last."""
    return [(value is None, value) for value in key]


def columns(by: Sequence[str]) -> list[str]:
    """The columns of a report that are no figures, in their order.

    >>> columns(["day", "creative"])
    ['day', 'creative', 'creative_name']
    """
    found: dict[str, None] = {}
    for name in by:
        if name in ("site", "slot", "advertiser", "campaign", "creative"):
            found |= {name: None, f"{name}_name": None}
        elif name == "revision":
            found |= {"creative": None, "creative_name": None, "revision": None}
        else:
            found[name] = None
    return list(found)


def show(query: Query, names: Names, key: Key) -> dict[str, Any]:
    """The values of a row as people read them, with the names of things."""
    shown: dict[str, Any] = {}
    for name, value in zip(query.by, key, strict=True):
        if name == "revision":
            creative, number = value if isinstance(value, tuple) else (None, None)
            shown |= {"creative": creative, "creative_name": _name(names, "creative", creative), "revision": number}
        elif not isinstance(value, int):
            shown[name] = value
            if name in ("site", "slot", "advertiser", "campaign", "creative"):
                shown[f"{name}_name"] = _name(names, name, value)
        else:
            labels = {"tier": TIERS, "device": DEVICES}
            shown[name] = labels[name][value] if name in labels else moment_label(value, query.tz)
    return shown


def _name(names: Names, kind: str, id_: Value) -> str | None:
    if not isinstance(id_, str):
        return None
    if kind == "slot":
        slot = names.slots[id_]
        return slot.title or slot.name
    held: dict[str, Mapping[str, Site | Advertiser | Campaign | Creative]] = {
        "site": names.sites,
        "advertiser": names.advertisers,
        "campaign": names.campaigns,
        "creative": names.creatives,
    }
    thing = held[kind].get(id_)
    return thing.name if thing else None
