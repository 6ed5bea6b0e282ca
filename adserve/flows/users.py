"""Who may sign in: inviting people, what they may, and taking it back. Every change is in the audit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from adserve.core.access import OPERATOR, ROLES
from adserve.core.form import Field, Form
from adserve.core.members import BOUND
from adserve.core.session import LINK_PATHS, Purpose
from adserve.core.users import USER_ID, User, check_user_name
from adserve.core.validate import one_of
from adserve.errors import Conflict, Invalid, NotFound, Problem, Stale
from adserve.flows.services import Services
from adserve.store.users import NameTaken, user_id

AGAIN = 20
ROLE = {"role": Field(one_of(*ROLES).noted("What they may do."), required=True)}
INVITATION = {"name": Field(check_user_name.noted("What they sign in with."), required=True), **ROLE}
GONE = "there is no user with this id"


async def invite(services: Services, body: Any, *, actor: str) -> tuple[User, str]:
    """A new user of `{"name", "role", "advertiser"?}` with the secret of an invitation, which nobody sees again.
    Invalid, also when the name is taken."""
    form = Form(body)
    said = form.read(INVITATION)
    said |= await _bound(services, form, said["role"])
    if said["name"] and await services.users.by_name(said["name"]) is not None:
        form.problem("name", "another user has this name: take another", "name_taken")
    form.finish()
    user = User(id=user_id(), created=int(services.clock()), **said)
    try:
        user = await services.users.put(user, None, actor=actor, action="invite")
    except NameTaken as taken:
        raise Invalid([Problem("/name", str(taken), taken.code)]) from None
    return user, await services.sessions.make_link(user, "invitation")


async def get_user(services: Services, id_: str) -> User:
    """NotFound."""
    user = await services.users.get(id_) if USER_ID.fullmatch(id_) else None
    if user is None:
        raise NotFound(GONE)
    return user


async def find_user(services: Services, word: str) -> User:
    """The user of an id or a name. NotFound."""
    user = await services.users.get(word) if USER_ID.fullmatch(word) else await services.users.by_name(word)
    if user is None:
        raise NotFound(f"there is no user {word}")
    return user


async def make_link(services: Services, id_: str, purpose: Purpose, *, actor: str) -> tuple[User, str]:
    """A link of this purpose, and its secret; an older one of the purpose ends. Conflict for who is disabled."""
    user = await get_user(services, id_)
    if user.state != "active":
        raise Conflict(f"{user.name} is disabled: enable the user first")
    await services.users.note(user.id, f"link_{purpose}", actor=actor)
    return user, await services.sessions.make_link(user, purpose)


def link_url(origin: str, purpose: Purpose, secret: str) -> str:
    """Where a link leads."""
    return f"{origin}{LINK_PATHS[purpose]}{secret}"


async def set_role(services: Services, id_: str, body: Any, *, actor: str) -> User:
    """What a user may from now on, of `{"role", "advertiser"?}`; its sessions and links end. Invalid, Conflict for
    the last admin."""
    form = Form(body)
    said = form.read(ROLE)
    said |= await _bound(services, form, said["role"])
    form.finish()

    def change(user: User) -> User:
        return msgspec.structs.replace(user, **said)

    return await _change(services, id_, change, "set_role", actor=actor)


async def disable(services: Services, id_: str, *, actor: str) -> User:
    """Keeps a user out until it is enabled. Conflict for the last admin."""
    return await _change(services, id_, lambda user: _with(user, state="disabled"), "disable", actor=actor)


async def enable(services: Services, id_: str, *, actor: str) -> User:
    """Lets a user in again."""
    return await _change(services, id_, lambda user: _with(user, state="active"), "enable", actor=actor)


async def sign_out_everywhere(services: Services, id_: str, *, actor: str) -> User:
    """Ends all sessions and links of a user."""
    return await _change(services, id_, lambda user: user, "sign_out_everywhere", actor=actor, always=True)


async def clear_second_factor(services: Services, id_: str, *, actor: str) -> User:
    """For who lost the device and the codes: the password alone lets them in again. Sessions and links end."""
    without = {"totp": "", "totp_step": 0, "recovery": ()}
    return await _change(services, id_, lambda user: _with(user, **without), "clear_second_factor", actor=actor)


async def delete(services: Services, id_: str, *, actor: str) -> User:
    """Removes a user; what they did stays in the audit under their id. Conflict for the last admin."""
    for _ in range(AGAIN):
        user = await get_user(services, id_)
        try:
            await services.users.remove(user, actor=actor, keep_admin=_keeps_admin(actor))
        except Stale:
            continue
        return user
    raise Stale("others change this user at this moment: try again")


async def _change(
    services: Services, id_: str, change: Callable[[User], User], action: str, *, actor: str, always: bool = False
) -> User:
    """What ends all sessions. Without `always` a change that is none is not made."""
    for _ in range(AGAIN):
        user = await get_user(services, id_)
        after = change(user)
        if after == user and not always:
            return user
        after = _with(after, epoch=user.epoch + 1)
        try:
            return await services.users.put(after, user, actor=actor, action=action, keep_admin=_keeps_admin(actor))
        except Stale:
            continue
    raise Stale("others change this user at this moment: try again")


def _with(user: User, **members: Any) -> User:
    return msgspec.structs.replace(user, **members)


def _keeps_admin(actor: str) -> bool:
    """Whether somebody has to be left who may let others in. The operator's commands take the last one: they can undo
    it."""
    return actor != OPERATOR.id


async def _bound(services: Services, form: Form, role: str | None) -> dict[str, Any]:
    """The advertiser of who has that role, and of nobody else."""
    if role != "advertiser":
        form.refuse("advertiser", "belongs to users of the role advertiser")
        return {"advertiser": None}
    said = form.read(BOUND)
    owner = await services.catalog.get("advertiser", said["advertiser"]) if said["advertiser"] else None
    if said["advertiser"] and (owner is None or owner.state == "archived"):
        form.problem("advertiser", "there is no such advertiser in use", "unknown")
    return said
