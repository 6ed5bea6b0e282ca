"""Campaigns are made, changed, stopped, cloned and archived."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from starlette.responses import Response

from adserve.core.model import TIERS, Advertiser, Campaign, Site, Slot
from adserve.core.schedule import zone
from adserve.errors import Invalid, Problem
from adserve.flows import access, manage
from adserve.flows.archive import archive_campaign, creatives_of, unarchive_campaign
from adserve.flows.clone import clone_campaign
from adserve.flows.naming import propose_id
from adserve.web.console.campaign_form import LISTS, RULES, body_of, fields_of, open_sections
from adserve.web.console.campaign_words import TIERS as TIER_WORDS
from adserve.web.console.campaigns import CAMPAIGNS, campaign_of
from adserve.web.console.page import ADMIN, NEW, Call, Page, shows_again
from adserve.web.console.sites import switch
from adserve.web.console.slots import named

PLACED = (
    *("id", "name", "advertiser", "slots", "starts", "ends", "timezone", "goal", "tier", "weight", "pacing", "caps"),
    *("frequency", "target", "categories", "excludes", "price", "state"),
)
"""Members beside whose fields the form says what is wrong."""


async def _form(call: Call, title: str, campaign: Campaign | None) -> Response:
    fields = fields_of(campaign)
    advertisers = [
        (one.id, one.name)
        for one in await access.visible(call.services, call.account, "advertiser")
        if isinstance(one, Advertiser) and one.state == "active"
    ]
    sites = await _sites(call)
    stored = list(campaign.slots) if campaign else []
    offered = {value for _, options in sites for value, _ in options}
    return call.show(
        "campaign-form.html.j2",
        title=title,
        campaign=campaign,
        fields=fields,
        advertisers=advertisers,
        advertiser=call.query.get("advertiser", ""),
        sites=sites,
        stored=stored,
        ticked={place.partition("/")[0] for place in call.chosen("slots", stored)},
        gone=[(place, place) for place in stored if place not in offered],
        tiers=[(tier, TIER_WORDS[tier]) for tier in TIERS],
        rules=RULES,
        lists=LISTS,
        placed=PLACED,
        opened=open_sections(fields if campaign else {}, call.form, call.problems),
    )


async def _sites(call: Call) -> list[tuple[Site, list[tuple[str, str]]]]:
    """The boxes of slots by site: all of it, and each."""
    slots = [one for one in await manage.list_things(call.services, "slot") if isinstance(one, Slot)]
    found = []
    for site in await manage.list_things(call.services, "site"):
        if isinstance(site, Site) and site.state != "archived":
            its = [one for one in slots if one.site == site.id and one.state != "archived"]
            its.sort(key=lambda one: one.rank)
            options = [(one.id, f"{named(one)}: {', '.join(one.sizes) or 'texts'}") for one in its]
            found.append((site, [(f"{site.id}/*", "All of its slots, later ones too"), *options]))
    return found


async def _zone(call: Call) -> ZoneInfo:
    """In which times of the form are meant: its own zone, else the one of its sites; if that is none, the flow says
    so."""
    own = call.form.text("timezone")
    named = {place.partition("/")[0] for place in call.form.all("slots")}
    sites = await manage.list_things(call.services, "site")
    zones = {one.timezone for one in sites if isinstance(one, Site) and one.id in named}
    try:
        return zone(own or (zones.pop() if len(zones) == 1 else "UTC"))
    except ValueError:
        return zone("UTC")


async def new_campaign(call: Call) -> Response:
    return await _form(call, "New campaign", None)


@shows_again(new_campaign)
async def make_campaign(call: Call) -> Response:
    body, problems = body_of(call.form, await _zone(call))
    body["advertiser"] = call.form.text("advertiser") or None
    id_ = call.form.text("id") or await propose_id(call.services, "campaign", call.form.text("name"))
    if problems:
        raise Invalid([*problems, *await manage.problems_of(call.services, "campaign", id_, body)])
    await manage.put_thing(call.services, "campaign", id_, body, actor=call.actor, match=NEW)
    return call.go(f"{CAMPAIGNS}/{id_}", "created")


async def edit_campaign(call: Call) -> Response:
    found = await campaign_of(call)
    return await _form(call, f"Change {found.name}", found)


@shows_again(edit_campaign)
async def save_campaign(call: Call) -> Response:
    """The whole of it: what the form has no field for stays as it is."""
    before = await campaign_of(call)
    said, problems = body_of(call.form, await _zone(call))
    body: dict[str, Any] = {**await manage.public(call.services, before), **said}
    if before.state == "archived":
        body["state"] = "archived"
    if problems:
        body = {name: value for name, value in body.items() if name not in manage.READ_ONLY}
        raise Invalid([*problems, *await manage.problems_of(call.services, "campaign", before.id, body, before)])
    await manage.put_thing(call.services, "campaign", before.id, body, actor=call.actor, match=call.match)
    return call.go(f"{CAMPAIGNS}/{before.id}", "saved")


async def clone_form(call: Call) -> Response:
    found = await campaign_of(call)
    in_use = [one for one in await creatives_of(call.services, found.id) if one.state != "archived"]
    name = f"{found.name} (copy)"
    proposed = await propose_id(call.services, "campaign", name)
    shown: dict[str, Any] = {"campaign": found, "in_use": in_use, "name": name, "proposed": proposed}
    return call.show("campaign-clone.html.j2", title=f"Clone {found.name}", **shown)


@shows_again(clone_form)
async def clone(call: Call) -> Response:
    form, name = call.form, call.form.text("name")
    if not name:
        raise Invalid([Problem("/name", "is required", "required")])
    id_ = form.text("id") or await propose_id(call.services, "campaign", name)
    with_them = form.on("creatives")
    await clone_campaign(call.services, call.path["id"], id_, name, actor=call.actor, creatives=with_them)
    return call.go(f"{CAMPAIGNS}/{id_}", "cloned")


async def archive_form(call: Call) -> Response:
    found = await campaign_of(call)
    in_use = [one for one in await creatives_of(call.services, found.id) if one.state != "archived"]
    return call.show("campaign-archive.html.j2", title=f"Archive {found.name}?", campaign=found, in_use=in_use)


@shows_again(archive_form)
async def archive(call: Call) -> Response:
    before = await campaign_of(call)
    if call.form.on("together"):
        await archive_campaign(call.services, before.id, actor=call.actor, match=call.match)
    else:
        await manage.archive_thing(call.services, "campaign", before.id, actor=call.actor, match=call.match)
    was = before.state if before.state != "archived" else None
    return call.go(f"{CAMPAIGNS}/{before.id}", "archived", was=was)


async def unarchive(call: Call) -> Response:
    """Back, with the creatives that went along: they wait for review, whatever they were."""
    state = "active" if call.form.text("was") == "active" else "paused"
    await unarchive_campaign(call.services, call.path["id"], state, actor=call.actor)
    return call.go(_back(call), "restored")


def _back(call: Call) -> str:
    return f"{CAMPAIGNS}/{call.path['id']}"


ONE = f"{CAMPAIGNS}/{{id}}"
PAGES = (
    Page("GET", f"{CAMPAIGNS}/new", new_campaign, ADMIN),
    Page("POST", f"{CAMPAIGNS}/new", make_campaign, ADMIN),
    Page("GET", f"{ONE}/edit", edit_campaign, ADMIN, "campaign"),
    Page("POST", f"{ONE}/edit", save_campaign, ADMIN, "campaign"),
    Page("GET", f"{ONE}/clone", clone_form, ADMIN, "campaign"),
    Page("POST", f"{ONE}/clone", clone, ADMIN, "campaign"),
    Page("GET", f"{ONE}/archive", archive_form, ADMIN, "campaign"),
    Page("POST", f"{ONE}/archive", archive, ADMIN, "campaign"),
    Page("POST", f"{ONE}/unarchive", unarchive, ADMIN, "campaign"),
    Page("POST", f"{ONE}/pause", switch("campaign", "paused", _back), ADMIN, "campaign"),
    Page("POST", f"{ONE}/resume", switch("campaign", "active", _back), ADMIN, "campaign"),
)
