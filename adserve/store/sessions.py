"""Who is signed in, and links that work once.

DESIGN. A session is a key under the digest of the cookie's secret: the store does not know what would open it. It is
read with its user in one script, for every page, and says nothing of rights: role, state and epoch are the user's as
they are now. So signing out, another role, a new password and the end of a user are true on every worker at once. Not
chosen: signed cookies, which nobody can take back; a copy in the worker, which would be believed for a while.

A link is a key in the same way. It is looked at (who is it for?) and used up later, by the script that does what it is
for (`store.users`); it carries the user's epoch too, so whatever ends sessions ends links.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any, get_args

from adserve.core.session import LINK_S, Link, Purpose, Session, csrf_of, digest, is_secret
from adserve.core.users import User
from adserve.errors import Stale
from adserve.store.client import Redis, Script, understood
from adserve.store.keys import Keys
from adserve.store.users import read_user

IDLE_S, ABSOLUTE_S = 12 * 3600, 7 * 86_400
"""How long a session lasts unused, and at most."""
PENDING_S = 600
"""How long the second factor may take."""
TOUCH_S = 60
"""How often it is written down that a session was used."""
MOST = 50
"""Sessions of one user; the oldest ends for another one."""
TRIES = 5
"""Codes that may be tried after one right password."""
ATTEMPTS = 3
_PURPOSES = get_args(Purpose)


class Sessions:
    """The sessions and links. `clock` in epoch seconds."""

    def __init__(self, client: Redis, keys: Keys, clock: Callable[[], float]) -> None:
        self._client, self._keys, self._clock = client, keys, clock
        self._find, self._try = Script("session_find"), Script("session_try", urgent=True)
        self._set_up = Script("session_set_up")
        self._start, self._make = Script("session_start", urgent=True), Script("link_make", urgent=True)

    @understood
    async def find(self, secret: str, *, pending: bool = False) -> tuple[User, Session] | None:
        """Whose cookie that is. `pending`: one that waits for its second factor, which is no session yet."""
        if not is_secret(secret):
            return None
        names = [self._keys.session(digest(secret, "session")), self._keys.users, self._keys.objects]
        args = [int(self._clock()), IDLE_S, TOUCH_S, "1" if pending else ""]
        found = await self._find.call(self._client, names, args)
        user = read_user(found[-1]) if found else None
        if user is None:
            return None
        fields = dict(zip(found[:-1:2], found[1:-1:2], strict=True))
        return user, _session(fields, digest(secret, "session"), csrf_of(secret))

    @understood
    async def start(
        self, user: User, *, agent: str, pending: bool = False, device: str = "", instead_of: Session | None = None
    ) -> str:
        """A new session of a user; its secret. `instead_of`: the one that it takes the place of."""
        now, secret = int(self._clock()), secrets.token_urlsafe(32)
        own, old = digest(secret, "session"), instead_of.digest if instead_of is not None else ""
        until = now + (PENDING_S if pending else ABSOLUTE_S)
        fields = {
            "id": f"s-{secrets.token_hex(8)}", "user": user.id, "epoch": user.epoch, "created": now, "seen": now,
            "until": until, "agent": agent, "device": device, **({"pending": "1", "tries": 0} if pending else {}),
        }  # fmt: skip
        names = [self._keys.session(own), self._keys.sessions(user.id), *([self._keys.session(old)] if old else [])]
        lasts_s = PENDING_S if pending else IDLE_S
        args = [own, now, lasts_s, ABSOLUTE_S, MOST, "" if pending else "1", old]
        args += [word for pair in fields.items() for word in pair]
        for many in await self._start.call(self._client, names, args):
            await self._client.delete(self._keys.session(many))
        return secret

    @understood
    async def attempt(self, session: Session) -> int:
        """Counts an attempt at the second factor before it is looked at: its number, or 0 when none is left."""
        return int(await self._try.call(self._client, [self._keys.session(session.digest)], [TRIES]))

    @understood
    async def set_up(self, session: Session, setup: str) -> str | None:
        """Keeps the secret of a second factor with the session that sets it up: the first one that it got, which this
        answers; None when the session has ended."""
        kept = await self._set_up.call(self._client, [self._keys.session(session.digest)], [setup])
        return str(kept) if kept else None

    @understood
    async def end(self, session: Session) -> None:
        """Ends one."""
        await self._client.delete(self._keys.session(session.digest))
        await self._client.zrem(self._keys.sessions(session.user), session.digest)

    @understood
    async def of(self, user: User) -> list[Session]:
        """The living sessions of a user, the newest first."""
        listed = [str(one) for one in await self._client.zrevrange(self._keys.sessions(user.id), 0, -1)]
        async with self._client.pipeline(transaction=False) as pipe:
            for own in listed:
                pipe.hgetall(self._keys.session(own))
            read = await pipe.execute() if listed else []
        now = int(self._clock())
        found = [_session(fields, own) for own, fields in zip(listed, read, strict=True) if fields]
        return [one for one in found if one.epoch == user.epoch and now < one.until and now - one.seen < IDLE_S]

    # ---- links

    @understood
    async def make_link(self, user: User, purpose: Purpose) -> str:
        """A link that works once; its secret. A newer one ends the older of its purpose."""
        for _ in range(ATTEMPTS):
            now, secret = int(self._clock()), secrets.token_urlsafe(32)
            own, held = digest(secret, "link"), self._keys.links(user.id)
            before = str(await self._client.hget(held, purpose) or "")
            names = [self._keys.link(own), held, *([self._keys.link(before)] if before else [])]
            lasts_s = LINK_S[purpose]
            args: list[Any] = [purpose, own, before, lasts_s, max(LINK_S.values())]
            args += ["purpose", purpose, "user", user.id, "epoch", user.epoch, "until", now + lasts_s]
            if int(await self._make.call(self._client, names, args)):
                return secret
        raise Stale("others make links for this user at this moment: try again")

    @understood
    async def look(self, secret: str) -> Link | None:
        """What a link is for, without using it up; None when it works no more."""
        if not is_secret(secret):
            return None
        own = digest(secret, "link")
        found: Any = await self._client.hgetall(self._keys.link(own))
        if not found or found["purpose"] not in _PURPOSES or int(self._clock()) >= int(found["until"]):
            return None
        purpose: Any = found["purpose"]
        return Link(purpose, found["user"], int(found["epoch"]), int(found["until"]), own)


def _session(fields: Mapping[str, str], own: str, csrf: str = "") -> Session:
    return Session(
        fields["id"],
        fields["user"],
        int(fields["epoch"]),
        int(fields["created"]),
        int(fields["seen"]),
        int(fields["until"]),
        fields.get("agent", ""),
        own,
        csrf,
        bool(fields.get("pending")),
        fields.get("device", ""),
        fields.get("setup", ""),
    )
