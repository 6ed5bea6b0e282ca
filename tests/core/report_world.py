"""Builders of the report tests: a small catalog, reports over it, and what every report keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from adserve.core.model import Advertiser, Campaign, Content, Creative, Price, Revision, Site, Slot, Thing
from adserve.core.report import Folding
from adserve.core.report_cells import Batch
from adserve.core.report_names import Names
from adserve.core.report_query import BELOW_SLOT, parse_query
from adserve.core.report_rows import COUNTS

NOW = 1_795_500_000
"""2026-11-24 06:00 UTC."""
DAY_S = 86_400
CLICK_S = 86_400
TODAY = NOW - NOW % DAY_S


def campaign(serial: int, advertiser: str = "acme", **fields: Any) -> Campaign:
    name = f"c{serial}"
    return Campaign(id=name, serial=serial, version=1, advertiser=advertiser, name=name.upper(), **fields)


def creative(serial: int, of: str, *revisions: int, name: str = "") -> Creative:
    """`revisions` are their serials, numbered from 1."""
    trail = tuple(Revision(number, one) for number, one in enumerate(revisions, 1))
    content = Content(revision=len(trail), serial=revisions[-1], click_url="https://shop.example/")
    return Creative(
        id=f"k{serial}", serial=serial, version=1, campaign=of, name=name or f"K{serial}", kind="text",
        content=content, revisions=trail,
    )  # fmt: skip


def things(
    *, first: Price | None = None, second: Price | None = None, flight: Mapping[str, Any] | None = None,
    slots: tuple[str, ...] = ("news/*", "blog/*"),
) -> list[Thing]:  # fmt: skip
    """Two sites, three slots, two campaigns of two advertisers, three creatives, four revisions."""
    return [
        Site(id="news", serial=1, version=1, name="News", timezone="Asia/Kolkata"),
        Site(id="blog", serial=2, version=1, name="Blog", timezone="Europe/Berlin"),
        Slot(id="news/top", serial=1, version=1, site="news", name="top", title="Top Post Ad"),
        Slot(id="news/foot", serial=2, version=1, site="news", name="foot"),
        Slot(id="blog/top", serial=3, version=1, site="blog", name="top"),
        Advertiser(id="acme", serial=1, version=1, name="Acme"),
        Advertiser(id="zeta", serial=2, version=1, name="Zeta"),
        campaign(1, price=first, slots=slots, **(flight or {})),
        campaign(2, "zeta", price=second, slots=slots),
        creative(1, "c1", 11, 12),
        creative(2, "c1", 21),
        creative(3, "c2", 31),
    ]


def make(
    batches: Iterable[Batch],
    by: str = "",
    asked: Mapping[str, str] | None = None,
    *,
    catalog: list[Thing] | None = None,
    now: int = NOW,
) -> dict[str, Any]:
    """A report over the week around `NOW`, unless asked otherwise."""
    params = {"from": "2026-11-20", "to": "2026-11-27", "by": by, **(asked or {})}
    query = parse_query(params, now=now, default_tz="UTC")
    folding = Folding(query, Names(catalog or things()), now=now, click_lifetime_s=CLICK_S)
    for batch in batches:
        folding.add(batch)
    return folding.report()


def rows(report: dict[str, Any], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in report["rows"]]


def check_sums(report: dict[str, Any]) -> None:
    """Rows add up to the totals in every count; what a slot alone has is nowhere in rows below it."""
    below = any(name in BELOW_SLOT for name in report["by"])
    for name in (*COUNTS, "measurable"):
        told = [row[name] for row in report["rows"]]
        if below and name in ("requests", "empty"):
            assert set(told) <= {None}
        else:
            assert sum(told) == report["totals"][name], (name, report["by"])


def revenue(report: dict[str, Any]) -> dict[str, int]:
    """Micro-units by currency, summed over rows."""
    found: dict[str, int] = {}
    for row in report["rows"]:
        if row["currency"]:
            found[row["currency"]] = found.get(row["currency"], 0) + round(float(row["revenue"]) * 1_000_000)
    return {currency: micros for currency, micros in found.items() if micros}
