"""Signing in: a name and a password, perhaps a second factor, or a link that works once; then a session.

DESIGN. Nothing here tells whether a name is there: wrong names and wrong passwords get the same words after the same
work. A session gets a new secret whenever it comes to mean more, so one that was planted means nothing. What a user may
is asked of the user with every page (`find`), never of the session. Every way in ends in `_enter`, which writes the
audit first: without its line nobody is let in.
"""

from __future__ import annotations

import secrets as chance
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from adserve.core import device as devices
from adserve.core.access import Account
from adserve.core.agents import summary
from adserve.core.model import Advertiser
from adserve.core.second_factor import recovery_digest, step_of
from adserve.core.session import Link, Session
from adserve.core.users import NAME, User, check_password
from adserve.errors import Invalid, NotFound, Problem, Stale, TooMany, Unauthenticated
from adserve.flows.guesses import admit, admit_code, failed
from adserve.flows.services import Services
from adserve.store.sessions import TRIES

AGAIN = 20
"""How often a change is made anew when others changed the user meanwhile."""
WRONG = "the name or the password is wrong"
WRONG_CODE = "the code is wrong, or was used before"
OVER = "this took too long: sign in again"
GONE = "this link was used, or its time is over: ask for another one"


class Signed(NamedTuple):
    """Who is signed in, and by which session."""

    user: User
    session: Session

    @property
    def account(self) -> Account:
        return self.user.account()


class Entered(NamedTuple):
    """What the browser has to keep: the secret of a session, and a token of the device. `needs_code`: the session is
    good for a second factor (`enter_code`) and for nothing else."""

    secret: str
    needs_code: bool
    device: str | None


async def find(services: Services, secret: str) -> Signed | None:
    """Who a cookie's secret is of, as of now. None when the session is over or ended, or the user disabled or gone."""
    found = await services.sessions.find(secret)
    return Signed(*found) if found is not None else None


async def find_pending(services: Services, secret: str) -> Signed | None:
    """Whose second factor is still to come."""
    found = await services.sessions.find(secret, pending=True)
    return Signed(*found) if found is not None else None


async def sign_in(
    services: Services, name: str, password: str, *, client: str, agent: str, device: str | None
) -> Entered:
    """`client`: a keyed digest of who calls; `agent`: its User-Agent; `device`: the token that it kept, if it did.
    Unauthenticated, or TooMany."""
    user = await services.users.by_name(name) if NAME.fullmatch(name) else None
    known = _device(services, user, device)
    try:
        await admit(services, name, client, known)
    except TooMany:  # nothing is written of it: it would take longer where there is somebody of the name
        await failed(services, None, "sign_in_failed", "throttled")
        raise
    right = await services.hashing.matches(user.password if user is not None else "", password)
    if user is None or not right:
        await failed(services, user, "sign_in_failed", "wrong")
        raise Unauthenticated(WRONG)
    if not await _may(services, user):
        await failed(services, user, "sign_in_failed", "refused")
        raise Unauthenticated(WRONG)
    renewed = await services.hashing.hash(password) if services.hashing.is_old(user.password) else user.password

    def same(now: User) -> User | None:  # what was verified has to be what is there
        return msgspec.structs.replace(now, password=renewed) if now.password == user.password else None

    return await _enter(services, user, same, "sign_in", agent=agent, device=known)


async def enter_code(services: Services, secret: str, code: str, *, agent: str, device: str | None) -> Entered:
    """The second factor of a session that waits for it: six digits, or a recovery code. Unauthenticated when it is
    wrong, and with `session_over` when it may not be tried again; or TooMany."""
    waiting = await find_pending(services, secret)
    if waiting is None:
        raise Unauthenticated(OVER, code="session_over")
    user, session = waiting
    known = _device(services, user, device)
    try:
        await admit_code(services, user, known)
    except TooMany:
        await failed(services, user, "second_factor_failed", "throttled")
        raise
    attempt = await services.sessions.attempt(session)
    if not attempt:
        raise Unauthenticated(OVER, code="session_over")

    def right(now: User) -> User | None:
        return _with_code(now, code, services.clock())

    try:
        return await _enter(services, user, right, "sign_in", agent=agent, device=known, instead_of=session)
    except Unauthenticated:
        await failed(services, user, "second_factor_failed", "wrong")
        if attempt >= TRIES:
            await services.sessions.end(session)
            raise Unauthenticated(OVER, code="session_over") from None
        raise Unauthenticated(WRONG_CODE) from None


async def sign_out(services: Services, signed: Signed) -> None:
    """Ends a session, everywhere at once."""
    await services.sessions.end(signed.session)


async def look(services: Services, secret: str) -> tuple[Link, User]:
    """What a link is for and whom, without using it up. NotFound when it works no more."""
    link = await services.sessions.look(secret)
    user = await services.users.get(link.user) if link is not None else None
    if link is None or user is None or user.epoch != link.epoch or not await _may(services, user):
        raise NotFound(GONE)
    return link, user


async def by_link(services: Services, secret: str, agent: str) -> Entered:
    """Uses up a link for signing in once. NotFound."""
    link, user = await look(services, secret)
    if link.purpose != "sign_in":
        raise NotFound(GONE)
    return await _enter(services, user, lambda now: now, "sign_in_by_link", agent=agent, link=link)


async def accept(services: Services, secret: str, password: str, agent: str = "") -> Entered:
    """Uses up an invitation, or a link to a new password; all other sessions and links of the user end. Invalid leaves
    the link as it was; NotFound."""
    link, user = await look(services, secret)
    if link.purpose == "sign_in":
        raise NotFound(GONE)
    hashed = await new_password(services, password, user)

    def renewed(now: User) -> User:
        return msgspec.structs.replace(now, password=hashed, epoch=now.epoch + 1)

    action = "accept_invitation" if link.purpose == "invitation" else "reset_password"
    return await _enter(services, user, renewed, action, agent=agent, link=link)


async def new_password(services: Services, password: str, user: User, member: str = "password") -> str:
    """The hash of a password that the user may have. Invalid, before anything is hashed."""
    try:
        checked = check_password(password, user.name)
    except ValueError as problem:
        raise Invalid([Problem(f"/{member}", str(problem))]) from None
    return await services.hashing.hash(checked)


async def _enter(
    services: Services,
    user: User,
    change: Callable[[User], User | None],
    action: str,
    *,
    agent: str,
    device: str | None = None,
    instead_of: Session | None = None,
    link: Link | None = None,
) -> Entered:
    """Lets a user in. `change`: what becomes of them with it, None when they may not any more: Unauthenticated."""
    now = int(services.clock())
    epoch, waits = user.epoch, bool(user.totp) and instead_of is None
    for _ in range(AGAIN):
        after = change(user) if user.epoch == epoch and await _may(services, user) else None
        if after is None:
            raise Unauthenticated(WRONG)
        changed = after != user or link is not None
        if not waits:
            after = msgspec.structs.replace(after, signed_in=now)
        if waits and not changed:
            break  # nobody is in yet, so there is nothing to write down
        try:
            used = link.digest if link is not None else ""
            said = "password_accepted" if waits and link is None else action
            user = await services.users.put(after, user, actor=user.id, action=said, link=used)
            break
        except Stale:
            found = await services.users.get(user.id)
            if found is None:
                raise Unauthenticated(WRONG) from None
            user = found
    else:
        raise Stale("others change this user at this moment: try again")
    name = device or chance.token_hex(8)
    secret = await services.sessions.start(
        user, agent=summary(agent), pending=waits, device=name, instead_of=instead_of
    )
    return Entered(secret, waits, None if waits else _token(services, user, name))


async def _may(services: Services, user: User) -> bool:
    """Whether a user may sign in at all."""
    if user.state != "active":
        return False
    if user.advertiser is None:
        return True
    owner = await services.catalog.get("advertiser", user.advertiser)
    return isinstance(owner, Advertiser) and owner.state != "archived"


def _with_code(user: User, code: str, now: float) -> User | None:
    """The user after a code was used up; None when it is wrong."""
    step = step_of(user.totp, code, now, user.totp_step) if user.totp else None
    if step is not None:
        return msgspec.structs.replace(user, totp_step=step)
    used = recovery_digest(code)
    if user.totp and used in user.recovery:
        return msgspec.structs.replace(user, recovery=tuple(one for one in user.recovery if one != used))
    return None


def _device(services: Services, user: User | None, token: str | None) -> str | None:
    if user is None or not token:
        return None
    return devices.verify(token, user.id, services.clock(), services.secrets())


def _token(services: Services, user: User, device: str) -> str | None:
    keys = services.secrets()
    return devices.mint(user.id, device, services.clock(), keys[0]) if keys else None
