"""Calls that are done once however often they are sent, by a key of the caller's.

DESIGN. A call claims its record before it makes anything, and the claim says which id the thing will have. The
answer is put into the record when there is one. Of a worker that was killed in between a short claim is left: whoever
sends the call again after it finds the thing under that id, or makes it so, and there is never a second one. Two
that work at once because the first was slow make the same id, which the catalog takes once. Not chosen: one script
that makes and answers, since an upload does more than a script can.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from typing import NamedTuple

from adserve.errors import InUse, Invalid, Problem
from adserve.store.client import Redis, Script, understood
from adserve.store.keys import Keys

CLAIM_S = 15
"""Longer than an upload takes; one that takes longer still is not made twice."""
KEPT_S = 86_400


class Claim(NamedTuple):
    """A call that is this one's to do. `id`: of what it makes. `again`: an earlier one may have made that already."""

    record: str
    token: str
    id: str
    again: bool


class Once:
    """The records. `clock` in epoch seconds."""

    def __init__(self, client: Redis, keys: Keys, clock: Callable[[], float]) -> None:
        self._client, self._keys, self._clock = client, keys, clock
        self._claim, self._end = Script("once"), Script("once_end")

    @understood
    async def claim(self, caller: str, key: str, fingerprint: str, id_: str) -> Claim | str:
        """The claim of a call that makes `id_`, or the answer that was kept of it. Invalid when the key was used for
        another call, InUse while another one is at it. `caller` and `key` are texts from outside."""
        record = self._keys.once(hashlib.blake2b(f"{caller}\0{key}".encode(), digest_size=16).hexdigest())
        token, now = secrets.token_hex(8), self._clock()
        args = [fingerprint, id_, token, now, now + CLAIM_S, KEPT_S]
        word, *rest = await self._claim.call(self._client, [record], args)
        if word == "other":
            detail = "was sent with another call before: take a new key for each"
            raise Invalid([Problem("/Idempotency-Key", detail)], code="idempotency_key_reused")
        if word == "busy":
            raise InUse("a call with this Idempotency-Key is being made: send it again in a moment")
        if word == "done":
            return str(rest[1])
        return Claim(record, token, str(rest[0]), bool(int(rest[1])))

    @understood
    async def keep(self, claim: Claim, answer: str) -> None:
        """From now on the call is answered so."""
        await self._end.call(self._client, [claim.record], [claim.token, "keep", answer, KEPT_S])

    @understood
    async def give_up(self, claim: Claim, *, forget: bool) -> None:
        """The call may be made again at once. `forget`: nothing was made, and the key is as good as new."""
        await self._end.call(self._client, [claim.record], [claim.token, "forget" if forget else "free"])
