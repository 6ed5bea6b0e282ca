"""Sets of candidates as integers: bit n is the nth. Ten thousand bits are ANDed in a tenth of a microsecond."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

SPARSE = 16
"""Up to so many members a mask is not kept: 10,000 values of one member each would take 6 MB, and making it anew
takes 2 us."""
_DIGITS = bytes.maketrans(b"\x00\x01", b"01")
_FLAGS = bytes.maketrans(b"01", b"\x00\x01")


def mask_of_flags(flags: Iterable[bool]) -> int:
    """The set of the places that are True.

    >>> bin(mask_of_flags([True, False, True]))
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


def everyone(count: int) -> int:
    """The mask of all of `count` candidates."""
    return (1 << count) - 1


def mask_of(members: Sequence[int]) -> int:
    """The mask of ascending numbers. `[0, 2]` gives `0b101`."""
    if len(members) <= SPARSE:
        mask = 0
        for one in members:
            mask |= 1 << one
        return mask
    digits = bytearray(b"0") * (members[-1] + 1)  # an OR for each would copy the mask each time
    for one in members:
        digits[~one] = 49
    return int(digits, 2)


def kept(members: list[int]) -> int | list[int]:
    """Members as they are kept: the mask, or the few themselves."""
    return members if len(members) <= SPARSE else mask_of(members)


def given(kept: int | list[int]) -> int:
    """The mask of what was kept."""
    return kept if isinstance(kept, int) else mask_of(kept)
