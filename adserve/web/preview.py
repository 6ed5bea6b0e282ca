"""Previews as documents: one slot in a frame of the console, and a whole page behind a signed link.

DESIGN. Everything here is looked at before anybody approved it, so it is treated as hostile: documents have a policy
without script, one that is framed is sandboxed too, and markup of an advertiser stands in a sandboxed document of its
own, as it does where it serves. That document is found by a signed link and not by the session: in a frame inside a
sandboxed frame browsers send no cookie. Nothing is counted, no token is minted, and no tracker is fired.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adserve.core import preview as core
from adserve.core.model import Size, Slot
from adserve.core.preview import Link
from adserve.core.schedule import utc_label
from adserve.errors import AdserveError, Conflict, NotFound
from adserve.flows.preview import Form, Preview, draw, form_for, landing_of, look
from adserve.flows.services import Services
from adserve.flows.worker import Worker
from adserve.store.client import REPLY_ERRORS
from adserve.web.api.documents import templates
from adserve.web.client import Ask, base_url
from adserve.web.frames import SANDBOX, filled, markup_policy

FRAME_S = 3600
"""How long the document of an `html` creative in a frame of the console can be loaded."""
FRAME_ENDED = "This was shown for an hour: load the page around it again."
LINK_ENDED = "This link has ended: links to previews last 7 days. Ask for another one."
SCHEMES = ("light", "dark")
_PAGE = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; frame-src 'self'; form-action 'none'; "
    "base-uri 'none'"
)
_ALONE = f"{_PAGE}; frame-ancestors 'none'"
_FRAMED = (
    "{sandbox}; default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; frame-src 'self'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'self'"
)
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Referrer-Policy": "no-referrer",
}
_HOLE = "\ue000"
"""Where a snippet stands in the template of a document; no stored text has it."""
_DARK = re.compile(r'(<source media="[^"]*)\(prefers-color-scheme:dark\)')
_PHONE_PX, _DESK_PX = 360, 4096
"""The room that a slot has on the page of a link, as delivery takes it when nothing else is known."""
_HTML = "text/html; charset=utf-8"


class Place(NamedTuple):
    """A slot of a page with what stands in it."""

    slot: Slot
    html: Markup

    @property
    def where(self) -> str:
        """Where a page would have a slot of its sizes: `head`, `side`, or in the `text`."""
        sizes = [Size.parse(one) for one in self.slot.sizes]
        widest = max((one.width for one in sizes), default=0)
        tallest = max((one.height for one in sizes), default=0)
        return "side" if widest <= 336 and tallest >= 200 else "head" if widest > 752 else "text"


Draw = Callable[[Sequence[Place], str], str]
"""A page out of its places, and the words that say that it is a preview."""


def news_page(places: Sequence[Place], said: str) -> str:
    """A news page of no paper, for the slots of any site."""
    return templates.get_template("preview-page.html.j2").render(places=places, said=said)


def sandbox_of(kind: str) -> str:
    """What a framed preview may: only markup may run script, in the frame inside it."""
    return SANDBOX if kind == "html" else SANDBOX.replace("allow-scripts ", "")


def framed(preview: Preview, slot: Slot, form: Form, scheme: str, root: str, worker: Worker) -> Response:
    """One slot as a document for a frame of our own pages. `root`: the path under which the service is mounted."""
    link = Link(preview.creative.id, preview.content.revision, int(worker.clock()) + FRAME_S, framed=True)
    frame = f"{root}/preview/{core.write(link, worker.keys[0])}/markup"
    snippet = _in_scheme(draw(preview, slot, form, base=root, frame=frame), scheme)
    page = templates.get_template("preview-slot.html.j2").render(scheme=scheme, snippet=_HOLE)
    before, _, after = page.partition(_HOLE)
    policy = _FRAMED.format(sandbox=f"sandbox {sandbox_of(preview.creative.kind)}")
    headers = {**_HEADERS, "Content-Security-Policy": policy, "X-Frame-Options": "SAMEORIGIN"}
    return Response(f"{before}{snippet}{after}", 200, headers, _HTML)


def _in_scheme(snippet: str, scheme: str) -> str:
    """With its sources for dark pages taken always, or never. Browsers ask the frame around a document which scheme it
    is of, but not all of them do. No text of a creative has a quote in it that is not escaped."""
    return _DARK.sub(rf"\1({'min' if scheme == 'dark' else 'max'}-width:0)", snippet)


class Previews:
    """What signed links lead to. `page`: how it looks where a creative stands in its slots."""

    def __init__(self, services: Services, worker: Worker, page: Draw) -> None:
        self._services, self._worker, self._draw = services, worker, page

    def routes(self) -> list[Route]:
        return [
            Route("/preview/{token}", self.page, methods=["GET"]),
            Route("/preview/{token}/markup", self.markup, methods=["GET"]),
        ]

    async def page(self, request: Request) -> Response:
        """`GET /preview/{token}`: a news page with the creative in each slot that it may appear in."""
        found = await self._look(request)
        if isinstance(found, Response):
            return found
        link, preview = found
        root = request.scope.get("root_path", "")
        frame = f"{root}/preview/{request.path_params['token']}/markup"
        # a snippet is escaped where it is compiled
        width = _PHONE_PX if "Mobi" in request.headers.get("user-agent", "") else _DESK_PX
        places = []
        for slot in preview.slots:
            html = draw(preview, slot, form_for(preview, slot, width), base=root, frame=frame)
            places.append(Place(slot, Markup(html)))  # noqa: S704
        if not places:
            return _said("There is nothing to show: this creative fits no slot that its campaign books.", 200)
        said = (
            f"{preview.creative.name}, revision {link.revision}, {_state_of(preview)}. Nothing here is counted. "
            f"This link ends on {utc_label(link.expires)[:10]}."
        )
        return Response(self._draw(places, said), 200, {**_HEADERS, "Content-Security-Policy": _ALONE}, _HTML)

    async def markup(self, request: Request) -> Response:
        """`GET /preview/{token}/markup`: the document of an `html` creative, as where it serves, without trackers. For
        frames alone: nobody approved it, and opened by itself it would be a page under our name. What is said in its
        place may be framed as it may: around it is a sandbox, whose origin no policy can name."""
        if request.headers.get("sec-fetch-dest") != "iframe":
            return _said("This is shown within a preview: open the link to that.", 404)
        found = await self._look(request, _PAGE)
        if isinstance(found, Response):
            return found
        _, preview = found
        if preview.creative.kind != "html":
            return _said("This creative has no document of its own.", 404, _PAGE)
        landing = landing_of(preview, preview.slots[0] if preview.slots else None)
        body = filled(preview.content.html, landing, request.path_params["token"])
        policy = markup_policy(base_url(self._worker, Ask.of(request.scope, lambda _: None)))
        return Response(body, 200, {**_HEADERS, "Content-Security-Policy": policy}, _HTML)

    async def _look(self, request: Request, policy: str = _ALONE) -> tuple[Link, Preview] | Response:
        """What a link is of, or the page that says why it shows nothing, under a policy: in a frame it can be read."""
        link = core.read(request.path_params["token"], self._worker.keys)
        if link is None or (link.framed and policy == _ALONE):
            return _said("This link was altered or cut off: ask for it again, and copy all of it.", 404, policy)
        if link.expires <= self._worker.clock():
            return _said(FRAME_ENDED if link.framed else LINK_ENDED, 410, policy)
        try:
            preview = await look(self._services, link.creative, link.revision)
        except (NotFound, Conflict):
            return _said("What this link showed is not kept any more.", 410, policy)
        except (*REPLY_ERRORS, AdserveError):
            return _said("This page cannot be read now: try again in a moment.", 503, policy)
        if preview.creative.state == "archived" and not link.framed:
            return _said("This creative was archived: there is nothing to preview any more.", 410, policy)
        return link, preview


def _state_of(preview: Preview) -> str:
    creative, number = preview.creative, preview.content.revision
    if preview.is_live and creative.state in ("approved", "pending"):
        return "serves now"
    if number != creative.content.revision:
        return "was replaced and does not serve"
    return "does not serve yet: it waits for review" if creative.state == "pending" else f"is {creative.state}"


def _said(words: str, status: int, policy: str = _ALONE) -> Response:
    page = templates.get_template("preview-none.html.j2").render(words=words)
    headers = {**_HEADERS, "Content-Security-Policy": policy, **({"Retry-After": "2"} if status == 503 else {})}
    return Response(page, status, headers, _HTML)
