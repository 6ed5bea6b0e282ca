"""Counters to a report: fold every hash into rows, then name and finish the rows.

DESIGN. Hashes are folded one by one, so memory follows the rows of the answer, not the quarter-hours
it spans. A row is found by a tuple of values in the order of `by`; None stands for what a figure does
not have (what stayed empty has no campaign) or what the catalog does not know any more.

*Currencies.* A figure belongs to the currency counted beside it in its hash, else to that of its
campaign's price at the time, else to none. A row with two currencies becomes one row each, the request of a serve
stands beside it, and what belongs to none (what stayed empty, too) joins the first by name; so sums
agree however a report is split, and no row mixes money.

*Flat prices* (each that a campaign had, see `core.pricing`) are spread evenly over the flight, for the time
in which they were in force, up to the present quarter-hour. They have no share below the campaign nor by
slot, tier or device, and by site only where the campaign books one site: rows of such a campaign say
`null`, and so do totals that a filter cuts that way.

A request is a serve, a passback or a decision that stayed empty, so `requests` is their sum. It and
`empty` belong to a slot: `null` in rows split below it, or when a filter names something below it.
`measurable` equals `impressions`: every browser can measure a view so far. Split by `empty_reason`,
the requests that stayed empty stand in the rows of their reasons.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from adserve.core.model import Campaign, Price, Priced
from adserve.core.pricing import flat_prices, price_at
from adserve.core.report_cells import Batch, Group, Where, decode_batch
from adserve.core.report_keys import Key, Parts, find_place, find_times, make_key, show, sort_key, with_reason
from adserve.core.report_money import flat_share, flight
from adserve.core.report_names import Names, has_campaign
from adserve.core.report_query import BELOW_SLOT, TIME, Query
from adserve.core.report_rows import Sums, finish_row, finish_totals
from adserve.core.schedule import BUCKET_S, LATE_S, bucket_of, day_bounds, local_day, moment_label
from adserve.errors import Invalid, Problem

MAX_ROWS = 50_000
FLAT_DIMENSIONS = (*TIME, "advertiser", "campaign", "filter_reason", "empty_reason")
"""Splits in which every flat price has its place."""
OF_A_REQUEST = ("serves", "passbacks", "empty")
"""What a request comes to; one of them for each."""


class Folding:
    """A report in the making. `old_slots`: serials of slots with figures of before `kept`, from where on quarter-hours
    are kept (epoch seconds)."""

    def __init__(self, query: Query, names: Names, *, now: int, click_lifetime_s: int, kept: int = 0) -> None:
        self._query, self._names, self._now = query, names, now
        self._settles_s = click_lifetime_s + LATE_S
        self._kept = kept
        self.old_slots: set[int] = set()
        self._rows: dict[Key, Sums] = {}
        self._ends: dict[Key, int] = {}
        self._totals = Sums()
        self._unreadable = 0
        self._places: dict[Where, Parts | None] = {}
        self._requests_in_rows = query.requests_known and not any(name in BELOW_SLOT for name in query.by)

    def add(self, batch: Batch) -> None:
        """Folds one hash in. A quarter-hour outside the range is not looked at."""
        when, tz = batch.when, self._query.tz
        if isinstance(when, int) and not self._query.start <= when < self._query.end:
            return
        groups, unreadable = decode_batch(batch)
        self._unreadable += unreadable
        times, end = find_times(self._query, when)
        span = day_bounds(when, tz) if isinstance(when, date) else (when, when + BUCKET_S)
        old = isinstance(when, date) or when < self._kept
        for group in groups:
            if group.where not in self._places:
                self._places[group.where] = find_place(self._query, self._names, group.where)
            place = self._places[group.where]
            if place is not None:
                if old:
                    self.old_slots.add(group.where.slot)
                self._add_group(group, {**place, **times}, end, span)

    def report(self) -> dict[str, Any]:
        """The finished report."""
        query, names = self._query, self._names
        for campaign in names.campaigns.values():
            if has_campaign(campaign, query.filters):
                for price, flat, until in flat_prices(campaign):
                    self._add_flat(campaign, price, flat, until)
        rows = []
        for key in sorted(self._rows, key=sort_key):
            shown = show(query, names, key)
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

    def _add_group(self, group: Group, parts: Parts, end: int, span: tuple[int, int]) -> None:
        """One slot, revision, tier and device of one hash."""
        ad = self._names.revisions.get(group.where.revision)
        price = price_at(ad.campaign, span[0]) if ad else None
        counted = sorted(cell.detail for cell, _ in group.figures if cell.figure == "micros")
        currency = counted[0] if counted else price.currency if price else None
        for cell, count in group.figures:
            if cell.figure == "micros":
                self._totals.micros[cell.detail] += count
                self._row(parts, end).micros[cell.detail] += count
                continue
            rows = [self._totals]
            if cell.figure != "empty" or self._requests_in_rows:
                rows.append(self._row(with_reason(parts, cell), end))
            for row in rows:
                row.counts[currency][cell.figure] += count
                if cell.figure in OF_A_REQUEST:
                    row.counts[currency]["requests"] += count
        if ad is not None:
            self._leave_open(ad.campaign, parts, end, span)

    def _leave_open(self, campaign: Campaign, parts: Parts, end: int, span: tuple[int, int]) -> None:
        """Says `null` for the money of flat prices that have no share in a row, or in the totals."""
        for price, flat, until in flat_prices(campaign):
            starts, ends = flight(flat) or (0, until)
            if min(span[1], ends, until) <= max(span[0], starts, flat.since):
                continue
            if not self._flat_fits(flat, self._query.by):
                self._row(parts, end).open.add(price.currency)
            if not self._flat_fits(flat, ()):
                self._totals.open.add(price.currency)

    def _add_flat(self, campaign: Campaign, price: Price, flat: Priced, until: int) -> None:
        """The shares of a flat price that was in force `until` then, one for each row it reaches into."""
        window, query = flight(flat), self._query
        if window is None or not self._flat_fits(flat, ()):
            return
        present = bucket_of(self._now) + BUCKET_S
        start, end = max(window[0], flat.since, query.start), min(window[1], until, query.end, present)
        if start >= end:
            return
        self._totals.micros[price.currency] += flat_share(price.micros, window, start, end)
        if not self._flat_fits(flat, query.by):
            return
        place: Parts = {"advertiser": campaign.advertiser, "campaign": campaign.id, "site": flat.site}
        while start < end:
            times, row_end = find_times(query, start)
            piece_end = min(self._piece_end(start), end)
            row = self._row({**place, **times}, row_end)
            row.micros[price.currency] += flat_share(price.micros, window, start, piece_end)
            start = piece_end

    def _piece_end(self, moment: int) -> int:
        """When the row of a moment may end at the earliest."""
        if "hour" in self._query.by:
            return bucket_of(moment) + BUCKET_S
        if any(name in TIME for name in self._query.by):
            return day_bounds(local_day(moment, self._query.tz), self._query.tz)[1]
        return self._query.end

    def _flat_fits(self, flat: Priced, by: tuple[str, ...]) -> bool:
        """Whether a flat price has a share under the filters, in rows split so."""
        filters = self._query.filters
        if flight(flat) is None or "creative" in filters or "slot" in filters:
            return False
        if filters.get("site", flat.site) != flat.site:
            return False
        return all(name in FLAT_DIMENSIONS or (name == "site" and flat.site is not None) for name in by)

    def _row(self, parts: Parts, end: int) -> Sums:
        key = make_key(self._query, parts)
        found = self._rows.get(key)
        if found is None:
            if len(self._rows) >= MAX_ROWS:
                detail = f"gives more than {MAX_ROWS} rows: split less finely, or ask for a shorter time"
                raise Invalid([Problem("/by", detail, "too_many_rows")])
            found = self._rows[key] = Sums()
            self._ends[key] = end
        return found

    def _notes(self) -> list[str]:
        notes = []
        if self._query.widened:
            notes.append("from and to are widened to whole quarter-hours, in which events are counted")
        if self._unreadable:
            notes.append(f"{self._unreadable} stored counters could not be read and are left out")
        if any(name in ("campaign", "creative", "revision") for name in self._query.by):
            notes.append("weights are exact for the first slot of a page; slots that never repeat shift the rest")
        return notes
