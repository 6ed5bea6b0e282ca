"""Who changed what: the audit, filtered, by pages, and as a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from starlette.responses import Response
from starlette.routing import Route

from adserve.core.model import Thing
from adserve.flows.access import AT_ONE_CALL, read_audit
from adserve.web.api.endpoints import audit_id
from adserve.web.console.form import asked as shown_again
from adserve.web.console.page import EVERYONE, STAFF, Call, Page
from adserve.web.console.table import Cell, Column, Table, Value, show_table

AUDIT = "/console/audit"
AT_ONCE, EXPORTED = 100, 10_000
"""Lines of a page, and of the file."""
KINDS = (
    ("", "everything"), ("site", "sites"), ("slot", "slots"), ("advertiser", "advertisers"), ("campaign", "campaigns"),
    ("creative", "creatives"), ("user", "people"), ("key", "API keys"),
)  # fmt: skip
PLACES = {
    "site": "sites", "advertiser": "advertisers", "campaign": "campaigns", "creative": "creatives", "user": "users",
    "key": "keys",
}  # fmt: skip
"""Kind to where the pages of its objects lie; a slot's lies below its site's."""
COLUMNS = (
    Column("Time (UTC)"),
    Column("Who"),
    Column("Did"),
    Column("What"),
    Column("Before", "Fingerprint of the object before, or an id."),
    Column("After", "Fingerprint of the object after, or an id."),
)


class _Known(NamedTuple):
    """What lines are read with: names of accounts by id, the objects, and whether they lead to pages: a file has no
    links, and to look for the pages of all of its lines would hold up everybody else."""

    people: Mapping[str, str]
    things: Mapping[str, Thing]
    linked: bool


async def audit(call: Call) -> Response:
    asked = call.query
    call.form = shown_again(asked)
    whole = asked.get("format") == "csv"
    known = _Known(await _people(call), await call.services.catalog.all(), linked=not whole)
    before = _cursor(asked.get("before", ""))
    lines, after = await read_audit(
        call.services,
        call.account,
        before=before or "+",
        limit=EXPORTED if whole else AT_ONCE,
        actor=_actor(asked.get("actor", "").strip(), known.people),
        what=asked.get("what", "").strip() or asked.get("kind", ""),
    )
    rows = [_row(call, line, known) for line in lines]
    empty = "Nothing like that was changed." if any(asked.values()) else "Nothing was changed yet."
    rest = {name: value for name, value in asked.items() if name in ("actor", "kind", "what") and value}
    return show_table(
        call,
        "audit.html.j2",
        Table("audit", "Who changed what, newest first", COLUMNS, rows, empty),
        title="Audit",
        kinds=KINDS,
        people=sorted(known.people.items(), key=lambda one: one[1]) if call.account.advertiser is None else [],
        after=after,
        looked=AT_ONE_CALL,
        rest=rest,
        lost=bool(asked.get("before")) and before is None,
    )


def _cursor(text: str) -> str | None:
    """The line that a page begins after; None for what is none, which the store would refuse."""
    try:
        return audit_id(text)
    except ValueError:
        return None


async def _people(call: Call) -> dict[str, str]:
    """Names by the ids of accounts. An advertiser knows those that are bound to it, and nobody else by name."""
    bound = call.account.advertiser
    keys = await call.services.accounts.list()
    found = {key.id: f"key {key.name}" for key in keys if bound in (None, key.advertiser)}
    for user in await call.services.users.list():
        if bound in (None, user.advertiser):
            found[user.id] = user.name
    return found


def _actor(asked: str, people: Mapping[str, str]) -> str:
    """The id of an account that was named by name or id."""
    return next((id_ for id_, name in people.items() if asked and name == asked), asked)


def _row(call: Call, line: Mapping[str, str], known: _Known) -> list[Value]:
    actor, what = line["actor"], line["what"]
    name = known.people.get(actor)
    if name is None and call.account.advertiser is not None and actor != call.account.id:
        who: Value = "the publisher"
    else:
        who = Cell(name, note=actor) if name else actor
    did = line["action"].replace("_", " ")
    at = line["at"].replace("T", " ").removesuffix("Z")
    return [at, who, did, _object(call, what, known), line["before"], line["after"]]


def _object(call: Call, what: str, known: _Known) -> Value:
    """An object by its name, with its page where it has one."""
    kind, _, id_ = what.partition(":")
    thing = known.things.get(what)
    if thing is None:
        named, place = known.people.get(id_), f"/console/{PLACES.get(kind, 'none')}/{id_}"
        linked = known.linked and call.may("admin") and _is_page(call, place)
        words = named if kind == "key" else f"{kind} {named}"  # the name of a key says that it is one
        return Cell(words, call.url(place) if linked else None, note=id_) if named else what
    name = getattr(thing, "title", "") or thing.name
    site, _, slot = id_.partition("/")
    place = f"/console/sites/{site}/slots/{slot}" if kind == "slot" else f"/console/{PLACES[kind]}/{id_}"
    open_ = known.linked and (call.account.role in STAFF or kind in ("campaign", "creative"))
    return Cell(f"{kind} {name}", call.url(place) if open_ and _is_page(call, place) else None, note=id_)


def _is_page(call: Call, path: str) -> bool:
    """Whether anything but the page for what is not there answers to a path."""
    routes = (one for one in call.request.scope["router"].routes if isinstance(one, Route))
    return any(one.path_regex.match(path) for one in routes if not one.path.endswith(":path}"))


PAGES = (Page("GET", AUDIT, audit, EVERYONE, nav="Audit"),)
