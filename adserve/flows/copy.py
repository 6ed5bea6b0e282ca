"""One store to another, with the proof that both hold the same.

DESIGN. The copy is that of `store.dump`: it may run beside a service, and is then one moment of every
hash tag. The target is read back whole and compared with what was read from the source, by digests
that do not depend on the order in which a server gives keys, fields and members. Keys that expire
within `SOON_S` are copied and not compared: they may be gone when their turn comes.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, NamedTuple

from adserve.core.records import Record, Tallies, Tally
from adserve.errors import AdserveError, StoreUnavailable
from adserve.flows.backup import Tell, make_room, silent, store_version, unfinished, weight
from adserve.store.client import REPLY_ERRORS, Redis
from adserve.store.dump import Dump, Times
from adserve.store.load import Writer
from adserve.store.read import Reader

SOON_S = 3600
PROBE_S = 60


class SameStore(AdserveError):
    code = "same_store"


class Place(NamedTuple):
    """A store and the prefix in it."""

    client: Redis
    prefix: str


async def copy(
    source: Place,
    target: Place,
    times: Times,
    *,
    replace: bool,
    tell: Tell = silent,
    comparing: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Copies everything; `agrees` says whether both sides hold the same. SameStore, NotEmpty, StoreUnavailable."""
    await _refuse_same(source, target)
    removed = await make_room(target.client, target.prefix, replace=replace)
    sent, read = Tallies(), Tallies()
    soon, keys, size = times.now + SOON_S, 0, 0
    writer = Writer(target.client, target.prefix, times.now)
    with unfinished():
        async for record in Dump(Reader(source.client, source.prefix), times).records():
            await writer.put(record)
            if _lasts(record, soon):
                sent.add(record)
            keys, size = keys + (record.part == 0), size + weight(record)
            tell(keys, size)
        await writer.close()
        comparing()
        async for record in _everything(Reader(target.client, target.prefix)):
            if _lasts(record, soon):
                read.add(record)
        versions = {"from": await store_version(source.client), "to": await store_version(target.client)}
    types = {kind: _compare(sent[kind], read[kind]) for kind in sorted({*sent, *read})}
    return {
        "agrees": all(one["agrees"] for one in types.values()),
        **versions,
        "prefix": source.prefix,
        "to_prefix": target.prefix,
        "keys": writer.keys,
        "bytes": size,
        "expired": writer.expired,
        "expire_soon": writer.keys - sent.keys_seen,
        "removed": removed,
        "types": types,
    }


async def _everything(reader: Reader) -> Any:
    """Every record of a store at rest, each key once."""
    seen: set[int] = set()
    batch: list[bytes] = []

    async def read() -> Any:
        for found in await reader.each(batch):
            async for record in reader.records(found):
                yield record

    async for name in reader.scan():
        if hash(name) not in seen:
            seen.add(hash(name))
            batch.append(name)
        if len(batch) >= 16:
            async for record in read():
                yield record
            batch.clear()
    async for record in read():
        yield record


def _lasts(record: Record, soon: int) -> bool:
    return record.expires == 0 or record.expires > soon


def _compare(source: Tally, target: Tally) -> dict[str, Any]:
    left, right = source.as_json(), target.as_json()
    return {"source": left, "target": right, "agrees": left == right}


async def _refuse_same(source: Place, target: Place) -> None:
    """A word written to one and found in the other: no copy then, and above all no --replace."""
    if source.prefix != target.prefix:
        return
    probe = f"{target.prefix}{{copy}}:{secrets.token_hex(8)}"
    try:
        await target.client.set(probe, "1", ex=PROBE_S)
        same = await source.client.get(probe) is not None
        await target.client.delete(probe)
    except REPLY_ERRORS as problem:
        raise StoreUnavailable(f"the store to write to does not answer or refuses ({problem})") from problem
    if same:
        raise SameStore("both are the same store with the same prefix: name another with --to or --to-prefix")
