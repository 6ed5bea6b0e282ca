"""People who sign in, as stored: their JSON, the index of their names, an audit line with every change.

DESIGN. One hash holds them and one their folded names; one script does compare-and-set, uniqueness of the name and
audit, and uses up the link by which a change was asked for: of two who click it at once one changes something. It also
runs where the store has no room left. The audit has fingerprints of what may be shown, none of a secret.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable

import msgspec

from adserve.core.users import User, folded
from adserve.errors import Conflict, NotFound, Stale
from adserve.store.catalog import fingerprint
from adserve.store.client import Redis, Script, understood
from adserve.store.keys import Keys

STALE, TAKEN, USED, LAST = -1, -2, -3, -4
NOBODY = "nobody"
"""The actor of what strangers cause."""


class NameTaken(Conflict):
    code = "name_taken"


class Users:
    """The users. `clock` in epoch seconds."""

    def __init__(self, client: Redis, keys: Keys, clock: Callable[[], float]) -> None:
        self._client, self._keys, self._clock = client, keys, clock
        self._put, self._note = Script("user_put", urgent=True), Script("user_note", urgent=True)

    @understood
    async def get(self, id_: str) -> User | None:
        """One of them; None when there is none (or it cannot be read)."""
        return read_user(await self._client.hget(self._keys.users, id_))

    @understood
    async def by_name(self, name: str) -> User | None:
        """The one that signs in with a name, however it is written. A name that nobody has takes as many calls."""
        found = await self.get(str(await self._client.hget(self._keys.user_names, folded(name)) or ""))
        return found if found is not None and folded(found.name) == folded(name) else None

    @understood
    async def list(self) -> list[User]:
        """All of them, by name."""
        texts = (await self._client.hgetall(self._keys.users)).values()
        found = [one for one in map(read_user, texts) if one is not None]
        return sorted(found, key=lambda one: folded(one.name))

    @understood
    async def put(
        self, user: User, before: User | None, *, actor: str, action: str, link: str = "", keep_admin: bool = False
    ) -> User:
        """Stores `user` in place of `before` (None: it must not exist). `link`: the digest of a link that this uses up.
        Stale when another won, NameTaken, NotFound when the link is gone, or Conflict with `keep_admin`, when the last
        admin who can come in (again) would go."""
        after = msgspec.structs.replace(user, version=before.version + 1 if before is not None else 1)
        await self._change(after, before, actor, action, link, keep_admin)
        return after

    @understood
    async def remove(self, before: User, *, actor: str, keep_admin: bool = False) -> None:
        """Stale when another changed it meanwhile, and Conflict as for `put`."""
        await self._change(None, before, actor, "delete", "", keep_admin)

    async def _change(
        self, after: User | None, before: User | None, actor: str, action: str, link: str, keep_admin: bool
    ) -> None:
        one = after or before
        assert one is not None  # noqa: S101 - of the two callers above
        names = [self._keys.users, self._keys.user_names, self._keys.audit]
        args = [
            one.id,
            before.version if before is not None else 0,
            msgspec.json.encode(after).decode() if after is not None else "",
            folded(one.name),
            folded(before.name) if before is not None else "",
            actor,
            action,
            _shown(before),
            _shown(after),
            int(self._clock()),
            "1" if keep_admin else "",
        ]
        done = int(await self._put.call(self._client, names + ([self._keys.link(link)] if link else []), args))
        if done == TAKEN:
            raise NameTaken("another user has this name: take another")
        if done == USED:
            raise NotFound("this link was used, or its time is over")
        if done == LAST:
            raise Conflict(f"{one.name} is the last admin who can sign in: make another one first")
        if done == STALE:
            raise Stale("the user was changed in between: read it again")

    @understood
    async def note(self, user: str, action: str, *, actor: str = NOBODY) -> None:
        """A line of the audit about a user of whom nothing changed."""
        await self._note.call(self._client, [self._keys.audit], [user, actor, action, int(self._clock())])


def user_id() -> str:
    """A new one."""
    return f"u-{secrets.token_hex(6)}"


def read_user(text: str | bytes | None) -> User | None:
    """A stored one; None for what cannot be read: it opens nothing."""
    with contextlib.suppress(msgspec.MsgspecError):
        return msgspec.json.decode(text, type=User) if text else None
    return None


def _shown(user: User | None) -> str:
    """What the audit says of a user: a fingerprint of what may be shown, and of whether sessions had to end."""
    if user is None:
        return ""
    return fingerprint(msgspec.json.encode({**user.as_json(), "epoch": user.epoch}).decode())
