"""The own account: password, second factor, and where one is signed in."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO

import segno
from starlette.responses import Response

from adserve.errors import Unauthenticated
from adserve.flows import own_account as own
from adserve.flows import sign_in
from adserve.store.sessions import ABSOLUTE_S
from adserve.web.console.cookies import begin_session, end_session
from adserve.web.console.entry import raw, user_agent
from adserve.web.console.links import twice
from adserve.web.console.page import EVERYONE, SIGN_IN, Call, Page, shows_again

ACCOUNT = "/console/account"
FACTOR = f"{ACCOUNT}/second-factor"


def signed(call: Call) -> sign_in.Signed:
    """Who calls: these pages have roles, so somebody does."""
    if call.signed is None:
        raise Unauthenticated(sign_in.OVER)
    return call.signed


async def show_account(call: Call) -> Response:
    me = signed(call)
    sessions = await own.sessions_of(call.services, me.user)
    shown = me.user.as_json()
    return call.show("account.html.j2", title="Your account", user=me.user, shown=shown, sessions=sessions, me=me)


def _renewed(call: Call, response: Response, changed: own.Changed) -> Response:
    """With the cookie under which its owner goes on."""
    return begin_session(response, changed.secret, ABSOLUTE_S)


@shows_again(show_account)
async def change_password(call: Call) -> Response:
    new = twice(call, "new")
    changed = await own.change_password(call.services, signed(call), raw(call, "old"), new, agent=user_agent(call))
    return _renewed(call, call.go(ACCOUNT, "password-changed"), changed)


async def ask_factor(call: Call) -> Response:
    """What the device has to know: as a picture, and to type."""
    setup = await own.begin_second_factor(call.services, signed(call))
    picture = BytesIO()
    segno.make(setup.address, error="m").save(picture, "svg", scale=5, border=3, light="white", dark="black")
    svg = b64encode(picture.getvalue()).decode()
    groups = " ".join(setup.secret[at : at + 4] for at in range(0, len(setup.secret), 4))
    return call.show("second-factor.html.j2", title="Set up a second factor", picture=svg, secret=groups)


@shows_again(ask_factor)
async def set_factor(call: Call) -> Response:
    code, password = call.form.text("code"), raw(call, "password")
    changed = await own.confirm_second_factor(call.services, signed(call), password, code, agent=user_agent(call))
    return _codes(call, changed)


def _codes(call: Call, changed: own.Changed) -> Response:
    """The recovery codes, which no other page shows again."""
    response = call.show("recovery-codes.html.j2", title="Recovery codes", codes=changed.codes)
    return _renewed(call, response, changed)


@shows_again(show_account)
async def remove_factor(call: Call) -> Response:
    me, password = signed(call), raw(call, "password")
    changed = await own.remove_second_factor(call.services, me, password, agent=user_agent(call))
    return _renewed(call, call.go(ACCOUNT, "factor-removed"), changed)


@shows_again(show_account)
async def new_codes(call: Call) -> Response:
    me, password = signed(call), raw(call, "password")
    return _codes(call, await own.new_recovery_codes(call.services, me, password, agent=user_agent(call)))


async def end_one(call: Call) -> Response:
    """Ends one session; one's own too."""
    me, id_ = signed(call), call.path["id"]
    await own.revoke_session(call.services, me.user, id_, actor=call.actor)
    return end_session(call.go(SIGN_IN, "signed-out")) if id_ == me.session.id else call.go(ACCOUNT, "ended")


async def end_others(call: Call) -> Response:
    """Ends all sessions and links, and goes on under another secret."""
    changed = await own.end_other_sessions(call.services, signed(call), agent=user_agent(call))
    return _renewed(call, call.go(ACCOUNT, "out-elsewhere"), changed)


PAGES = (
    Page("GET", ACCOUNT, show_account, EVERYONE),
    Page("POST", f"{ACCOUNT}/password", change_password, EVERYONE),
    Page("GET", FACTOR, ask_factor, EVERYONE),
    Page("POST", FACTOR, set_factor, EVERYONE),
    Page("POST", f"{FACTOR}/remove", remove_factor, EVERYONE),
    Page("POST", f"{FACTOR}/codes", new_codes, EVERYONE),
    Page("POST", f"{ACCOUNT}/sessions/others", end_others, EVERYONE),
    Page("POST", f"{ACCOUNT}/sessions/{{id}}/end", end_one, EVERYONE),
)
