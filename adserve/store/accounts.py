"""API keys: only a digest is stored, the secret is shown once.

DESIGN. Every worker holds all keys in memory and asks their version as often as that of the catalog, so that
delivery knows a caller without waiting, and a key that is revoked is dead within a second. Management asks
again for a secret that it does not know: a key works on every worker as soon as it was made on one. Change,
version and audit are one script. Not chosen: a read of the store for each call.

When a key was used last is noted in memory and written once a minute, beside the keys: no call waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import msgspec

from adserve.core.access import Account
from adserve.errors import AlreadyMade, NotFound, StoreUnavailable
from adserve.store.catalog import fingerprint
from adserve.store.client import REPLY_ERRORS, Redis, Script, Together, understood
from adserve.store.keys import Keys

POLL_S = 0.2
USED_S = 60
"""How often it is written down which keys were used."""
BEGINNING = "adserve_"
"""What tools that look for lost secrets know ours by."""
PREFIX = 4
"""Characters of a secret's own that are kept and shown: enough to know it by, and no help to guess the other 39."""
AGAIN = 5
REMEMBER_S = 0.5
"""How long management trusts what was read of the keys: a revoked key is dead within a second."""


class Accounts:
    """The keys of the API. `clock` in epoch seconds, `steady` in seconds that never go back."""

    def __init__(
        self,
        client: Redis,
        keys: Keys,
        bootstrap: str | None,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._keys, self._clock, self._steady = client, keys, clock, steady
        self._change = Script("account")
        self._look = Together(self.refresh)  # strangers with made-up keys cost the store no look each
        self._bootstrap = (
            Account("bootstrap", "admin", "ADSERVE_ADMIN_KEY", _digest(bootstrap)) if bootstrap else None
        )
        self._known: dict[str, tuple[Account, float]] = {}
        """Digest to a key and the moment at which that secret ends."""
        self._used: set[str] = set()
        self._noted_at = 0.0
        self._state: tuple[object, object] | None = None
        self._read_at = float("-inf")

    @understood
    async def create(
        self,
        role: str | None,
        name: str,
        *,
        actor: str,
        advertiser: str | None = None,
        scopes: tuple[str, ...] = (),
        expires: int | None = None,
        id_: str | None = None,
    ) -> tuple[Account, str]:
        """A new key with its secret. AlreadyMade when there is one with this id."""
        id_, secret, now = id_ or key_id(), _new_secret(), int(self._clock())
        account = Account(id_, role, name, _digest(secret), now, advertiser, scopes, _prefix(secret), expires)
        if not await self._changed(id_, _text(account), "", actor, "create"):
            raise already_made(id_)
        return account, secret

    @understood
    async def rotate(self, id_: str, grace_s: int, *, actor: str) -> tuple[Account, str]:
        """Another secret for a key; the one that it has works for `grace_s` more, and any before that no more.
        NotFound when there is none, or it has expired."""
        for _ in range(AGAIN):
            before = await self._client.hget(self._keys.accounts, id_)
            found, now = next(_readable([before] if before else []), None), int(self._clock())
            if found is None or _over(found.expires, now):
                break
            secret, until = _new_secret(), min(now + grace_s, found.expires or now + grace_s)
            old = (found.digest, until) if grace_s else ("", 0)
            account = replace(
                found, digest=_digest(secret), prefix=_prefix(secret), old_digest=old[0], old_until=old[1]
            )
            if await self._changed(id_, _text(account), str(before), actor, "rotate"):
                return account, secret
        raise NotFound("there is no key with this id")

    @understood
    async def list(self) -> list[Account]:
        """All keys, oldest first. One that cannot be read opens nothing and is left out."""
        found = _readable((await self._client.hgetall(self._keys.accounts)).values())
        return sorted(found, key=lambda one: (one.created, one.id))

    @understood
    async def revoke(self, id_: str, *, actor: str) -> None:
        """Ends a key. NotFound when there is none."""
        for _ in range(AGAIN):
            before = await self._client.hget(self._keys.accounts, id_)
            if before is None:
                break
            if await self._changed(id_, "", str(before), actor, "revoke"):
                await self._client.hdel(self._keys.accounts_used, id_)
                return
        raise NotFound("there is no key with this id")

    @understood
    async def used(self) -> dict[str, int]:
        """When each key was used last, in epoch seconds and give or take a minute; none that never was."""
        found = await self._client.hgetall(self._keys.accounts_used)
        return {str(id_): int(at) for id_, at in found.items()}

    async def _changed(self, id_: str, text: str, before: str, actor: str, action: str) -> bool:
        names = [self._keys.accounts, self._keys.accounts_version, self._keys.audit]
        marks = [fingerprint(one) if one else "" for one in (before, text)]
        args = [id_, text, actor, action, *marks, int(self._clock()), before]
        done = await self._change.call(self._client, names, args)
        self._read_at = float("-inf")
        return bool(int(done))

    @understood
    async def refresh(self) -> None:
        """Brings what is known up to date: a look at the version, and all keys when that is another. They are
        counted too: an operator may have taken one out by hand."""
        since = self._steady()
        client, keys = self._client, self._keys
        state = (await client.get(keys.accounts_version), await client.hlen(keys.accounts))
        if state != self._state:
            stored = await client.hgetall(keys.accounts)
            if len(stored) < int(state[1]):  # one was revoked at this moment, or the store says what is not so
                raise StoreUnavailable("fewer keys than there are")
            known: dict[str, tuple[Account, float]] = {}
            for account in _readable(stored.values()):
                ends = float("inf") if account.expires is None else account.expires
                known[account.digest] = account, ends
                if account.old_digest:
                    known[account.old_digest] = account, min(ends, account.old_until)
            self._known = known
            self._state = state
        self._read_at = since

    async def follow(self) -> None:
        """Refreshes for ever. While the store is away those are known that were known before."""
        while True:
            with contextlib.suppress(*REPLY_ERRORS):
                await self._look()
                await self.note_use()
            await asyncio.sleep(POLL_S)

    @understood
    async def note_use(self) -> None:
        """Writes down which keys were used, once a minute."""
        now = self._steady()
        if self._used and now - self._noted_at >= USED_S:
            used, self._used, self._noted_at = self._used, set(), now
            at = int(self._clock())
            await self._client.hset(self._keys.accounts_used, mapping=dict.fromkeys(used, at))

    async def close(self) -> None:
        """Ends a look that nobody waits for any more."""
        await self._look.close()

    def known(self, secret: str) -> Account | None:
        """The account of a secret as of the last refresh, or None. The look-up is by digest, so its time tells
        nothing."""
        digest = _digest(secret)
        if self._bootstrap is not None and hmac.compare_digest(digest, self._bootstrap.digest):
            return self._bootstrap
        account, ends = self._known.get(digest, (None, 0.0))
        if account is None or _over(ends, self._clock()):
            return None
        self._used.add(account.id)
        return account

    async def find(self, secret: str) -> Account | None:
        """The same as of now: for a secret that is not known, and after REMEMBER_S, the store is asked."""
        found = self.known(secret)
        fresh = self._steady() - self._read_at <= REMEMBER_S
        if found is not None and (fresh or found is self._bootstrap):
            return found
        await self._look()
        return self.known(secret)


def key_id() -> str:
    """A new one."""
    return f"k-{secrets.token_hex(6)}"


def already_made(id_: str) -> AlreadyMade:
    """What is said to a call that was sent again: its secret is stored nowhere."""
    detail = f"this call has made the key {id_}; if the answer with its secret was lost, revoke it and make another"
    return AlreadyMade(detail, id_)


def _new_secret() -> str:
    return f"{BEGINNING}{secrets.token_urlsafe(32)}"


def _prefix(secret: str) -> str:
    """What people know a key by."""
    return secret[: len(BEGINNING) + PREFIX]


def _text(account: Account) -> str:
    return msgspec.json.encode(account).decode()


def _over(ends: float | None, now: float) -> bool:
    return ends is not None and now >= ends


def _readable(texts: Iterable[str | bytes]) -> Iterator[Account]:
    for text in texts:
        with contextlib.suppress(msgspec.MsgspecError):
            yield msgspec.json.decode(text, type=Account)


def _digest(secret: str) -> str:
    return hashlib.blake2b(secret.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()
