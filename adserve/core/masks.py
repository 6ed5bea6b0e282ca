"""Sets of candidates as integers: bit i is candidate i."""

from __future__ import annotations

from collections.abc import Sequence

SPARSE = 16
"""Up to so many members a mask is not kept: 10,000 values of one member each would take 6 MB, and making it anew
takes 2 us."""


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
