"""API keys: only a digest is stored, the secret is shown once.

DESIGN. Every worker holds all keys in memory and asks their version as often as that of the catalog, so that
delivery knows a caller without waiting, and a key that is revoked is dead within a second. Management asks
again for a secret that it does not know: a key works on every worker as soon as it was made on one. Change,
version and audit are one script. Not chosen: a read of the store for each call.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterable, Iterator

import msgspec

from adserve.core.access import Account
from adserve.errors import AlreadyMade, NotFound, StoreUnavailable
from adserve.store.catalog import fingerprint
from adserve.store.client import REPLY_ERRORS, Redis, Script, Together, understood
from adserve.store.keys import Keys

POLL_S = 0.2
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
        self._known: dict[str, Account] = {}
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
        id_: str | None = None,
    ) -> tuple[Account, str]:
        """A new key with its secret. AlreadyMade when there is one with this id."""
        id_, secret = id_ or key_id(), f"adserve_{secrets.token_urlsafe(32)}"
        account = Account(id_, role, name, _digest(secret), int(self._clock()), advertiser, scopes)
        text = msgspec.json.encode(account).decode()
        if not await self._changed(id_, text, actor, "create", "", fingerprint(text)):
            raise already_made(id_)
        return account, secret

    @understood
    async def list(self) -> list[Account]:
        """All keys, oldest first. One that cannot be read opens nothing and is left out."""
        found = _readable((await self._client.hgetall(self._keys.accounts)).values())
        return sorted(found, key=lambda one: (one.created, one.id))

    @understood
    async def revoke(self, id_: str, *, actor: str) -> None:
        """Ends a key. NotFound when there is none."""
        text = await self._client.hget(self._keys.accounts, id_)
        if text is None or not await self._changed(id_, "", actor, "revoke", fingerprint(str(text)), ""):
            raise NotFound("there is no key with this id")

    async def _changed(self, id_: str, text: str, actor: str, action: str, before: str, after: str) -> bool:
        names = [self._keys.accounts, self._keys.accounts_version, self._keys.audit]
        args = [id_, text, actor, action, before, after, int(self._clock())]
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
            self._known = {account.digest: account for account in _readable(stored.values())}
            self._state = state
        self._read_at = since

    async def follow(self) -> None:
        """Refreshes for ever. While the store is away those are known that were known before."""
        while True:
            with contextlib.suppress(*REPLY_ERRORS):
                await self._look()
            await asyncio.sleep(POLL_S)

    async def close(self) -> None:
        """Ends a look that nobody waits for any more."""
        await self._look.close()

    def known(self, secret: str) -> Account | None:
        """The account of a secret as of the last refresh, or None. The look-up is by digest, so its time tells
        nothing."""
        digest = _digest(secret)
        if self._bootstrap is not None and hmac.compare_digest(digest, self._bootstrap.digest):
            return self._bootstrap
        return self._known.get(digest)

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


def _readable(texts: Iterable[str | bytes]) -> Iterator[Account]:
    for text in texts:
        with contextlib.suppress(msgspec.MsgspecError):
            yield msgspec.json.decode(text, type=Account)


def _digest(secret: str) -> str:
    return hashlib.blake2b(secret.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()
