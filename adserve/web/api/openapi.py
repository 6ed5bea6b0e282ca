"""The interface described by OpenAPI 3.1, made from the route table and the tables of members.

Nothing is written twice: a route says method, path, roles and parameters, its endpoint what it takes and gives,
and the checks of bodies carry their schemas. What a caller may meet at all (401, 422, ...) follows from these.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Protocol

from adserve.core.validate import Schema
from adserve.web.api.endpoint import JSON, Endpoint
from adserve.web.api.once import IDEMPOTENCY_KEY, KEY_PATTERN
from adserve.web.api.public_calls import PUBLIC
from adserve.web.api.query import Takes
from adserve.web.api.schemas import KINDS, schemas
from adserve.web.api.shapes import DECISION, ID, NUMBER, TEXT, ref
from adserve.web.problems import CODES

PROBLEM = "application/problem+json"
VERSIONED = {*(kind.capitalize() for kind in KINDS), "Creative"}
"""Schemas of objects with a version, which come with an ETag."""
EXAMPLES = {
    **{"sites": "news", "slots": "top", "advertisers": "acme", "campaigns": "spring"},
    **{"creatives": "cr-abcdefghijkm", "keys": "k-0123456789ab"},
    "explain": "EMlQ5CvRkwABlRBrSdIAAAEAAAABAAAAAAAg",
}
"""A collection to an id of one in it."""
ABOUT = """Send `Authorization: Bearer KEY` to everything under `/api/v1` (but this description); delivery is public.

Bodies name every member they mean: `PUT` resets what it leaves out, `PATCH` is a JSON merge patch (RFC 7396). `null` \
stands for a member that is left out. Every object has a `version` and an `ETag`; a stale `If-Match` is `412`. Lists \
come in pages: follow `Link: rel="next"`. Failures are `application/problem+json` (RFC 9457) with a stable `code`, and \
for a bad body or query with everything that is wrong in `errors`."""


class Described(Protocol):
    """What is read of a line of the route table."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def endpoint(self) -> Endpoint: ...
    @property
    def summary(self) -> str: ...
    @property
    def query(self) -> Takes: ...
    @property
    def required(self) -> frozenset[str]: ...
    @property
    def guarded(self) -> Mapping[tuple[str, str], frozenset[str]]: ...
    @property
    def roles(self) -> frozenset[str]: ...


def document(routes: Sequence[Described], root: str = "") -> dict[str, Any]:
    """The whole description, of a service whose paths begin at `root`."""
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    for path, methods in PUBLIC.items():
        paths[path] = {name: {"operationId": _slug(one["summary"]), **one} for name, one in methods.items()}
    tags = dict.fromkeys(one["tags"][0] for methods in paths.values() for one in methods.values())
    return {
        "openapi": "3.1.0",
        "info": {"title": "adserve", "version": "v1", "description": ABOUT, "license": _LICENCE},
        "servers": [{"url": root or "/"}],
        "security": [{"key": []}],
        "tags": [{"name": name} for name in tags],
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "responses": {_problem_name(*one): _problem(*one) for route in routes for one in _failures(route)},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key."}},
        },
    }


_LICENCE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}


def _operation(route: Described) -> dict[str, Any]:
    roles = sorted(route.roles)
    found: dict[str, Any] = {
        "operationId": _slug(route.summary),
        "tags": [_noun(route.path) if roles else "description"],
        "summary": route.summary,
        "description": f"For {', '.join(roles)}." if roles else "Needs no key.",
        "x-roles": roles,
    }
    if not roles:
        found["security"] = []
    if parameters := [*_path_parameters(route), *_query_parameters(route), *_headers(route.endpoint)]:
        found["parameters"] = parameters
    if route.endpoint.takes:
        content = {media: {"schema": ref(name)} for media, name in route.endpoint.takes.items()}
        found["requestBody"] = {"required": not route.endpoint.bare, "content": content}
    found["responses"] = _responses(route)
    return found


def _slug(summary: str) -> str:
    return "_".join(re.findall("[a-z]+", summary.lower()))


def _noun(path: str) -> str:
    """`/api/v1/campaigns/{id}/creatives` to `creatives`: what a path is about."""
    plain = [part for part in path.split("/") if part in EXAMPLES]
    return plain[-1] if plain else path.rpartition("/")[2]


def _path_parameters(route: Described) -> Iterable[dict[str, Any]]:
    for before, part in pairwise(route.path.split("/")):
        if part.startswith("{"):
            schema = {"{decision}": DECISION, "{revision}": NUMBER}.get(part, ID)
            example = EXAMPLES.get(before, 1)
            yield {"name": part[1:-1], "in": "path", "required": True, "example": example, **_said(schema)}


def _query_parameters(route: Described) -> Iterable[dict[str, Any]]:
    for name, check in route.query.items():
        found = {"name": f"{name}section" if name.endswith(".") else name, "in": "query", **_said(check.schema)}
        if name in route.required:
            found |= {"required": True, "example": check.schema.get("examples", [EXAMPLES[f"{name}s"]])[0]}
        for (guarded, value), roles in route.guarded.items():
            if guarded == name:
                found["description"] += f" `{value}` is for {', '.join(sorted(roles))}."
        yield found


def _said(schema: Schema) -> dict[str, Any]:
    """A schema whose description is that of the parameter."""
    plain = {word: value for word, value in schema.items() if word != "description"}
    return {"schema": plain, "description": schema.get("description", "")}


def _headers(endpoint: Endpoint) -> Iterable[dict[str, Any]]:
    def header(name: str, about: str, example: str, schema: Schema = TEXT) -> dict[str, Any]:
        return {"name": name, "in": "header", "schema": schema, "description": about, "example": example}

    if endpoint.if_match:
        yield header("If-Match", "The `ETag` that was read, so that nobody's change is overwritten unseen.", '"1"')
        yield header("If-None-Match", "`*`: only if there is none yet.", '"0"')
    if 304 in endpoint.statuses:
        yield header("If-None-Match", "The `ETag` of what is known already: `304` if it is that still.", '"0"')
    if endpoint.once:
        about = "Of your own, for each thing that is to be made: sent again within a day it makes nothing again."
        yield header(IDEMPOTENCY_KEY, about, "spring-2027-01", {"type": "string", "pattern": KEY_PATTERN})


def _responses(route: Described) -> dict[str, Any]:
    endpoint = route.endpoint
    gives = endpoint.gives.get(JSON, "")
    answer: dict[str, Any] = {}
    if endpoint.gives:
        answer["content"] = {media: {"schema": ref(name) if name else TEXT} for media, name in endpoint.gives.items()}
    headers = {}
    if gives in VERSIONED:
        headers["ETag"] = "The version, in quotes."
    elif "after" in route.query:
        headers["Link"] = 'The next page, as `<...>; rel="next"`; none on the last.'
    found = {}
    for status in endpoint.statuses:
        if status == 304:
            found["304"] = {
                "description": _STATUS[status],
                "headers": {"ETag": {"description": "The same.", "schema": TEXT}},
            }
            continue
        more = {"Location": "Its address."} if (status, route.method) == (201, "POST") and gives in VERSIONED else {}
        said = {name: {"description": about, "schema": TEXT} for name, about in {**headers, **more}.items()}
        found[str(status)] = {"description": _STATUS[status], **answer, **({"headers": said} if said else {})}
    return found | {str(one[0]): {"$ref": f"#/components/responses/{_problem_name(*one)}"} for one in _failures(route)}


_STATUS = {200: "Done.", 201: "Made.", 204: "Gone.", 304: "As it was."}


def _failures(route: Described) -> list[tuple[int, tuple[str, ...]]]:
    """The problems that a caller may meet: status and codes."""
    writes, named = route.method != "GET", "{" in route.path
    met = {
        400: writes,
        401: bool(route.roles),
        403: bool(route.roles),
        404: named or not {"campaign", "slot"}.isdisjoint(route.query),
        409: writes and (named or route.method == "PUT" or route.endpoint.once),
        412: route.endpoint.if_match,
        413: writes,
        415: writes,
        422: True,
        429: bool(route.roles),
        503: True,
    }
    never: set[str] = set()
    if "period" not in route.query:
        never.add("rolled_up")
    if not route.endpoint.once:
        never |= {"idempotency_key_in_use", "already_made", "idempotency_key_reused"}
    return [(status, tuple(code for code in CODES[status] if code not in never)) for status, may in met.items() if may]


def _problem_name(status: int, codes: tuple[str, ...]) -> str:
    return f"Problem{status}" + "".join(code.title().replace("_", "") for code in codes[1:] if status in (409, 422))


def _problem(status: int, codes: tuple[str, ...]) -> dict[str, Any]:
    """One kind of failure, with the codes that it may carry."""
    schema = {"allOf": [ref("Problem"), {"properties": {"status": {"const": status}, "code": {"enum": list(codes)}}}]}
    found: dict[str, Any] = {
        "description": "; ".join(f"`{code}`: {CODES[status][code]}" for code in codes) + ".",
        "x-status": status,
        "x-codes": {code: CODES[status][code] for code in codes},
        "content": {PROBLEM: {"schema": schema}},
    }
    wait = {"Retry-After": "Seconds to wait."}
    headers = {401: {"WWW-Authenticate": "`Bearer`."}, 429: wait, 503: wait}.get(status)
    if headers:
        found["headers"] = {name: {"description": about, "schema": TEXT} for name, about in headers.items()}
    return found
