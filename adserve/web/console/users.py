"""People: who may sign in, what they may, and links for them, each of which is shown once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import Response

from adserve.core.access import ROLES
from adserve.core.model import Advertiser
from adserve.core.schedule import utc_label
from adserve.core.session import LINK_S, Purpose
from adserve.core.users import User
from adserve.errors import NotFound
from adserve.flows import access, own_account
from adserve.flows import users as people
from adserve.web.console.once import once
from adserve.web.console.page import ADMIN, Call, Endpoint, Page, shows_again
from adserve.web.console.table import Cell, Column, Table, show_table

USERS = "/console/users"
ONE = f"{USERS}/{{id}}"
COLUMNS = (
    Column("Name"),
    Column("Role"),
    Column("Advertiser"),
    Column("State"),
    Column("Second factor"),
    Column("Signed in", "When somebody signed in under this name last, in UTC."),
    Column("Since"),
)
PURPOSES: dict[str, Purpose] = {"invitation": "invitation", "reset": "reset", "sign-in": "sign_in"}


async def list_users(call: Call) -> Response:
    rows = [
        (
            Cell(one["name"], call.url(f"{USERS}/{one['id']}")),
            one["role"],
            one["advertiser"] or "",
            Cell(one["state"], state=one["state"]),
            "yes" if one["second_factor"] else "no",
            one["signed_in"] or "never",
            one["created"],
        )
        for one in (user.as_json() for user in await call.services.users.list())
    ]
    none = "Nobody yet: invite the people who work with you. Each gets a link to a password of their own."
    return show_table(call, "users.html.j2", Table("users", "All people", COLUMNS, rows, none), title="People")


async def advertisers(call: Call) -> list[tuple[str, str]]:
    """What a form offers for the role advertiser."""
    found = await access.visible(call.services, call.account, "advertiser")
    used = [one for one in found if isinstance(one, Advertiser) and one.state != "archived"]
    return [("", "none"), *((one.id, one.name) for one in used)]


def roles() -> list[tuple[str, str]]:
    """Roles with what they may, in words."""
    words = {
        "admin": "admin: everything",
        "reviewer": "reviewer: reads everything, reviews and uploads",
        "reader": "reader: reads everything",
        "advertiser": "advertiser: its own campaigns' creatives and figures",
    }
    return [(role, words[role]) for role in ROLES]


def body_of(call: Call, *names: str) -> dict[str, Any]:
    return {name: call.form.text(name) or None for name in names}


async def ask_invitation(call: Call) -> Response:
    own = await advertisers(call)
    return call.show("user-form.html.j2", title="Invite somebody", roles=roles(), advertisers=own)


@shows_again(ask_invitation)
@once
async def invite(call: Call) -> Response:
    body = body_of(call, "name", "role", "advertiser")
    user, secret = await people.invite(call.services, body, actor=call.actor)
    return _link(call, user, "invitation", secret)


def _link(call: Call, user: User, purpose: Purpose, secret: str) -> Response:
    """The page that shows a link, which no other page does again."""
    until = utc_label(int(call.services.clock()) + LINK_S[purpose])
    url = people.link_url(call.origin, purpose, secret)
    return call.show("user-link.html.j2", title=f"A link for {user.name}", user=user, link=url, until=until)


async def show_user(call: Call) -> Response:
    user = await people.get_user(call.services, call.path["id"])
    return call.show(
        "user.html.j2",
        title=user.name,
        user=user,
        shown=user.as_json(),
        roles=roles(),
        advertisers=await advertisers(call),
        sessions=await own_account.sessions_of(call.services, user),
    )


@shows_again(show_user)
@once
async def make_link(call: Call) -> Response:
    purpose = PURPOSES.get(call.form.text("for"))
    if purpose is None:
        raise NotFound("there is no link of this kind")
    user, secret = await people.make_link(call.services, call.path["id"], purpose, actor=call.actor)
    return _link(call, user, purpose, secret)


@shows_again(show_user)
async def set_role(call: Call) -> Response:
    body = body_of(call, "role", "advertiser")
    await people.set_role(call.services, call.path["id"], body, actor=call.actor)
    return call.go(f"{USERS}/{call.path['id']}", "saved")


def change(flow: Callable[..., Awaitable[User]], done: str) -> Endpoint:
    """One button that changes a user."""

    @shows_again(show_user)
    async def endpoint(call: Call) -> Response:
        await flow(call.services, call.path["id"], actor=call.actor)
        return call.go(USERS if done == "deleted" else f"{USERS}/{call.path['id']}", done)

    return endpoint


PAGES = (
    Page("GET", USERS, list_users, ADMIN, nav="People"),
    Page("GET", f"{USERS}/new", ask_invitation, ADMIN),
    Page("POST", f"{USERS}/new", invite, ADMIN),
    Page("GET", ONE, show_user, ADMIN),
    Page("POST", f"{ONE}/link", make_link, ADMIN),
    Page("POST", f"{ONE}/role", set_role, ADMIN),
    Page("POST", f"{ONE}/disable", change(people.disable, "disabled"), ADMIN),
    Page("POST", f"{ONE}/enable", change(people.enable, "enabled"), ADMIN),
    Page("POST", f"{ONE}/sign-out", change(people.sign_out_everywhere, "out-everywhere"), ADMIN),
    Page("POST", f"{ONE}/clear-second-factor", change(people.clear_second_factor, "factor-removed"), ADMIN),
    Page("POST", f"{ONE}/delete", change(people.delete, "deleted"), ADMIN),
)
