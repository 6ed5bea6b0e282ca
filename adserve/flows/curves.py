"""Learning when requests come: from the counters of quarter-hours that are complete to the curves of slots.

Any worker may fold, and one does at a time (`store.curves`). A quarter-hour is folded `SETTLE_S` after its end, when
served counts have arrived. What was missed, because no worker ran, is caught up as far as quarter-hours are kept;
those in which nothing at all was counted then say nothing: the service was away.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from secrets import token_hex
from zoneinfo import ZoneInfo

from adserve.core.catalog import Catalog
from adserve.core.curve import Curve, Learned, quarter_of, together
from adserve.core.model import Campaign
from adserve.core.report_cells import Batch, decode_cell, decode_count
from adserve.core.schedule import BUCKET_S, bucket_of, zone
from adserve.flows.services import Services
from adserve.store.client import REPLY_ERRORS
from adserve.store.curves import CurveStore
from adserve.store.reports import first_quarter, read_cells

LEARN_S, GO_ON_S = 20, 0.1
"""How often a worker asks whether a quarter-hour is complete, or others have learned from one; and how long it waits
when there is more to catch up."""
SETTLE_S = 30
"""How long after its end a quarter-hour is folded."""
AT_ONCE = 32
"""Quarter-hours folded in one go, when some were missed."""
CELLS_A_TURN = 5_000
"""Cells looked at before the event loop has its turn."""
_REQUESTS = {"serves", "passbacks", "empty"}


class Curves:
    """What one worker knows of the slots. `version` is raised by whatever is newly known."""

    def __init__(self) -> None:
        self._weeks: Mapping[int, Learned] = {}
        self._made: dict[tuple[str, frozenset[int]], Curve | None] = {}
        self.version = 0

    def renew(self, weeks: Mapping[int, Learned], version: int) -> None:
        """Takes what was learned, by the serial of the slot."""
        self._weeks, self._made, self.version = weeks, {}, version

    def week(self, slot: int) -> Learned | None:
        """What is known of one slot."""
        return self._weeks.get(slot)

    def of(self, campaign: Campaign, catalog: Catalog, now: int) -> Curve | None:
        """The curve of the slots that a campaign books, in its zone; None when nothing is known of any."""
        slots = booked(campaign, catalog)
        key = campaign.zone, frozenset(slots)
        if key not in self._made:
            known = [(self._weeks[slot], zone(tz)) for slot, tz in slots.items() if slot in self._weeks]
            self._made[key] = together(known, zone(campaign.zone), now)
        return self._made[key]


def booked(campaign: Campaign, catalog: Catalog) -> dict[int, str]:
    """The slots of a campaign: serial to the zone of the site."""
    found = {}
    for place in campaign.slots:
        whole = place.endswith("/*")
        several = catalog.pages.get(place[:-2], ()) if whole else (catalog.slots.get(place),)
        found.update({one.slot.serial: one.site.timezone for one in several if one is not None})
    return found


async def follow(services: Services, curves: Curves, catalog: Callable[[], Catalog | None]) -> None:
    """The task of a worker, without end: learns, and takes what others have learned. `catalog` is None while the
    store may not be written to. What a store that is away keeps from it, a later round does."""
    who = token_hex(8)
    while True:
        more, known = False, catalog()
        with contextlib.suppress(*REPLY_ERRORS):
            if known is not None:
                more = await learn(services, known, who)
                if not more:
                    await load(services, curves)
        await asyncio.sleep(GO_ON_S if more else LEARN_S)


async def learn(services: Services, catalog: Catalog, who: str) -> bool:
    """Folds the quarter-hours that are complete and not folded yet; whether there is more to do at once.
    `who`: a name of this worker."""
    store = CurveStore(services.client, services.keys)
    complete = bucket_of(int(services.clock()) - SETTLE_S)
    folded = await store.folded()
    if folded > complete + BUCKET_S:  # the store's clock was set back: what was folded stays
        return False
    start = max(folded, complete - services.keep_buckets_s)
    if start >= complete or not await store.claim(who):
        return False
    first = await first_quarter(services.client, services.keys, start)
    start = min(max(start, bucket_of(first or complete)), complete - BUCKET_S)
    end = min(complete, start + AT_ONCE * BUCKET_S)
    zones = {serial: zone(slot.site.timezone) for serial, slot in catalog.slot_serials.items()}
    seen = await _requests(services, start, end)
    weeks = await store.read()
    changed = {}
    for serial, tz in zones.items():
        week = weeks.get(serial, Learned())
        counts = _of_slot(serial, week, tz, seen, start, end, complete)
        if counts:
            changed[serial] = await asyncio.sleep(0, week.seen(counts, end))
    await store.write(changed | {serial: None for serial in weeks if serial not in zones}, end)
    return end < complete


def _of_slot(
    serial: int, week: Learned, tz: ZoneInfo, seen: Mapping[int, Counter[int]], start: int, end: int, complete: int
) -> list[tuple[int, int]]:
    """What a slot's week has not seen yet: from its first request on."""
    counts: list[tuple[int, int]] = []
    for bucket in range(max(start, week.at), end, BUCKET_S):
        requests = seen[bucket][serial] if bucket in seen else 0
        told = bucket in seen or bucket + BUCKET_S == complete
        if requests or (told and (week.at or counts)):
            counts.append((quarter_of(bucket, tz), requests))
    return counts


async def _requests(services: Services, start: int, end: int) -> dict[int, Counter[int]]:
    """Requests of each slot by quarter-hour, for those in which anything was counted."""
    found: dict[int, Counter[int]] = defaultdict(Counter)
    looked_at = 0
    async for batch in read_cells(services.client, services.keys, start, end):
        _add(batch, found)
        looked_at += len(batch.cells)
        if looked_at >= CELLS_A_TURN:
            looked_at = 0
            await asyncio.sleep(0)
    return found


def _add(batch: Batch, found: dict[int, Counter[int]]) -> None:
    """The requests of one counter hash: serves, passbacks and what stayed empty."""
    if not isinstance(batch.when, int):
        return
    of_quarter = found[batch.when]
    for field, count in batch.cells.items():
        cell = decode_cell(field)
        if cell is not None and cell.figure in _REQUESTS:
            of_quarter[cell.where.slot] += decode_count(count) or 0


async def load(services: Services, curves: Curves) -> None:
    """Brings what a worker knows up to date, if anything was folded since."""
    store = CurveStore(services.client, services.keys)
    folded = await store.folded()
    if folded != curves.version:
        curves.renew(await store.read(), folded)
