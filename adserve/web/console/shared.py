"""The page behind a share link: one campaign's report for whoever has the link, and nothing else.

DESIGN. It stands outside of the console: no session is looked for and no cookie set, so a reader who is signed in sees
no more by it, and no form of it does anything. Whatever is wrong with a link is told in the same words. The address is
the secret, so it goes nowhere: nothing is loaded from elsewhere, no referrer is sent, no cache and no index keeps it.
"""

from __future__ import annotations

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from adserve.errors import AdserveError, NotFound
from adserve.flows.share import Shared, open_share
from adserve.store.client import REPLY_ERRORS
from adserve.web.console.campaign_report import days_table, picture, said
from adserve.web.console.gate import HEADERS
from adserve.web.console.page import Console
from adserve.web.console.view import render
from adserve.web.problems import STATUS

log = structlog.get_logger("adserve")
SHARED = "/share/{secret}"
OWN = {"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow, noarchive"}


class SharedPage:
    """ASGI: sees every method, so that all refusals have the same headers."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def route(self) -> Route:
        return Route(SHARED, self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        response = await self._answer(request)
        for name, value in {**HEADERS, **OWN}.items():
            response.headers[name] = value
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return Response("method not allowed\n", 405, {"Allow": "GET, HEAD"}, "text/plain")
        try:
            if self._console.throttle is not None:
                await self._console.throttle.admit(request, None)
            shared = await open_share(self._console.services, request.path_params["secret"])
        except AdserveError as failure:
            return self._refused(request, failure)
        except REPLY_ERRORS as failure:
            log.warning("store_failed", problem=type(failure).__name__)
            return self._text(request, 503, "The figures cannot be read just now", "Try again in a few seconds.")
        if request.query_params.get("format") == "csv":
            return days_table("report", shared.days).csv()
        return self._page(request, shared)

    def _page(self, request: Request, shared: Shared) -> Response:
        told = shared.delivery
        html = self._render(
            request,
            title=told.name,
            shared=shared,
            told=told,
            days=shared.days,
            picture=picture(told),
            table=days_table("report", shared.days),
            said=lambda moment: said(told, moment),
        )
        return Response(html, 200, media_type="text/html; charset=utf-8")

    def _refused(self, request: Request, failure: AdserveError) -> Response:
        status = next((number for kind, number in STATUS.items() if isinstance(failure, kind)), 500)
        if isinstance(failure, NotFound):
            detail = "It ended, was revoked, or was not copied whole: ask for another."
            return self._text(request, 404, "This link shows nothing", detail)
        response = self._text(request, status, "The figures cannot be read just now", "Try again in a few seconds.")
        if failure.again_s is not None:
            response.headers["Retry-After"] = str(failure.again_s)
        return response

    def _text(self, request: Request, status: int, title: str, detail: str) -> Response:
        html = self._render(request, title=title, shared=None, detail=detail)
        return Response(html, status, media_type="text/html; charset=utf-8")

    def _render(self, request: Request, **values: object) -> str:
        root = request.scope.get("root_path", "")
        return render("shared.html.j2", url=lambda path: f"{root}{path}", **values)
