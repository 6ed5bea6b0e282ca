"""Sites and their slots, with the switch that stops one at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from adserve.core.model import Site, Slot
from adserve.flows import access, manage
from adserve.web.console.page import ADMIN, NEW, STAFF, Call, Endpoint, Page, shows_again
from adserve.web.console.table import Cell, Column, Table, show_table

SITES = "/console/sites"
COLUMNS = (Column("Site"), Column("Id"), Column("Time zone"), Column("Slots", number=True), Column("State"))
SLOTS = (Column("Slot"), Column("Name"), Column("Sizes"), Column("Rank", number=True), Column("State"))


async def sites(call: Call) -> Response:
    found = [one for one in await access.visible(call.services, call.account, "site") if isinstance(one, Site)]
    slots = await access.visible(call.services, call.account, "slot")
    rows = [
        (
            Cell(site.name, call.url(f"{SITES}/{site.id}")),
            site.id,
            site.timezone,
            sum(isinstance(one, Slot) and one.site == site.id and one.state != "archived" for one in slots),
            Cell(site.state, state=site.state),
        )
        for site in found
        if site.state != "archived" or call.query.get("state") == "archived"
    ]
    table = Table("sites", "All sites", COLUMNS, rows, "No site yet: a site is a place with pages of its own. Add one.")
    return show_table(call, "sites.html.j2", table, title="Sites and slots")


async def new_site(call: Call) -> Response:
    return call.show("site-form.html.j2", title="New site", site=None)


async def site(call: Call) -> Response:
    """A site with its slots."""
    found = await manage.get_thing(call.services, "site", call.path["id"])
    slots = await access.visible(call.services, call.account, "slot")
    own = sorted((one for one in slots if isinstance(one, Slot) and one.site == found.id), key=lambda one: one.rank)
    rows = [
        (
            Cell(slot.title or slot.name, call.url(f"{SITES}/{slot.site}/slots/{slot.name}")),
            slot.name,
            ", ".join(slot.sizes),
            slot.rank,
            Cell(slot.state, state=slot.state),
        )
        for slot in own
    ]
    none = "No slot yet: add the first place on its pages."
    table = Table(f"slots-{found.id}", f"Slots of {found.name}", SLOTS, rows, none)
    return show_table(call, "site.html.j2", table, title=found.name, site=found)


async def edit_site(call: Call) -> Response:
    found = await manage.get_thing(call.services, "site", call.path["id"])
    return call.show("site-form.html.j2", title=f"Change {found.name}", site=found)


def _site_body(call: Call) -> dict[str, Any]:
    form = call.form
    body = {name: form.text(name) or None for name in ("name", "timezone", "clients", "unlabelled")}
    return {**body, "origins": form.lines("origins")}


@shows_again(new_site)
async def make_site(call: Call) -> Response:
    id_ = call.form.text("id")
    await manage.put_thing(call.services, "site", id_, _site_body(call), actor=call.actor, match=NEW)
    return call.go(f"{SITES}/{id_}", "created")


@shows_again(edit_site)
async def save_site(call: Call) -> Response:
    id_ = call.path["id"]
    await manage.patch_thing(call.services, "site", id_, _site_body(call), actor=call.actor, match=call.match)
    return call.go(f"{SITES}/{id_}", "saved")


def switch(kind: str, state: str, back: Callable[[Call], str]) -> Endpoint:
    """The switch: `paused` stops a site, slot or campaign within a second, `active` lets it serve again."""

    async def endpoint(call: Call) -> Response:
        id_ = f"{call.path['site']}/{call.path['slot']}" if kind == "slot" else call.path["id"]
        await manage.patch_thing(call.services, kind, id_, {"state": state}, actor=call.actor)
        return call.go(back(call), "paused" if state == "paused" else "resumed")

    return endpoint


def _to_site(call: Call) -> str:
    return f"{SITES}/{call.path['id']}"


ONE = f"{SITES}/{{id}}"
PAGES = (
    Page("GET", SITES, sites, STAFF, nav="Sites and slots"),
    Page("GET", f"{SITES}/new", new_site, ADMIN),
    Page("POST", f"{SITES}/new", make_site, ADMIN),
    Page("GET", ONE, site, STAFF, "site"),
    Page("GET", f"{ONE}/edit", edit_site, ADMIN, "site"),
    Page("POST", f"{ONE}/edit", save_site, ADMIN, "site"),
    Page("POST", f"{ONE}/pause", switch("site", "paused", _to_site), ADMIN, "site"),
    Page("POST", f"{ONE}/resume", switch("site", "active", _to_site), ADMIN, "site"),
)
