"""Records: what a key is cut into, what is refused, and a digest that no order changes and every difference does."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserve.core.records import PART_BYTES, PART_ITEMS, Record, Tally, compare, entries, flaw, parts

KEY = b"{s1}:c:900"
PAIRS = [b"a", b"1", b"b", b"2", b"c", b"3"]


def tally(*records: Record) -> Tally:
    found = Tally()
    for record in records:
        found.add(record)
    return found


def record(kind: str, *items: bytes, expires: int = 0, part: int = 0, key: bytes = KEY) -> Record:
    return Record(key, kind, expires, part, list(items))


@pytest.mark.parametrize("size", [0, 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES])
def test_a_string_is_cut_and_put_together_again(size: int) -> None:
    """An empty one is one empty part."""
    text = random.Random(size).randbytes(size)
    found = list(parts(KEY, "string", 7, [text]))
    assert b"".join(one.items[0] for one in found) == text
    assert [one.part for one in found] == list(range(max(1, -(-size // PART_BYTES))))
    assert {one.expires for one in found} == {7}


@pytest.mark.parametrize("kind", ["hash", "zset", "set", "list"])
@pytest.mark.parametrize("items", [2, PART_ITEMS, PART_ITEMS + 2])
def test_pairs_stay_together(kind: str, items: int) -> None:
    """Every part of a large key holds whole pairs, and all of them in their order."""
    words = [b"%d" % n for n in range(items)]
    found = list(parts(KEY, kind, 0, words))
    assert [word for one in found for word in one.items] == words
    assert all(len(one.items) % 2 == 0 and flaw(one) is None for one in found)


@pytest.mark.parametrize(
    "spoilt",
    [
        record("module", b"x"),
        record("string"),
        record("string", b"a", b"b"),
        record("hash", b"a"),
        record("set"),
        record("zset", b"a", b"much"),
        record("list", b"a", part=-1),
        record("list", b"a", expires=-1),
        record("stream", b"1-1"),
        record("stream", b"1-1", b"2", b"field"),
        record("stream", b"1-1", b"x", b"field", b"value"),
    ],
)
def test_what_no_store_could_take_is_refused(spoilt: Record) -> None:
    """Before anything is written."""
    assert flaw(spoilt) is not None


def test_entries_of_a_stream() -> None:
    """Each with its id, fields and values, also where a field comes twice."""
    items = [b"1-1", b"2", b"f", b"v", b"1-2", b"4", b"f", b"", b"f", b"w"]
    assert list(entries(items)) == [(b"1-1", [b"f", b"v"]), (b"1-2", [b"f", b"", b"f", b"w"])]
    assert flaw(record("stream", *items)) is None


@given(st.lists(st.tuples(st.binary(max_size=4), st.binary(max_size=4)), min_size=1, unique_by=lambda pair: pair[0]))
def test_the_digest_knows_no_order_of_fields_nor_parts(pairs: list[tuple[bytes, bytes]]) -> None:
    """A server gives fields in any order, and a large key in any parts."""
    whole = tally(record("hash", *(word for pair in pairs for word in pair)))
    turned = tally(*(record("hash", *pair, part=n) for n, pair in enumerate(reversed(pairs))))
    assert whole.agrees(turned)
    assert whole.as_json() == turned.as_json()


@pytest.mark.parametrize(
    "other",
    [
        [record("hash", b"a", b"1", b"b", b"2")],
        [record("hash", b"a", b"1", b"b", b"2", b"c", b"4")],
        [record("hash", b"a", b"2", b"b", b"1", b"c", b"3")],
        [record("hash", *PAIRS, key=b"{s1}:c:1800")],
        [record("zset", *PAIRS)],
        [record("hash", *PAIRS, expires=1000)],
        [record("hash", *PAIRS), record("hash", *PAIRS)],
    ],
)
def test_the_digest_knows_every_difference(other: list[Record]) -> None:
    """A field, a value, values that were swapped, the key, the type, an expiry, a key twice."""
    assert not tally(record("hash", *PAIRS)).agrees(tally(*other))


def test_lists_know_their_order() -> None:
    """Also across parts."""
    assert not tally(record("list", b"a", b"b")).agrees(tally(record("list", b"b", b"a")))
    assert tally(record("list", b"a", b"b")).agrees(tally(record("list", b"a"), record("list", b"b", part=1)))


@pytest.mark.parametrize(("seconds", "agrees"), [(0, True), (1, True), (-1, True), (2, False), (3600, False)])
def test_an_expiry_may_be_read_a_second_apart(seconds: int, agrees: bool) -> None:
    """And no more."""
    one, other = (tally(record("set", b"a", expires=at)) for at in (5000, 5000 + seconds))
    assert one.agrees(other) is agrees


def test_a_kind_that_one_side_lacks_is_a_difference() -> None:
    """Whichever side it is."""
    one = {"ledger": tally(record("string", b"x"))}
    assert compare(one, one)["agrees"]
    for found in (compare(one, {}), compare({}, one)):
        assert not found["agrees"]
        assert not found["kinds"]["ledger"]["agrees"]
