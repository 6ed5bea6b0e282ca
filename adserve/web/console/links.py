"""Pages behind links to a password: of an invitation, and of who has lost theirs. To look uses nothing up."""

from __future__ import annotations

from starlette.responses import Response

from adserve.core.session import Purpose
from adserve.errors import Invalid, NotFound, Problem
from adserve.flows import sign_in
from adserve.web.console.cookies import keeps_cookies
from adserve.web.console.entry import let_in, raw, user_agent
from adserve.web.console.page import ANYONE, Call, Endpoint, Page, shows_again

TITLES = {"invitation": "Welcome", "reset": "A new password"}


def show(purpose: Purpose) -> Endpoint:
    """The form; of a link that works no more the page that says so."""

    async def endpoint(call: Call) -> Response:
        link, user = await sign_in.look(call.services, call.path["secret"])
        if link.purpose != purpose:
            raise NotFound(sign_in.GONE)
        return call.show("password.html.j2", title=TITLES[purpose], user=user, cookies=keeps_cookies(call))

    return endpoint


def take(purpose: Purpose) -> Endpoint:
    @shows_again(show(purpose))
    async def endpoint(call: Call) -> Response:
        return let_in(call, await sign_in.accept(call.services, call.path["secret"], twice(call), user_agent(call)))

    return endpoint


def twice(call: Call, member: str = "password") -> str:
    """A password that was typed two times. Invalid when they differ."""
    typed = raw(call, member)
    if typed != raw(call, "again"):
        raise Invalid([Problem("/again", "is not the same as above: type both again")])
    return typed


PAGES = (
    Page("GET", "/console/invitation/{secret}", show("invitation"), ANYONE),
    Page("POST", "/console/invitation/{secret}", take("invitation"), ANYONE),
    Page("GET", "/console/reset/{secret}", show("reset"), ANYONE),
    Page("POST", "/console/reset/{secret}", take("reset"), ANYONE),
)
