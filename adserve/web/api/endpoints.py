"""The endpoints of the management API: parse, call one flow, reply."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from adserve.core import validate as v
from adserve.core.access import Account
from adserve.core.match import Match, etag
from adserve.core.model import Thing
from adserve.errors import AlreadyMade
from adserve.flows import access, keys, manage
from adserve.flows.availability import DAYS, available
from adserve.flows.delivery import delivery
from adserve.flows.explain import explain_live, explain_past
from adserve.flows.report import report as report_flow
from adserve.flows.services import Services
from adserve.store.accounts import already_made, key_id
from adserve.web.api import body as bodies
from adserve.web.api.endpoint import CSV, JSON, PATCH, Endpoint, answers
from adserve.web.api.once import Making, once
from adserve.web.api.query import whole_from_one
from adserve.web.headers import HEADERS
from adserve.web.problems import reply_to

MAX_PAGE = 100
AUDIT_ID = re.compile(r"[0-9]{1,15}-[0-9]{1,15}")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated call: the request, who makes it, its checked parameters, its bounded body."""

    request: Request
    services: Services
    account: Account
    query: dict[str, str]
    body: bytes

    @property
    def path(self) -> dict[str, str]:
        return self.request.path_params

    @property
    def match(self) -> Match:
        """What the call asks of the version that is there."""
        lines = (self.request.headers.getlist(name) for name in ("if-match", "if-none-match"))
        return Match(*(", ".join(found) if found else None for found in lines))

    def json(self) -> Any:
        return bodies.as_json(self.request, self.body)


def reply(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), status, {**HEADERS, **(headers or {})}, "application/json")


def echo(value: Any) -> Response:
    """What a caller is shown of its own words: whatever takes the reply for HTML sees no tag."""
    return Response(msgspec.json.encode(value).replace(b"<", b"\\u003c"), 200, HEADERS, "application/json")


async def shown(call: Call, thing: Thing, status: int = 200, **headers: str) -> Response:
    """An object with its ETag; a reader who has it already gets that alone."""
    body = await manage.public(call.services, thing)
    tag = etag(thing.version, body.get("accepts"))
    if call.request.method in ("GET", "HEAD") and call.match.knows(tag):
        return Response(status_code=304, headers={**HEADERS, "ETag": tag})
    return reply(body, status, {"ETag": tag, **headers})


def id_of(kind: str, path: dict[str, str]) -> str:
    """The id of the object of this kind that a path names."""
    if kind == "slot":
        return f"{path['site']}/{path['slot']}"
    return path["id"] if "id" in path else path[kind]


def put(kind: str) -> Endpoint:
    name = kind.capitalize()

    @answers(200, 201, gives={JSON: name}, takes={JSON: f"{name}Body"}, if_match=True)
    async def endpoint(call: Call) -> Response:
        id_ = id_of(kind, call.path)
        thing, created = await manage.put_thing(
            call.services, kind, id_, call.json(), actor=call.account.id, match=call.match
        )
        return await shown(call, thing, 201 if created else 200)

    return endpoint


def get(kind: str) -> Endpoint:
    @answers(200, 304, gives={JSON: kind.capitalize()})
    async def endpoint(call: Call) -> Response:
        return await shown(call, await manage.get_thing(call.services, kind, id_of(kind, call.path)))

    return endpoint


def patch(kind: str) -> Endpoint:
    name = kind.capitalize()

    @answers(200, gives={JSON: name}, takes=dict.fromkeys((PATCH, JSON), f"{name}Patch"), if_match=True)
    async def endpoint(call: Call) -> Response:
        id_ = id_of(kind, call.path)
        thing = await manage.patch_thing(call.services, kind, id_, call.json(), actor=call.account.id, match=call.match)
        return await shown(call, thing)

    return endpoint


def delete(kind: str) -> Endpoint:
    @answers(200, gives={JSON: kind.capitalize()}, if_match=True)
    async def endpoint(call: Call) -> Response:
        id_ = id_of(kind, call.path)
        thing = await manage.archive_thing(call.services, kind, id_, actor=call.account.id, match=call.match)
        return await shown(call, thing)

    return endpoint


def page_of(call: Call, rows: list[T], id_of_row: Callable[[T], str]) -> tuple[list[T], dict[str, str]]:
    """`?limit=&after=` over rows sorted by id: one page, and the headers with a `Link` to the next."""
    limit, after = limit_of(call), call.query.get("after", "")
    found = [row for row in rows if id_of_row(row) > after]
    return found[:limit], next_link(call, limit, id_of_row(found[limit - 1])) if len(found) > limit else {}


def limit_of(call: Call) -> int:
    """`?limit=`: at most MAX_PAGE, whatever was asked."""
    return min(whole_from_one(call.query.get("limit", str(MAX_PAGE))), MAX_PAGE)


def next_link(call: Call, limit: int, after: str) -> dict[str, str]:
    following = urlencode({**call.query, "limit": limit, "after": after})
    return {"Link": f'<{call.request.url.path}?{following}>; rel="next"'}


def listing(kind: str) -> Endpoint:
    @answers(200, gives={JSON: f"{kind.capitalize()}s"})
    async def endpoint(call: Call) -> Response:
        if "site" in call.path:
            await manage.get_thing(call.services, "site", call.path["site"])
        wanted = {name: value for name, value in call.query.items() if name not in ("limit", "after")} | call.path
        things = await access.visible(call.services, call.account, kind)
        found = [one for one in things if all(getattr(one, n, None) == value for n, value in wanted.items())]
        page, headers = page_of(call, found, lambda one: one.id)
        slots = await manage.list_things(call.services, "slot") if kind == "campaign" else None
        return reply({"items": [await manage.public(call.services, one, slots) for one in page]}, headers=headers)

    return endpoint


@answers(201, gives={JSON: "NewKey"}, takes={JSON: "KeyBody"}, once=True)
async def create_key(call: Call) -> Response:
    """The secret is in this one answer: a call that was sent again is told which key it made."""
    body = call.json()

    async def make(making: Making) -> Response:
        try:
            made, secret = await keys.create_key(call.services, body, actor=call.account.id, id_=making.id)
        except AlreadyMade as told:
            return reply_to(told)
        making.made = True
        return reply({**made.as_json(), "key": secret}, 201)

    def kept(id_: str, _: Response) -> Response:
        return reply_to(already_made(id_))

    return await once(call.request, call.services, call.account, body, key_id(), make, kept)


@answers(200, gives={JSON: "Keys"})
async def list_keys(call: Call) -> Response:
    found = sorted(await call.services.accounts.list(), key=lambda one: one.id)
    page, headers = page_of(call, found, lambda one: one.id)
    used = await call.services.accounts.used()
    return reply({"items": [one.as_json(used.get(one.id)) for one in page]}, headers=headers)


@answers(200, gives={JSON: "NewKey"}, takes={JSON: "RotationBody"}, bare=True)
async def rotate_key(call: Call) -> Response:
    """The secret is in this one answer; sent again, it makes another one."""
    body = call.json() if call.body.strip() else {}
    made, secret = await keys.rotate_key(call.services, call.path["id"], body, actor=call.account.id)
    return reply({**made.as_json(), "key": secret})


@answers(204, gives={})
async def delete_key(call: Call) -> Response:
    await call.services.accounts.revoke(call.path["id"], actor=call.account.id)
    return Response(status_code=204, headers=HEADERS)


@answers(200, gives={JSON: "Report", CSV: ""})
async def report(call: Call) -> Response:
    """Figures as JSON or, with `format=csv`, as CSV."""
    found = await report_flow(call.services, call.query, call.account)
    if isinstance(found, str):
        headers = {**HEADERS, "Content-Disposition": 'attachment; filename="report.csv"'}
        return Response(found, 200, headers, "text/csv; charset=utf-8")
    return reply(found)


@answers(200, gives={JSON: "Explanation"})
async def explain(call: Call) -> Response:
    """What a request would get now, and why."""
    return echo(await explain_live(call.services, call.account, call.query))


@answers(200, gives={JSON: "Explanation"})
async def explain_decision(call: Call) -> Response:
    return echo(await explain_past(call.services, call.account, call.path["decision"], call.query))


@answers(200, gives={JSON: "Availability"})
async def availability(call: Call) -> Response:
    """How much of a slot can still be sold."""
    return reply(await available(call.services, call.query["slot"], int(call.query.get("days", DAYS))))


@answers(200, gives={JSON: "Delivery"})
async def delivered(call: Call) -> Response:
    """A campaign beside its plan."""
    return reply((await delivery(call.services, call.account, call.path["id"])).as_json())


@v.takes(type="string", pattern=f"^{AUDIT_ID.pattern}$")
def audit_id(text: str) -> str:
    """The id of a line of the audit, as `1795474800000-0`."""
    if not AUDIT_ID.fullmatch(text) or not text.strip("0-"):  # nothing is before the first moment: the store refuses it
        raise ValueError("takes the id of an entry")
    return text


@answers(200, gives={JSON: "Changes"})
async def audit(call: Call) -> Response:
    """Newest first; `after` is the id of the last line that was looked at for the page before."""
    limit, query = limit_of(call), call.query
    lines, after = await access.read_audit(
        call.services,
        call.account,
        before=query.get("after", "+"),
        limit=limit,
        actor=query.get("actor", ""),
        what=query.get("what", ""),
    )
    return reply({"items": lines}, headers=next_link(call, limit, after) if after else {})
