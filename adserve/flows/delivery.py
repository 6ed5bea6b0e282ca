"""How a campaign delivers: what it counted step by step, beside what was planned, and its goal."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta

from adserve.core.access import Account
from adserve.core.curve import Curve, together
from adserve.core.delivery import Delivery, Point, Window, laid_out, planned, stands, window_of
from adserve.core.model import Campaign, Creative, Site, Slot, Thing
from adserve.core.pacing import counted
from adserve.core.report_cells import decode_cell, decode_count
from adserve.core.schedule import bucket_of, day_bounds, local_day, zone
from adserve.errors import NotFound, StoreUnavailable
from adserve.flows.access import require
from adserve.flows.services import Services
from adserve.store.client import REPLY_ERRORS
from adserve.store.curves import CurveStore
from adserve.store.keys import tag_of
from adserve.store.reports import Days, last_day, read_cells
from adserve.store.totals import read_total


async def delivery(services: Services, account: Account, id_: str) -> Delivery:
    """Of one campaign. NotFound when it is not there for this account; StoreUnavailable."""
    try:
        await require(services, account, "campaign", id_)
        things = await services.catalog.all()
        campaign = things.get(f"campaign:{id_}")
        if not isinstance(campaign, Campaign):
            raise NotFound("there is no campaign with this id")
        return await _of(services, things, campaign)
    except REPLY_ERRORS as problem:
        raise StoreUnavailable("the store does not answer") from problem


async def _of(services: Services, things: Mapping[str, Thing], campaign: Campaign) -> Delivery:
    now = int(services.clock())
    tz = zone(campaign.zone)
    kept = bucket_of(now - services.keep_buckets_s)
    rolled = await last_day(services.client, services.keys, local_day(now, tz) + timedelta(days=1))
    if rolled is not None and rolled > local_day(kept, tz):  # rolled up while a shorter time was set
        kept = day_bounds(rolled, tz)[1]
    window = window_of(campaign, now, kept=kept + 86_400)
    counts = counted(campaign) or "impressions"
    total = await read_total(services.client, services.keys, campaign.serial, counts[0])
    each, unreadable = await _counted(services, things, campaign, window, counts, kept)  # later: it may have more
    before = max(0, total - each.total())
    total = before + each.total()
    curve = await _curve(services, things, campaign, now)
    bounds = window.bounds()
    plan = planned(campaign, curve, bounds, before)
    goal = getattr(campaign.goal, counts) if campaign.goal is not None else None
    points = laid_out(window, each, plan, before, now)
    expected = _by_now(campaign, curve, points, now)
    standing, words = stands(campaign, now, total, expected, goal)
    others = {one.timezone for one in _sites(things, campaign)} - {campaign.zone}
    return Delivery(
        campaign=campaign.id,
        name=campaign.name,
        counts=counts,
        goal=goal,
        share=campaign.goal.share if campaign.goal is not None else None,
        pacing=campaign.paces,
        window=window,
        now=now,
        points=points,
        total=total,
        expected=expected,
        standing=standing,
        words=words,
        approximate=bool(others) and window.begin < kept,
        unreadable=unreadable,
    )


def _by_now(campaign: Campaign, curve: Curve | None, points: tuple[Point, ...], now: int) -> int | None:
    """What was planned by now: between two points the plan is asked again."""
    first, last = points[0], points[-1]
    if first.planned is None or last.planned is None:
        return None
    if now <= first.at or now >= last.at:
        return first.planned if now <= first.at else last.planned
    moments = [point.at for point in points]
    passed = moments[: bisect_right(moments, now)]
    found = planned(campaign, curve, passed if passed[-1] == now else [*passed, now], first.planned)
    return found[-1] if found else None


async def _counted(
    services: Services, things: Mapping[str, Thing], campaign: Campaign, window: Window, counts: str, kept: int
) -> tuple[Counter[int], int]:
    """What was counted, by the beginning of its step, and how many figures could not be read. Everything of a campaign
    lies under one hash tag."""
    revisions = {
        trail.serial
        for one in things.values()
        if isinstance(one, Creative) and one.campaign == campaign.id
        for trail in one.revisions
    }
    bounds, tz = window.bounds(), window.tz
    days = None
    if window.begin < kept:
        last = local_day(min(window.end, kept) - 1, tz)
        days = Days(local_day(window.begin, tz), last, tz, kept)
    found: Counter[int] = Counter()
    unreadable = 0
    start, tags = bucket_of(window.begin), [tag_of(campaign.serial)]
    async for batch in read_cells(services.client, services.keys, start, window.end, days=days, tags=tags):
        unreadable += batch.unreadable
        when = day_bounds(batch.when, tz)[0] if isinstance(batch.when, date) else batch.when
        step = bounds[max(0, bisect_right(bounds, when) - 1)]
        for field, value in batch.cells.items():
            cell = decode_cell(field)
            if cell is not None and cell.figure == counts and cell.where.revision in revisions:
                found[step] += decode_count(value) or 0
    return found, unreadable


async def _curve(services: Services, things: Mapping[str, Thing], campaign: Campaign, now: int) -> Curve | None:
    """Of the slots that it books, as the workers that pace it see it."""
    slots = {
        one.serial: site.timezone
        for one in things.values()
        if isinstance(one, Slot) and one.state != "archived"
        if not {one.id, f"{one.site}/*"}.isdisjoint(campaign.slots)
        if isinstance(site := things.get(f"site:{one.site}"), Site)
    }
    weeks = await CurveStore(services.client, services.keys).read(slots)
    return together([(week, zone(slots[serial])) for serial, week in weeks.items()], zone(campaign.zone), now)


def _sites(things: Mapping[str, Thing], campaign: Campaign) -> list[Site]:
    names = {place.partition("/")[0] for place in campaign.slots}
    return [one for one in things.values() if isinstance(one, Site) and one.id in names]
