"""How likely each creative was to be chosen by a decision: exactly, over every point that could have been drawn.

What `core.decide` does with one draw is done here with all of them; a test holds them together, draw by draw.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from fractions import Fraction

from adserve.core.compile import Steps
from adserve.core.decide import apart, as_planned
from adserve.core.entry import Entry
from adserve.core.journal import Decision
from adserve.core.pool import HOUSE, Less, Pool
from adserve.core.recent import Recent
from adserve.core.shares import Lags, whole
from adserve.core.standing import Standing
from adserve.core.sticky import stick

PIECE = 100
"""Members of a pool between two yields."""
Chances = dict[int, Fraction]
"""By serial of a creative."""


def chances(decision: Decision, standing: Standing) -> Steps[tuple[Chances, Fraction, frozenset[int]]]:
    """The chance of each creative that had one, that of an empty slot, and the tiers that could be reached."""
    slot, request, page, now = decision.slot, decision.request, decision.page, decision.now
    found: Chances = {}
    left = Fraction(1)
    reached: set[int] = set()
    if not slot.live:
        return found, left, frozenset()
    planned = as_planned(slot, request, page, standing, now)
    if planned is not None:
        return {planned.entry.creative.serial: left}, Fraction(0), frozenset({planned.tier})
    turns = list(reversed(decision.turns))
    parted = apart(slot, page)
    for view in slot.views(request, now).able:
        reached.add(view.masks.tier.at)
        offer = view.offer(standing, now) or view.make(view.open(standing, now), standing)
        shown: Mapping[int, Collection[int]] = {}
        if page is not None:
            if slot.slot.repeat != "any" and view.masks.tier.at != HOUSE:
                shown = page.shown
            offer = view.without(offer, view.masks.beside(page.beside), standing)
        out = frozenset((*(request.tired or ()), *offer.out))
        less = Less(shown, out, parted, slot.slot.repeat == "never")
        if offer.shares:
            parts = turns.pop()[1] if turns else Lags().parts(0, view.masks.shares, offer.shares, countable=False)
            of, taken = whole(parts), 0
            for place, part in parts:
                members = _Members(slot.pool(view, 1 << place), less, request.sticky)
                if part and members.total:
                    yield from members.spread(left * part / of, found)
                    taken += part
            left = left * (of - taken) / of
        for pool in (offer.goals, offer.rest):
            if pool is not None and left:
                members = _Members(pool, less, request.sticky)
                if members.total:
                    yield from members.spread(left, found)
                    left = Fraction(0)
        if not left:
            break
    return found, left, frozenset(reached)


class _Members:
    """What is left of a pool when a page and a reader have taken out theirs."""

    def __init__(self, pool: Pool, less: Less, sticky: int | None) -> None:
        self._pool, self._less = pool, less
        self._stuck = None if sticky is None else stick(pool, sticky, Recent(2), less)
        self._out = {*less.out}
        self.total = pool.total
        for serial in {*less.shown, *less.out, *less.apart}:
            place = pool.place(serial)
            if place is not None and not self._entries(place):
                self._out.add(serial)
                self.total -= pool.weight(place)

    def _entries(self, place: int) -> list[Entry]:
        """The creatives of a member that can be chosen."""
        pool, serial, less = self._pool, self._pool.serials[place], self._less
        if serial in self._out or (less.whole and serial in less.shown):
            return []
        barred = {*less.shown.get(serial, ()), *less.apart.get(serial, ())}
        able = (one for one in pool.members[place].entries if one.serves(pool.moment, pool.width))
        return [one for one in able if one.creative.serial not in barred]

    def spread(self, chance: Fraction, found: Chances) -> Iterator[None]:
        """Adds to `found` what each creative has of a chance."""
        if self._stuck is not None:  # who always gets the same has no chance of anything else
            serial = self._stuck.entry.creative.serial
            found[serial] = found.get(serial, Fraction(0)) + chance
            return
        above, below = chance.numerator, chance.denominator * self.total
        for place in range(len(self._pool.members)):
            entries = self._entries(place)
            if entries:
                part, of = above * self._pool.weight(place), below * sum(one.creative.weight for one in entries)
                for one in entries:
                    share, serial = Fraction(part * one.creative.weight, of), one.creative.serial
                    found[serial] = found[serial] + share if serial in found else share
            if place % PIECE == PIECE - 1:
                yield
