"""Reports: from the parameters of a call to figures, and the upkeep of the counters behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from adserve.core.access import Account, sees
from adserve.core.catalog import Catalog
from adserve.core.model import Thing
from adserve.core.report import Folding
from adserve.core.report_csv import to_csv
from adserve.core.report_names import Names
from adserve.core.report_query import FILTERS, Query, parse_query
from adserve.core.schedule import bucket_of, day_bounds, local_day
from adserve.errors import Invalid, NotFound, Problem, StoreUnavailable
from adserve.flows.services import Services
from adserve.store.client import REPLY_ERRORS, Redis
from adserve.store.keys import TAGS, Keys, tag_of
from adserve.store.reports import Days, last_day, read_cells, roll_up

log = structlog.get_logger("adserve")
ROLL_UP_S = 3600


async def report(
    services: Services, params: Mapping[str, str], account: Account, *, old: bool = True
) -> dict[str, Any] | str:
    """The answer to `GET /report`: JSON, or CSV text with `format=csv`. An account that is bound to an advertiser
    gets the figures of this one: its filter is always set. `old`: see `make_report`."""
    try:
        things = await services.catalog.all()
    except REPLY_ERRORS as problem:
        raise StoreUnavailable("the store does not answer") from problem
    names = await asyncio.to_thread(Names, things.values(), lambda one: sees(account, things, one))
    if account.advertiser is not None and not params.get("advertiser"):
        params = {**params, "advertiser": account.advertiser}
    found = await make_report(
        services.client,
        services.keys,
        names,
        params,
        now=int(services.clock()),
        click_lifetime_s=services.click_lifetime_s,
        keep_s=services.keep_buckets_s,
        old=old,
    )
    return to_csv(found) if params.get("format") == "csv" else found


async def make_report(
    client: Redis,
    keys: Keys,
    names: Names,
    params: Mapping[str, str],
    *,
    now: int,
    click_lifetime_s: int,
    keep_s: int,
    old: bool = True,
) -> dict[str, Any]:
    """The report as JSON. Invalid for a bad question or one that only quarter-hours could answer,
    NotFound for a filter that names nothing the other filters leave, StoreUnavailable. Without `old` it begins where
    whole days of quarter-hours are kept, at its end at the latest, and nothing is refused as rolled up."""
    asked = {name: params[name] for name in FILTERS if params.get(name)}
    query = parse_query(params, now=now, default_tz=names.default_zone(asked))
    missing = names.missing(query.filters)
    if missing is not None:
        raise NotFound(f"there is no {missing} with this id")
    tags = range(TAGS) if query.requests_known else sorted({tag_of(one.serial) for one in names.left(query.filters)})
    try:
        kept = await _kept_from(client, keys, query.tz, now, keep_s)
        if not old:
            whole = day_bounds(local_day(kept - 1, query.tz), query.tz)[1]
            query = replace(query, start=min(max(query.start, whole), query.end))
        days = rolled_days(query, names, kept) if old else None
        folding = Folding(query, names, now=now, click_lifetime_s=click_lifetime_s, kept=kept)
        async for batch in read_cells(client, keys, query.start, query.end, days=days, tags=tags):
            folding.add(batch)
    except REPLY_ERRORS as problem:
        raise StoreUnavailable("the store does not answer") from problem
    if days is not None and not _are_days_of(days, {names.zone_of(slot) for slot in folding.old_slots}):
        raise _rolled_up([_other_zone(days)])
    return await asyncio.to_thread(folding.report)  # up to 50,000 rows: not on the event loop


async def keep_rolled_up(services: Services, current: Callable[[], Catalog | None]) -> None:
    """Rolls quarter-hours older than the limit up to site-local days, for ever, while there is a catalog that may be
    worked with."""
    while True:
        try:
            if (catalog := current()) is not None:
                await roll_up_old(services, catalog.things)
        except REPLY_ERRORS:
            log.warning("roll_up_postponed")
        await asyncio.sleep(ROLL_UP_S)


async def roll_up_old(services: Services, things: Mapping[str, Thing]) -> int:
    """Moves quarter-hours past their time into days of their sites; how many."""
    names = await asyncio.to_thread(Names, things.values())

    def day_of(slot: int, bucket: int) -> str:
        return local_day(bucket, names.zone_of(slot)).strftime("%Y%m%d")

    return await roll_up(
        services.client,
        services.keys,
        now=int(services.clock()),
        keep_s=services.keep_buckets_s,
        day_of=day_of,
    )


async def _kept_from(client: Redis, keys: Keys, tz: ZoneInfo, now: int, keep_s: int) -> int:
    """Where the quarter-hours begin that nothing was rolled up of. Newer days were rolled up while a shorter time
    was set."""
    kept = bucket_of(now - keep_s)
    rolled = await last_day(client, keys, local_day(now, tz) + timedelta(days=1))
    if rolled is not None and rolled > local_day(kept, tz) + timedelta(days=1):
        return bucket_of(day_bounds(rolled, tz)[1])
    return kept


def rolled_days(query: Query, names: Names, kept: int) -> Days | None:
    """The rolled-up days that a query needs; None when it needs none. Invalid (`rolled_up`) when days of the sites
    cannot answer it. Of what is booked by somebody, figures say of which sites it is: `make_report` looks at these."""
    if query.start >= kept:
        return None
    tz = query.tz
    days = Days(local_day(query.start, tz), local_day(min(query.end, kept) - 1, tz), tz, kept)
    wrong = []
    if "hour" in query.by:
        wrong.append(("/by", f"hours are kept since {_since(days)}: ask for a later time, or by day"))
    if query.start > day_bounds(days.first, tz)[0]:
        wrong.append(("/from", f"before {_since(days)} whole days are kept: begin with a local day"))
    if query.end < kept and query.end < day_bounds(days.last, tz)[1]:
        wrong.append(("/to", f"before {_since(days)} whole days are kept: end with a local day"))
    if query.requests_known and not _are_days_of(days, names.zones(query.filters)):
        wrong.append(_other_zone(days))
    if wrong:
        raise _rolled_up(wrong)
    return days


def _since(days: Days) -> date:
    return local_day(days.moving_before, days.tz) + timedelta(days=1)


def _other_zone(days: Days) -> tuple[str, str]:
    return "/tz", f"before {_since(days)} days of the site's time zone are kept: ask for one site, in its tz"


def _rolled_up(wrong: Iterable[tuple[str, str]]) -> Invalid:
    return Invalid([Problem(pointer, detail, "rolled_up") for pointer, detail in wrong], code="rolled_up")


def _are_days_of(days: Days, zones: Iterable[ZoneInfo]) -> bool:
    """Whether days are those of sites in these zones."""
    return all(_same_days(days.tz, other, days.first, days.last) for other in zones)


def _same_days(one: ZoneInfo, other: ZoneInfo, first: date, last: date) -> bool:
    """Whether two zones have the same days from `first` to `last`, whatever they are called."""
    if one.key == other.key:
        return True
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return all(day_bounds(day, one) == day_bounds(day, other) for day in days)
