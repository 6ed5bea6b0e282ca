"""Reading the ledger beside its counters, hour by hour, each at one moment."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from redis.client import NEVER_DECODE

from adserve.core.audit import KINDS, STATES
from adserve.store.client import Redis, Script, understood
from adserve.store.keys import BUCKET_S, HOUR_S, TAGS, Keys

_AUDIT = Script("audit")


class Hour(NamedTuple):
    """The bits (by kind and state) and the counters of one hash tag and hour (hours since the epoch)."""

    tag: int
    hour: int
    bits: dict[str, int]
    quarters: list[list[tuple[str, str]]]
    unreadable: int
    """Keys that hold something else than they should."""


async def read_hours(client: Redis, keys: Keys, since: int) -> AsyncIterator[Hour]:
    """Every hour from `since` (hours since the epoch) that has events or counters."""
    spaces = await _spaces(client, keys, since)
    for tag in range(TAGS):
        buckets: Any = await client.zrangebyscore(keys.buckets(tag), since * HOUR_S, "+inf")
        for bucket in buckets:
            if str(bucket).isdigit():
                spaces[tag, int(bucket) // HOUR_S] |= set()
    for (tag, hour), incarnations in sorted(spaces.items()):
        yield await _hour(client, keys, tag, hour, sorted(incarnations))


async def read_hour(client: Redis, keys: Keys, tag: int, hour: int) -> Hour:
    """One hour again: a ledger that began after the scan was not looked at."""
    spaces = await _spaces(client, keys, hour)
    return await _hour(client, keys, tag, hour, sorted(spaces[tag, hour]))


@understood
async def _spaces(client: Redis, keys: Keys, since: int) -> defaultdict[tuple[int, int], set[int]]:
    """The incarnations that have a ledger in each (tag, hour). A scan: nothing else needs an index of them."""
    found: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
    pattern = re.compile(re.escape(keys.prefix) + r"\{s([0-9]+)\}:l:[a-z]{2}:([0-9a-f]+):([0-9]+)")
    async for key in client.scan_iter(match=f"{keys.prefix}{{s*}}:l:*", count=1000):
        match = pattern.fullmatch(str(key))
        if match and int(match[3]) >= since:
            found[int(match[1]), int(match[3])].add(int(match[2], 16))
    return found


@understood
async def _hour(client: Redis, keys: Keys, tag: int, hour: int, incarnations: list[int]) -> Hour:
    states = [kind + state for kind in KINDS for state in STATES]
    names = [keys.ledger(tag, state, one, hour) for state in states for one in incarnations]
    hashes = [keys.counters(tag, hour * HOUR_S + quarter) for quarter in range(0, HOUR_S, BUCKET_S)]
    execute: Any = client.execute_command
    command = ("EVAL", _AUDIT.text, len(names) + len(hashes), *names, *hashes, len(names))
    replies = await execute(*command, **{NEVER_DECODE: True})
    bits: dict[str, int] = {}
    unreadable = 0
    for at, reply in enumerate(replies[: len(names)]):
        state = states[at // len(incarnations)]
        bits[state] = bits.get(state, 0) + int(reply or 0)
        unreadable += reply is None
    quarters: list[list[tuple[str, str]]] = []
    for reply in replies[len(names) :]:
        unreadable += reply is None
        flat = [one.decode("ascii", "replace") for one in reply or ()]
        quarters.append(list(zip(flat[::2], flat[1::2], strict=True)))
    return Hour(tag, hour, bits, quarters, unreadable)
