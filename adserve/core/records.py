"""A key of the store as typed records: the form in which it is kept in a backup and goes to another store.

A key is one record or, when it is large, several with the same key in a row. `items` by type:

    string   the bytes of this part (a bitmap is a string)
    list     the elements
    set      the members
    hash     field, value, field, value
    zset     member, score, member, score (a score as Python prints the float)
    stream   id, number of what follows, field, value, ...

The key is without its prefix, so that it can be given another. Not chosen: the server's own DUMP,
which an older server does not load.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

TYPES = ("hash", "list", "set", "stream", "string", "zset")
PART_BYTES = 1 << 20
"""Bytes of a string in one record."""
PART_ITEMS = 2000
"""Items of any other type in one record; even, so that pairs stay together."""
DIGEST_BYTES = 16
_PAIRS = ("hash", "zset")
_ORDERED = ("string", "list", "stream")


class Record(msgspec.Struct, array_like=True, frozen=True):
    """A key or a part of it. `expires` is in epoch seconds, 0 for never; `newest` the last id that a stream gave."""

    key: bytes
    type: str
    expires: int
    part: int
    items: list[bytes]
    newest: bytes = b""

    @property
    def size(self) -> int:
        """Bytes of its content."""
        return sum(map(len, self.items))


def parts(key: bytes, kind: str, expires: int, items: Sequence[bytes]) -> Iterator[Record]:
    """The records of a key that was read whole; a string is its only item."""
    if kind == "string":
        (text,) = items
        for part, at in enumerate(range(0, max(1, len(text)), PART_BYTES)):
            yield Record(key, kind, expires, part, [text[at : at + PART_BYTES]])
        return
    for part, at in enumerate(range(0, len(items), PART_ITEMS)):
        yield Record(key, kind, expires, part, list(items[at : at + PART_ITEMS]))


def score_text(raw: bytes) -> bytes:
    """A score in one form, whatever the server wrote.

    >>> score_text(b"0.10000000000000001"), score_text(b"1e3"), score_text(b"inf")
    (b'0.1', b'1000.0', b'inf')
    """
    return repr(float(raw)).encode()


def flaw(record: Record) -> str | None:
    """What is wrong with a record from a file; None when it can be written."""
    items = record.items
    if record.type not in TYPES:
        return f"type {record.type!r}"
    if record.part < 0 or record.expires < 0:
        return "a negative number"
    if record.type == "string" and len(items) != 1:
        return "a string of several"
    if record.type in _PAIRS and len(items) % 2:
        return "half a pair"
    if not items and record.type != "stream":
        return "nothing in it"
    try:
        if record.type == "zset":
            [float(score) for score in items[1::2]]
        elif record.type == "stream":
            list(entries(items))
    except (ValueError, IndexError):
        return "a number that is none"
    return None


def entries(items: Sequence[bytes]) -> Iterator[tuple[bytes, list[bytes]]]:
    """The entries of a stream's items: id, then fields and values in turn. IndexError when one is cut off."""
    at = 0
    while at < len(items):
        count = int(items[at + 1])
        found = list(items[at + 2 : at + 2 + count])
        if len(found) != count or count % 2 or count < 2:
            raise IndexError(at)
        yield items[at], found
        at += 2 + count


class Tally:
    """Keys, bytes and a digest, which does not depend on the order in which keys, fields and members come, nor
    on how a key was cut into parts. Expiries are summed beside it: a server gives them to the millisecond
    around, so two readings of one key can differ by a second."""

    __slots__ = ("_at", "_digest", "bytes", "expiries", "keys")

    def __init__(self) -> None:
        self.keys = self.bytes = self.expiries = 0
        self._digest = self._at = 0

    def add(self, record: Record) -> None:
        """Counts the next record; the parts of a key come in their order."""
        key, items = record.key, record.items
        if record.part == 0:
            self.keys += 1
            self.bytes += len(key)
            self.expiries += record.expires
            self._at = 0
            self._put(b"key", key, record.type.encode(), b"%d" % bool(record.expires), record.newest)
        self.bytes += record.size
        if record.type in _PAIRS:
            for field, value in zip(items[::2], items[1::2], strict=True):
                self._put(b"pair", key, field, value)
            return
        for item in items:
            self._put(b"item", key, b"%d" % self._at if record.type in _ORDERED else b"", item)
            self._at += 1

    def _put(self, *words: bytes) -> None:
        text = b"".join(b"%d:%s" % (len(word), word) for word in words)
        self._digest += int.from_bytes(hashlib.blake2b(text, digest_size=DIGEST_BYTES).digest(), "big")

    @property
    def digest(self) -> str:
        return f"{self._digest % (1 << 8 * DIGEST_BYTES):0{2 * DIGEST_BYTES}x}"

    def agrees(self, other: Tally) -> bool:
        """Whether both are of the same content, and expire at the same seconds, give or take one a key."""
        same = (self.keys, self.bytes, self.digest) == (other.keys, other.bytes, other.digest)
        return same and abs(self.expiries - other.expiries) <= self.keys

    def as_json(self) -> dict[str, Any]:
        return {"keys": self.keys, "bytes": self.bytes, "digest": self.digest}


def compare(source: dict[str, Tally], target: dict[str, Tally]) -> dict[str, Any]:
    """Two sides by kind of key, as JSON: `agrees`, and both sides of each kind."""
    kinds = {}
    for kind in sorted({*source, *target}):
        left, right = source.get(kind, Tally()), target.get(kind, Tally())
        kinds[kind] = {"agrees": left.agrees(right), "source": left.as_json(), "target": right.as_json()}
    return {"agrees": all(one["agrees"] for one in kinds.values()), "kinds": kinds}
