"""The proof of the figures: the bits of the ledger against the counters, and what is still to come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adserve.core.audit import KINDS, Difference, compare
from adserve.core.model import Thing
from adserve.core.report_names import Names
from adserve.core.schedule import utc_label
from adserve.errors import StoreUnavailable
from adserve.flows.services import Services
from adserve.store.audit import read_hour, read_hours
from adserve.store.client import REPLY_ERRORS
from adserve.store.keys import HOUR_S
from adserve.store.ledger import retained_s
from adserve.store.spool import lying
from adserve.store.totals import add_up, campaigns_of, read_totals


async def audit(services: Services, spool: Path) -> dict[str, Any]:
    """The audit as JSON: `agrees`, the figures by campaign and day, every difference with the hour and the
    campaigns it can belong to. It covers the hours whose ledger is still kept (three days). Then `totals`: the
    campaigns whose totals, which caps go by, are not what all of the counters add up to."""
    now = int(services.clock())
    since = (now - min(retained_s(services.click_lifetime_s), services.keep_buckets_s)) // HOUR_S + 1
    rows: dict[tuple[str, str], Counter[str]] = {}
    wrong: list[dict[str, Any]] = []
    events = hours = 0
    try:
        _, things = await services.catalog.load_all()
        names = Names(things.values())
        async for hour in read_hours(services.client, services.keys, since):
            verdict = compare(hour.bits, hour.quarters)
            if verdict.differences:
                hour = await read_hour(services.client, services.keys, hour.tag, hour.hour)
                verdict = compare(hour.bits, hour.quarters)
            hours, events = hours + 1, events + verdict.events
            found = [*verdict.differences]
            if hour.unreadable:
                found.append(Difference("keys that cannot be read", 0, hour.unreadable))
            campaigns = set()
            for revision, figures in verdict.revisions.items():
                ad = names.revisions.get(revision)
                campaign = ad.campaign.id if ad else f"revision {revision}"
                campaigns.add(campaign)
                day = f"{datetime.fromtimestamp(hour.hour * HOUR_S, UTC):%Y-%m-%d}"
                rows.setdefault((day, campaign), Counter()).update(figures)
            for one in found:
                where = {"hour": utc_label(hour.hour * HOUR_S), "tag": hour.tag, "campaigns": sorted(campaigns)}
                wrong.append({**where, "figure": one.figure, "ledger": one.bits, "counters": one.counted})
        totals = await _totals(services, things)
    except REPLY_ERRORS as problem:
        raise StoreUnavailable("the store does not answer") from problem
    differing = {(one["hour"][:10], campaign) for one in wrong for campaign in one["campaigns"]}
    return {
        "agrees": not wrong and not totals,
        "since": utc_label(since * HOUR_S),
        "generated_at": utc_label(now),
        "hours": hours,
        "events": events,
        "pending": lying(spool, services.keys.prefix).events,
        "rows": [
            {
                "day": day,
                "campaign": campaign,
                **{name: figures[name] for name in ("impressions", "views", "clicks")},
                "agrees": (day, campaign) not in differing,
            }
            for (day, campaign), figures in sorted(rows.items())
        ],
        "differences": wrong,
        "totals": totals,
    }


async def _totals(services: Services, things: Mapping[str, Thing]) -> list[dict[str, Any]]:
    """Counters and totals only grow, so what the counters add up to lies between the totals before and after. A
    campaign that is newer than the catalog just read is none of `things`, and left to the next audit."""
    campaigns = campaigns_of(things.values())
    names = {one.serial: one.id for one in campaigns.values()}
    before = await read_totals(services.client, services.keys)
    counted = (await add_up(services.client, services.keys, campaigns, int(services.clock()))).total
    after = await read_totals(services.client, services.keys)
    return [
        {"campaign": names[serial], "figure": KINDS[kind], "totals": after.get((serial, kind), 0), "counters": sum_}
        for serial, kind in sorted({*after, *counted})
        if serial in names
        and not before.get((serial, kind), 0) <= (sum_ := counted[serial, kind]) <= after.get((serial, kind), 0)
    ]
