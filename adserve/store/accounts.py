"""API keys: only a digest is stored, the secret is shown once."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from typing import Any

import msgspec

from adserve.core.schedule import utc_label
from adserve.errors import Invalid, NotFound, Problem
from adserve.store.client import Redis, understood
from adserve.store.keys import Keys

REMEMBER_S = 0.5
"""How long a worker trusts what it read of the keys: a revoked key is dead within a second."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who calls. `id` is that of the key."""

    id: str
    role: str
    name: str
    digest: str = ""
    created: int = 0

    def as_json(self) -> dict[str, Any]:
        """What may be shown of it."""
        return {"id": self.id, "role": self.role, "name": self.name, "created": utc_label(self.created)}


class Accounts:
    """The keys of the management API."""

    def __init__(self, client: Redis, keys: Keys, bootstrap: str | None) -> None:
        self._client, self._keys = client, keys
        self._bootstrap = _digest(bootstrap) if bootstrap else None
        self._known: dict[str, Account] = {}
        self._read_at = float("-inf")

    @understood
    async def create(self, role: str, name: str, *, actor: str = "command line") -> tuple[str, str]:
        """`(id, secret)` of a new key. Invalid for a role that this version does not have."""
        if role != "admin":
            raise Invalid([Problem("/role", "only admin is supported in this version", "not_supported")])
        id_, secret = f"k-{secrets.token_hex(6)}", f"adserve_{secrets.token_urlsafe(32)}"
        account = Account(id_, role, name, _digest(secret), int(time.time()))
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hset(self._keys.accounts, id_, msgspec.json.encode(account).decode())
            pipe.xadd(self._keys.audit, _audited(id_, actor, "create"))
            await pipe.execute()
        self._read_at = float("-inf")
        return id_, secret

    @understood
    async def list(self) -> list[Account]:
        """All keys, oldest first. One that cannot be read opens nothing and is left out."""
        found: list[Account] = []
        for text in (await self._client.hgetall(self._keys.accounts)).values():
            with contextlib.suppress(msgspec.MsgspecError):
                found.append(msgspec.json.decode(text, type=Account))
        return sorted(found, key=lambda one: (one.created, one.id))

    @understood
    async def revoke(self, id_: str, *, actor: str = "command line") -> None:
        """Ends a key. NotFound when there is none."""
        if not await self._client.hdel(self._keys.accounts, id_):
            raise NotFound("there is no key with this id")
        self._read_at = float("-inf")
        await self._client.xadd(self._keys.audit, _audited(id_, actor, "revoke"))

    async def find(self, secret: str) -> Account | None:
        """The account of a secret, or None. The look-up is by digest, so its time tells nothing."""
        digest = _digest(secret)
        if self._bootstrap is not None and hmac.compare_digest(digest, self._bootstrap):
            return Account("bootstrap", "admin", "ADSERVE_ADMIN_KEY")
        if time.monotonic() - self._read_at > REMEMBER_S:
            self._known = {account.digest: account for account in await self.list()}
            self._read_at = time.monotonic()
        return self._known.get(digest)


def _audited(id_: str, actor: str, action: str) -> dict[Any, Any]:
    """The audit line of a change to a key, in the form of the catalog's lines."""
    return {"what": f"key:{id_}", "actor": actor, "action": action, "before": "", "after": "", "at": int(time.time())}


def _digest(secret: str) -> str:
    return hashlib.blake2b(secret.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()
