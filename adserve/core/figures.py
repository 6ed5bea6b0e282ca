"""Counter cells to rows: folding, rates, money, CSV. Counts are integers, rates null where nothing divides.

A cell's serves are at least its impressions: an impression proves its serve, while up to 100 ms of
served counts may be lost when a worker is killed. `measurable` equals the impressions, because every
impression of ours can be measured for viewability. Money is kept in millionths and shown as text.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from adserve.core.model import DEVICES, TIERS
from adserve.core.query import Query
from adserve.core.schedule import day_bounds, hour_label, local_day, month_label, week_start

COUNTS = (
    "requests",
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
)
_METRIC = {"q": "requests", "s": "serves", "i": "impressions", "v": "views", "c": "clicks", "u": "clicks_unseen"}
_METRIC |= {"d": "duplicates", "p": "passbacks", "li": "late", "lv": "late", "lc": "late"}
NAMED = ("site", "slot", "advertiser", "campaign", "creative")


class SlotNames(NamedTuple):
    site: str
    site_name: str
    slot: str
    slot_name: str
    tz: str


class Flat(NamedTuple):
    """A flat price: millionths of the currency, spread over [start, end)."""

    micros: int
    currency: str
    start: int
    end: int


class RevisionNames(NamedTuple):
    creative: str
    creative_name: str
    revision: int
    campaign: str
    campaign_name: str
    advertiser: str
    advertiser_name: str


@dataclass(frozen=True, slots=True)
class Names:
    """Serials to ids and names, archived ones too."""

    slots: Mapping[int, SlotNames]
    revisions: Mapping[int, RevisionNames]
    flats: Mapping[str, Flat]
    """Flat prices by campaign."""


class Count(NamedTuple):
    """One stored count: when (a quarter-hour, or the start of a rolled-up local day), where, what."""

    at: int
    slot: int
    revision: int
    tier: int
    device: int
    metric: str
    value: int


def parse_cell(at: int, cell: str, value: str) -> Count | None:
    """A stored field and value; None when they are no cell of ours."""
    try:
        slot, revision, tier, device, metric = cell.split(".", 4)
        return Count(at, int(slot), int(revision), int(tier), int(device), metric, int(value))
    except ValueError:
        return None


def fold(query: Query, counts: Iterable[Count], names: Names, *, now: int, final_after_s: int) -> dict[str, Any]:
    """The report of a question over counts within its range."""
    cells: defaultdict[tuple[tuple[str, Any], ...], defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    impressions_by: defaultdict[tuple[int, int, int, int, int], list[int]] = defaultdict(lambda: [0, 0])
    for count in counts:
        if _wanted(query, count, names):
            key = _key(query, count, names)
            if key is None:
                continue
            _add(cells[key], count)
            if count.metric in ("s", "i"):
                impressions_by[count[:5]][count.metric == "i"] += count.value
    for place, (serves, impressions) in impressions_by.items():
        if impressions > serves:  # the lost part of a flush: the impression proves the serve
            missing = Count(*place, "s", impressions - serves)
            key = _key(query, missing, names)
            if key is not None:
                _add(cells[key], missing)
    _flat_money(query, cells, names)
    rows = []
    for key in sorted(cells, key=_order):
        figures = cells[key]
        currencies: list[str | None] = [*sorted(name[2:] for name in figures if name.startswith("m."))] or [None]
        for at, currency in enumerate(currencies):
            keep = figures if at == 0 else {}
            rows.append(
                {
                    **dict(key),
                    **_figures(query, keep, figures.get(f"m.{currency}"), currency),
                    **_final(query, dict(key), now, final_after_s),
                }
            )
    return _whole(query, rows, cells.values(), now, final_after_s)


def _whole(
    query: Query, rows: list[dict[str, Any]], cells: Iterable[Mapping[str, int]], now: int, final_after_s: int
) -> dict[str, Any]:
    sums: defaultdict[str, int] = defaultdict(int)
    for figures in cells:
        for name, value in figures.items():
            sums[name] += value
    currencies = sorted(name[2:] for name in sums if name.startswith("m."))
    one = currencies[0] if len(currencies) == 1 else None
    totals = _figures(query, sums, sums.get(f"m.{one}") if one else None, one)
    if len(currencies) > 1:
        totals["revenue_by_currency"] = {currency: _money(sums[f"m.{currency}"]) for currency in currencies}
    return {
        "from": _stamp(query.start, query),
        "to": _stamp(query.end, query),
        "tz": query.tz.key,
        "by": list(query.by),
        "generated_at": datetime.fromtimestamp(now, UTC).isoformat().replace("+00:00", "Z"),
        "final_at": _stamp(query.end + final_after_s, query),
        "rows": rows,
        "totals": totals,
    }


def _stamp(at: int, query: Query) -> str:
    return datetime.fromtimestamp(at, query.tz).isoformat()


def _order(key: tuple[tuple[str, Any], ...]) -> tuple[tuple[bool, str], ...]:
    return tuple((value is None, f"{value:09d}" if isinstance(value, int) else str(value)) for _, value in key)


def _wanted(query: Query, count: Count, names: Names) -> bool:
    """Whether a count passes the filters. A slot's own counts pass only filters of site and slot."""
    filters = query.filters
    if not filters:
        return True
    slot = names.slots.get(count.slot)
    if "site" in filters and (slot is None or slot.site != filters["site"]):
        return False
    if "slot" in filters and (slot is None or filters["slot"] not in (slot.slot, f"{slot.site}/{slot.slot}")):
        return False
    below = [name for name in ("advertiser", "campaign", "creative") if name in filters]
    if not below:
        return True
    revision = names.revisions.get(count.revision)
    return revision is not None and all(getattr(revision, name) == filters[name] for name in below)


def _key(query: Query, count: Count, names: Names) -> tuple[tuple[str, Any], ...] | None:
    """The row of a count; None when it belongs to no row of this split."""
    own_of_slot = count.revision == 0
    found: list[tuple[str, Any]] = []
    slot, revision = names.slots.get(count.slot), names.revisions.get(count.revision)
    for name in query.by:
        if name in ("hour", "day", "week", "month"):
            found.append((name, time_label(name, count.at, query)))
        elif name in ("site", "slot"):
            found.append((name, getattr(slot, name) if slot else f"({count.slot})"))
            found.append((f"{name}_name", getattr(slot, f"{name}_name") if slot else None))
        elif name == "device":
            found.append((name, DEVICES[count.device] if count.device < len(DEVICES) else "unknown"))
        elif name == "empty_reason":
            found.append((name, count.metric[2:] if count.metric.startswith("e.") else None))
        elif own_of_slot:
            return None  # requests have no row below the slot
        elif name == "tier":
            found.append((name, TIERS[count.tier] if count.tier < len(TIERS) else "unknown"))
        elif name == "filter_reason":
            found.append((name, count.metric.partition(".")[2] if count.metric.startswith("f") else None))
        elif name == "revision":
            found.append((name, revision.revision if revision else count.revision))
        else:
            found.append((name, getattr(revision, name) if revision else f"({count.revision})"))
            found.append((f"{name}_name", getattr(revision, f"{name}_name") if revision else None))
    return tuple(found)


def time_label(name: str, at: int, query: Query) -> str:
    """The local hour (with its offset), day, Monday of the week, or month of a moment."""
    if name == "hour":
        return hour_label(at, query.tz)
    day = local_day(at, query.tz)
    if name == "week":
        return week_start(day).isoformat()
    return month_label(day) if name == "month" else day.isoformat()


def _add(figures: defaultdict[str, int], count: Count) -> None:
    if count.metric.startswith("f"):
        figures["filtered"] += count.value
    elif count.metric.startswith("e."):
        figures["empty"] += count.value
    elif count.metric.startswith("m."):
        figures[count.metric] += count.value
    elif count.metric in _METRIC:
        figures[_METRIC[count.metric]] += count.value


def _flat_money(query: Query, cells: Any, names: Names) -> None:
    """Spreads flat prices over the flight; only splits by time and campaign or above can carry them."""
    if any(name not in ("day", "hour", "week", "month", "campaign") for name in query.by):
        return
    if any(name not in ("campaign",) for name in query.filters):
        return
    for campaign, flat in names.flats.items():
        if query.filters.get("campaign", campaign) != campaign:
            continue
        revision = next((one for one in names.revisions.values() if one.campaign == campaign), None)
        start, end = max(flat.start, query.start), min(flat.end, query.end)
        at = start - start % 900
        while at < end:
            until = at + 900 if {"day", "hour", "week", "month"} & {*query.by} else end
            share = flat.micros * (min(until, end) - flat.start) // (flat.end - flat.start)
            share -= flat.micros * (max(at, start) - flat.start) // (flat.end - flat.start)
            key: list[tuple[str, Any]] = []
            for name in query.by:
                if name == "campaign":
                    key += [(name, campaign), (f"{name}_name", revision.campaign_name if revision else None)]
                else:
                    key.append((name, time_label(name, at, query)))
            cells[tuple(key)][f"m.{flat.currency}"] += share
            at = until


def _figures(query: Query, figures: Mapping[str, int], micros: int | None, currency: str | None) -> dict[str, Any]:
    counts: dict[str, Any] = {name: figures.get(name, 0) for name in COUNTS}
    counts["measurable"] = impressions = counts["impressions"]
    fill: float | None = _rate(counts["serves"], counts["requests"])
    if query.below_slot:
        counts["requests"] = fill = None
    if "empty_reason" in query.by:
        counts["empty"] = figures.get("empty", 0)
    return {
        **counts,
        "fill_rate": fill,
        "ctr": _rate(counts["clicks"], impressions),
        "viewability": _rate(counts["views"], impressions),
        "ecpm": _money(micros * 1000 // impressions) if micros is not None and impressions else None,
        "revenue": _money(micros) if micros is not None else None,
        "currency": currency,
    }


def _rate(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def _money(micros: int) -> str:
    text = f"{Decimal(micros) / 1_000_000:.6f}".rstrip("0")
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.ljust(2, '0')}"


def _final(query: Query, key: Mapping[str, Any], now: int, final_after_s: int) -> dict[str, bool]:
    """Whether nothing can be added to a row any more."""
    end = query.end
    if "hour" in key:
        end = int(datetime.fromisoformat(key["hour"]).timestamp()) + 3600
    elif "day" in key:
        end = day_bounds(date.fromisoformat(key["day"]), query.tz)[1]
    return {"final": now >= min(end, query.end) + final_after_s}


def to_csv(report: Mapping[str, Any]) -> str:
    """RFC 4180, one header line. Text that a spreadsheet would read as a formula is guarded."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    rows = report["rows"]
    header = list(rows[0]) if rows else [*report["by"], *report["totals"]]
    writer.writerow(header)
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in header])
    return out.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = str(value)
    return "'" + text if isinstance(value, str) and text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
