"""What people do to their own account: the password, the second factor, the places where they are signed in.

What lets somebody in needs the password again, so that an open laptop is not enough; whatever changes how one gets in
ends all other sessions and all links, and the one that did it goes on under a new secret.
"""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple

import msgspec
from pyotp import random_base32

from adserve.core.agents import summary
from adserve.core.second_factor import CODES, address, recovery_code, recovery_digest, step_of
from adserve.core.session import Session
from adserve.core.users import User
from adserve.errors import Conflict, Invalid, NotFound, Problem, Stale
from adserve.flows.guesses import admit
from adserve.flows.services import Services
from adserve.flows.sign_in import AGAIN, Signed, new_password


class Setup(NamedTuple):
    """A second factor that is about to be set up. `address`: what the picture for the device says."""

    secret: str
    address: str


class Changed(NamedTuple):
    """`secret`: of the session under which its owner goes on. `codes`: recovery codes, which nobody sees again."""

    secret: str
    codes: tuple[str, ...] = ()


async def change_password(services: Services, signed: Signed, old: str, new: str, *, agent: str) -> Changed:
    """Invalid names what is wrong; TooMany. Who has none yet, and came by a link, sets the first one."""
    if signed.user.password:
        await _confirm(services, signed, old, "old")
    hashed = await new_password(services, new, signed.user, "new")
    return await _renew(services, signed, "change_password", agent=agent, password=hashed)


async def begin_second_factor(services: Services, signed: Signed) -> Setup:
    """A new secret for a device; asked again in the same session, the same one. Conflict when there is one in use, or
    the session has ended."""
    if signed.user.totp:
        raise Conflict("there is a second factor already: remove it first")
    secret = signed.session.setup or await services.sessions.set_up(signed.session, random_base32())
    if secret is None:
        raise Conflict("this session has ended: sign in again")
    return Setup(secret, address(secret, signed.user.name))


async def confirm_second_factor(
    services: Services, signed: Signed, password: str, code: str, *, agent: str
) -> Changed:
    """Takes a second factor into use, by the first code of the device. Invalid, TooMany."""
    if signed.user.totp or not signed.session.setup:
        raise Conflict("no second factor is being set up: begin again")
    await _confirm(services, signed, password)
    step = step_of(signed.session.setup, code, services.clock(), 0)
    if step is None:
        raise Invalid([Problem("/code", "is not what the device should show now: is its clock right?")])
    codes, digests = _codes()
    found: dict[str, Any] = {"totp": signed.session.setup, "totp_step": step, "recovery": digests}
    return await _renew(services, signed, "set_second_factor", agent=agent, codes=codes, **found)


async def remove_second_factor(services: Services, signed: Signed, password: str, *, agent: str) -> Changed:
    """Invalid, TooMany."""
    await _confirm(services, signed, password)
    return await _renew(services, signed, "remove_second_factor", agent=agent, totp="", totp_step=0, recovery=())


async def new_recovery_codes(services: Services, signed: Signed, password: str, *, agent: str) -> Changed:
    """New codes in place of all that are left. Conflict without a second factor; Invalid, TooMany."""
    if not signed.user.totp:
        raise Conflict("there is no second factor: set one up first")
    await _confirm(services, signed, password)
    codes, digests = _codes()
    return await _renew(services, signed, "new_recovery_codes", agent=agent, codes=codes, recovery=digests)


async def sessions_of(services: Services, user: User) -> list[Session]:
    """Where a user is signed in, the newest first."""
    return await services.sessions.of(user)


async def revoke_session(services: Services, user: User, id_: str, *, actor: str) -> None:
    """Ends one session by its public id. NotFound."""
    for one in await services.sessions.of(user):
        if one.id == id_:
            await services.users.note(user.id, "revoke_session", actor=actor)
            await services.sessions.end(one)
            return
    raise NotFound("this session has ended already")


async def end_other_sessions(services: Services, signed: Signed, *, agent: str) -> Changed:
    """Ends all other sessions, and all links."""
    return await _renew(services, signed, "sign_out_everywhere", agent=agent)


async def _confirm(services: Services, signed: Signed, password: str, member: str = "password") -> None:
    """The password once more. It is counted like an attempt to sign in, by the session's own device."""
    user = signed.user
    if not user.password:
        raise Conflict("there is no password yet: ask for a link to set one")
    await admit(services, user.name, "", signed.session.device)
    if not await services.hashing.matches(user.password, password):
        raise Invalid([Problem(f"/{member}", "is not the present password")])


async def _renew(
    services: Services, signed: Signed, action: str, *, agent: str, codes: tuple[str, ...] = (), **members: Any
) -> Changed:
    """Changes the user while this session lives: of two such changes at once one is told so."""
    user: User | None = signed.user
    for _ in range(AGAIN):
        if user is None or user.epoch != signed.user.epoch:
            break
        after = msgspec.structs.replace(user, epoch=user.epoch + 1, **members)
        try:
            after = await services.users.put(after, user, actor=user.id, action=action)
        except Stale:  # signing in elsewhere writes the user too
            user = await services.users.get(user.id)
            continue
        here = signed.session
        secret = await services.sessions.start(after, agent=summary(agent), device=here.device, instead_of=here)
        return Changed(secret, codes)
    raise Conflict("the account was changed in between: sign in again")


def _codes() -> tuple[tuple[str, ...], tuple[str, ...]]:
    found = tuple(recovery_code(secrets.token_bytes(16)) for _ in range(CODES))
    return found, tuple(map(recovery_digest, found))
