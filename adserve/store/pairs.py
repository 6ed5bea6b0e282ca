"""What keyed pairs got: one record a key, which the first one writes.

DESIGN. One script looks and lets in, so of two that begin at once one reads what the other got. A record that has
begun is kept as long, whatever is asked of it later. How many begin in an hour of a site is bounded, because keys are
made up by whoever asks; beyond the bound, and while the store is away, nothing is remembered, and `adserve.flows.pairs`
picks so that the same comes out as long as nothing changes. The records of a site lie under one hash tag with that
number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from adserve.core.token import Serve, decision_id, read_decision
from adserve.errors import BadToken
from adserve.store.client import REPLY_ERRORS, Redis, Script, recover, understood
from adserve.store.keys import HOUR_S, Keys

TIMEOUT_S = 1.0
"""A mail can wait so long for its picture; a crowd of first requests stands in line for a few connections."""
MOST = 10
"""Pictures of one key."""


class Record(NamedTuple):
    """What a key got so far, by number. `room`: whether anything may be added."""

    serves: Mapping[int, Serve]
    room: bool


UNTOLD = Record({}, room=False)


class Pairs:
    """The records. `refuses`: whether the store is known to be away, or not to be used."""

    def __init__(self, client: Redis, keys: Keys, refuses: Callable[[], bool], *, keep_s: int, an_hour: int) -> None:
        self._client, self._keys, self._refuses = client, keys, refuses
        self._keep_s, self._an_hour = keep_s, an_hour
        self._script = Script("pair")

    async def look(self, site: int, digest: str, now: int) -> Record:
        """What a key of a site (its serial) got; UNTOLD while the store does not tell."""
        return await self._ask(site, digest, now, 0, "")

    async def let_in(self, site: int, digest: str, now: int, number: int, token: str) -> Record:
        """The same after it was offered the serve of a token, which it has if it was the first."""
        return await self._ask(site, digest, now, number, decision_id(token))

    async def _ask(self, site: int, digest: str, now: int, number: int, decision: str) -> Record:
        if self._refuses():
            return UNTOLD
        keys = [self._keys.pair(site, digest), self._keys.new_pairs(site, now // HOUR_S)]
        try:
            return await self._call(keys, [number, decision, self._keep_s, self._an_hour])
        except REPLY_ERRORS:
            await recover(self._client)
            return UNTOLD

    @understood
    async def _call(self, keys: list[str], args: list[int | str]) -> Record:
        room, flat = await self._script.call(self._client, keys, args)
        found = {}
        for number, decision in zip(flat[::2], flat[1::2], strict=True):
            try:
                found[int(number)] = read_decision(decision)
            except BadToken:  # spoilt: it has none, and nobody else can have its number
                return UNTOLD
        return Record(found, bool(room))
