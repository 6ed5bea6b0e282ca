"""`adserve users`: people who sign in, by whoever may run commands on the store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import click

from adserve.cli.options import as_json, shared, show, table, with_services
from adserve.core.access import OPERATOR, ROLES
from adserve.core.schedule import utc_label
from adserve.core.session import LINK_S, Purpose
from adserve.core.users import User
from adserve.flows import users as people
from adserve.flows.services import Services
from adserve.settings import Settings

COLUMNS = ["id", "name", "role", "advertiser", "state", "second_factor", "created", "signed_in"]
_PURPOSES: dict[str, Purpose] = {"invitation": "invitation", "password": "reset", "sign-in": "sign_in"}
_role = click.option("--role", required=True, help=f"one of {', '.join(ROLES)}")
_advertiser = click.option("--advertiser", help="the one that a user of the role advertiser belongs to")
_who = click.argument("who", metavar="USER")
"""An id or a name."""


@click.group("users", invoke_without_command=True)
@shared
@as_json
@click.pass_context
def users_group(context: click.Context, /, json_: bool, **flags: Any) -> None:
    """Invite, list and manage people who sign in; without a command, list them. USER is a name or an id."""
    if context.invoked_subcommand is None:
        context.invoke(list_users, json_=json_, **flags)
    elif json_ or any(flags.values()):
        raise click.UsageError(f"give options behind the command: adserve users {context.invoked_subcommand} ...")


@users_group.command("list")
@shared
@as_json
def list_users(json_: bool, **flags: Any) -> None:
    """List users, by name."""

    async def work(services: Services, _: Settings) -> Any:
        return [one.as_json() for one in await services.users.list()]

    show(with_services(flags, work), json_, lambda rows: table(rows, COLUMNS))


@users_group.command("invite")
@shared
@as_json
@click.argument("name", metavar="NAME")
@_role
@_advertiser
def invite(json_: bool, name: str, role: str, advertiser: str | None, **flags: Any) -> None:
    """Make a user; the link to a first password is shown once."""

    async def work(services: Services, settings: Settings) -> Any:
        body = {"name": name, "role": role, "advertiser": advertiser}
        user, secret = await people.invite(services, body, actor=OPERATOR.id)
        return _linked(services, settings, user, "invitation", secret)

    show(with_services(flags, work, may_begin=True), json_, _link_lines)


@users_group.command("link")
@shared
@as_json
@_who
@click.option("--for", "purpose", type=click.Choice(list(_PURPOSES)), help="password, or invitation before the first")
def link(json_: bool, who: str, purpose: str | None, **flags: Any) -> None:
    """Make a link that works once: to a password, or to sign in. It ends the one before."""

    async def work(services: Services, settings: Settings) -> Any:
        user = await people.find_user(services, who)
        wanted = _PURPOSES[purpose or ("password" if user.password else "invitation")]
        user, secret = await people.make_link(services, user.id, wanted, actor=OPERATOR.id)
        return _linked(services, settings, user, wanted, secret)

    show(with_services(flags, work), json_, _link_lines)


@users_group.command("role")
@shared
@as_json
@_who
@_role
@_advertiser
def role_(json_: bool, who: str, role: str, advertiser: str | None, **flags: Any) -> None:
    """Give a user another role; all sessions of the user end."""
    body = {"role": role, "advertiser": advertiser}
    _change(flags, json_, who, lambda services, id_: people.set_role(services, id_, body, actor=OPERATOR.id))


@users_group.command("disable")
@shared
@as_json
@_who
def disable(json_: bool, who: str, **flags: Any) -> None:
    """Keep a user out until it is enabled; all sessions end at once."""
    _change(flags, json_, who, lambda services, id_: people.disable(services, id_, actor=OPERATOR.id))


@users_group.command("enable")
@shared
@as_json
@_who
def enable(json_: bool, who: str, **flags: Any) -> None:
    """Let a user in again."""
    _change(flags, json_, who, lambda services, id_: people.enable(services, id_, actor=OPERATOR.id))


@users_group.command("sign-out")
@shared
@as_json
@_who
def sign_out(json_: bool, who: str, **flags: Any) -> None:
    """End all sessions and links of a user."""
    _change(flags, json_, who, lambda services, id_: people.sign_out_everywhere(services, id_, actor=OPERATOR.id))


@users_group.command("clear-second-factor")
@shared
@as_json
@_who
def clear_second_factor(json_: bool, who: str, **flags: Any) -> None:
    """For who lost the device and the codes: the password alone lets them in again."""
    _change(flags, json_, who, lambda services, id_: people.clear_second_factor(services, id_, actor=OPERATOR.id))


@users_group.command("delete")
@shared
@as_json
@_who
def delete(json_: bool, who: str, **flags: Any) -> None:
    """Remove a user; what they did stays in the audit under their id."""

    async def work(services: Services, _: Settings) -> Any:
        user = await people.find_user(services, who)
        await people.delete(services, user.id, actor=OPERATOR.id)
        return {"id": user.id, "name": user.name, "deleted": True}

    show(with_services(flags, work), json_, lambda one: [f"deleted {one['name']} ({one['id']})"])


def _change(flags: dict[str, Any], json_: bool, who: str, change: Callable[[Services, str], Awaitable[User]]) -> None:
    async def work(services: Services, _: Settings) -> Any:
        user = await people.find_user(services, who)
        return (await change(services, user.id)).as_json()

    show(with_services(flags, work), json_, lambda one: table([one], COLUMNS))


def _linked(services: Services, settings: Settings, user: User, purpose: Purpose, secret: str) -> dict[str, Any]:
    until = utc_label(int(services.clock()) + LINK_S[purpose])
    url = people.link_url(settings.origin, purpose, secret)
    return {**user.as_json(), "link": url, "for": purpose, "until": until}


def _link_lines(one: dict[str, Any]) -> list[str]:
    return [*table([one], COLUMNS), "", f"{one['link']}", f"works once, until {one['until']}; it is shown nowhere else"]
