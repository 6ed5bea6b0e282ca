"""The contents of a creative's revisions and what reviews came to, kept for good beside the catalog.

DESIGN. Workers load the whole catalog, and nobody serves an old revision, so these lie in a hash a creative: `SERIAL`
(of the revision) to a `Kept`, `SERIAL:verdict:VERSION` to a `Verdict`, both JSON. VERSION is
that of the creative which the review made, so that no verdict goes over another; `SERIAL:verdict`, which was written
before there were several, counts as the oldest. The newest verdict stands in the creative itself, which a review
changes, so that neither is there without the other; it comes here before another takes its place. A content is
written before the object that names it, and only if nothing stands there: a serial is given once, so two writers
never share a field. Who loses a race leaves a field that no creative names, which is never shown. Not chosen: one
script with the catalog's (another hash slot, and the catalog's is read by every backup in one go).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from adserve.core.model import Judged, Verdict
from adserve.core.revisions import Kept
from adserve.store.client import Redis, understood
from adserve.store.keys import Keys

_VERDICT = b":verdict"
"""Between the serial of a revision and the version of its creative."""


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
    async def judge(self, creative: int, judged: Judged) -> None:
        """Keeps the verdict of a review; one that is there stays as it is."""
        text = msgspec.json.encode(judged.verdict).decode()
        field = f"{judged.revision}{_VERDICT.decode()}:{judged.version}"
        await self._client.hsetnx(self._keys.revisions(creative), field, text)

    @understood
    async def all(self, creative: int) -> tuple[Mapping[int, Kept], dict[int, dict[int, Verdict]]]:
        """Everything of a creative that is here, by the serials of revisions, verdicts also by the version that they
        made. What cannot be read is left out."""
        execute: Any = self._client.execute_command
        found = await execute("HGETALL", self._keys.revisions(creative), NEVER_DECODE=True)
        pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
        kept: dict[int, Kept] = {}
        verdicts: dict[int, dict[int, Verdict]] = {}
        for field, text in pairs:
            try:
                serial, judged, version = field.partition(_VERDICT)
                if judged:
                    verdict = msgspec.json.decode(text, type=Verdict)
                    verdicts.setdefault(int(serial), {})[int(version[1:] or 0)] = verdict
                else:
                    kept[int(serial)] = msgspec.json.decode(text, type=Kept)
            except (msgspec.MsgspecError, ValueError):
                continue
        return kept, verdicts
