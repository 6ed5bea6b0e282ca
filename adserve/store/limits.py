"""How often a caller may call, for all workers together.

DESIGN. One number a caller (GCRA), which ends by itself when it has no effect any more, and is counted where the store
has no room left, too. A store that does not answer limits no call of the API: it has enough to do, and a limit must not
be why a call fails. A guess that cannot be counted is not let through. Guesses lie under one hash tag, for one is
counted in several ways at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from adserve.store.client import REPLY_ERRORS, Redis, Script, understood
from adserve.store.keys import Keys


class Allowance(NamedTuple):
    """Calls a second in the long run (0: any number), and how many at once of who made none for a while."""

    rate: float
    burst: int


class Limiter:
    """Counts calls by caller. `clock` in epoch seconds; while the store is not `up` it is not asked."""

    def __init__(self, client: Redis, keys: Keys, clock: Callable[[], float], up: Callable[[], bool]) -> None:
        self._client, self._keys, self._clock, self._up = client, keys, clock, up
        self._gcra = Script("gcra", urgent=True)

    async def wait_s(self, caller: str, allowance: Allowance) -> int:
        """Whole seconds until this call may be made: 0 when it may be now, and is counted. `caller`: an id of ours or a
        keyed digest. A store that does not answer is 0."""
        if not allowance.rate or not self._up():
            return 0
        try:
            return await self._ask({self._keys.rate(caller): allowance})
        except REPLY_ERRORS:
            return 0

    async def guess_wait_s(self, allowances: Mapping[str, Allowance]) -> int:
        """The same of a guess, by keyed digests of all that is counted for it: where one has to wait, nothing is taken
        from the others. Raises what the store does."""
        return await self._ask({self._keys.guesses(who): allowance for who, allowance in allowances.items()})

    @understood
    async def _ask(self, allowances: Mapping[str, Allowance]) -> int:
        args = [round(self._clock() * 1e6)]
        for one in allowances.values():
            args += [round(1e6 / one.rate), one.burst]
        return math.ceil(int(await self._gcra.call(self._client, list(allowances), args)) / 1e6)
