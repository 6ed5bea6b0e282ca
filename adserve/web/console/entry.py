"""In and out: the sign-in page, the second factor, links that sign in once, sign-out."""

from __future__ import annotations

from starlette.responses import Response

from adserve.core.traffic import client_network
from adserve.errors import TooMany, Unauthenticated
from adserve.flows import sign_in
from adserve.store.sessions import ABSOLUTE_S, PENDING_S
from adserve.web.client import Ask, client_of
from adserve.web.console.cookies import (
    DEVICE,
    SESSION,
    begin_session,
    cookie,
    end_session,
    keep_device,
    keeps_cookies,
    own_path,
)
from adserve.web.console.page import ANYONE, EVERYONE, HOME, SIGN_IN, Call, Page

CODE = "/console/code"


def client(call: Call) -> str:
    """A keyed digest of the network that a call comes from."""
    worker = call.console.worker
    return worker.network_digest(client_network(client_of(worker, Ask.of(call.request.scope, lambda _: None))))


def user_agent(call: Call) -> str:
    return call.request.headers.get("user-agent", "")


def raw(call: Call, name: str) -> str:
    """A password as it was typed, blanks at its ends too."""
    return call.form.texts.get(name, ("",))[-1]


def let_in(call: Call, entered: sign_in.Entered, wanted: str = HOME) -> Response:
    """On to what was wanted, or to the second factor first; what the browser has to keep goes along."""
    if entered.needs_code:
        path = call.go(CODE, next=wanted if wanted != HOME else None)
        return begin_session(path, entered.secret, PENDING_S)
    response = begin_session(call.go(wanted), entered.secret, ABSOLUTE_S)
    return keep_device(response, entered.device) if entered.device else response


async def ask(call: Call) -> Response:
    """The sign-in form."""
    if call.signed is not None:
        return call.go(HOME)
    return _form(call)


def _form(call: Call, refused: str = "", status: int = 200) -> Response:
    """It shows the name again, and never a password."""
    return call.show(
        "sign-in.html.j2",
        status,
        title="Sign in",
        name="".join(filter(str.isprintable, call.form.text("name"))),
        next=own_path(call.form.text("next") or call.query.get("next", "")),
        refused=refused,
        cookies=keeps_cookies(call),
    )


async def enter(call: Call) -> Response:
    form = call.form
    try:
        entered = await sign_in.sign_in(
            call.services,
            form.text("name"),
            raw(call, "password"),
            client=client(call),
            agent=user_agent(call),
            device=cookie(call.request, DEVICE),
        )
    except (Unauthenticated, TooMany) as refused:
        return _again(_form(call, str(refused), 429 if isinstance(refused, TooMany) else 401), refused)
    return let_in(call, entered, own_path(form.text("next")))


def _again(response: Response, refused: Unauthenticated | TooMany) -> Response:
    if refused.again_s is not None:
        response.headers["Retry-After"] = str(refused.again_s)
    return response


async def ask_code(call: Call) -> Response:
    """The form of the second factor, for whoever's password was right."""
    secret = cookie(call.request, SESSION)
    if secret is None or await sign_in.find_pending(call.services, secret) is None:
        return call.go(HOME if call.signed is not None else SIGN_IN)
    return _code_form(call)


def _code_form(call: Call, refused: str = "", status: int = 200) -> Response:
    wanted = own_path(call.form.text("next") or call.query.get("next", ""))
    return call.show("code.html.j2", status, title="Second factor", next=wanted, refused=refused)


async def enter_code(call: Call) -> Response:
    secret, device = cookie(call.request, SESSION) or "", cookie(call.request, DEVICE)
    try:
        entered = await sign_in.enter_code(
            call.services, secret, call.form.text("code"), agent=user_agent(call), device=device
        )
    except Unauthenticated as refused:
        if refused.code == "session_over":
            return end_session(_form(call, str(refused), 401))
        return _code_form(call, str(refused), 401)
    except TooMany as refused:
        return _again(_code_form(call, str(refused), 429), refused)
    return let_in(call, entered, own_path(call.form.text("next")))


async def show_link(call: Call) -> Response:
    """A link that signs in once is used up by a button, not by whoever looks at it before the reader does."""
    return call.show("link.html.j2", title="Sign in", cookies=keeps_cookies(call))


async def use_link(call: Call) -> Response:
    return let_in(call, await sign_in.by_link(call.services, call.path["secret"], user_agent(call)))


async def leave(call: Call) -> Response:
    if call.signed is not None:
        await sign_in.sign_out(call.services, call.signed)
    return end_session(call.go(SIGN_IN, "signed-out"))


PAGES = (
    Page("GET", SIGN_IN, ask, ANYONE),
    Page("POST", SIGN_IN, enter, ANYONE),
    Page("GET", CODE, ask_code, ANYONE),
    Page("POST", CODE, enter_code, ANYONE),
    Page("GET", "/console/link/{secret}", show_link, ANYONE),
    Page("POST", "/console/link/{secret}", use_link, ANYONE),
    Page("POST", "/console/sign-out", leave, EVERYONE),
)
