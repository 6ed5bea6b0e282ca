"""Sites, with the switch that stops one at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from adserve.core.model import Site, Slot
from adserve.flows import access, manage
from adserve.flows.naming import propose_id
from adserve.web.console.figures import TODAY, Today, today_of
from adserve.web.console.page import ADMIN, NEW, STAFF, Call, Endpoint, Page, shows_again
from adserve.web.console.table import Cell, Column, Table, show_table

SITES = "/console/sites"
COLUMNS = (
    Column("Site"),
    Column("Id", "What stands in addresses and in the code of its pages."),
    Column("Time zone", "Whose midnight begins its days."),
    Column("Slots", "The places on its pages that are in use.", True),
    Column("State"),
)
SLOTS = (
    Column("Slot"),
    Column("Name", "What stands in addresses and in the code of its pages."),
    Column("Sizes"),
    Column("Rank", "The order in which the slots of one page choose.", True),
    Column("State"),
    *TODAY,
)


async def sites(call: Call) -> Response:
    found = [one for one in await access.visible(call.services, call.account, "site") if isinstance(one, Site)]
    slots = await access.visible(call.services, call.account, "slot")
    archived = call.query.get("state") == "archived"
    rows = [
        (
            Cell(site.name, call.url(f"{SITES}/{site.id}")),
            site.id,
            site.timezone,
            sum(isinstance(one, Slot) and one.site == site.id and one.state != "archived" for one in slots),
            Cell(site.state, state=site.state),
        )
        for site in found
        if (site.state == "archived") == archived
    ]
    empty = "No site yet: a site is a place with pages of its own. Add one."
    table = Table("sites", "All sites", COLUMNS, rows, "No site is archived." if archived else empty)
    return show_table(call, "sites.html.j2", table, title="Sites and slots", archived=archived)


async def new_site(call: Call) -> Response:
    return call.show("site-form.html.j2", title="New site", site=None)


async def site(call: Call) -> Response:
    """A site with its slots."""
    found = await manage.get_thing(call.services, "site", call.path["id"])
    slots = await access.visible(call.services, call.account, "slot")
    every = sorted((one for one in slots if isinstance(one, Slot) and one.site == found.id), key=lambda one: one.rank)
    archived = call.query.get("state") == "archived"
    own = [one for one in every if (one.state == "archived") == archived]
    today = await today_of(call, found.id)
    rows = [
        (
            Cell(slot.title or slot.name, call.url(f"{SITES}/{slot.site}/slots/{slot.name}")),
            slot.name,
            ", ".join(slot.sizes) or "text only",
            slot.rank,
            Cell(slot.state, state=slot.state),
            *today.get(slot.id, Today()).cells,
        )
        for slot in own
    ]
    none = "No slot is archived." if archived else "No slot yet: add the first place on its pages."
    table = Table(f"slots-{found.id}", f"Slots of {found.name}", SLOTS, rows, none)
    in_use = [one for one in every if one.state != "archived"]
    gone = len(every) - len(in_use)
    shown = {"site": found, "in_use": in_use, "gone": gone, "archived": archived}
    return show_table(call, "site.html.j2", table, title=found.name, **shown)


async def edit_site(call: Call) -> Response:
    found = await manage.get_thing(call.services, "site", call.path["id"])
    return call.show("site-form.html.j2", title=f"Change {found.name}", site=found)


def _site_body(call: Call) -> dict[str, Any]:
    form = call.form
    body = {name: form.text(name) or None for name in ("name", "timezone", "clients", "unlabelled")}
    return {**body, "origins": form.lines("origins")}


@shows_again(new_site)
async def make_site(call: Call) -> Response:
    id_ = call.form.text("id") or await propose_id(call.services, "site", call.form.text("name"))
    await manage.put_thing(call.services, "site", id_, _site_body(call), actor=call.actor, match=NEW)
    return call.go(f"{SITES}/{id_}", "created")


@shows_again(edit_site)
async def save_site(call: Call) -> Response:
    id_ = call.path["id"]
    await manage.patch_thing(call.services, "site", id_, _site_body(call), actor=call.actor, match=call.match)
    return call.go(f"{SITES}/{id_}", "saved")


def id_in(call: Call, kind: str) -> str:
    """The id of the object that a page is about."""
    return f"{call.path['site']}/{call.path['slot']}" if kind == "slot" else call.path["id"]


def switch(kind: str, state: str, back: Callable[[Call], str]) -> Endpoint:
    """The switch: `paused` stops a site, slot or campaign within a second, `active` lets it serve again."""

    async def endpoint(call: Call) -> Response:
        await manage.switch_thing(call.services, kind, id_in(call, kind), state, actor=call.actor)
        return call.go(back(call), "paused" if state == "paused" else "resumed")

    return endpoint


def archive(kind: str, back: Callable[[Call], str]) -> Endpoint:
    """Out of use; the page that comes next can undo it, and knows what it `was`."""

    async def endpoint(call: Call) -> Response:
        before = await manage.get_thing(call.services, kind, id_in(call, kind))
        await manage.archive_thing(call.services, kind, before.id, actor=call.actor, match=call.match)
        return call.go(back(call), "archived", was=before.state if before.state != "archived" else None)

    return endpoint


def unarchive(kind: str, back: Callable[[Call], str]) -> Endpoint:
    """Into use again: what was active at once, as an undo; of anything else nobody knows any more, and it is paused
    where its kind can be."""

    async def endpoint(call: Call) -> Response:
        state = "active" if call.form.text("was") == "active" or kind == "advertiser" else "paused"
        await manage.switch_thing(call.services, kind, id_in(call, kind), state, actor=call.actor, archived=True)
        return call.go(back(call), "restored")

    return endpoint


def states_of(path: str, kind: str, back: Callable[[Call], str], *, pauses: bool = True) -> tuple[Page, ...]:
    """The four pages that only change the state of an object."""
    pages = [
        Page("POST", f"{path}/archive", archive(kind, back), ADMIN, kind),
        Page("POST", f"{path}/unarchive", unarchive(kind, back), ADMIN, kind),
    ]
    if pauses:
        pages += [
            Page("POST", f"{path}/pause", switch(kind, "paused", back), ADMIN, kind),
            Page("POST", f"{path}/resume", switch(kind, "active", back), ADMIN, kind),
        ]
    return tuple(pages)


ONE = f"{SITES}/{{id}}"
PAGES = (
    Page("GET", SITES, sites, STAFF, nav="Sites and slots"),
    Page("GET", f"{SITES}/new", new_site, ADMIN),
    Page("POST", f"{SITES}/new", make_site, ADMIN),
    Page("GET", ONE, site, STAFF, "site"),
    Page("GET", f"{ONE}/edit", edit_site, ADMIN, "site"),
    Page("POST", f"{ONE}/edit", save_site, ADMIN, "site"),
    *states_of(ONE, "site", lambda call: f"{SITES}/{call.path['id']}"),
)
