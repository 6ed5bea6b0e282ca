"""Slots: the places on the pages of a site, what books them, and what is left of them to sell."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from adserve.core.fit import fits
from adserve.core.model import Campaign, Creative, Slot
from adserve.flows import access, manage
from adserve.flows.availability import available
from adserve.flows.naming import propose_id
from adserve.web.console.figures import Today, today_of
from adserve.web.console.form import whole
from adserve.web.console.page import ADMIN, NEW, STAFF, Call, Page, shows_again
from adserve.web.console.sites import SITES, states_of
from adserve.web.console.table import Cell, Column, Table, show_table

COMMON = (
    ("728x90", "leaderboard"),
    ("970x90", "large leaderboard"),
    ("970x250", "billboard"),
    ("300x250", "medium rectangle"),
    ("336x280", "large rectangle"),
    ("300x600", "half page"),
    ("160x600", "wide skyscraper"),
    ("468x60", "full size"),
    ("320x50", "phone leaderboard"),
    ("320x100", "large phone leaderboard"),
)
"""Sizes that designers deliver without being asked, with what the trade calls them."""
BOOKED = (
    Column("Campaign"),
    Column("Advertiser"),
    Column("Tier", "A later tier serves only what an earlier one left."),
    Column("Weight", "Its share among the campaigns of its tier.", True),
    Column("Creatives that fit", "Those that serve now and have a size of this slot.", True),
    Column("State"),
)
LEFT = (
    Column("Day"),
    Column("Forecast", "Requests that are expected, learned from the weeks before.", True),
    Column("Booked", "What the goals and shares of campaigns take of them.", True),
    Column("Left", "What can still be sold.", True),
)
SIZES = tuple((size, f"{size} {name}") for size, name in COMMON)
MEMBERS = ("title", "label", "rotation", "empty", "repeat", "count_on")


def path_of(slot: Slot) -> str:
    return f"{SITES}/{slot.site}/slots/{slot.name}"


def named(slot: Slot) -> str:
    """`Top Post Ad (top)`: several slots of a site may have one title."""
    return f"{slot.title} ({slot.name})" if slot.title else slot.name


async def _slot(call: Call) -> Slot:
    found = await manage.get_thing(call.services, "slot", f"{call.path['site']}/{call.path['slot']}")
    assert isinstance(found, Slot)  # noqa: S101 - what the store holds under this kind
    return found


async def slot(call: Call) -> Response:
    """A slot, and what books it."""
    found = await _slot(call)
    site = await manage.get_thing(call.services, "site", found.site)
    campaigns = await access.visible(call.services, call.account, "campaign")
    creatives = [
        one
        for one in await access.visible(call.services, call.account, "creative")
        if isinstance(one, Creative) and one.live is not None and one.state in ("approved", "pending")
    ]
    rows = []
    for one in campaigns:
        if isinstance(one, Campaign) and one.state != "archived" and {found.id, f"{found.site}/*"} & {*one.slots}:
            fitting = sum(
                its.live is not None and fits(its, its.live, found) for its in creatives if its.campaign == one.id
            )
            name = Cell(one.name, call.url(f"/console/campaigns/{one.id}"))
            rows.append((name, one.advertiser, one.tier, one.weight, fitting, Cell(one.state, state=one.state)))
    empty = "No campaign books this slot: book it in the form of a campaign, under “Where it runs”."
    table = Table(f"booked-{found.site}-{found.name}", f"What books {found.id}", BOOKED, rows, empty)
    today = (await today_of(call, found.site, found.id)).get(found.id, Today())
    shown = {"slot": found, "site": site, "today": today, "path": path_of(found)}
    return show_table(call, "slot.html.j2", table, title=found.title or found.name, **shown)


async def room(call: Call) -> Response:
    """What is left of it to sell, for the days to come."""
    found = await _slot(call)
    answer = await available(call.services, found.id, 28)
    rows = [(day["day"], day["forecast"], day["booked"], day["available"]) for day in answer["days"]]
    empty = "No forecast yet: it needs some days of traffic."
    table = Table(f"room-{found.site}-{found.name}", f"What is left of {found.id}", LEFT, rows, empty)
    title = f"What is left of {found.title or found.name}"
    return show_table(call, "room.html.j2", table, title=title, slot=found, found=answer, path=path_of(found))


async def new_slot(call: Call) -> Response:
    site = await manage.get_thing(call.services, "site", call.path["site"])
    return call.show("slot-form.html.j2", title=f"New slot of {site.name}", slot=None, site=site, common=SIZES)


async def edit_slot(call: Call) -> Response:
    found = await _slot(call)
    site = await manage.get_thing(call.services, "site", found.site)
    title = f"Change {found.title or found.name}"
    return call.show("slot-form.html.j2", title=title, slot=found, site=site, common=SIZES)


def whole_of(text: str) -> int | str | None:
    """A number as people write it, `10,000` too; what is none stays text, for the check to refuse."""
    plain = text.replace(",", "").replace(" ", "").replace("\u202f", "").replace("\u00a0", "")
    number = whole(plain, 17)
    return text or None if number is None else number


def _body(call: Call) -> dict[str, Any]:
    form = call.form
    body: dict[str, Any] = {name: form.text(name) or None for name in MEMBERS}
    body["sizes"] = [*form.all("sizes"), *form.lines("more_sizes")]
    body["label"] = form.text("label")  # none at all is a choice
    return {**body, "rank": whole_of(form.text("rank")), "max_kb": whole_of(form.text("max_kb"))}


@shows_again(new_slot)
async def make_slot(call: Call) -> Response:
    site, form = call.path["site"], call.form
    name = form.text("id") or await propose_id(call.services, "slot", form.text("title"), site=site)
    name = name.replace("/", "_")  # part of no id: refused with all else, and no other site's slot
    await manage.put_thing(call.services, "slot", f"{site}/{name}", _body(call), actor=call.actor, match=NEW)
    return call.go(f"{SITES}/{site}/slots/{name}", "created")


@shows_again(edit_slot)
async def save_slot(call: Call) -> Response:
    id_ = f"{call.path['site']}/{call.path['slot']}"
    await manage.patch_thing(call.services, "slot", id_, _body(call), actor=call.actor, match=call.match)
    return call.go(f"{SITES}/{call.path['site']}/slots/{call.path['slot']}", "saved")


def _back(call: Call) -> str:
    return f"{SITES}/{call.path['site']}/slots/{call.path['slot']}"


ONE = f"{SITES}/{{site}}/slots/{{slot}}"
PAGES = (
    Page("GET", f"{SITES}/{{site}}/slots/new", new_slot, ADMIN, "site"),
    Page("POST", f"{SITES}/{{site}}/slots/new", make_slot, ADMIN, "site"),
    Page("GET", ONE, slot, STAFF, "slot"),
    Page("GET", f"{ONE}/room", room, STAFF, "slot"),
    Page("GET", f"{ONE}/edit", edit_slot, ADMIN, "slot"),
    Page("POST", f"{ONE}/edit", save_slot, ADMIN, "slot"),
    *states_of(ONE, "slot", _back),
)
