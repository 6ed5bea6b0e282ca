"""What campaigns have in all and on their local days, added up from the counters.

DESIGN. `event.lua` adds to the totals in the call that counts, so nothing has to add them up while the service runs.
This does it for a store that older code has counted in, for one that was restored, and to prove them. One script call
sets the totals of a hash tag, so nobody sees half of them; a migration does it once, for a second one that is late
would take back what was counted since. Not chosen: totals that are added up at each start (a minute of reading in a
large store, before a campaign with a cap may serve).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from adserve.core.model import Campaign, Creative, Thing
from adserve.core.report_cells import Batch, decode_cell, decode_count
from adserve.core.schedule import local_day, zone
from adserve.store.catalog import CatalogStore
from adserve.store.client import Redis, Script, understood
from adserve.store.keys import TAGS, Keys, tag_of
from adserve.store.reports import every_cell

KEPT_DAYS = 4
"""How long the figures of a local day are kept."""
_FILL, _VERSION = Script("fill"), Script("version")
_ENDS = (".i", ".c")


class Sums(NamedTuple):
    """By campaign and `i` or `c`: in all, and by the ordinal of a local day those from `since` (epoch s) on."""

    total: Counter[tuple[int, str]]
    days: dict[int, Counter[tuple[int, str]]]


def campaigns_of(things: Iterable[Thing]) -> dict[int, Campaign]:
    """The campaign of every revision that ever was."""
    every = list(things)
    campaigns = {one.id: one for one in every if isinstance(one, Campaign)}
    return {
        revision.serial: campaigns[one.campaign]
        for one in every
        if isinstance(one, Creative) and one.campaign in campaigns
        for revision in one.revisions
    }


async def add_up(client: Redis, keys: Keys, campaigns: Mapping[int, Campaign], since: int) -> Sums:
    """Of all counters; Conflict when they were rolled up again and again while they were read."""
    found = Sums(Counter(), defaultdict(Counter))

    def add(batch: Batch) -> None:
        for field, value in batch.cells.items():
            if not field.endswith(_ENDS):
                continue
            cell, count = decode_cell(field), decode_count(value)
            campaign = campaigns.get(cell.where.revision) if cell is not None else None
            if campaign is None or count is None:
                continue
            name = (campaign.serial, field[-1])
            found.total[name] += count
            if isinstance(batch.when, int) and batch.when >= since:
                found.days[local_day(batch.when, zone(campaign.zone)).toordinal()][name] += count

    def begin_again() -> None:
        found.total.clear()
        found.days.clear()

    await every_cell(client, keys, add, begin_again)
    return found


@understood
async def fill(client: Redis, keys: Keys, *, again: bool = False) -> None:
    """Sets the totals of a store in which nothing is counted meanwhile. `again`: also where that was done before."""
    _, seconds, _ = await _VERSION.call(client, [keys.version], [])
    _, things = await CatalogStore(client, keys).load_all()
    now = int(seconds)
    campaigns = campaigns_of(things.values())
    sums = await add_up(client, keys, campaigns, now - (KEPT_DAYS + 1) * 86_400)
    for tag in range(TAGS):
        of_tag = {one.serial: one for one in campaigns.values() if tag_of(one.serial) == tag}
        names, lines = [keys.totals(tag)], _lines(1, sums.total, of_tag)
        for day, figures in sorted(sums.days.items()):
            its = {
                serial: one
                for serial, one in of_tag.items()
                if day > (local_day(now, zone(one.zone)) - timedelta(KEPT_DAYS)).toordinal()
            }
            if its:
                names.append(keys.today(tag, day))
                lines += _lines(len(names), figures, its)
        if lines or again:  # a late one that has nothing to say takes nothing back
            await _FILL.call(client, names, [int(again), KEPT_DAYS * 86_400, "".join(lines)])


@understood
async def read_totals(client: Redis, keys: Keys) -> dict[tuple[int, str], int]:
    """As they stand, by campaign and `i` or `c`."""
    found: dict[tuple[int, str], int] = {}
    for tag in range(TAGS):
        stored: Any = await client.hgetall(keys.totals(tag))
        for field, value in stored.items():
            serial, _, kind = str(field).partition(".")
            if serial.isdigit() and kind in ("i", "c") and str(value).isdigit():
                found[int(serial), kind] = int(value)
    return found


@understood
async def read_total(client: Redis, keys: Keys, serial: int, kind: str) -> int:
    """Impressions (`i`) or clicks (`c`) of one campaign in all."""
    reads: Any = client
    found = await reads.hget(keys.totals(tag_of(serial)), f"{serial}.{kind}")
    return int(found) if str(found).isdigit() else 0


def _lines(at: int, figures: Mapping[tuple[int, str], int], campaigns: Mapping[int, Campaign]) -> list[str]:
    return [f"{at} {serial}.{kind} {n}\n" for (serial, kind), n in figures.items() if n and serial in campaigns]



class Stood(NamedTuple):
    """Of one campaign: impressions in all and of a local day; serves of closed grants, and how many were confirmed."""

    total: int
    today: int
    issued: int
    confirmed: int


@understood
async def read_stood(client: Redis, keys: Keys, days: Mapping[int, int]) -> dict[int, Stood]:
    """How campaigns stand, by serial. `days`: the ordinals of their local days by serial."""
    reads: Any = client
    found = {}
    for serial, day in days.items():
        tag, field = tag_of(serial), f"{serial}.i"
        total = await reads.hget(keys.totals(tag), field)
        today = await reads.hget(keys.today(tag, day), field)
        grants = await reads.hmget(keys.grants(tag, serial), ["issued", "confirmed"])
        found[serial] = Stood(*(int(one) if str(one).isdigit() else 0 for one in (total, today, *grants)))
    return found
