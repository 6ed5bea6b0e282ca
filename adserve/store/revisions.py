"""The contents of a creative's revisions and what reviews came to, kept for good beside the catalog.

DESIGN. Workers load the whole catalog, and nobody serves an old revision, so these lie in a hash a creative: `SERIAL`
(of the revision) to a `Kept`, `SERIAL:verdict` to a `Verdict`, both JSON. A content is written before the object
that names it, and only if nothing stands there: a serial is given once, so two writers never share a field. Who
loses a race leaves a field that no creative names, which is never shown. Not chosen: one script with the
catalog's (another hash slot, and the catalog's is read by every backup in one go).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from adserve.core.revisions import Kept, Verdict
from adserve.store.client import Redis, understood
from adserve.store.keys import Keys

_VERDICT = b":verdict"


class RevisionStore:
    """By the serials of creative and revision."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client, self._keys = client, keys

    @understood
    async def keep(self, creative: int, *kept: Kept) -> None:
        """Keeps revisions; those that are there stay as they are."""
        async with self._client.pipeline(transaction=False) as pipe:
            for one in kept:
                text = msgspec.json.encode(one).decode()
                pipe.hsetnx(self._keys.revisions(creative), str(one.content.serial), text)
            await pipe.execute()

    @understood
    async def judge(self, creative: int, revision: int, verdict: Verdict) -> None:
        """Notes what the newest review of a revision came to; both are serials."""
        text = msgspec.json.encode(verdict).decode()
        field = f"{revision}{_VERDICT.decode()}"
        await self._client.hset(self._keys.revisions(creative), field, text)

    @understood
    async def all(self, creative: int) -> tuple[Mapping[int, Kept], Mapping[int, Verdict]]:
        """Everything of a creative, by the serials of revisions. What cannot be read is left out."""
        execute: Any = self._client.execute_command
        found = await execute("HGETALL", self._keys.revisions(creative), NEVER_DECODE=True)
        pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
        kept: dict[int, Kept] = {}
        verdicts: dict[int, Verdict] = {}
        for field, text in pairs:
            try:
                if field.endswith(_VERDICT):
                    verdicts[int(field.removesuffix(_VERDICT))] = msgspec.json.decode(text, type=Verdict)
                else:
                    kept[int(field)] = msgspec.json.decode(text, type=Kept)
            except (msgspec.MsgspecError, ValueError):
                continue
        return kept, verdicts
