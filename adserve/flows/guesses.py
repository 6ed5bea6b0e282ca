"""How often somebody may try to sign in, and who is counted for it.

DESIGN. Guesses are slowed down three times: those at one name from one client, those of one client at any names, and
those at one name from everywhere, at a higher level. Whoever guesses at the name of another would lock them out with
the last one; so a device that signed in before is counted by itself, and waits for nobody's guesses but its own. No
wait is longer than `Allowance.rate` says for one attempt, a minute at most, since refused attempts count nothing, in
none of the ways.

What the store cannot count is no attempt: it raises what the store did, and nobody is let in.

A client is a keyed digest of its network, never an address; so is a name.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping

import structlog

from adserve.core.users import User, folded
from adserve.errors import TooMany
from adserve.flows.services import Services
from adserve.store.client import REPLY_ERRORS
from adserve.store.limits import Allowance

log = structlog.get_logger("adserve")
BY_DEVICE = Allowance(1 / 10, 10)
BY_NAME_AND_CLIENT = Allowance(1 / 20, 8)
BY_CLIENT = Allowance(1 / 5, 40)
BY_NAME = Allowance(1, 60)
"""From everywhere: a name of which somebody tries 86,400 passwords a day is still safe with one of 12 characters."""
CODES = Allowance(1 / 60, 10)
"""Second factors of one user whose password was right: 1,440 of a million a day."""
CODES_BY_DEVICE = Allowance(1 / 30, 10)
NOTED = Allowance(1 / 600, 3)
"""Lines of the audit about guesses at one user: strangers must not fill a stream that nothing is taken out of."""


async def admit(services: Services, name: str, client: str, device: str | None) -> None:
    """Counts an attempt with a password. TooMany when it is one."""
    who = folded(name)
    if device is not None:
        await _count(services, {("device", who, device): BY_DEVICE})
        return
    limits = {("pair", who, client): BY_NAME_AND_CLIENT, ("client", client): BY_CLIENT, ("name", who): BY_NAME}
    await _count(services, limits)


async def admit_code(services: Services, user: User, device: str | None) -> None:
    """The same with a second factor."""
    if device is not None:
        await _count(services, {("code-device", user.id, device): CODES_BY_DEVICE})
    else:
        await _count(services, {("code", user.id): CODES})


async def failed(services: Services, user: User | None, action: str, reason: str) -> None:
    """Writes down that somebody was refused: in the log without a name, in the audit of a user who is there."""
    log.warning("refused", action=action, reason=reason)
    if user is None:
        return
    with contextlib.suppress(*REPLY_ERRORS):  # they are refused all the same
        if not await services.limiter.guess_wait_s({_caller(services, "noted", user.id): NOTED}):
            await services.users.note(user.id, action)


async def _count(services: Services, limits: Mapping[tuple[str, ...], Allowance]) -> None:
    wait_s = await services.limiter.guess_wait_s({_caller(services, *who): one for who, one in limits.items()})
    if wait_s:
        raise TooMany(f"too many attempts: wait {wait_s} seconds", wait_s)


def _caller(services: Services, *words: str) -> str:
    """What stands for who is counted: nobody can tell a name or a client by it."""
    text = "\0".join(words)[:1000].encode("utf-8", "surrogatepass")
    key = next(iter(services.secrets()), b"")
    return hashlib.blake2b(text, digest_size=12, key=key, person=b"adserve-guess").hexdigest()
