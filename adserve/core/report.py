"""Counters to a report: fold every hash into rows, then name and finish the rows.

DESIGN. Hashes are folded one by one, so memory follows the rows of the answer, not the quarter-hours
it spans. A row is found by a tuple of values in the order of `by`; None stands for what a figure does
not have (passbacks of an empty slot have no campaign) or what the catalog does not know.

*Currencies.* A figure belongs to the currency counted beside it in its hash, else to that of its
campaign's price, else to none. A row with two currencies becomes one row each, and what belongs to
none joins the first by name; so sums agree however a report is split, and no row mixes money.

*Flat prices* are spread evenly over the flight, up to the present quarter-hour. They have no share
below the campaign nor by slot, tier or device, and by site only where the campaign books one site:
rows of such a campaign say `null`, and so do totals that a filter cuts that way.

`requests` and `empty` belong to a slot: `null` in rows split below it or when a filter names
something below it. `measurable` equals `impressions`: every browser can measure a view so far.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from adserve.core.model import DEVICES, TIERS, Campaign
from adserve.core.report_cells import Batch, Cell, Group, Where, decode_batch
from adserve.core.report_money import flat_share, flight
from adserve.core.report_names import Names, has_ad, has_campaign, has_slot, only_site
from adserve.core.report_query import BELOW_SLOT, TIME, Query
from adserve.core.report_rows import Sums, finish_row, finish_totals
from adserve.core.schedule import (
    BUCKET_S,
    bucket_of,
    day_bounds,
    hour_start,
    local_day,
    moment_label,
    month_label,
    next_month,
    week_start,
)
from adserve.errors import Invalid, Problem

LATE_S = 48 * 3600
"""How long after its lifetime a late event is still counted as late."""
MAX_ROWS = 50_000
FLAT_DIMENSIONS = (*TIME, "advertiser", "campaign", "filter_reason", "empty_reason")
"""Splits in which a flat price has a place."""
Value = str | int | tuple[str, int] | None
Key = tuple[Value, ...]


def fold(query: Query, batches: Iterable[Batch], names: Names, *, now: int, click_lifetime_s: int) -> dict[str, Any]:
    """The report of all these hashes; ready for JSON."""
    folding = Folding(query, names, now=now, click_lifetime_s=click_lifetime_s)
    for batch in batches:
        folding.add(batch)
    return folding.report()


class Folding:
    """A report in the making."""

    def __init__(self, query: Query, names: Names, *, now: int, click_lifetime_s: int) -> None:
        self._query, self._names, self._now = query, names, now
        self._settles_s = click_lifetime_s + LATE_S
        self._rows: dict[Key, Sums] = {}
        self._ends: dict[Key, int] = {}
        self._totals = Sums()
        self._unreadable = 0
        self._places: dict[Where, dict[str, Value] | None] = {}
        self._requests_in_rows = query.requests_known and not any(name in BELOW_SLOT for name in query.by)

    def add(self, batch: Batch) -> None:
        """Folds one hash in. One outside the range is not looked at."""
        when = batch.when
        if isinstance(when, int) and not self._query.start <= when < self._query.end:
            return
        groups, unreadable = decode_batch(batch)
        self._unreadable += unreadable
        times, end = self._times(when)
        span = day_bounds(when, self._query.tz) if isinstance(when, date) else (when, when + BUCKET_S)
        for group in groups:
            place = self._place(group.where)
            if place is not None:
                self._add_group(group, {**place, **times}, end, span)

    def report(self) -> dict[str, Any]:
        """The finished report."""
        query = self._query
        for campaign in self._names.campaigns.values():
            if has_campaign(campaign, query.filters):
                self._add_flat(campaign)
        rows = []
        for key in sorted(self._rows, key=lambda one: [(value is None, value) for value in one]):
            shown = self._shown(key)
            final = self._ends[key] + self._settles_s <= self._now
            for figures in finish_row(self._rows[key], requests=self._requests_in_rows):
                rows.append({**shown, **figures, "final": final})
        return {
            "from": moment_label(query.start, query.tz),
            "to": moment_label(query.end, query.tz),
            "tz": query.tz.key,
            "by": list(query.by),
            "generated_at": moment_label(self._now, query.tz),
            "final_at": moment_label(query.end + self._settles_s, query.tz),
            "unreadable": self._unreadable,
            "notes": self._notes(),
            "rows": rows,
            "totals": finish_totals(self._totals, requests=query.requests_known),
        }

    def _add_group(self, group: Group, parts: dict[str, Value], end: int, span: tuple[int, int]) -> None:
        """One slot, revision, tier and device of one hash."""
        ad = self._names.revisions.get(group.where.revision)
        currencies = sorted(cell.detail for cell, _ in group.figures if cell.figure == "micros")
        own = ad.campaign.price.currency if ad and ad.campaign.price else None
        currency = currencies[0] if currencies else own
        totals, plain = self._totals, self._row(parts, end) if self._has_row(group) else None
        for cell, count in group.figures:
            if cell.figure in ("requests", "empty") and not self._query.requests_known:
                continue
            row = self._row(_with_reason(parts, cell), end) if cell.detail else plain
            if cell.figure == "micros":
                totals.micros[cell.detail] += count
                if row:
                    row.micros[cell.detail] += count
                continue
            totals.counts[currency][cell.figure] += count
            if cell.figure in ("requests", "empty") and not self._requests_in_rows:
                continue
            if row:
                row.counts[currency][cell.figure] += count
            if cell.figure == "empty" and "empty_reason" in self._query.by and row and plain:
                # an empty decision is one of the requests: it moves to the row of its reason
                row.counts[currency]["requests"] += count
                plain.counts[currency]["requests"] -= count
        if ad and ad.campaign.price and own and not self._flat_fits(ad.campaign, self._query.by):
            self._leave_open(ad.campaign, own, plain, span)

    def _has_row(self, group: Group) -> bool:
        """False for what a slot alone has, in a report split below the slot."""
        return self._requests_in_rows or any(c.figure not in ("requests", "empty") for c, _ in group.figures)

    def _leave_open(self, campaign: Campaign, currency: str, row: Sums | None, span: tuple[int, int]) -> None:
        """Says `null` for the money of a flat price that has no share here."""
        window = flight(campaign)
        if campaign.price is None or campaign.price.model != "flat":
            return
        if window is not None and (span[1] <= window[0] or span[0] >= window[1]):
            return
        if row:
            row.open.add(currency)
        if window is None or not self._flat_fits(campaign, ()):
            self._totals.open.add(currency)

    def _add_flat(self, campaign: Campaign) -> None:
        """The shares of a flat price, a row's worth at a time."""
        window = flight(campaign)
        if window is None or campaign.price is None or not self._flat_fits(campaign, ()):
            return
        present = bucket_of(self._now) + BUCKET_S
        start, end = max(window[0], self._query.start), min(window[1], self._query.end, present)
        price, currency = campaign.price.micros, campaign.price.currency
        if start >= end:
            return
        self._totals.micros[currency] += flat_share(price, window, start, end)
        if not self._flat_fits(campaign, self._query.by):
            return
        place: dict[str, Value] = {
            "advertiser": campaign.advertiser,
            "campaign": campaign.id,
            "site": only_site(campaign),
        }
        while start < end:
            times, row_end = self._times(bucket_of(start))
            until = min(self._piece_end(start), end)
            row = self._row({**place, **times}, row_end)
            row.micros[currency] += flat_share(price, window, start, until)
            start = until

    def _piece_end(self, moment: int) -> int:
        if "hour" in self._query.by:
            return bucket_of(moment) + BUCKET_S
        if any(name in TIME for name in self._query.by):
            return day_bounds(local_day(moment, self._query.tz), self._query.tz)[1]
        return self._query.end

    def _flat_fits(self, campaign: Campaign, by: tuple[str, ...]) -> bool:
        """Whether a flat price has a share under the filters, in rows split so."""
        filters, site = self._query.filters, only_site(campaign)
        if flight(campaign) is None or "creative" in filters or "slot" in filters:
            return False
        if "site" in filters and filters["site"] != site:
            return False
        return all(name in FLAT_DIMENSIONS or (name == "site" and site is not None) for name in by)

    def _place(self, where: Where) -> dict[str, Value] | None:
        """The values of a `Where`; None when the filters leave it out."""
        if where not in self._places:
            self._places[where] = self._find_place(where)
        return self._places[where]

    def _find_place(self, where: Where) -> dict[str, Value] | None:
        filters = self._query.filters
        slot = self._names.slot_serials.get(where.slot)
        ad = self._names.revisions.get(where.revision)
        if ("site" in filters or "slot" in filters) and (slot is None or not has_slot(slot, filters)):
            return None
        if not self._query.requests_known and (ad is None or not has_ad(ad, filters)):
            return None
        place: dict[str, Value] = {"device": where.device}
        if slot is not None:
            place |= {"site": slot.site, "slot": slot.id}
        if where.revision:
            place["tier"] = where.tier
        if ad is not None:
            place |= {"advertiser": ad.campaign.advertiser, "campaign": ad.campaign.id, "creative": ad.creative.id}
            place["revision"] = (ad.creative.id, ad.revision)
        return place

    def _times(self, when: int | date) -> tuple[dict[str, Value], int]:
        """The times of a hash as values, and the end of the shortest of them within the range."""
        query, tz = self._query, self._query.tz
        day = local_day(when, tz) if isinstance(when, int) else when
        times: dict[str, Value] = {}
        ends = [query.end]
        for name in query.by:
            if name == "hour":
                start = hour_start(when, tz) if isinstance(when, int) else day_bounds(day, tz)[0]
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

    def _row(self, parts: Mapping[str, Value], end: int) -> Sums:
        key = tuple(parts.get(name) for name in self._query.by)
        found = self._rows.get(key)
        if found is None:
            if len(self._rows) >= MAX_ROWS:
                detail = f"gives more than {MAX_ROWS} rows: split less finely, or ask for a shorter time"
                raise Invalid([Problem("/by", detail, "too_many_rows")])
            found = self._rows[key] = Sums()
            self._ends[key] = end
        return found

    def _shown(self, key: Key) -> dict[str, Any]:
        """The values of a row with their names."""
        shown: dict[str, Any] = {}
        for name, value in zip(self._query.by, key, strict=True):
            shown |= _SHOW.get(name, _show_plain)(name, value, self._names)
            if name == "hour" and isinstance(value, int):
                shown[name] = moment_label(value, self._query.tz)
        return shown

    def _notes(self) -> list[str]:
        notes = []
        if self._unreadable:
            notes.append(f"{self._unreadable} stored counters could not be read and are left out")
        if any(name in ("campaign", "creative", "revision") for name in self._query.by):
            notes.append("weights are exact for the first slot of a page; slots that never repeat shift the rest")
        return notes
