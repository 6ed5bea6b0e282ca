"""Whether a store keeps what it has answered: what its INFO and its settings say.

    evicts     a counter or ledger key may vanish: an event then counts twice, or not at all
    no log     a restart forgets everything since the last snapshot
    stray      a replica that takes writes, and forgets them at its next synchronisation

These make a store unfit to count on. Less than that is a warning. INFO comes first, since managed
services forbid CONFIG GET; what neither tells is a warning too, never a guess.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError, ResponseError

from adserve.store.client import REPLY_ERRORS, Redis

OLDEST = (6, 2)
ACCEPT = "ADSERVE_UNSAFE_STORE=1"


@dataclass(frozen=True, slots=True)
class Durability:
    """`unfit`: why nothing may be counted on this store. `warnings`: what may be lost all the same."""

    unfit: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def unreachable(problem: BaseException) -> bool:
    """Whether a call failed because the store is away, rather than because it said no."""
    return isinstance(problem, REPLY_ERRORS) and not isinstance(problem, ResponseError)


async def examine(client: Redis, *, embedded: bool = False) -> Durability:
    """What the store may lose. Raises when it is away (see `unreachable`). An `embedded` store's log is
    synced by this machine's supervisor, so its own setting for that says nothing."""
    found = await told(client)
    fsync: str | None = None
    if not embedded:
        with contextlib.suppress(ResponseError):  # forbidden; `judge` says what follows
            fsync = (await client.config_get("appendfsync")).get("appendfsync")
    return judge(found, None if embedded else fsync or "")


async def told(client: Redis) -> dict[str, Any]:
    """INFO; nothing where it is forbidden or makes no sense."""
    try:
        found = await client.info()
    except ResponseError:
        return {}
    except (RedisError, OSError, TimeoutError):
        raise
    except Exception:  # the client's parser over a strange reply
        return {}
    return found if isinstance(found, dict) else {}


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
