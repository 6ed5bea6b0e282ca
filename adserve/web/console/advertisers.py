"""Advertisers, each with its campaigns."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from adserve.core.model import Advertiser, Campaign
from adserve.flows import access, manage
from adserve.flows.naming import propose_id
from adserve.web.console.page import ADMIN, EVERYONE, NEW, STAFF, Call, Page, shows_again
from adserve.web.console.sites import states_of
from adserve.web.console.table import Cell, Column, Table, show_table

ADVERTISERS = "/console/advertisers"
COLUMNS = (
    Column("Advertiser"),
    Column("Id"),
    Column("Categories", "Words that its campaigns have too: others can ask not to stand beside them."),
    Column("Campaigns", "Those in use.", True),
    Column("State"),
)
PEOPLE = (Column("Name"), Column("State"), Column("Signed in", "Last, in UTC."))
CAMPAIGNS = (Column("Campaign"), Column("Id"), Column("Tier"), Column("State"))


async def advertisers(call: Call) -> Response:
    archived = call.query.get("state") == "archived"
    campaigns = await access.visible(call.services, call.account, "campaign")
    rows = [
        (
            Cell(one.name, call.url(f"{ADVERTISERS}/{one.id}")),
            one.id,
            ", ".join(one.categories),
            sum(isinstance(c, Campaign) and c.advertiser == one.id and c.state != "archived" for c in campaigns),
            Cell(one.state, state=one.state),
        )
        for one in await access.visible(call.services, call.account, "advertiser")
        if isinstance(one, Advertiser) and (one.state == "archived") == archived
    ]
    empty = "No advertiser yet: whoever books campaigns is one, also we ourselves. Add one."
    table = Table("advertisers", "All advertisers", COLUMNS, rows, "None is archived." if archived else empty)
    return show_table(call, "advertisers.html.j2", table, title="Advertisers", archived=archived)


async def advertiser(call: Call) -> Response:
    found = await manage.get_thing(call.services, "advertiser", call.path["id"])
    every = [
        one
        for one in await access.visible(call.services, call.account, "campaign")
        if isinstance(one, Campaign) and one.advertiser == found.id
    ]
    rows = [
        (Cell(one.name, call.url(f"/console/campaigns/{one.id}")), one.id, one.tier, Cell(one.state, state=one.state))
        for one in every
    ]
    in_use = sum(one.state != "archived" for one in every)
    table = Table(f"campaigns-{found.id}", f"Campaigns of {found.name}", CAMPAIGNS, rows, "No campaign yet: book one.")
    people = await _people(call, found.id)
    shown = {"advertiser": found, "in_use": in_use, "people": people}
    return show_table(call, "advertiser.html.j2", table, *([people] if people else []), title=found.name, **shown)


async def _people(call: Call, advertiser: str) -> Table | None:
    """Who may sign in for it, for those who may see people."""
    if not call.may("admin"):
        return None
    rows = [
        (
            Cell(one["name"], call.url(f"/console/users/{one['id']}")),
            Cell(one["state"], state=one["state"]),
            one["signed_in"] or "never",
        )
        for one in (user.as_json() for user in await call.services.users.list())
        if one["advertiser"] == advertiser
    ]
    empty = "Nobody signs in for it: invite somebody who uploads its creatives and reads its figures."
    return Table(f"people-{advertiser}", "People who sign in for it", PEOPLE, rows, empty)


async def new_advertiser(call: Call) -> Response:
    return call.show("advertiser-form.html.j2", title="New advertiser", advertiser=None)


async def edit_advertiser(call: Call) -> Response:
    found = await manage.get_thing(call.services, "advertiser", call.path["id"])
    return call.show("advertiser-form.html.j2", title=f"Change {found.name}", advertiser=found)


def _body(call: Call) -> dict[str, Any]:
    return {"name": call.form.text("name") or None, "categories": call.form.lines("categories")}


@shows_again(new_advertiser)
async def make_advertiser(call: Call) -> Response:
    id_ = call.form.text("id") or await propose_id(call.services, "advertiser", call.form.text("name"))
    await manage.put_thing(call.services, "advertiser", id_, _body(call), actor=call.actor, match=NEW)
    return call.go(f"{ADVERTISERS}/{id_}", "created")


@shows_again(edit_advertiser)
async def save_advertiser(call: Call) -> Response:
    id_ = call.path["id"]
    await manage.patch_thing(call.services, "advertiser", id_, _body(call), actor=call.actor, match=call.match)
    return call.go(f"{ADVERTISERS}/{id_}", "saved")


ONE = f"{ADVERTISERS}/{{id}}"
PAGES = (
    Page("GET", ADVERTISERS, advertisers, STAFF, nav="Advertisers"),
    Page("GET", f"{ADVERTISERS}/new", new_advertiser, ADMIN),
    Page("POST", f"{ADVERTISERS}/new", make_advertiser, ADMIN),
    Page("GET", ONE, advertiser, EVERYONE, "advertiser"),
    Page("GET", f"{ONE}/edit", edit_advertiser, ADMIN, "advertiser"),
    Page("POST", f"{ONE}/edit", save_advertiser, ADMIN, "advertiser"),
    *states_of(ONE, "advertiser", lambda call: f"{ADVERTISERS}/{call.path['id']}", pauses=False),
)
