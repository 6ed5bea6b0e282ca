"""Backup and restore: every key of the store to a file, and a checked file to a store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from adserve import __version__
from adserve.core.records import Record
from adserve.core.schedule import utc_label
from adserve.errors import Conflict, StoreUnavailable
from adserve.store.archive import FORMAT, ArchiveWriter, Header, check, records
from adserve.store.client import REPLY_ERRORS, Redis
from adserve.store.dump import Dump, Times
from adserve.store.keys import Keys
from adserve.store.load import Writer, clear, holds
from adserve.store.read import Reader

Tell = Callable[[int, int], None]
"""Is told keys and bytes so far, after every record."""
UNFINISHED = "the store holds a part of the keys only: mend that, and run the same again with --replace"


class NotEmpty(Conflict):
    code = "not_empty"


def silent(keys: int, size: int) -> None:
    """Tells nobody."""


async def backup(client: Redis, prefix: str, times: Times, file: BinaryIO, tell: Tell = silent) -> dict[str, Any]:
    """Writes everything to a file, while a service may go on. StoreUnavailable, Conflict."""
    try:
        header = Header(FORMAT, __version__, prefix, utc_label(times.now), await store_version(client))
        archive, size, keys = ArchiveWriter(file, header), 0, 0
        async for record in Dump(Reader(client, prefix), times).records():
            archive.put(record)
            keys, size = keys + (record.part == 0), size + weight(record)
            tell(keys, size)
    except REPLY_ERRORS as problem:
        raise StoreUnavailable(f"the store does not answer ({problem}); nothing was kept of the file") from problem
    trailer = archive.close()
    return {**facts(header), "keys": keys, "bytes": size, "types": trailer.keys, "sha256": trailer.sha256}


async def restore(
    client: Redis, prefix: str, now: int, file: BinaryIO, *, replace: bool, tell: Tell = silent
) -> dict[str, Any]:
    """Writes a file to the store, under `prefix`, after it was checked whole. BadBackup, NotEmpty (then nothing
    was changed), StoreUnavailable."""
    header, trailer = check(file)
    removed = await make_room(client, prefix, replace=replace)
    writer, keys, size = Writer(client, prefix, now), 0, 0
    with unfinished():
        for record in records(file):
            await writer.put(record)
            keys, size = keys + (record.part == 0), size + weight(record)
            tell(keys, size)
        await writer.close()
    found = {**facts(header), "to_prefix": prefix, "keys": writer.keys, "bytes": size, "types": trailer.keys}
    return {**found, "expired": writer.expired, "removed": removed, "secret": await known_secret(client, prefix)}


async def make_room(client: Redis, prefix: str, *, replace: bool) -> int:
    """Sees to it that a store holds nothing with this prefix; how many keys it removed for that. NotEmpty."""
    reader = Reader(client, prefix)
    try:
        first = await holds(reader)
        if first is not None and not replace:
            shown = (prefix.encode() + first).decode("utf-8", "backslashreplace")
            raise NotEmpty(
                f"the store holds keys with the prefix {prefix} already, as {shown}: nothing was changed;"
                " --replace removes them first, another prefix leaves them alone"
            )
        return await clear(client, reader, prefix) if first is not None else 0
    except REPLY_ERRORS as problem:
        raise StoreUnavailable(f"the store to write to does not answer ({problem})") from problem


@contextmanager
def unfinished() -> Iterator[None]:
    """What fails between the first and the last key leaves a part, and says so."""
    try:
        yield
    except REPLY_ERRORS as problem:
        raise StoreUnavailable(f"the store does not take it: {problem}. {UNFINISHED}") from problem


async def store_version(client: Redis) -> str:
    """As `valkey 9.1.0`."""
    info: Any = await client.info("server")
    own = info.get("valkey_version")
    return f"valkey {own}" if own else f"redis {info.get('redis_version', 'unknown')}"


async def known_secret(client: Redis, prefix: str) -> str | None:
    """The check value of the signing secret that the store was used with."""
    value: Any = await client.get(Keys(prefix).secret)
    return str(value) if value is not None else None


def weight(record: Record) -> int:
    return sum(map(len, record.items)) + (len(record.key) if record.part == 0 else 0)


def facts(header: Header) -> dict[str, Any]:
    return {
        "format": header.format,
        "adserve": header.adserve,
        "prefix": header.prefix,
        "created_at": header.created_at,
        "store": header.store,
    }
