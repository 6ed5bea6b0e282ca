"""The salts of visitors' digests: one a week, made in the store, two alive.

DESIGN. Workers read them in the background, so a request never waits for one. Whoever comes first makes the salt of
a week, the next one an hour before it begins, and all take what the store then has. It is gone a little after the
week that follows: what was kept under it can then be told of nobody any more, also not by who has the secret.
"""

from __future__ import annotations

import re
import secrets

from adserve.errors import StoreUnavailable
from adserve.store.client import Redis, understood
from adserve.store.keys import Keys

PERIOD_S = 7 * 86_400
"""No shorter than the longest window: one that began under the salt of a week is over before that is gone."""
AHEAD_S = 3_600
"""How long before its week a salt is made."""
BEYOND_S = 3_600
"""How long a salt is kept after the week that follows its own."""
_SALT = re.compile(r"[0-9a-f]{32}")


class Salts:
    """What one worker knows of them. `now` in epoch seconds."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client, self._keys = client, keys
        self._known: dict[int, bytes] = {}

    @understood
    async def refresh(self, now: int) -> None:
        """Makes the salt of this week, and reads those that are alive. While the store does not answer, what was read
        before holds."""
        week, ahead = now // PERIOD_S, (now + AHEAD_S) // PERIOD_S
        weeks = list(range(week - 1, ahead + 1))
        names = [self._keys.salt(one) for one in weeks]
        found = await self._client.mget(names)
        missing = [at for at, text in enumerate(found) if text is None and weeks[at] >= week]
        for at in missing:
            left_s = (weeks[at] + 2) * PERIOD_S + BEYOND_S - now
            await self._client.set(names[at], secrets.token_hex(16), nx=True, ex=left_s)
        if missing:
            found = await self._client.mget(names)
        if len(found) != len(names):
            raise StoreUnavailable("a reply of another shape")
        self._known = {
            week: bytes.fromhex(str(text))
            for week, text in zip(weeks, found, strict=True)
            if text is not None and _SALT.fullmatch(str(text))
        }

    def alive(self, now: int) -> tuple[bytes, ...]:
        """This week's and, if there is one, that of the week before; none while this week's is not known."""
        week = now // PERIOD_S
        salt, before = self._known.get(week), self._known.get(week - 1)
        if salt is None:
            return ()
        return (salt,) if before is None else (salt, before)
