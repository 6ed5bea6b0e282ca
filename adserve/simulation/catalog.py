"""A catalog from a file, in the forms of the API.

    {"sites": [{"id": "news", "name": "News", "timezone": "Asia/Kolkata"}],
     "slots": [{"site": "news", "name": "top", "sizes": ["728x90"]}],
     "advertisers": [{"id": "acme", "name": "Acme"}],
     "campaigns": [{"id": "spring", "advertiser": "acme", "slots": ["news/*"], "goal": {"impressions": 10000}, ...}],
     "creatives": [{"campaign": "spring", "name": "Shoe", "kind": "image", "width": 728, "height": 90, "weight": 2}]}

Bodies are those of the management API, read by the same builders. A creative has its size instead of a picture, is
approved unless `state` says otherwise, and needs no landing URL; a campaign without creatives gets a text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import msgspec
from msgspec.structs import replace

from adserve.core import validate as v
from adserve.core.catalog import Catalog
from adserve.core.compile import compile_catalog
from adserve.core.form import Field, Fields, Form
from adserve.core.members import FREE, KIND
from adserve.core.model import MAX_MARKUP, MAX_SIDE, Campaign, Content, Creative, Media, Revision, Slot, Thing
from adserve.core.schedule import zone
from adserve.errors import Invalid, NotFound, Problem
from adserve.flows.manage import BUILDERS, READ_ONLY
from adserve.flows.services import Services
from adserve.snippet import compile_snippet

KINDS = {"sites": "site", "slots": "slot", "advertisers": "advertiser", "campaigns": "campaign"}
_SIDE = Field(v.whole(1, MAX_SIDE), 0)
_CREATIVE: Fields = {
    **FREE,
    "name": Field(v.text(200), "creative"),
    "campaign": Field(v.check_id, "", required=True),
    "kind": Field(KIND, "text"),
    "state": Field(v.one_of("pending", "approved", "paused"), "approved"),
    "width": _SIDE,
    "height": _SIDE,
    "click_url": Field(v.landing, "https://example.com/"),
    "alt": Field(v.text(300), ""),
    "title": Field(v.text(120), ""),
    "body": Field(v.text(500, empty=True), ""),
    "html": Field(v.markup(MAX_MARKUP), ""),
}


_SHOWN = ("id", "version", "revision", "live_revision", "reason", "file")
"""What the API shows of a creative and a file may hold."""


def read_catalog(text: bytes, now: int) -> Catalog:
    """The compiled catalog of a file. `now`: what campaigns are checked against, epoch seconds. Invalid with all
    that is wrong."""
    try:
        parts = msgspec.json.decode(text)
    except msgspec.DecodeError as problem:
        raise Invalid([Problem("", f"is no JSON: {problem}")]) from None
    if not isinstance(parts, dict):
        raise Invalid([Problem("", f"takes an object with {', '.join([*KINDS, 'creatives'])}")])
    things = asyncio.run(_things(parts, now))
    return compiled(things)


def compiled(things: Mapping[str, Thing]) -> Catalog:
    """The copy that decisions read."""
    return compile_catalog(1, things, compile_snippet)


class _Stored:
    """Things by kind and id, where the builders of the API look for them."""

    def __init__(self) -> None:
        self.things: dict[str, Thing] = {}

    async def get(self, kind: str, id_: str) -> Thing | None:
        return self.things.get(f"{kind}:{id_}")

    async def list(self, kind: str) -> list[Thing]:
        return [thing for name, thing in self.things.items() if name.startswith(f"{kind}:")]


async def _things(parts: Mapping[str, Any], now: int) -> dict[str, Thing]:
    stored = _Stored()
    services = cast(Services, SimpleNamespace(catalog=stored, clock=lambda: now))
    problems = [
        Problem(v.pointer(name), f"is no part of a catalog: takes {', '.join([*KINDS, 'creatives'])}", "unknown_field")
        for name in sorted(set(parts) - {*KINDS, "creatives"})
    ]
    for name, kind in KINDS.items():
        for at, body in enumerate(_list(parts, name, problems)):
            try:
                id_, own = _named(kind, v.members(body))
                made = await BUILDERS[kind](services, id_, own, None)
            except Invalid as problem:
                problems += [Problem(f"/{name}/{at}{one.pointer}", one.detail, one.code) for one in problem.problems]
                continue
            except NotFound as missing:
                problems.append(Problem(f"/{name}/{at}", str(missing), "unknown"))
                continue
            made = replace(made, serial=len(stored.things) + 1)
            if isinstance(made, Slot) and not made.rank:
                made = replace(made, rank=made.serial)
            stored.things[f"{kind}:{id_}"] = made
    for at, body in enumerate(_list(parts, "creatives", problems)):
        try:
            made = _creative(stored.things, v.members(body), len(stored.things) + 1)
            stored.things[f"creative:{made.id}"] = made
        except Invalid as problem:
            problems += [Problem(f"/creatives/{at}{one.pointer}", one.detail, one.code) for one in problem.problems]
    if problems:
        raise Invalid(problems)
    shown = {thing.campaign for thing in stored.things.values() if isinstance(thing, Creative)}
    for thing in list(stored.things.values()):
        if isinstance(thing, Campaign) and thing.id not in shown:
            serial = len(stored.things) + 1
            stored.things[f"creative:c{serial}"] = _creative(stored.things, {"campaign": thing.id}, serial)
    return stored.things


def _list(parts: Mapping[str, Any], name: str, problems: list[Problem]) -> list[Any]:
    found = parts.get(name, [])
    if isinstance(found, list):
        return found
    problems.append(Problem(f"/{name}", "takes a list of objects"))
    return []


def _named(kind: str, body: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The id of an object, and what its builder takes."""
    id_ = f"{body.get('site')}/{body.get('name')}" if kind == "slot" else str(body.get("id"))
    if not all(v.ID.fullmatch(part) for part in id_.split("/")):
        name = "name" if kind == "slot" else "id"
        raise Invalid([Problem(f"/{name}", "is required: 1 to 64 of a-z, 0-9 and -", "required")])
    return id_, {name: value for name, value in body.items() if name not in READ_ONLY}


def _creative(things: Mapping[str, Thing], body: dict[str, Any], serial: int) -> Creative:
    """One of a file, approved with its first revision."""
    form = Form({name: value for name, value in body.items() if name not in _SHOWN})
    values = form.read(_CREATIVE)
    owner = things.get(f"campaign:{values['campaign']}")
    if not isinstance(owner, Campaign) and values["campaign"]:
        form.problem("campaign", f"there is no campaign {values['campaign']}", "unknown")
    own_zone = owner.zone if isinstance(owner, Campaign) else "UTC"
    starts_at, ends_at = form.window(values["starts"], values["ends"], zone(own_zone))
    if values["kind"] in ("image", "html") and not (values["width"] and values["height"]):
        form.problem("width", f"an {values['kind']} creative has width and height", "required")
    form.finish()
    own = {name: values.pop(name) for name in ("width", "height", "click_url", "alt", "title", "body", "html")}
    image = values["kind"] == "image"
    media = Media(f"{serial:040x}.png", "image/png", 30_000) if image else None
    content = Content(revision=1, serial=serial, media=media, **own)
    return Creative(
        id=f"c{serial}",
        serial=serial,
        version=1,
        starts_at=starts_at,
        ends_at=ends_at,
        content=content,
        live=content if values["state"] != "pending" else None,
        revisions=(Revision(1, serial),),
        **values,
    )
