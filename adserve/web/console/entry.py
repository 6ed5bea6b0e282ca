"""In and out: the sign-in page, links that sign in once, sign-out."""

from __future__ import annotations

from starlette.responses import Response

from adserve.core.traffic import client_network
from adserve.errors import TooMany, Unauthenticated
from adserve.flows import sign_in
from adserve.web.client import Ask, client_of
from adserve.web.console.cookies import begin_session, end_session, keeps_cookies, own_path
from adserve.web.console.page import ANYONE, EVERYONE, HOME, SIGN_IN, Call, Page

SESSION_S = 7 * 86_400


def client(call: Call) -> str:
    """A keyed digest of the network that a call comes from."""
    worker = call.console.worker
    return worker.network_digest(client_network(client_of(worker, Ask.of(call.request.scope, lambda _: None))))


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
        name=call.form.text("name"),
        next=own_path(call.form.text("next") or call.query.get("next", "")),
        refused=refused,
        cookies=keeps_cookies(call),
    )


async def enter(call: Call) -> Response:
    form, agent = call.form, call.request.headers.get("user-agent", "")
    try:
        entered = await sign_in.sign_in(
            call.services,
            form.text("name"),
            form.texts.get("password", ("",))[-1],
            client=client(call),
            agent=agent,
            device=None,
        )
    except (Unauthenticated, TooMany) as refused:
        response = _form(call, str(refused), 429 if isinstance(refused, TooMany) else 401)
        if refused.again_s is not None:
            response.headers["Retry-After"] = str(refused.again_s)
        return response
    return begin_session(call.go(own_path(form.text("next"))), entered.secret, SESSION_S)


async def show_link(call: Call) -> Response:
    """A link that signs in once is used up by a button, not by whoever looks at it before the reader does."""
    return call.show("link.html.j2", title="Sign in", cookies=keeps_cookies(call))


async def use_link(call: Call) -> Response:
    entered = await sign_in.by_link(call.services, call.path["secret"], call.request.headers.get("user-agent", ""))
    return begin_session(call.go(HOME), entered.secret, SESSION_S)


async def leave(call: Call) -> Response:
    if call.signed is not None:
        await sign_in.sign_out(call.services, call.signed)
    return end_session(call.go(SIGN_IN, "signed-out"))


PAGES = (
    Page("GET", SIGN_IN, ask, ANYONE),
    Page("POST", SIGN_IN, enter, ANYONE),
    Page("GET", "/console/link/{secret}", show_link, ANYONE),
    Page("POST", "/console/link/{secret}", use_link, ANYONE),
    Page("POST", "/console/sign-out", leave, EVERYONE),
)
