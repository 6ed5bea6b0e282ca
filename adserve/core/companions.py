"""Companion sets: creatives of one campaign that stand on a page view together or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from adserve.core.model import Creative


def companions_of(creatives: Iterable[Creative]) -> dict[int, frozenset[int]]:
    """By serial of a creative the serials of its companion set, of a campaign's creatives. One that waits for review or
    is paused is of its set all the same: without it none of them is shown."""
    sets: dict[str, list[int]] = {}
    for one in creatives:
        if one.companions is not None and one.state != "archived":
            sets.setdefault(one.companions, []).append(one.serial)
    return {serial: frozenset(found) for found in sets.values() if len(found) > 1 for serial in found}


def matched(members: Sequence[int], places: Mapping[int, Sequence[int]]) -> dict[int, int] | None:
    """A place of its own for each member, out of those that it fits, which come first what is liked best: by place the
    member. None when there is no such matching. Of augmenting paths (Kuhn): members x places x members steps at most.

    >>> matched([1, 2], {1: [7, 8], 2: [7]})
    {7: 2, 8: 1}
    """
    taken: dict[int, int] = {}
    for member in members:
        if not _find(member, places, taken, set()):
            return None
    return taken


def _find(member: int, places: Mapping[int, Sequence[int]], taken: dict[int, int], seen: set[int]) -> bool:
    for place in places.get(member, ()):
        if place not in seen:
            seen.add(place)
            if place not in taken or _find(taken[place], places, taken, seen):
                taken[place] = member
                return True
    return False
