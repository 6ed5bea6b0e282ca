"""A campaign's report: its delivery beside its plan, its days, and the links that show it to others."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from markupsafe import Markup
from starlette.responses import Response

from adserve.charts.axis import Span
from adserve.charts.lines import Marks, Series, lines
from adserve.core.delivery import Delivery
from adserve.core.model import Campaign
from adserve.core.schedule import local_day, moment_label
from adserve.errors import Invalid, Problem
from adserve.flows.delivery import delivery
from adserve.flows.share import DAYS, MAY_SHARE, days_of, make_share, revoke_share, shares_of
from adserve.store.shares import Share
from adserve.web.console.form import EMPTY, whole
from adserve.web.console.once import once
from adserve.web.console.page import EVERYONE, Call, Page, shows_again
from adserve.web.console.reports import cells
from adserve.web.console.table import Column, Table, show_table
from adserve.web.console.words import FIGURES

ONE = "/console/campaigns/{id}/report"
SHARED = ("impressions", "views", "clicks", "ctr", "viewability")
BADGES = {"behind": "pending", "short": "rejected", "reached": "approved", "on_plan": "approved", "ahead": "approved"}
"""How it stands to the colour of that."""


def picture(told: Delivery) -> Markup:
    """Added up beside the plan; without a plan and a goal, by step. A step that is not over ends now."""
    span = Span(told.window.begin, told.window.end, told.window.tz)
    what = told.counts
    about = f"{told.words} From {said(told, told.window.begin)} to {said(told, told.window.end)}."
    marks = Marks(goal=told.goal, now=told.now)
    if told.goal is None and told.points[-1].planned is None:
        each = [(begin.at, point.each) for begin, point in pairwise(told.points)]
        step = {"quarter": "quarter of an hour", "hour": "hour", "day": "day"}[told.window.step]
        return lines(f"{what.capitalize()} of each {step}", about, [Series(what, each)], span, marks=marks)
    delivered = [(min(point.at, told.now), point.delivered) for point in told.points if point.delivered is not None]
    series = [Series(f"{what} delivered", delivered)]
    if told.points[-1].planned is not None:
        plan = [(point.at, point.planned) for point in told.points]
        series.insert(0, Series(f"{what} planned", plan, "plan", 2))
    return lines(f"{what.capitalize()} delivered and planned", about, series, span, marks=marks)


def said(told: Delivery, moment: int) -> str:
    """A moment in the campaign's zone, without seconds."""
    return moment_label(moment, told.window.tz)[:16].replace("T", " ")


def days_table(name: str, days: dict[str, Any]) -> Table:
    columns = [Column("Day"), *(Column(FIGURES[one][0], FIGURES[one][1], number=True) for one in SHARED)]
    rows = [[row["day"], *cells(row, SHARED)] for row in reversed(days["rows"]) if row["day"] is not None]
    if rows:
        rows.append(["Total", *cells(days["totals"], SHARED)])
    return Table(name, "Days of the campaign", columns, rows, "Nothing was counted so far.")


async def campaign_report(call: Call) -> Response:
    return await _shown(call)


async def _shown(call: Call, made: str = "") -> Response:
    """`made`: the secret of a link that was made a moment ago, shown this once."""
    id_ = call.path["id"]
    told = await delivery(call.services, call.account, id_)
    campaign = (await call.services.catalog.all())[f"campaign:{id_}"]
    assert isinstance(campaign, Campaign)  # noqa: S101 - its delivery was found
    days = await days_of(call.services, told, campaign, call.account)
    may = call.account.role in MAY_SHARE
    links = await shares_of(call.services, call.account, id_) if may else []
    if call.query.get("table") == "links" and call.query.get("format") == "csv":
        return _links_table(id_, [_link(told, one) for one in links]).csv()
    return show_table(
        call,
        "campaign-report.html.j2",
        days_table(f"days-{id_}", days),
        title=f"{told.name}: report",
        told=told,
        picture=picture(told),
        badge=BADGES.get(told.standing, ""),
        days=days,
        said=lambda moment: said(told, moment),
        may_share=may,
        links=[_link(told, one) for one in links],
        made=f"{call.origin}/share/{made}" if made else "",
        usual=DAYS,
    )


def _links_table(campaign: str, links: list[dict[str, str]]) -> Table:
    """For the file; the page has a button in each row."""
    columns = [Column(name) for name in ("Link", "For", "Made", "Opens", "By")]
    rows = [[one["id"], one["note"], one["created"], one["until"], one["by"]] for one in links]
    return Table(f"links-{campaign}", "Share links", columns, rows)


def _link(told: Delivery, one: Share) -> dict[str, str]:
    tz = told.window.tz
    until = f"until {local_day(one.expires, tz)}" if one.expires else "without an end"
    return {"id": one.id, "note": one.note, "by": one.by, "created": str(local_day(one.created, tz)), "until": until}


@shows_again(campaign_report)
@once
async def share(call: Call) -> Response:
    """Makes a link. The secret is in this answer alone: no address and no cookie has it."""
    text = call.form.text("days", str(DAYS))
    days = whole(text, 5)
    if text and days is None:
        raise Invalid([Problem("/days", "takes a whole number of days, or nothing for no end")])
    campaign, note = call.path["id"], call.form.text("note")
    _, secret = await make_share(call.services, call.account, campaign, days=days, note=note)
    call.form = EMPTY
    return await _shown(call, secret)


async def unshare(call: Call) -> Response:
    id_ = call.path["id"]
    await revoke_share(call.services, call.account, id_, call.path["share"])
    return call.go(f"/console/campaigns/{id_}/report", "revoked")


SHARERS = EVERYONE & MAY_SHARE
PAGES = (
    Page("GET", ONE, campaign_report, EVERYONE, "campaign"),
    Page("POST", f"{ONE}/links", share, SHARERS, "campaign"),
    Page("POST", f"{ONE}/links/{{share}}/revoke", unshare, SHARERS, "campaign"),
)
