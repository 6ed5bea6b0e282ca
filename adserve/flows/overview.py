"""What somebody who just signed in should see: what waits, what is behind, how today goes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from adserve.core.access import Account, owns
from adserve.core.curve import Learned, together
from adserve.core.delivery import Standing, planned, stands
from adserve.core.model import Campaign, Creative, Site, Slot, Thing
from adserve.core.pacing import counted
from adserve.core.report_names import Names
from adserve.core.schedule import bucket_of, day_bounds, local_day, moment_label, zone
from adserve.errors import AdserveError
from adserve.flows.report import report
from adserve.flows.services import Services
from adserve.store.client import REPLY_ERRORS
from adserve.store.curves import CurveStore
from adserve.store.totals import read_totals

LISTED = 8
"""Lines of each list."""
JUDGED = 1_000
"""Campaigns that are compared with their plans: each takes up to a millisecond, and the loop has its turn after it."""


class Behind(NamedTuple):
    """A campaign behind its plan: by how much of what was planned by now, and in words."""

    campaign: Campaign
    missing: float
    words: str


class Today(NamedTuple):
    """Figures up to the same quarter-hour of today and of yesterday, `until` which; impressions by hour of today.
    `so_far`: of today until now."""

    tz: str
    until: str
    so_far: Mapping[str, Any]
    same: Mapping[str, Any] | None
    yesterday: Mapping[str, Any] | None
    hours: list[float]


class Overview(NamedTuple):
    """`pending`, `rejected` and `behind`: the first lines of each, and how many there are; `empty`: slot, reason and
    requests of today that stayed empty, the most first; `sites` (of all) and `running`: how many there are, to say what
    to do first; `unjudged`: paced campaigns too many to compare. None: figures that cannot be had."""

    pending: list[Creative]
    waiting: int
    rejected: list[Creative]
    denied: int
    behind: list[Behind] | None
    late: int
    today: Today | None
    empty: list[tuple[str, str, int]] | None
    sites: int
    running: int
    unjudged: int


async def overview(services: Services, account: Account, listed: int = LISTED) -> Overview:
    """Of what is the account's, `listed` lines of each list. Figures that cannot be had are left out: the page says
    what waits all the same."""
    things, now = await services.catalog.all(), int(services.clock())
    mine = [one for one in things.values() if isinstance(one, Campaign | Creative) and owns(account, things, one)]
    waiting = [one for one in mine if isinstance(one, Creative) and one.state == "pending"]
    denied = [one for one in mine if isinstance(one, Creative) and one.state == "rejected"]
    campaigns = [one for one in mine if isinstance(one, Campaign) and _runs(one, now)]
    paced = [one for one in campaigns if one.starts_at is not None and one.paces == "even"]
    behind = await _behind(services, things, paced[:JUDGED])
    empty = await _empty(services, account) if account.advertiser is None else []
    return Overview(
        sorted(waiting, key=lambda one: one.serial)[:listed],
        len(waiting),
        sorted(denied, key=lambda one: -one.content.serial)[:listed],
        len(denied),
        behind[:listed] if behind is not None else None,
        len(behind or ()),
        await _today(services, account, things),
        empty[:listed] if empty is not None else None,
        sum(isinstance(one, Site) and one.state != "archived" for one in things.values()),
        len(campaigns),
        max(0, len(paced) - JUDGED),
    )


def _runs(campaign: Campaign, now: int) -> bool:
    begun = campaign.starts_at is None or campaign.starts_at <= now
    return campaign.state == "active" and begun and (campaign.ends_at is None or now < campaign.ends_at)


async def _behind(services: Services, things: Mapping[str, Thing], paced: list[Campaign]) -> list[Behind] | None:
    """Those whose flights have both ends; the worst first. None when the store does not tell."""
    if not paced:
        return []
    now = int(services.clock())
    slots = _slots(things)
    wanted = {serial for one in paced for place in one.slots for serial, _ in slots.get(place, ())}
    try:
        totals = await read_totals(services.client, services.keys)
        weeks = await CurveStore(services.client, services.keys).read(wanted)
    except REPLY_ERRORS:
        return None
    found = []
    for campaign in paced:
        counts = counted(campaign)
        plan = _planned_by(campaign, weeks, slots, now)
        if counts is None or plan is None:
            continue
        goal = getattr(campaign.goal, counts) if campaign.goal is not None else None
        total = totals.get((campaign.serial, counts[0]), 0)
        standing, words = stands(campaign, now, total, plan, goal)
        if standing == Standing.BEHIND:
            found.append(Behind(campaign, (plan - total) / plan, words))
        await asyncio.sleep(0)
    return sorted(found, key=lambda one: -one.missing)


def _planned_by(
    campaign: Campaign, weeks: Mapping[int, Learned], slots: Mapping[str, list[tuple[int, str]]], now: int
) -> int | None:
    begin, tz = campaign.starts_at, zone(campaign.zone)
    if begin is None or now <= begin:
        return None
    moments, day = [begin], local_day(begin, tz)
    while (end := day_bounds(day, tz)[1]) < now:
        moments.append(end)
        day += timedelta(days=1)
    booked = {serial: site for place in campaign.slots for serial, site in slots.get(place, ())}
    known = [(weeks[serial], zone(site)) for serial, site in booked.items() if serial in weeks]
    found = planned(campaign, together(known, tz, now), [*moments, now], 0)
    return found[-1] if found else None


def _slots(things: Mapping[str, Thing]) -> dict[str, list[tuple[int, str]]]:
    """What campaigns book to the serials of slots with the zone of their site."""
    found: dict[str, list[tuple[int, str]]] = {}
    for one in things.values():
        site = things.get(f"site:{one.site}") if isinstance(one, Slot) and one.state != "archived" else None
        if isinstance(one, Slot) and isinstance(site, Site):
            for place in (one.id, f"{one.site}/*"):
                found.setdefault(place, []).append((one.serial, site.timezone))
    return found


async def _today(services: Services, account: Account, things: Mapping[str, Thing]) -> Today | None:
    tz = zone(Names(things.values()).default_zone({}))
    now = int(services.clock())
    begin, until = day_bounds(local_day(now, tz), tz)[0], bucket_of(now)
    before = day_bounds(local_day(begin - 1, tz), tz)[0]

    async def ask(start: int, end: int, by: str = "") -> dict[str, Any] | None:
        params = {"from": moment_label(start, tz), "to": moment_label(end, tz), "by": by, "tz": tz.key}
        found = await report(services, params, account)
        return found if isinstance(found, dict) else None

    try:
        hours = await ask(begin, max(now, begin + 1), "hour")
        same = await ask(begin, until) if until > begin else None
        yesterday = await ask(before, before + until - begin) if until > begin else None
    except AdserveError:
        return None
    if hours is None:
        return None
    by_hour = {row["hour"]: float(row["impressions"]) for row in hours["rows"] if row["hour"] is not None}
    labels = [moment_label(at, tz) for at in range(begin, max(now, begin + 1), 3600)]
    return Today(
        tz.key,
        moment_label(until, tz)[11:16],
        hours["totals"],
        same["totals"] if same else None,
        yesterday["totals"] if yesterday else None,
        [by_hour.get(label, 0.0) for label in labels],
    )


async def _empty(services: Services, account: Account) -> list[tuple[str, str, int]] | None:
    try:
        found = await report(services, {"period": "today", "by": "slot,empty_reason"}, account)
    except AdserveError:
        return None
    rows = found["rows"] if isinstance(found, dict) else []
    lost = [(row["slot"], row["empty_reason"], row["empty"]) for row in rows if row["empty"] and row["empty_reason"]]
    return sorted(lost, key=lambda one: -one[2])
