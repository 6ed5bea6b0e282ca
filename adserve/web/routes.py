"""The route table of the management API: what there is, who may, about which object, which parameters, how
large a body.

Authentication, role, ownership, parameters, body limit and the form of every failure stand in one wrapper around
each route, so that no endpoint can forget one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import get_args, get_type_hints

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute
from starlette.types import Receive, Scope, Send

from adserve.core.access import ROLES, Account
from adserve.core.asking import AMOUNT, CONTEXT, PLACE, READER, number
from adserve.core.figures import Figures
from adserve.core.report_query import PARAMETERS
from adserve.core.validate import Check, check_id, check_place, one_of
from adserve.errors import AdserveError, Forbidden, StoreUnavailable, Unauthenticated
from adserve.flows.access import require
from adserve.flows.availability import DAYS, MOST_DAYS
from adserve.flows.services import Services
from adserve.store.catalog import TYPES
from adserve.store.client import REPLY_ERRORS
from adserve.web.api import creatives, documents
from adserve.web.api import endpoints as api
from adserve.web.api.body import BadBody, Room, is_form, read
from adserve.web.api.endpoint import Endpoint
from adserve.web.api.query import Takes, read_query, whole_from_one
from adserve.web.api.throttle import Throttle
from adserve.web.bearer import bearer
from adserve.web.problems import problem, reply_to

log = structlog.get_logger("adserve")
JSON_LIMIT = 65_536
FORM_OVERHEAD = 65_536
ADMIN = frozenset({"admin"})
STAFF = frozenset({"admin", "reviewer", "reader"})
EVERYONE = frozenset(ROLES)
REVIEW = frozenset({"admin", "reviewer"})
OWN = frozenset({"admin", "advertiser"})
ANYONE: frozenset[str] = frozenset()
"""No role is asked for, and no key."""
NOBODY = Account("nobody", None, "")


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table. `roles`: who may, before anything is looked up; `about`: the kind of the object that
    the path names, which has to be the caller's. `query`: the parameters it takes, those that are `required`, and in
    `guarded` the values among them that only some roles may give. `takes_file`: its form may hold one, and be as
    large as an upload."""

    method: str
    path: str
    endpoint: Endpoint
    summary: str
    roles: frozenset[str]
    about: str | None = None
    query: Takes = field(default_factory=dict)
    guarded: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    takes_file: bool = False
    required: frozenset[str] = frozenset()


PAGE: Takes = {
    "limit": whole_from_one.noted("How many at most; never more than 100.", default=100),
    "after": Check(str, {"type": "string", "description": "The last one of the page before."}),
}


def _list(kind: str, **filters: Check[str]) -> Takes:
    """What a list of objects takes: a page, a state that its kind has, and filters of its own."""
    states = get_args(get_type_hints(TYPES[kind])["state"])
    return {"state": one_of(*states), **filters, **PAGE}


def _crud(kind: str, item: str, collection: str, readers: frozenset[str], **filters: Check[str]) -> tuple[Route, ...]:
    """The five routes of a kind that admins alone change; its list may stand below an object of another kind."""
    one = f"an {kind}" if kind == "advertiser" else f"a {kind}"
    parent = "site" if "{site}" in collection else None
    return (
        Route("GET", collection, api.listing(kind), f"list {kind}s", readers, parent, _list(kind, **filters)),
        Route("PUT", item, api.put(kind), f"create or replace {one}", ADMIN, kind),
        Route("GET", item, api.get(kind), f"one {kind}", readers, kind),
        Route("PATCH", item, api.patch(kind), f"change {one} by merge patch", ADMIN, kind),
        Route("DELETE", item, api.delete(kind), f"archive {one}", ADMIN, kind),
    )


def _creative(
    method: str, rest: str, endpoint: Endpoint, summary: str, roles: frozenset[str], query: Takes | None = None
) -> Route:
    path, file = f"{V1}/creatives/{{id}}{rest}", rest == "/content"
    return Route(method, path, endpoint, summary, roles, "creative", query or {}, takes_file=file)


V1 = "/api/v1"
UPLOADS = f"{V1}/campaigns/{{id}}/creatives"
APPROVE: Takes = {
    "approve": one_of("true", "false").noted("`true` approves it at once."),
    "check": one_of("true", "false").noted("`true` only looks: 200 with what would be made, and nothing is stored."),
}
MAY_APPROVE = {("approve", "true"): REVIEW}
REVISIONS: Takes = {**PAGE, "after": whole_from_one.noted("The number of the last one of the page before.")}
AGAINST: Takes = {"against": whole_from_one.noted("The revision to compare with; left out, the one before it.")}
CREATIVES = _list("creative", campaign=check_id)
AUDIT: Takes = {
    "actor": Check(str, {"type": "string", "description": "The id of the key that changed it."}),
    "what": Check(str, {"type": "string", "description": "`kind:id`, or a kind.", "examples": ["campaign:spring"]}),
    **PAGE,
    "after": api.audit_id,
}
AVAILABILITY: Takes = {
    "slot": check_place.noted("The slot, as `site/name`; required."),
    "days": number(1, MOST_DAYS).noted("Local days of the site, from today on.", default=DAYS),
}
EXPLAIN: Takes = {**PLACE, **CONTEXT, **READER, **AMOUNT}
REPORT: Takes = {name: Check(str, schema) for name, schema in PARAMETERS.items()}
ROUTES: tuple[Route, ...] = (
    *_crud("site", f"{V1}/sites/{{id}}", f"{V1}/sites", STAFF),
    *_crud("slot", f"{V1}/sites/{{site}}/slots/{{slot}}", f"{V1}/sites/{{site}}/slots", STAFF),
    *_crud("advertiser", f"{V1}/advertisers/{{id}}", f"{V1}/advertisers", EVERYONE),
    *_crud("campaign", f"{V1}/campaigns/{{id}}", f"{V1}/campaigns", EVERYONE, advertiser=check_id),
    Route("GET", f"{V1}/campaigns/{{id}}/limits", creatives.limits, "what an upload has to keep to", EVERYONE,
          "campaign"),
    Route("GET", f"{V1}/campaigns/{{id}}/delivery", api.delivered, "delivery beside its plan", EVERYONE, "campaign"),
    Route("POST", UPLOADS, creatives.upload, "upload a creative", OWN | REVIEW, "campaign", APPROVE, MAY_APPROVE, True),
    Route("GET", f"{V1}/creatives", api.listing("creative"), "list creatives", EVERYONE, query=CREATIVES),
    _creative("GET", "", api.get("creative"), "one creative", EVERYONE),
    _creative("PATCH", "", creatives.patch_creative, "change a creative by merge patch", OWN),
    _creative("DELETE", "", creatives.move("archive"), "archive a creative", OWN),
    _creative("PUT", "/content", creatives.put_content, "new content, for review", OWN),
    _creative("POST", "/approve", creatives.move("approve"), "approve the newest revision", REVIEW),
    _creative("POST", "/reject", creatives.move("reject"), "reject, with a reason", REVIEW),
    _creative("POST", "/pause", creatives.move("pause"), "pause", OWN),
    _creative("POST", "/resume", creatives.move("resume"), "resume", OWN),
    _creative("GET", "/revisions", creatives.list_revisions, "its revisions, newest first", EVERYONE, REVISIONS),
    _creative("GET", "/revisions/{revision}", creatives.get_revision, "one revision", EVERYONE, AGAINST),
    _creative("POST", "/restore", creatives.restore, "an old revision again, for review", OWN),
    Route("POST", f"{V1}/keys", api.create_key, "make an API key", ADMIN),
    Route("GET", f"{V1}/keys", api.list_keys, "list API keys", ADMIN, query=PAGE),
    Route("POST", f"{V1}/keys/{{id}}/rotate", api.rotate_key, "give an API key another secret", ADMIN, "key"),
    Route("DELETE", f"{V1}/keys/{{id}}", api.delete_key, "revoke an API key", ADMIN, "key"),
    Route("GET", f"{V1}/report", api.report, "figures", EVERYONE, query=REPORT),
    Route("GET", f"{V1}/availability", api.availability, "what can still be sold", STAFF, None, AVAILABILITY,
          required=frozenset({"slot"})),
    Route("GET", f"{V1}/explain", api.explain, "explain a slot", EVERYONE, query=EXPLAIN, required=frozenset(PLACE)),
    Route("GET", f"{V1}/explain/{{decision}}", api.explain_decision, "explain a decision", EVERYONE, query=AMOUNT),
    Route("GET", f"{V1}/audit", api.audit, "who changed what, newest first", EVERYONE, query=AUDIT),
    Route("GET", f"{V1}/openapi.json", documents.openapi(lambda: ROUTES), "this description", ANYONE),
    Route("GET", f"{V1}/docs", documents.page(lambda: ROUTES), "this description, to read", ANYONE),
)


def build_api(
    services: Services, figures: Figures | None = None, throttle: Throttle | None = None
) -> list[StarletteRoute]:
    """The table as routes of the application, with replies for unknown paths and wrong methods; they are counted
    in `figures`. Without a `throttle` callers may call as often as they like."""
    figures = figures or Figures()
    paths: dict[str, dict[str, Route]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method] = route
    answer = partial(_answer, services=services, throttle=throttle, room=Room())
    found = [_dispatcher(path, methods, answer, figures) for path, methods in paths.items()]

    async def missing(_: Request) -> Response:
        return problem(404, "not_found", "there is no such address")

    return [*found, StarletteRoute(f"{V1}/{{rest:path}}", _AnyMethod(missing, figures))]


class _AnyMethod:
    """An endpoint that sees every method, so that all refusals have one form. Starlette answers
    methods that a route does not name by itself, in plain text."""

    def __init__(self, handle: Callable[[Request], Awaitable[Response]], figures: Figures) -> None:
        self._handle, self._figures = handle, figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hundreds = 5  # what the application answers to a failure that nobody expected
        try:
            response = await self._handle(Request(scope, receive, send))
            hundreds = response.status_code // 100
        finally:
            self._figures.api[hundreds] += 1
        await response(scope, receive, send)


def _dispatcher(
    path: str,
    methods: dict[str, Route],
    answer: Callable[[Route, Request], Awaitable[Response]],
    figures: Figures,
) -> StarletteRoute:
    async def handle(request: Request) -> Response:
        route = methods.get("GET" if request.method == "HEAD" else request.method)
        if route is None:
            allowed = ", ".join(sorted({*methods, *(("HEAD",) if "GET" in methods else ())}))
            refused = problem(405, "method_not_allowed", f"this address takes {allowed}")
            refused.headers["Allow"] = allowed
            return refused
        try:
            return await answer(route, request)
        except BadBody as failure:
            return problem(400, failure.code, str(failure))
        except ClientDisconnect:
            return problem(400, "bad_body", "the body ended early")  # nobody is there to read it
        except AdserveError as failure:
            return reply_to(failure)
        except REPLY_ERRORS as failure:
            log.warning("store_failed", problem=type(failure).__name__)
            return reply_to(StoreUnavailable("the store does not answer; try again"))

    return StarletteRoute(path, _AnyMethod(handle, figures))


async def _answer(
    route: Route, request: Request, services: Services, throttle: Throttle | None, room: Room
) -> Response:
    """Who, how often, may they, what do they ask, is it theirs, how much, then the endpoint."""
    account = await _caller(request, services, throttle) if route.roles else NOBODY
    if route.roles and account.role not in route.roles:
        raise Forbidden("this key's role may not do that")
    query = read_query(request.query_params.multi_items(), route.query, route.required)
    for (name, value), roles in route.guarded.items():
        if query.get(name) == value and account.role not in roles:
            raise Forbidden(f"this key's role may not ask for {name}={value}")
    if route.about is not None:
        await require(services, account, route.about, api.id_of(route.about, request.path_params))
    upload = route.takes_file and is_form(request)
    limit = services.max_upload_bytes + FORM_OVERHEAD if upload else JSON_LIMIT
    with room.of(account.id) if upload else nullcontext():
        return await route.endpoint(api.Call(request, services, account, query, await read(request, limit)))


async def _caller(request: Request, services: Services, throttle: Throttle | None) -> Account:
    """The account of the one key that a request has. Unauthenticated, or TooMany."""
    secret = bearer(request.headers.raw)
    account = await services.accounts.find(secret) if secret is not None else None
    if throttle is not None:
        await throttle.admit(request, account)
    if account is not None:
        return account
    raise Unauthenticated("send Authorization: Bearer with a valid API key")
