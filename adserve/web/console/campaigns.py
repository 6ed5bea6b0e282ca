"""Campaigns: the list, and the page of one with all that it says and what stands in its way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from adserve.core.booking import Remark, serving
from adserve.core.model import TIERS, Advertiser, Campaign, Creative, Site, Slot
from adserve.flows import access, manage
from adserve.flows.archive import creatives_of
from adserve.flows.availability import available
from adserve.flows.booking import Booked, booked, delivered, one_booked
from adserve.flows.delivery import delivery
from adserve.web.console.campaign_report import picture
from adserve.web.console.campaign_words import facts, flight
from adserve.web.console.form import whole
from adserve.web.console.page import EVERYONE, STAFF, Call, Page
from adserve.web.console.slots import named, path_of
from adserve.web.console.table import Cell, Column, Table, Value, show_table

CAMPAIGNS = "/console/campaigns"
PAGE = 200
"""Campaigns on one page of the list."""
MOST_SLOTS = 8
"""Slots of a campaign whose room is looked at: each adds up all that is booked there."""
COLUMNS = (
    Column("Campaign"),
    Column("State"),
    Column("To do", "What keeps it from serving, or soon will."),
    Column("Delivered", "Impressions so far, robots and the like left out; of its goal, where it has one."),
    Column("Advertiser"),
    Column("Tier", "Strict: a later tier serves only what an earlier one left."),
    Column("Flight"),
)
CREATIVES = (
    Column("Creative"),
    Column("Kind"),
    Column("Size"),
    Column("Weight", "Its share among the creatives of its campaign.", True),
    Column("Serves", "Whether readers may see it now."),
    Column("State"),
)
SLOTS = (
    Column("Slot"),
    Column("Site"),
    Column("Takes"),
    Column("Heaviest picture"),
    Column("State"),
    Column("Its chance", "What the slot would show now, and what keeps this campaign from it."),
)


async def campaigns(call: Call) -> Response:
    """Filtered by what its address says. Only what is shown is looked at closely, unless all of it has to be."""
    query = call.query
    every = [one for one in await access.visible(call.services, call.account, "campaign") if isinstance(one, Campaign)]
    wanted = [one for one in every if _wanted(one, query)]
    if query.get("state") == "todo":
        wanted = [one.campaign async for one in booked(call.services, wanted) if _remarks(call, one)]
    first = whole(query.get("from", ""), 6) or 0
    shown = wanted if query.get("format") == "csv" else wanted[first : first + PAGE]
    names = {
        one.id: one.name
        for one in await access.visible(call.services, call.account, "advertiser")
        if isinstance(one, Advertiser)
    }
    totals = await delivered(call.services)
    rows = [_row(call, one, names, totals) async for one in booked(call.services, shown)]
    empty = "No campaign is like that: take a filter away." if every else _nothing(call)
    table = Table("campaigns", "Campaigns", COLUMNS, rows, empty)
    more = {
        "advertisers": [("", "all"), *sorted(names.items(), key=lambda pair: pair[1].casefold())],
        "tiers": [("", "all"), *((tier, tier) for tier in TIERS)],
        "count": len(wanted),
        "first": first,
        "following": urlencode({**query, "from": first + PAGE}) if len(wanted) > first + PAGE else None,
        "before": urlencode({**query, "from": max(0, first - PAGE)}) if first else None,
    }
    return show_table(call, "campaigns.html.j2", table, title="Campaigns", **more)


def _nothing(call: Call) -> str:
    if call.may("advertiser"):
        return "No campaign of yours yet: it is booked by the people who run these pages."
    return "No campaign yet: it says which creatives of an advertiser run where, and how often. Book one."


def _wanted(campaign: Campaign, query: Mapping[str, str]) -> bool:
    """The list shows what is in use, unless a state is asked for."""
    state = query.get("state", "")
    if state in ("active", "paused", "archived"):
        fits_state = campaign.state == state
    elif state == "todo":
        fits_state = campaign.state == "active"
    else:
        fits_state = campaign.state != "archived" or state == "all"
    name = query.get("name", "").strip().casefold()
    return (
        fits_state
        and query.get("advertiser", "") in ("", campaign.advertiser)
        and query.get("tier", "") in ("", campaign.tier)
        and (name in campaign.name.casefold() or name in campaign.id)
    )


def _remarks(call: Call, one: Booked) -> list[Remark]:
    """A rejection is its advertiser's to mend: others read of it where nothing serves because of it."""
    tells = call.may("advertiser") or any(remark.code == "none_approved" for remark in one.remarks)
    return [remark for remark in one.remarks if tells or remark.code != "rejected"]


def _row(
    call: Call, one: Booked, names: Mapping[str, str], totals: Mapping[tuple[int, str], int]
) -> tuple[Value, ...]:
    campaign = one.campaign
    remarks = _remarks(call, one)
    first = remarks[0] if remarks else None
    todo: Value = Cell(first.detail, state="grave" if first.grave else None) if first else ""
    denied = next((remark.detail for remark in remarks if remark.code == "rejected"), None)
    if denied and first and (not first.grave or first.code == "none_approved"):
        href = call.url("/console/creatives", state="rejected", campaign=campaign.id)
        todo = Cell(denied, href, "grave" if first.grave else None)
    return (
        Cell(campaign.name, call.url(f"{CAMPAIGNS}/{campaign.id}")),
        Cell(campaign.state, state=campaign.state),
        todo,
        _progress(campaign, totals),
        names.get(campaign.advertiser, campaign.advertiser),
        campaign.tier,
        flight(campaign),
    )


def _progress(campaign: Campaign, totals: Mapping[tuple[int, str], int]) -> Value:
    goal = campaign.goal
    if goal is not None and goal.clicks is not None:
        of: int | None = goal.clicks
        done, what = totals.get((campaign.serial, "c"), 0), "clicks"
    else:
        of = goal.impressions if goal is not None else None
        done, what = totals.get((campaign.serial, "i"), 0), "impressions"
    if of is None:
        return f"{done:,}"
    return Cell(f"{done:,} of {of:,} {what}", part=min(1.0, done / of))


async def campaign_of(call: Call) -> Campaign:
    found = await manage.get_thing(call.services, "campaign", call.path["id"])
    assert isinstance(found, Campaign)  # noqa: S101 - what the store holds under this kind
    return found


async def campaign(call: Call) -> Response:
    found = await campaign_of(call)
    one = await one_booked(call.services, found)
    every = await creatives_of(call.services, found.id)
    archived = call.query.get("creatives") == "archived" or found.state == "archived"
    now = int(call.services.clock())
    rows = [_creative(call, its, now) for its in every if archived or its.state != "archived"]
    empty = "No creative yet: upload what readers are to see."
    table = Table(f"creatives-{found.id}", f"Creatives of {found.name}", CREATIVES, rows, empty)
    staff = call.account.role in STAFF
    slots = [_booked(call, found, slot, site) for slot, site in one.around.slots]
    booked_slots = Table(f"slots-{found.id}", f"Slots that {found.name} books", SLOTS, slots, "It books no slot.")
    goal = found.goal is not None and found.goal.clicks is None and found.state == "active"
    said = _remarks(call, one)
    told = await delivery(call.services, call.account, found.id)
    return show_table(
        call,
        "campaign.html.j2",
        table,
        booked_slots,
        title=found.name,
        campaign=found,
        advertiser=one.around.advertiser,
        facts=facts(found),
        grave=[remark.detail for remark in said if remark.grave],
        notes=[remark.detail for remark in said if not remark.grave],
        slots=booked_slots,
        in_use=sum(its.state != "archived" for its in every),
        with_it=sum(its.with_campaign for its in every),
        gone=sum(its.state == "archived" for its in every) if not archived else 0,
        asks_for_room=goal and staff,
        progress=_progress(found, await delivered(call.services)),
        told=told,
        picture=picture(told) if told.total or told.goal is not None else None,
    )


def _booked(call: Call, campaign: Campaign, slot: Slot, site: Site) -> tuple[Value, ...]:
    """Only staff has pages of slots to go to. Titles may come twice on a site, names do not."""
    state = slot.state if site.state == "active" else site.state
    href = call.url(path_of(slot)) if call.account.role in STAFF else None
    sizes = ", ".join(slot.sizes) or "texts"
    why = Cell("explain", call.url("/console/explain", place=slot.id, campaign=campaign.id))
    return Cell(named(slot), href), site.name, sizes, f"{slot.max_kb} kB", Cell(state, state=state), why


def _creative(call: Call, one: Creative, now: int) -> tuple[Value, ...]:
    size = f"{one.content.width}x{one.content.height}" if one.content.width else "any"
    return (
        Cell(one.name, call.url(f"/console/creatives/{one.id}")),
        one.kind,
        size,
        one.weight,
        "yes" if serving(one, now) else "no",
        Cell(one.state, state=one.state, note=one.reason or None),
    )


async def room(call: Call) -> Response:
    """Whether its slots have what their campaigns are to get; a part of its page for whoever asks by script."""
    found = await campaign_of(call)
    one = await one_booked(call.services, found)
    warnings, unknown = {}, []
    for slot, _ in one.around.slots[:MOST_SLOTS]:
        answer = await available(call.services, slot.id, 28)
        if answer["totals"]["forecast"] is None:
            unknown.append(slot.id)
        for each in answer["warnings"]:
            if found.id in each["campaigns"]:
                warnings[each["detail"]] = slot.id
    part = call.request.headers.get("hx-request") == "true"
    template = "campaign-room-part.html.j2" if part else "campaign-room.html.j2"
    looked = min(len(one.around.slots), MOST_SLOTS)
    shown: dict[str, Any] = {"campaign": found, "warnings": warnings, "looked": looked, "unknown": unknown}
    return call.show(template, title=f"Room for {found.name}", **shown)


PAGES = (
    Page("GET", CAMPAIGNS, campaigns, EVERYONE, nav="Campaigns"),
    Page("GET", f"{CAMPAIGNS}/{{id}}/room", room, STAFF, "campaign"),
    Page("GET", f"{CAMPAIGNS}/{{id}}", campaign, EVERYONE, "campaign"),
)
