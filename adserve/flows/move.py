"""Backup, restore and copy: every key of a store to a file, from a checked file, or to another store.

A backup is made beside a running service (`store.snapshot`). A copy is of a store at rest: both are read again
afterwards, and a source that a service went on using differs then.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from adserve import __version__
from adserve.core.records import compare
from adserve.core.schedule import utc_label
from adserve.errors import AdserveError, StoreUnavailable
from adserve.store import schema
from adserve.store.archive import ArchiveWriter, Header, records
from adserve.store.client import STORE_ERRORS, Redis
from adserve.store.keys import Keys
from adserve.store.load import Tallies, Writer, tally
from adserve.store.read import Reader
from adserve.store.snapshot import Snapshot
from adserve.store.totals import fill

Tell = Callable[[str, int, int], None]
"""Is told what is done, and keys and bytes so far, after every record."""
SOON_S = 3600
"""Keys that expire so soon are written and not compared: they may be gone when their turn comes."""
PROBE_S = 60


class SameStore(AdserveError):
    code = "same_store"


async def backup(
    client: Redis,
    prefix: str,
    clock: Callable[[], float],
    file: BinaryIO,
    *,
    secret: str | None,
    retained_s: int,
    keep_s: int,
    tell: Tell,
) -> dict[str, Any]:
    """Writes everything to a file. Conflict (`Moved` among them), OtherSchema, StoreUnavailable."""
    with _away("the store does not answer", "nothing was kept of the file"):
        header = Header(
            schema=await _schema(client, prefix),
            adserve=__version__,
            prefix=prefix,
            created_at=utc_label(int(clock())),
            store=await store_version(client),
            secret=secret,
            proof=await check_value(client, prefix),
        )
        archive = ArchiveWriter(file, header)
        async for record in Snapshot(Reader(client, prefix), clock, retained_s=retained_s, keep_s=keep_s).records():
            archive.put(record)
            tell("backup", archive.keys, archive.bytes)
        trailer = archive.close()
    return {**facts(header), "keys": archive.keys, "bytes": archive.bytes, "sha256": trailer.sha256}


async def restore(
    client: Redis,
    prefix: str,
    now: int,
    file: BinaryIO,
    *,
    replace: bool,
    prepare: Callable[[], None],
    tell: Tell,
) -> dict[str, Any]:
    """Writes a file that was checked to the store, under `prefix`, and reads it again; `agrees` says whether both
    hold the same. `prepare` is called when the store is found or made empty. NotEmpty, StoreUnavailable."""
    writer, sent = Writer(client, prefix, now), Tallies(now + SOON_S)
    with _away("the store does not answer or does not take it", "mend that, and run the same again"):
        removed = await writer.begin(replace=replace)
        prepare()
        for record in records(file):
            await writer.put(record)
            sent.add(record)
            tell("restore", writer.keys, writer.bytes)
        await writer.close()
        tell("reading it again", writer.keys, writer.bytes)
        found = compare(sent, await tally(client, prefix, now + SOON_S))
        if found["agrees"]:
            # a backup of a service that counts has them of another moment than the counters
            await fill(client, Keys(prefix), again=True)
            await writer.finish()
    return {**found, **_written(writer, removed)}


async def copy(source: Redis, target: Redis, prefix: str, now: int, *, replace: bool, tell: Tell) -> dict[str, Any]:
    """Copies everything and reads both again; `agrees` says whether they hold the same. SameStore, NotEmpty,
    OtherSchema, StoreUnavailable."""
    writer = Writer(target, prefix, now)
    with _away("a store does not answer or does not take it", "mend that, and run the same again"):
        await _refuse_same(source, target, prefix)
        await _schema(source, prefix)
        removed = await writer.begin(replace=replace)
        async for record in Reader(source, prefix).everything():
            await writer.put(record)
            tell("copy", writer.keys, writer.bytes)
        await writer.close()
        tell("reading both again", writer.keys, writer.bytes)
        found = compare(*[await tally(one, prefix, now + SOON_S) for one in (source, target)])
        if found["agrees"]:
            await writer.finish()
        versions = {"from": await store_version(source), "to": await store_version(target)}
    return {**found, **versions, "prefix": prefix, **_written(writer, removed)}


async def _schema(client: Redis, prefix: str) -> int:
    """The schema of a store's data. OtherSchema when it is newer than this code, which cannot know what it means."""
    found = await schema.look(client, Keys(prefix), __version__)
    return found[1] if found is not None else schema.FIRST


async def _refuse_same(source: Redis, target: Redis, prefix: str) -> None:
    """A word written to one and found in the other: no copy then, and above all no --replace."""
    probe = f"{prefix}{{copy}}:{secrets.token_hex(8)}"
    await target.set(probe, "1", ex=PROBE_S)
    same = await source.get(probe) is not None
    await target.delete(probe)
    if same:
        raise SameStore("both are the same store with the same key prefix: name another with --to")


@contextmanager
def _away(what: str, remedy: str) -> Iterator[None]:
    try:
        yield
    except STORE_ERRORS as problem:
        raise StoreUnavailable(f"{what} ({problem}): {remedy}") from None


async def store_version(client: Redis) -> str:
    """As `valkey 9.1.0`."""
    info: Any = await client.info("server")
    if "redis_version" not in info:  # of a Cluster: by node
        info = next(iter(info.values()))
    own = info.get("valkey_version")
    return f"valkey {own}" if own else f"redis {info.get('redis_version', 'unknown')}"


async def check_value(client: Redis, prefix: str) -> str | None:
    """The check value of the signing secret that the store was used with."""
    value: Any = await client.get(Keys(prefix).secret)
    return value.decode() if value is not None else None


def facts(header: Header) -> dict[str, Any]:
    """What may be told of a file: not its secret."""
    return {
        "format": header.format,
        "schema": header.schema,
        "adserve": header.adserve,
        "prefix": header.prefix,
        "created_at": header.created_at,
        "store": header.store,
    }


def _written(writer: Writer, removed: int) -> dict[str, int]:
    return {"keys": writer.keys, "bytes": writer.bytes, "expired": writer.expired, "removed": removed}
