"""What was learned of the slots' requests: one packed week for each slot.

DESIGN. Folding a quarter-hour is deterministic, and each week says up to when it was folded: two workers that do it
at once write the same, and one that is late undoes nothing that is not done again. The claim only saves the work.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterable, Mapping
from typing import Any

from adserve.core.curve import WEEK_QUARTERS, Learned
from adserve.store.client import Redis, understood
from adserve.store.keys import Keys

CLAIM_S = 60
"""How long a worker that folds keeps the others from it."""
AT_ONCE = 50
"""Weeks read, written, packed in one turn of the event loop: some milliseconds."""
_WEEK = struct.Struct(f"!Q{WEEK_QUARTERS}I{WEEK_QUARTERS}B")
_MOST = 2**32 - 1


def pack(learned: Learned) -> str:
    """ASCII, 4.5 KB."""
    averages = [min(_MOST, average) for average in learned.averages]
    return base64.b64encode(_WEEK.pack(learned.at, *averages, *learned.weeks)).decode()


def unpack(text: str) -> Learned | None:
    """None for what is no week of ours: it is learned anew."""
    try:
        at, *numbers = _WEEK.unpack(base64.b64decode(text, validate=True))
    except (binascii.Error, struct.error, ValueError):
        return None
    return Learned(at, tuple(numbers[:WEEK_QUARTERS]), tuple(numbers[WEEK_QUARTERS:]))


class CurveStore:
    """The weeks by the serial of their slot, and up to when all of them were folded (epoch seconds)."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client: Any = client  # its types are of clients that answer in bytes
        self._keys = keys

    @understood
    async def folded(self) -> int:
        """Up to when; 0 before the first time. Changes whenever any week does."""
        text = await self._client.get(self._keys.curves_at)
        return int(text) if text and text.isascii() and text.isdigit() else 0

    @understood
    async def claim(self, who: str) -> bool:
        """Whether `who` is the one that folds now."""
        return bool(await self._client.set(self._keys.curves_claim, who, nx=True, ex=CLAIM_S))

    @understood
    async def read(self, slots: Iterable[int] | None = None) -> dict[int, Learned]:
        """All weeks, or those of some slots. What cannot be read is left out."""
        found = {}
        names: list[str] = (
            await self._client.hkeys(self._keys.curves) if slots is None else [str(serial) for serial in slots]
        )
        serials = [name for name in names if name.isascii() and name.isdigit()]
        for at in range(0, len(serials), AT_ONCE):
            some = serials[at : at + AT_ONCE]
            texts: list[str | None] = await self._client.hmget(self._keys.curves, some)
            for serial, text in zip(some, texts, strict=True):
                week = unpack(text) if text else None
                if week is not None:
                    found[int(serial)] = week
        return found

    @understood
    async def write(self, weeks: Mapping[int, Learned | None], at: int) -> None:
        """Weeks that changed, None for those to forget; then that all are folded up to `at`, and the claim's end."""
        kept = [(str(serial), week) for serial, week in weeks.items() if week is not None]
        for first in range(0, len(kept), AT_ONCE):
            some = {serial: pack(week) for serial, week in kept[first : first + AT_ONCE]}
            await self._client.hset(self._keys.curves, mapping=some)
        gone = [str(serial) for serial, week in weeks.items() if week is None]
        if gone:
            await self._client.hdel(self._keys.curves, *gone)
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.set(self._keys.curves_at, at)
            pipe.delete(self._keys.curves_claim)
            await pipe.execute()
