"""The one way to every page: who, how often, may they, is it theirs, did a page of ours send it; then the page.

DESIGN. As in the API one wrapper stands around each line of the table, so no page can forget a check. A form is
believed when the browser says that a page of ours sent it (Fetch Metadata, else `Origin`) *and* when it carries the
token of the session; the cookie alone proves nothing. Whoever is not signed in has a token too, of a cookie that the
first page sets: nobody is signed in by a form of somebody else's. Pages that are open to anyone take it from
who is signed in, too. Answers are kept by no cache, run no script but ours, and are framed by nobody.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from functools import partial

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from adserve.errors import AdserveError, Forbidden, NotFound, StoreUnavailable, TooLarge
from adserve.flows import sign_in
from adserve.flows.access import require
from adserve.flows.guesses import failed
from adserve.store.client import REPLY_ERRORS
from adserve.web.api.body import BadBody, Room, read
from adserve.web.api.endpoints import id_of
from adserve.web.console.cookies import SESSION, VISIT, begin_visit, cookie, new_visit, token_of
from adserve.web.console.form import EMPTY, LIMIT, parse
from adserve.web.console.page import ANYONE, HOME, NOBODY, SIGN_IN, Call, Console, Page
from adserve.web.console.static import static
from adserve.web.console.view import told
from adserve.web.problems import STATUS, TITLES

log = structlog.get_logger("adserve")
SAFE = frozenset({"GET", "HEAD"})
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with `no-referrer` browsers say `Origin: null` of our own forms too
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-Robots-Tag": "noindex",
}
"""Of every answer, unless the page chose others itself (a preview is framed by our own pages)."""


def build_console(console: Console, pages: Sequence[Page]) -> list[Route]:
    """The table as routes of the application; what is not in it is a page that says so."""
    paths: dict[str, dict[str, Page]] = {}
    for page in pages:
        paths.setdefault(page.path, {})[page.method] = page
    room = Room()
    found = [Route(path, _Every(partial(_reply, console, room, methods))) for path, methods in paths.items()]
    return [
        Route("/console/static/{file}", _Every(static)),
        *found,
        Route("/console", _Every(_home)),
        Route("/console/{rest:path}", _Every(partial(_reply, console, room, {}))),
    ]


class _Every:
    """ASGI: an endpoint that sees every method, so that all refusals have one form and the same headers."""

    def __init__(self, handle: Callable[[Request], Awaitable[Response]]) -> None:
        self._handle = handle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response: Response = await self._handle(Request(scope, receive, send))
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        await response(scope, receive, send)


async def _home(request: Request) -> Response:
    return RedirectResponse(f"{request.scope.get('root_path', '')}{HOME}", 307)


async def _reply(console: Console, room: Room, methods: dict[str, Page], request: Request) -> Response:
    visit = cookie(request, VISIT)
    call = Call(request, console, None, NOBODY, token_of(visit or ""), _query(request))
    try:
        return await _answer(call, room, methods, visit)
    except ClientDisconnect:
        return Response("the form ended early\n", 400, media_type="text/plain")  # nobody is there to read it
    except REPLY_ERRORS as failure:
        log.warning("store_failed", problem=type(failure).__name__)
        return failure_page(call, StoreUnavailable("the store does not answer"))
    except AdserveError as failure:
        return failure_page(call, failure)
    finally:
        call.form = EMPTY  # a template's macros hold its values until the garbage collector comes: not somebody's files


async def _answer(call: Call, room: Room, methods: dict[str, Page], visit: str | None) -> Response:
    request, console = call.request, call.console
    page = methods.get("GET" if request.method == "HEAD" else request.method)
    if page is None and methods:
        refused = call.show("problem.html.j2", 405, title=TITLES[405], detail="this page takes no such call", code="")
        refused.headers["Allow"] = ", ".join(sorted({*methods, *(("HEAD",) if "GET" in methods else ())}))
        return refused
    secret = cookie(request, SESSION)
    if secret is not None and not console.store_up():  # who waits for it would wait for seconds
        raise StoreUnavailable("the store does not answer")
    signed = await sign_in.find(console.services, secret) if secret is not None else None
    if signed is not None:
        call.signed, call.account, call.csrf = signed, signed.account, signed.session.csrf
    if console.throttle is not None:
        await console.throttle.admit(request, call.account if signed is not None else None)
    if page is None:
        raise NotFound("there is no such page")
    if page.roles is not ANYONE:
        if signed is None:
            return _to_sign_in(call)
        if call.account.role not in page.roles:
            raise Forbidden("your role may not do that: ask an administrator")
        if page.about is not None:
            await require(call.services, call.account, page.about, id_of(page.about, call.path))
    if request.method not in SAFE:
        with room.of(call.account.id) if page.takes_file else nullcontext():
            await _take_form(call, page, visit)
            return await page.endpoint(call)
    if signed is not None or visit is not None:
        return await page.endpoint(call)
    visit = new_visit()
    call.csrf = token_of(visit)
    return begin_visit(await page.endpoint(call), visit)


async def _take_form(call: Call, page: Page, visit: str | None) -> None:
    """Reads the form of an unsafe call. Forbidden when no page of ours sent it. A page that is open to anyone may have
    been shown before the same browser signed in in another tab."""
    await _check_sender(call)
    # files that are somewhat too much are read, so that it can be told beside them and nothing typed is lost
    limit = call.services.max_upload_bytes * 2 + 2 * LIMIT if page.takes_file else LIMIT
    try:
        body = await read(call.request, limit)
    except TooLarge:
        raise TooLarge(f"the form is over {limit:,} bytes: send less of it at once, or smaller files") from None
    call.form = await parse(call.request, body) if body else EMPTY
    sent = call.form.text("csrf") or call.request.headers.get("x-csrf-token", "")
    ours = (call.csrf, token_of(visit) if page.roles is ANYONE else "")
    if not any(one and hmac.compare_digest(sent.encode(), one.encode()) for one in ours):
        await _refused(call, "token")


async def _check_sender(call: Call) -> None:
    """What the browser says of the page that sent a form. One that says nothing is no browser of today, and is left to
    the token."""
    headers = call.request.headers
    if headers.get("sec-fetch-site", "same-origin") != "same-origin":
        await _refused(call, "site")
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2].lower() != headers.get("host", "").lower():
        await _refused(call, "origin")


async def _refused(call: Call, why: str) -> None:
    await failed(call.services, call.signed.user if call.signed is not None else None, "form_refused", why)
    raise Forbidden("no page of your session sent this form: go back, load the page again and send it once more")


def _to_sign_in(call: Call) -> Response:
    """To the sign-in page, and back after it; what was sent by a form of an ended session is not."""
    request = call.request
    if request.headers.get("hx-request") == "true":  # the whole page goes there, not the part that asked
        return Response("", 204, {"HX-Redirect": call.url(SIGN_IN)})
    wanted = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
    root = request.scope.get("root_path", "")
    wanted = wanted.removeprefix(root) if request.method in SAFE else HOME
    return call.go(SIGN_IN, next=wanted if wanted != HOME else None)


def failure_page(call: Call, failure: AdserveError) -> Response:
    """The page that says what went wrong, and what to do."""
    known = {**STATUS, BadBody: 400}
    status = next((number for kind, number in known.items() if isinstance(failure, kind)), 500)
    problems = [told(one) for one in getattr(failure, "problems", ())]
    away = status == 503
    response = call.show(
        "problem.html.j2",
        status,
        title="The store is away" if away else TITLES.get(status, "Something went wrong"),
        detail=str(failure) if status != 500 else "Something went wrong here; the log has more.",
        code=failure.code,
        found=problems,
        away=away,
    )
    if failure.again_s is not None:
        response.headers["Retry-After"] = str(failure.again_s)
    return response


def _query(request: Request) -> dict[str, str]:
    """What a page asks of: texts that could be stored or shown; the last of a name."""
    items = request.query_params.multi_items()[:100]
    return {name: value[:2000] for name, value in items if not any("\ud800" <= c <= "\udfff" for c in value)}
