"""The last decisions of all workers, looked at again every two seconds, or by a reload."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from adserve.core.live import Seen
from adserve.core.model import Creative, Thing
from adserve.core.schedule import utc_label
from adserve.flows.live import LIMIT, recent
from adserve.web.console.form import asked as shown_again
from adserve.web.console.page import EVERYONE, Call, Page
from adserve.web.console.table import Cell, Column, Table, Value, show_table
from adserve.web.console.words import advice, reason

LIVE = "/console/live"
SHOWS = (("", "all"), ("filled", "filled"), ("empty", "empty"))
FILTERED = 200
"""Decisions among which a filter looks."""
COLUMNS = (
    Column("Time (UTC)"),
    Column("Slot"),
    Column("Outcome"),
    Column("Campaign"),
    Column("Device"),
    Column("Counts", "Robots and prefetches get creatives and are not counted."),
    Column("Decision", "Its explanation."),
)


async def live(call: Call) -> Response:
    shown, place = call.query.get("show", ""), call.query.get("place", "").strip()
    call.form = shown_again(call.query)
    found = await recent(call.services, call.account, FILTERED if shown or place else LIMIT)
    seen = [one for one in found.seen if _wanted(one, shown, place)][:LIMIT]
    things = await call.services.catalog.all()
    rows = [_row(call, one, things) for one in seen]
    table = Table("decisions", "The last decisions", COLUMNS, rows, _none(call, shown, place))
    paused = call.query.get("paused") == "1"
    here = {name: value for name, value in call.query.items() if name in ("show", "place") and value}
    return show_table(
        call,
        "live.html.j2",
        table,
        title="Live",
        missing=found.missing,
        shows=SHOWS,
        paused=paused,
        here=here,
        at=utc_label(int(call.services.clock())),
    )


def _wanted(one: Seen, shown: str, place: str) -> bool:
    fits = place in ("", one.site, f"{one.site}/{one.slot}")
    return fits and (shown not in ("filled", "empty") or one.filled == (shown == "filled"))


def _none(call: Call, shown: str, place: str) -> str:
    if call.account.advertiser is not None:
        return "None of the last decisions chose a creative of yours."
    return "None of the last decisions is like that." if shown or place else "No decision yet: open a page with a slot."


def _row(call: Call, one: Seen, things: Mapping[str, Thing]) -> list[Value]:
    creative = things.get(f"creative:{one.creative}") if one.filled else None
    outcome: Value = one.creative
    if isinstance(creative, Creative):
        outcome = Cell(creative.name, call.url(f"/console/creatives/{creative.id}"), note=creative.id)
    elif not one.filled:
        outcome = Cell(reason(one.reason), state="pending", note=advice(one.reason))
    campaign = one.campaign
    return [
        utc_label(one.at)[11:19],
        f"{one.site}/{one.slot}",
        outcome,
        Cell(campaign, call.url(f"/console/campaigns/{campaign}/report")) if campaign is not None else "",
        one.device if one.width is None else f"{one.device}, {one.width} px",
        "yes" if one.counted else "no",
        Cell("why?", call.url(f"/console/explain/{one.decision}"), note=one.decision),
    ]


PAGES = (Page("GET", LIVE, live, EVERYONE, nav="Live"),)
