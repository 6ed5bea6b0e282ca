"""Taking grants from the store: `lua/take.lua`, for many campaigns in one call; see `core.grants` for the rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adserve.core.grants import Quoted
from adserve.core.hands import Taken, Taking
from adserve.errors import StoreUnavailable
from adserve.store.client import Redis, Script, understood
from adserve.store.keys import Keys, tag_of
from adserve.store.line import Call, Line, Words

KEEP_S = 4 * 86_400
"""How long the grants of a campaign that nobody touches are kept: longer than any of them is open."""

class Grants:
    """The grants of one worker: a connection of its own, so that a taking waits for no commit."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._keys = keys
        self._line = Line(client, Script("grants", "take"))

    @understood
    async def take(self, takings: Sequence[Taking], now: int) -> list[Taken | None]:
        """As of `now` (epoch s); None where a key holds something else. StoreUnavailable, or what a connection raises,
        when the store has not answered: the same again is safe."""
        by_tag: dict[int, list[int]] = {}
        for place, taking in enumerate(takings):
            by_tag.setdefault(tag_of(taking.campaign), []).append(place)
        calls = [self._call(tag, [takings[place] for place in places], now) for tag, places in by_tag.items()]
        found: list[Taken | None] = [None] * len(takings)
        for places, reply in zip(by_tag.values(), await self._line.send(calls), strict=True):
            if isinstance(reply, Exception):
                raise reply
            if not isinstance(reply, list) or len(reply) != len(places):
                raise StoreUnavailable("a reply of another shape")
            for place, text in zip(places, reply, strict=True):
                found[place] = _taken(text)
        return found

    async def hang_up(self) -> None:
        """Ends the connection; the next taking makes another."""
        await self._line.drop()

    def _call(self, tag: int, takings: Sequence[Taking], now: int) -> Call:
        keys = [self._keys.totals(tag)]
        lines = []
        for campaign, ask, returned in takings:
            keys += [self._keys.grants(tag, campaign), self._keys.today(tag, ask.day)]
            ceilings = " ".join("-" if one is None else str(one) for one in (*ask.ceilings, ask.plan))
            back = ",".join(f"{name}={issued}" for name, issued in returned.items()) or "-"
            lines.append(
                f"{campaign} {ask.day} {ask.grant} {ask.asked} {ceilings} {ask.close} {ask.workers} {back}\n"
            )
        return Call([Words.of(keys)], Words.of((now, KEEP_S, "".join(lines))))


def _taken(text: Any) -> Taken | None:
    if text == "failed":
        return None
    numbers = [int(one) for one in str(text).split()]
    return Taken(Quoted(*numbers[:7]), *numbers[7:])
