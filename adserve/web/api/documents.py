"""The description of the interface as two answers: OpenAPI for programs, a page for people.

Both are made once, at the first call, of the routes and the path at which these begin: no store, no setting and no
caller is in them. The page is one file without scripts and without anything from elsewhere, so it works offline and
under the strictest policy.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import Response

from adserve.web.api.endpoint import HTML, JSON, Endpoint, answers
from adserve.web.api.openapi import Described, document
from adserve.web.api.reading import Reading
from adserve.web.headers import HEADERS

Routes = Callable[[], Sequence[Described]]
MOST_ROOTS = 8
"""Paths at which one process answers; a mount may have a parameter in its path."""
TEMPLATES = Path(__file__).parents[1] / "templates"
STYLE = (TEMPLATES / "api.css").read_text("utf-8")
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
PAGE_HEADERS = {
    **HEADERS,
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; frame-ancestors 'none'",
}
templates = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=True,  # for every name: the default of Jinja's selectors skips endings like .j2
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def openapi(routes: Routes) -> Endpoint:
    made = lru_cache(MOST_ROOTS)(lambda root: msgspec.json.encode(document(routes(), root)))

    @answers(200, gives={JSON: "Description"})
    async def endpoint(call: Any) -> Response:
        return Response(made(call.request.scope.get("root_path", "")), 200, HEADERS, JSON)

    return endpoint


def page(routes: Routes) -> Endpoint:
    made = cache(lambda: render(document(routes())))

    @answers(200, gives={HTML: ""})
    async def endpoint(_: Any) -> Response:
        return Response(made(), 200, PAGE_HEADERS, HTML)

    return endpoint


def render(described: dict[str, Any]) -> str:
    """A description as a page."""
    return templates.get_template("api.html.j2").render(reading=Reading(described), style=STYLE)
