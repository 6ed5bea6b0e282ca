"""Whether a store keeps what it has answered: what its INFO and its settings say.

    evicts     a counter or ledger key may vanish: an event then counts twice, or not at all
    no log     a restart forgets everything since the last snapshot
    stray      a replica that takes writes, and forgets them at its next synchronisation

These make a store unfit to count on. Less than that is a warning. INFO comes first, since managed
services forbid CONFIG GET; what neither tells is a warning too, never a guess.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from adserve.store.client import REPLY_ERRORS, Redis, primaries, recover

OLDEST = (6, 2)
ACCEPT = "ADSERVE_UNSAFE_STORE=1"


@dataclass(frozen=True, slots=True)
class Durability:
    """`unfit`: why nothing may be counted on this store. `warnings`: what may be lost all the same."""

    unfit: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


AWAY = Durability(warnings=("does not answer, so it was not looked at: see to it that it comes back",))
"""One primary of several."""
ONE_OF_MANY_S = 1.0


def unreachable(problem: BaseException) -> bool:
    """Whether a call failed because the store is away, rather than because it said no."""
    return isinstance(problem, REPLY_ERRORS) and not isinstance(problem, ResponseError)


async def examine(client: Redis, *, embedded: bool = False) -> Durability:
    """What the store may lose, any primary of it. Raises when it is away (see `unreachable`); of a Cluster,
    whose other primaries go on, one that is away is a warning. An `embedded` store's log is synced by this
    machine's supervisor, so its own setting for that says nothing."""
    nodes = await primaries(client)
    if len(nodes) == 1:
        return await _examine(*nodes.values(), embedded=embedded)
    looked = await asyncio.gather(*map(_examine_one_of_many, nodes.values()))
    if AWAY in looked:
        await recover(client)  # another may have taken its place
    found = dict(zip(nodes, looked, strict=True))
    return Durability(
        _named({name: one.unfit for name, one in found.items()}),
        _named({name: one.warnings for name, one in found.items()}),
    )


async def _examine(node: Any, *, embedded: bool = False) -> Durability:
    found = await told(node)
    fsync: str | None = None
    if not embedded:
        fsync = ""
        with contextlib.suppress(ResponseError):  # forbidden; `judge` says what follows
            fsync = (await node.execute_command("CONFIG GET", "appendfsync")).get("appendfsync", "")
    return judge(found, fsync)


async def _examine_one_of_many(node: Any) -> Durability:
    try:
        async with asyncio.timeout(ONE_OF_MANY_S):
            return await _examine(node)
    except REPLY_ERRORS as problem:
        if unreachable(problem):
            return AWAY
        raise


def _named(found: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Each line once, behind the names of the servers it is true of."""
    lines: dict[str, list[str]] = {}
    for name, said in found.items():
        for line in said:
            lines.setdefault(line, []).append(name)
    return tuple(f"{', '.join(sorted(names))}: {line}" for line, names in lines.items())


async def told(node: Any) -> dict[str, Any]:
    """INFO of a server; nothing where it is forbidden."""
    try:
        found: dict[str, Any] = await node.execute_command("INFO")
    except ResponseError:
        return {}
    return found


def judge(info: dict[str, Any], fsync: str | None) -> Durability:
    """`info`: the members of INFO. `fsync`: `appendfsync`, empty when it could not be read, None when it
    does not matter."""
    unfit: list[str] = []
    warnings: list[str] = []
    missing = [name for name in ("maxmemory", "maxmemory_policy", "aof_enabled", "role") if name not in info]
    if missing:
        warnings.append(
            f"could not be checked: whether the store keeps what it has answered (its INFO lacks {', '.join(missing)}):"
            " see to it that maxmemory-policy is noeviction and appendonly is yes"
        )
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if info.get("maxmemory", 0) != 0 and policy != "noeviction":
        unfit.append(
            f"maxmemory-policy is {policy}: a full store would throw counters and ledger away:"
            " set maxmemory-policy to noeviction"
        )
    if info.get("aof_enabled", 1) == 0:
        unfit.append("appendonly is no: a restart of the store forgets what was counted: set appendonly to yes")
    elif fsync == "everysec":
        warnings.append(
            "appendfsync is everysec: while a sync is slow the store answers before it has written, and a kill then"
            " loses that: set appendfsync to always, or accept it"
        )
    elif fsync == "no":
        warnings.append(
            "appendfsync is no: a power cut loses what the system has not synced, up to half a minute:"
            " set appendfsync to always, or accept it"
        )
    elif fsync == "":
        warnings.append("could not be checked: appendfsync (CONFIG GET is refused): see to it that it is always")
    if info.get("aof_last_write_status", "ok") != "ok":
        warnings.append("the store cannot write its log (aof_last_write_status): free its disk")
    if info.get("role") == "slave":
        if info.get("slave_read_only", 1) == 0:
            unfit.append(
                "the store is a replica that takes writes, and forgets them when it synchronises:"
                " set ADSERVE_REDIS_URL to the primary"
            )
        else:
            warnings.append(
                "the store is a read-only replica: until it is a primary everything goes to the spool:"
                " set ADSERVE_REDIS_URL to the primary"
            )
    return Durability(tuple(unfit), tuple(warnings))


def version_of(info: dict[str, Any]) -> str:
    """As `8.1.1`; empty when the store does not say."""
    return str(info.get("valkey_version") or info.get("redis_version") or "")


def is_old(version: str) -> bool:
    """Whether a version is known and below the oldest that works."""
    parts = version.split(".")
    return len(parts) > 1 and all(part.isdigit() for part in parts[:2]) and tuple(map(int, parts[:2])) < OLDEST
