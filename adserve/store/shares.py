"""Links to the report of one campaign: only a digest of the secret is stored, the link itself is shown once.

DESIGN. All links stand in one hash, by digest, so that opening one is one read, whose time tells nothing of how much
of a secret was right. A link that ran out opens nothing, and is taken out when the next one is made. The line of the
audit is about the campaign, so its owner reads it too.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from adserve.core.access import EXPIRY
from adserve.errors import Conflict, NotFound
from adserve.store.client import Redis, Script, understood
from adserve.store.keys import Keys

MOST, MOST_OF_ONE = 10_000, 50
"""Links that may be at a time, in all and of one campaign: none takes those of others."""
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


class Share(Struct, frozen=True, kw_only=True):
    """A link. `by`: the account that made it; `expires`: epoch seconds, 0 for never; `note`: whom it is for."""

    id: str
    digest: str
    campaign: str
    by: str
    created: int
    expires: int = 0
    note: str = ""

    def opens(self, now: int) -> bool:
        return not self.expires or now < self.expires


class Shares:
    """`clock` in epoch seconds."""

    def __init__(self, client: Redis, keys: Keys, clock: Callable[[], float]) -> None:
        self._client: Any = client
        self._keys, self._clock = keys, clock
        self._script = Script("share")

    @understood
    async def make(self, campaign: str, *, by: str, expires: int, note: str) -> tuple[Share, str]:
        """A new link and its secret. Conflict when there are too many."""
        for one in await self._every():
            if not one.opens(int(self._clock())):
                await self._changed(one, "", EXPIRY, "share_expire", one.id, "")
        secret, id_ = secrets.token_urlsafe(32), f"l-{secrets.token_hex(6)}"
        now = int(self._clock())
        share = Share(id=id_, digest=_digest(secret), campaign=campaign, by=by, created=now, expires=expires, note=note)
        done = await self._changed(share, msgspec.json.encode(share).decode(), by, "share", "", id_)
        if done < 0:
            there = f"this campaign has {MOST_OF_ONE}" if done == -2 else f"there are {MOST:,}"
            raise Conflict(f"{there} share links: revoke some first")
        return share, secret

    @understood
    async def of(self, campaign: str) -> list[Share]:
        """The links of a campaign, the newest first; not those that ran out."""
        now = int(self._clock())
        found = [one for one in await self._every() if one.campaign == campaign and one.opens(now)]
        return sorted(found, key=lambda one: (-one.created, one.id))

    @understood
    async def revoke(self, campaign: str, id_: str, *, by: str) -> None:
        """Ends one. NotFound when the campaign has none of this id."""
        found = next((one for one in await self._every() if (one.campaign, one.id) == (campaign, id_)), None)
        if found is None or not await self._changed(found, "", by, "share_revoke", found.id, ""):
            raise NotFound("there is no share link with this id")

    @understood
    async def find(self, secret: str) -> Share | None:
        """The link of a secret; None when there is none that still opens."""
        if not _SECRET.fullmatch(secret):
            return None
        text = await self._client.hget(self._keys.shares, _digest(secret))
        found = _readable(text) if text is not None else None
        return found if found is not None and found.opens(int(self._clock())) else None

    async def _every(self) -> list[Share]:
        """All of them; one that cannot be read opens nothing and is left out."""
        texts = await self._client.hvals(self._keys.shares)
        return [found for found in map(_readable, texts) if found is not None]

    async def _changed(self, share: Share, text: str, actor: str, action: str, before: str, after: str) -> int:
        what = f"campaign:{share.campaign}"
        its = f'"campaign":{msgspec.json.encode(share.campaign).decode()}'  # no text has it: its quotes are escaped
        args = [share.digest, text, what, actor, action, before, after, int(self._clock()), MOST, MOST_OF_ONE, its]
        return int(await self._script.call(self._client, [self._keys.shares, self._keys.audit], args))


def _readable(text: str | bytes) -> Share | None:
    with contextlib.suppress(msgspec.MsgspecError):
        return msgspec.json.decode(text, type=Share)
    return None


def _digest(secret: str) -> str:
    return hashlib.blake2b(secret.encode(), digest_size=32).hexdigest()
