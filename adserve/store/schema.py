"""The number of the form in which everything is stored, and the way from an older one to this one.

DESIGN. `{cat}:schema` holds a number, `N`, or `N>M` while N is being brought to M = N + 1. The first
start writes it. Code that meets a higher number than its own, or is overtaken by one, touches nothing:
it cannot know what the data means now.

A migration announces itself (`N>M`) before it changes anything and waits until workers of the older
code, which ask for the number several times a second, have stopped. It must be able to run again from
any point, and beside itself: one that is killed leaves `N>M`, and the next start runs it from its
beginning; two workers that start together may both run it. Only then comes `M`. Both writes are
compare-and-set, so whoever is late changes nothing.

Not chosen: a lock around the migration. It would have to expire while its holder is merely slow, so the
steps must bear company anyway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from redis.exceptions import ResponseError

from adserve.errors import OtherSchema, UnfitStore
from adserve.store.client import Redis, Script, understood
from adserve.store.keys import Keys
from adserve.store.totals import fill

Migration = Callable[[Redis, Keys], Awaitable[None]]
MIGRATIONS: tuple[Migration, ...] = (fill,)
"""In their order: the first brings number 1 to 2 (totals of campaigns). Never one is taken out or changed."""
FIRST = 1
NEWEST = FIRST + len(MIGRATIONS)
SETTLE_S = 2.0
"""How long an announced migration waits for workers of older code to stop."""


@understood
async def number(client: Redis, keys: Keys) -> tuple[int, int] | None:
    """`(number, number it is being brought to)`, the same twice at rest; None in a store that has none yet.
    UnfitStore when it is no number."""
    try:
        text = await client.get(keys.schema)
    except ResponseError as problem:
        if "WRONGTYPE" not in str(problem):
            raise
        text = "a key of another type"
    if text is None:
        return None
    at, _, ahead = _text(text).partition(">")
    if not (_plain(at) and _plain(ahead or at)):
        raise UnfitStore(f"{keys.schema} of the store holds {text!r}, which is no schema number of adserve")
    return int(at), int(ahead or at)


async def look(client: Redis, keys: Keys, version: str, mine: int = NEWEST) -> tuple[int, int] | None:
    """The same, for one who goes on with the store: OtherSchema when it is newer than `mine`. Writes nothing."""
    found = await number(client, keys)
    if found is not None and found[1] > mine:
        raise OtherSchema(await _too_new(client, keys, found[1], mine, version))
    return found


async def check(
    client: Redis,
    keys: Keys,
    version: str,
    *,
    migrate: bool = True,
    migrations: Sequence[Migration] = MIGRATIONS,
    settle_s: float = SETTLE_S,
) -> None:
    """Sees to it that the store is in the form that this code writes: marks a new one, migrates an older
    one, unless `migrate` is off: then OtherSchema, as for a newer one. `version`: that of this adserve, for a
    later message."""
    mine, swap, names = FIRST + len(migrations), Script("swap"), [keys.schema, keys.schema_by]
    while True:
        found = await look(client, keys, version, mine)
        if found is None:
            used = await client.exists(keys.version, keys.accounts, keys.secret)  # since before there was a number
            await swap.call(client, names, ["", FIRST if used else mine, version])
            continue
        at, ahead = found
        if at == mine:
            return
        if not migrate:
            raise OtherSchema(
                f"the store is in schema {at}, and this adserve {version} writes {mine}: start its service first"
            )
        announced = f"{at}>{at + 1}"
        if ahead == at and not await swap.call(client, names, [at, announced, version]):
            continue
        await asyncio.sleep(settle_s)  # also when another has announced it: perhaps just now
        await migrations[at - FIRST](client, keys)
        await swap.call(client, names, [announced, at + 1, version])


async def _too_new(client: Redis, keys: Keys, ahead: int, mine: int, version: str) -> str:
    by = await client.get(keys.schema_by)
    writer = f"adserve {_text(by)}" if by else "a later adserve (it did not say which)"
    return (
        f"the store was written by {writer} in schema {ahead}; this is adserve {version}, which knows schemas up to"
        f" {mine}: start that version or a later one, or restore a backup from before the upgrade into an empty store"
    )


def _text(reply: object) -> str:
    """Also of a client that decodes nothing."""
    return reply.decode("ascii", "replace") if isinstance(reply, bytes) else str(reply)


def _plain(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= FIRST
