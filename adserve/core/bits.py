"""Sets of candidates as integers: bit n is the nth. Ten thousand bits are ANDed in a tenth of a microsecond."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

_DIGITS = bytes.maketrans(b"\x00\x01", b"01")
_FLAGS = bytes.maketrans(b"01", b"\x00\x01")


def mask_of(flags: Iterable[bool]) -> int:
    """The set of the places that are True.

    >>> bin(mask_of([True, False, True]))
    '0b101'
    """
    return int(bytes(flags)[::-1].translate(_DIGITS) or b"0", 2)


def flags_of(mask: int, count: int) -> bytes:
    """A byte for each of `count` places, 1 where it is in the set: what `itertools.compress` takes.

    >>> flags_of(5, 4)
    b'\\x01\\x00\\x01\\x00'
    """
    return f"{mask:0{count}b}".encode()[::-1].translate(_FLAGS)


def places_of(mask: int) -> Iterator[int]:
    """The places in a set that has few, in their order."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest
