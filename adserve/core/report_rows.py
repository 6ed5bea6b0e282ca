"""The figures of a row: summed by currency, finished into what readers see."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from adserve.core.report_money import ecpm_text, money_text

FIGURES = (
    "requests",
    "empty",
    "serves",
    "impressions",
    "views",
    "measurable",
    "clicks",
    "clicks_unseen",
    "filtered",
    "late",
    "duplicates",
    "passbacks",
    "fill_rate",
    "ctr",
    "viewability",
    "ecpm",
    "revenue",
    "currency",
)
COUNTS = tuple(name for name in FIGURES[:12] if name != "measurable")
RATE_DECIMALS = 6


class Sums:
    """What a row adds up. Counts stand by the currency they belong to (None: to none), money in
    micro-units by its own; `open` holds currencies whose money cannot be said here."""

    __slots__ = ("counts", "micros", "open")

    def __init__(self) -> None:
        self.counts: defaultdict[str | None, Counter[str]] = defaultdict(Counter)
        self.micros: Counter[str] = Counter()
        self.open: set[str] = set()

    def currencies(self) -> list[str]:
        return sorted({one for one in self.counts if one is not None} | set(self.micros) | self.open)

    def all_counts(self) -> Counter[str]:
        every: Counter[str] = Counter()
        for counts in self.counts.values():
            every.update(counts)
        return every


def finish_row(sums: Sums, *, requests: bool) -> Iterator[dict[str, Any]]:
    """One row, or one a currency. Counts without a currency join the first by name."""
    currencies = sums.currencies()
    if len(currencies) <= 1:
        currency = currencies[0] if currencies else None
        yield _finish(sums.all_counts(), sums, currency, requests=requests, fill_rate=requests)
        return
    for currency in currencies:
        counts = Counter(sums.counts.get(currency, {}))
        if currency == currencies[0]:
            counts.update(sums.counts.get(None, {}))
        # what stayed empty would have been of any of these currencies: no row has a fill rate
        yield _finish(counts, sums, currency, requests=requests, fill_rate=False)


def finish_totals(sums: Sums, *, requests: bool) -> dict[str, Any]:
    """The same for all rows together; `revenue_by_currency` stands in for mixed money."""
    currencies = sums.currencies()
    mixed = len(currencies) > 1
    currency = currencies[0] if len(currencies) == 1 else None
    totals = _finish(sums.all_counts(), sums, currency, requests=requests, fill_rate=requests)
    if mixed:
        totals["ecpm"] = totals["revenue"] = None
        totals["revenue_by_currency"] = {one: _revenue(sums, one) for one in currencies}
    return totals


def _finish(
    counts: Counter[str], sums: Sums, currency: str | None, *, requests: bool, fill_rate: bool
) -> dict[str, Any]:
    # never below 0, whatever could not be read
    row: dict[str, Any] = {name: max(0, counts[name]) for name in COUNTS}
    row["measurable"] = row["impressions"]
    row["fill_rate"] = _rate(row["serves"], row["requests"]) if fill_rate else None
    if not requests:
        row["requests"] = row["empty"] = None
    row["ctr"] = _rate(row["clicks"], row["impressions"])
    row["viewability"] = _rate(row["views"], row["measurable"])
    row["revenue"] = _revenue(sums, currency)
    known = row["revenue"] is not None
    row["ecpm"] = ecpm_text(sums.micros[currency or ""], row["impressions"]) if known else None
    row["currency"] = currency
    return {name: row[name] for name in FIGURES}


def _revenue(sums: Sums, currency: str | None) -> str | None:
    return None if currency in sums.open else money_text(sums.micros[currency or ""])


def _rate(part: int, whole: int) -> float | None:
    return round(part / whole, RATE_DECIMALS) if whole else None
