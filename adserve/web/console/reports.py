"""Reports: what was counted, split and filtered as in the API, as table, chart and CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from markupsafe import Markup
from starlette.responses import Response

from adserve.charts.axis import Span, exact, percent
from adserve.charts.bars import Bar, bars
from adserve.charts.lines import Series, lines
from adserve.core.report_query import DIMENSIONS as SPLITS
from adserve.core.report_query import FILTERS, PERIODS, TIME
from adserve.core.schedule import day_bounds, zone
from adserve.errors import Invalid, NotFound, Problem
from adserve.flows import access
from adserve.flows.report import report
from adserve.web.console.form import asked as shown_again
from adserve.web.console.page import EVERYONE, Call, Page
from adserve.web.console.table import Cell, Column, Table, Value
from adserve.web.console.words import DIMENSIONS, FIGURES, RATES, UNKNOWN, rate, reason

REPORTS = "/console/reports"
SHOWN_ROWS, OFFERED = 500, 500
"""Rows of the page (the export has all), and names that a filter offers."""
LINES, BARS = 5, 12
"""Series and bars of the chart: the largest."""
CHARTS = ("impressions", "requests", "serves", "views", "clicks", *RATES)
FIRST = (
    "impressions", "views", "clicks", "ctr", "viewability", "requests", "serves", "fill_rate", "revenue", "currency",
)  # fmt: skip
MORE = ("empty", "passbacks", "clicks_unseen", "filtered", "late", "duplicates", "ecpm")
"""Figures that are shown always, and those that `more` adds."""


async def reports(call: Call) -> Response:
    """The report of a query. What is wrong with one is told beside its field, and nothing typed is lost."""
    asked = {"by": "day", "period": "", "figure": "impressions", **call.query}
    first, _, rest = asked["by"].partition(",")
    asked |= {"by": first, "then": rest or asked.get("then", "")}
    call.form = shown_again(asked)
    params = _params(asked)
    if asked.get("format") == "csv":
        text = await report(call.services, {**params, "format": "csv"}, call.account)
        headers = {"Content-Disposition": 'attachment; filename="report.csv"'}
        return Response(text, 200, headers, "text/csv; charset=utf-8")
    found: dict[str, Any] | None = None
    try:
        told = await report(call.services, params, call.account)
        found = told if isinstance(told, dict) else None
    except Invalid as refused:
        call.problems = refused.problems
    except NotFound as refused:
        call.problems = [Problem(_field(str(refused)), str(refused))]
    return call.show(
        "reports.html.j2",
        title="Reports",
        found=found,
        asked=asked,
        choices=await _choices(call, asked["then"]),
        chart=_chart(found, asked.get("figure", "")) if found else None,
        table=_table(call, found, more=bool(asked.get("more"))) if found else None,
        dashes=_dashes(found, more=bool(asked.get("more"))) if found else [],
        export=call.url(REPORTS, **{**call.query, "format": "csv"}),
        shown=SHOWN_ROWS,
    )


def _params(asked: Mapping[str, str]) -> dict[str, str]:
    """What the API would be asked. A second split stands in a field of its own."""
    params = {name: asked[name].strip() for name in ("from", "to", "period", "tz", *FILTERS) if asked.get(name)}
    by = [name for text in (asked.get("by", ""), asked.get("then", "")) for name in text.split(",") if name]
    return {**params, "by": ",".join(dict.fromkeys(by))}


def _field(said: str) -> str:
    """The filter that names nothing, out of what was said of it."""
    return next((f"/{name}" for name in FILTERS if f"no {name} with" in said), "")


async def _choices(call: Call, then: str) -> dict[str, Any]:
    """What the form offers: words of splits, and names that filters may have."""
    offered = {}
    for kind in FILTERS:
        things = (await access.visible(call.services, call.account, kind))[:OFFERED]
        offered[kind] = [(one.id, getattr(one, "title", "") or one.name) for one in things]
    splits = [(name, DIMENSIONS[name]) for name in SPLITS if call.account.advertiser is None or name != "advertiser"]
    return {
        "splits": splits,
        "more": splits if "," not in then else [(then, then.replace(",", ", ")), *splits],
        "periods": [("", "from and to"), *((one, {"month": "this month"}.get(one, one)) for one in PERIODS)],
        "figures": [(name, FIGURES[name][0]) for name in CHARTS],
        "offered": offered,
    }


def figures_of(*, more: bool) -> tuple[str, ...]:
    return (*FIRST, *MORE) if more else FIRST


def _table(call: Call, found: Mapping[str, Any], *, more: bool) -> Table:
    names = figures_of(more=more)
    columns = [Column(DIMENSIONS[name].capitalize()) for name in found["by"]] or [Column("All")]
    columns += [Column(FIGURES[name][0], FIGURES[name][1], number=name != "currency") for name in names]
    rows = [[*_head(call, found["by"], row), *cells(row, names)] for row in found["rows"][:SHOWN_ROWS]]
    totals = found["totals"]
    if rows:
        lead: list[Value] = ["Total", *([""] * (len(columns) - len(names) - 1))]
        rows.append([*lead, *cells(totals, names)])
    return Table("report", "Figures of the report", columns, rows, "Nothing was counted in this time: ask for another.")


def _head(call: Call, by: Sequence[str], row: Mapping[str, Any]) -> list[Value]:
    if not by:
        return ["all"]
    head: list[Value] = []
    for name in by:
        value = row[name]
        if name in TIME:
            head.append(_moment(name, value) if value is not None else "flight")
            continue
        words = _word(row, name)
        href = call.url(f"/console/campaigns/{value}/report") if name == "campaign" and value is not None else None
        note = str(value) if value is not None and words != value else None
        head.append(Cell(words, href, note=note))
    return head


def cells(row: Mapping[str, Any], names: Sequence[str]) -> list[Value]:
    """Figures as they are shown; a dash says why it is one."""
    found: list[Value] = []
    for name in names:
        value = row[name]
        if value is None:
            found.append(Cell(None, note=UNKNOWN.get(name)))
        else:
            found.append(rate(value) if name in RATES else value)
    return found


def _dashes(found: Mapping[str, Any], *, more: bool) -> list[str]:
    """Why there are dashes, once for each reason."""
    names = [name for name in figures_of(more=more) if any(row[name] is None for row in found["rows"])]
    reasons: dict[str, list[str]] = {}
    for name in names:
        reasons.setdefault(UNKNOWN.get(name, "it is not known"), []).append(FIGURES[name][0])
    return [f"{', '.join(heads)}: {why}" for why, heads in reasons.items()]


def _moment(name: str, value: str) -> str:
    """An hour without its seconds, with its offset; everything else as it is."""
    return f"{value[:10]} {value[11:16]} {value[19:]}".strip() if name == "hour" else value


def _chart(found: Mapping[str, Any], figure: str) -> Markup | None:
    """Lines over time when the report is split by one; else bars. None when there is nothing to draw it of."""
    figure = figure if figure in CHARTS else "impressions"
    by, rows = found["by"], found["rows"]
    times = [name for name in by if name in TIME]
    others = [name for name in by if name not in TIME]
    title = f"{FIGURES[figure][0]} by {', '.join(DIMENSIONS[name] for name in by)}"
    show = percent if figure in RATES else exact
    about = f"From {found['from']} to {found['to']}. The table below has the same figures."
    if len(times) > 1 or not by:
        return None
    if not times:
        ranked = sorted(rows, key=lambda row: -(row[figure] or 0))[:BARS]
        return bars(title, about, [Bar(_name(row, others), row[figure]) for row in ranked], show=show)
    tz = zone(found["tz"])
    span = Span(_epoch(found["from"]), _epoch(found["to"]), tz)
    by_name: dict[str, list[tuple[int, float | None]]] = {}
    weights: dict[str, float] = {}
    for row in rows:
        if row[times[0]] is not None:
            name = _name(row, others) if others else FIGURES[figure][0]
            moment = max(span.begin, _begin(times[0], row[times[0]], found["tz"]))
            by_name.setdefault(name, []).append((moment, row[figure]))
            weights[name] = weights.get(name, 0) + (row[figure] or 0)
    largest = sorted(by_name, key=lambda name: -weights[name])[:LINES]
    looks = ("line", "plan", "other")
    series = [
        Series(name, sorted(by_name[name], key=lambda point: point[0]), looks[at % 3], at % 6 + 1)  # type: ignore[arg-type]
        for at, name in enumerate(largest)
    ]
    if figure in RATES:
        return lines(title, about, series, span, whole=False, show=percent)
    return lines(title, about, series, span)


def _name(row: Mapping[str, Any], by: Sequence[str]) -> str:
    return " / ".join(_word(row, name) for name in by) or "all"


def _word(row: Mapping[str, Any], name: str) -> str:
    """What people call a value of a split. Titles of slots come again on other places: their ids stand behind."""
    value, title = row[name], row.get(f"{name}_name")
    if value is None:
        return "none"
    if title and name == "slot":
        return f"{title} ({value})"
    return str(title or (reason(value) if name.endswith("_reason") else value))


def _epoch(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def _begin(name: str, value: str, tz: str) -> int:
    """When an hour, day, week or month of a report begins."""
    if name == "hour":
        return _epoch(value)
    return day_bounds(date.fromisoformat(value if name != "month" else f"{value}-01"), zone(tz))[0]


PAGES = (Page("GET", REPORTS, reports, EVERYONE, nav="Reports"),)
