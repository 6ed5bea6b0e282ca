"""The start page: what waits, what is behind, how today goes, and whether all is well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from adserve.charts.sparkline import sparkline
from adserve.flows.overview import LISTED, Behind, Overview, Today, overview
from adserve.web.console.page import EVERYONE, HOME, Call, Page
from adserve.web.console.table import Cell, Column, Table, Value
from adserve.web.console.words import FIGURES, RATES, advice, rate, reason

EXPORTED = 10_000
"""Lines of a file."""
COMPARED = ("requests", "impressions", "views", "clicks", "ctr", "fill_rate")
_BEHIND = (Column("Campaign"), Column("Behind by", number=True), Column("In words"))
_EMPTY = (Column("Slot"), Column("Why"), Column("Requests", number=True), Column("What to do"))
_WAITING = (Column("Creative"), Column("Campaign"), Column("Kind"))
_REJECTED = (Column("Creative"), Column("Campaign"), Column("Why"))


async def home(call: Call) -> Response:
    """With `format=csv` one of its tables, whole."""
    whole = call.query.get("format") == "csv"
    found = await overview(call.services, call.account, EXPORTED if whole else LISTED)
    staff = call.account.advertiser is None
    tables = {
        "today": _compared(found.today) if found.today else None,
        "waiting": _waiting(call, found),
        "rejected": None if staff else _rejected(call, found),
        "behind": _behind(call, found.behind) if found.behind is not None else None,
        "empty": _empty(call, found.empty) if staff and found.empty is not None else None,
    }
    wanted = tables.get(call.query.get("table", ""))
    if whole and wanted is not None:
        return wanted.csv()
    return call.show(
        "home.html.j2",
        title="Overview",
        found=found,
        staff=staff,
        steps=_steps(call, found),
        warnings=call.console.warnings() if staff else (),
        today=tables["today"],
        waiting=tables["waiting"],
        rejected=tables["rejected"],
        behind=tables["behind"],
        empty=tables["empty"],
        line=_line(found.today) if found.today else "",
    )


def _steps(call: Call, found: Overview) -> list[tuple[str, str]]:
    """What to do first, where nothing is there yet: words and where."""
    if call.account.advertiser is not None:
        return [] if found.running else [("No campaign of yours runs now: ask the publisher to book one.", "")]
    if not found.sites:
        return [("Add a site, then a slot for each place on its pages.", "/console/sites")]
    return [] if found.running else [("No campaign runs now: book one.", "/console/campaigns")]


def _compared(today: Today) -> Table:
    """Today until the last quarter-hour, and yesterday until the same time of day."""
    columns = (
        Column("Figure"), Column("Today so far", number=True), Column(f"Today until {today.until}", number=True),
        Column(f"Yesterday until {today.until}", number=True), Column("Change", number=True),
    )  # fmt: skip
    names = [name for name in COMPARED if today.so_far[name] is not None]
    rows: list[list[Value]] = []
    for name in names:
        same, before = today.same, today.yesterday
        shown = [_shown(name, one) for one in (today.so_far, same, before)]
        rows.append([Cell(FIGURES[name][0], note=FIGURES[name][1]), *shown, _change(name, same, before)])
    return Table("today", "Today and yesterday", columns, rows, "Nothing was counted today.")


def _shown(name: str, row: Mapping[str, Any] | None) -> Value:
    if row is None:
        return None
    return rate(row[name]) if name in RATES else row[name]


def _change(name: str, same: Mapping[str, Any] | None, before: Mapping[str, Any] | None) -> Value:
    """By how much of yesterday's, for counts."""
    if name in RATES or same is None or before is None or not before[name]:
        return ""
    return f"{(same[name] - before[name]) / before[name]:+.0%}"


def _line(today: Today) -> Any:
    words = ", ".join(f"{at} h {count:,.0f}" for at, count in enumerate(today.hours))
    return sparkline(f"Impressions by hour of today: {words}", today.hours)


def _waiting(call: Call, found: Overview) -> Table:
    rows: list[list[Value]] = [
        [Cell(one.name, call.url(f"/console/creatives/{one.id}")), one.campaign, one.kind] for one in found.pending
    ]
    return Table("waiting", "Creatives that wait for review", _WAITING, rows, "Nothing waits for review.")


def _rejected(call: Call, found: Overview) -> Table:
    rows: list[list[Value]] = [
        [Cell(one.name, call.url(f"/console/creatives/{one.id}")), one.campaign, f"rejected: {one.reason}"]
        for one in found.rejected
    ]
    return Table("rejected", "Creatives that were rejected", _REJECTED, rows, "Nothing of yours was rejected.")


def _behind(call: Call, found: list[Behind]) -> Table:
    rows: list[list[Value]] = [
        [
            Cell(one.campaign.name, call.url(f"/console/campaigns/{one.campaign.id}/report")),
            f"{one.missing:.1%}",
            one.words,
        ]
        for one in found
    ]
    return Table("behind", "Campaigns behind their plan", _BEHIND, rows, "No campaign is behind its plan.")


def _empty(call: Call, found: list[tuple[str, str, int]]) -> Table:
    rows: list[list[Value]] = [
        [Cell(slot, call.url("/console/explain", place=slot)), reason(why), count, advice(why)]
        for slot, why, count in found
    ]
    return Table("empty", "Requests of today that stayed empty", _EMPTY, rows, "No slot stayed empty today.")


PAGES = (Page("GET", HOME, home, EVERYONE, nav="Overview"),)
