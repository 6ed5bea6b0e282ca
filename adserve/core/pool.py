"""Candidates of a slot, the sets of them that are eligible together, and how one is picked.

DESIGN. A *pool* is an eligible set of one tier with the cumulative weights of its members, so that a pick is a
bisect, as fast at 10,000 members as at 10. A draw is a point of a circle (`core.rotation`) that is scaled to the
total weight: its whole part picks the campaign, and how far it lies into that campaign's stretch the creative.
What only one page or reader leaves out is taken out of the numbers as they are drawn and makes no pool of its own:
at 10,000 members hardly any two pages show the same. A set is named by a sum over its members, so the same
members and weights have the same name, and go on with the same sequence, however they came to be eligible.
What is made when it is first chosen lies together in memory; made with all the rest of a large catalog it would
lie so scattered that a pick takes half as long again.
Not chosen: drawing again while a used campaign comes out (two sets would share a sequence, which drifts by
hundreds); a digest as the name (as slow as making the pool, and none for a set less a few).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache
from itertools import accumulate, compress
from typing import Any, NamedTuple

from msgspec import Struct

from adserve.core.bits import flags_of
from adserve.core.entry import Entry, end_of
from adserve.core.model import TIERS, Campaign, Creative

HOUSE = TIERS.index("house")
ANY_WIDTH = 1 << 30
Draw = Callable[[int], int]
"""The next point of the circle, `[0, 2**64)`, for the set of a name."""


class Choice(Struct, frozen=True, gc=False):
    """A decision with something to show."""

    entry: Entry
    campaign: Campaign
    tier: int
    tags: tuple[str, ...] = ()
    """What other campaigns may exclude: `advertiser:ID`, `category:NAME`."""


class Less(NamedTuple):
    """What a page and a reader leave out: `shown` already, by serial of a campaign the serials of its creatives
    (`whole`: a campaign goes with any of them); campaigns that are `out`; creatives whose companions have no place,
    which are kept `apart`, by campaign too."""

    shown: Mapping[int, Collection[int]]
    out: frozenset[int]
    apart: Mapping[int, Collection[int]]
    whole: bool


Chosen = Choice | tuple[Any, ...]
"""The creatives of a campaign that can be chosen together: the only one, or several and then their cumulative
weights. They are in one tuple, because each object more lies elsewhere in memory, and at 10,000 campaigns a pick is
as slow as that."""


def chosen_of(candidate: Candidate, entries: Iterable[Entry]) -> Chosen:
    """Of one creative at least."""
    campaign, tier = candidate.campaign, TIERS.index(candidate.campaign.tier)
    choices = [Choice(entry, campaign, tier, candidate.tags) for entry in entries]
    if len(choices) == 1:
        return choices[0]
    return (*choices, *accumulate(choice.entry.creative.weight for choice in choices))


class Outline(NamedTuple):
    """When and from which width on one of a campaign's creatives can serve, as `(since, until, width)`, half-open; and
    the moments and widths at which anything about it changes. Of 10,000 campaigns most have the same."""

    spans: tuple[tuple[int, int, int], ...]
    moments: tuple[int, ...]
    widths: tuple[int, ...]

    def serves(self, now: int, width: int) -> bool:
        """At a moment and a width."""
        return any(since <= now < until and narrowest <= width for since, until, narrowest in self.spans)


_outline = lru_cache(maxsize=1000)(Outline)
"""Most candidates share theirs, so a slot tells them apart by identity; where two are equal it works out both."""


class Candidate:
    """A campaign that books a slot, with its creatives that fit the slot's sizes. `categories`: those of its
    advertiser. `plain`: nothing but schedules, sizes and weights decides about it. `sets`: those of its creatives that
    are of a companion set, by their serials."""

    __slots__ = ("campaign", "entries", "mark", "outline", "plain", "sets", "tags")

    def __init__(self, campaign: Campaign, entries: tuple[Entry, ...], categories: tuple[str, ...] = ()) -> None:
        self.campaign, self.entries = campaign, entries
        self.tags = tags_of(campaign, categories)
        self.sets = frozenset([one.creative.serial for one in entries if one.mates])
        limits = (campaign.goal, campaign.caps, campaign.frequency, campaign.target)
        self.plain = limits == (None, None, None, None) and not campaign.excludes
        self.mark = hash((campaign.serial, campaign.weight))
        narrowest: dict[tuple[int, int], int] = {}
        for entry in entries:
            creative, width = entry.creative, entry.narrowest
            if campaign.weight and creative.weight:
                since = max(campaign.starts_at or 0, creative.starts_at or 0)
                until = min(end_of(campaign), end_of(creative))
                narrowest[since, until] = min(width, narrowest.get((since, until), ANY_WIDTH))
        things: list[Campaign | Creative] = [campaign, *(entry.creative for entry in entries)]
        moments = {moment for one in things for moment in (one.starts_at, one.ends_at) if moment is not None}
        self.outline = _outline(
            tuple((since, until, width) for (since, until), width in narrowest.items() if since < until),
            tuple(sorted(moments)),
            tuple(sorted({width for entry in entries for width in entry.widths})),
        )

    def choose(self, now: int, width: int) -> Chosen:
        """Of its creatives those that can serve, of which there is one at least."""
        return chosen_of(self, [entry.within(width) for entry in self.entries if entry.serves(now, width)])


def tags_of(campaign: Campaign, categories: Iterable[str]) -> tuple[str, ...]:
    """What other campaigns may exclude of one; `categories`: those of its advertiser."""
    own = dict.fromkeys((*campaign.categories, *categories))
    return (f"advertiser:{campaign.advertiser}", *(f"category:{one}" for one in own))


class Tier:
    """The candidates of a tier in the order of their serials, and beside them what pools are made of: in arrays,
    which the garbage collector does not walk through."""

    __slots__ = ("at", "candidates", "marks", "outlines", "serials", "weights")

    def __init__(self, at: int, candidates: tuple[Candidate, ...], numbers: dict[int, int]) -> None:
        """`numbers`: those of the outlines that were seen so far, by their identity."""
        self.at, self.candidates = at, candidates
        self.outlines = array("q", [numbers.setdefault(id(one.outline), len(numbers)) for one in candidates])
        self.marks = array("q", [one.mark for one in candidates])
        campaigns = [one.campaign for one in candidates]
        self.serials = array("q", [campaign.serial for campaign in campaigns])
        self.weights = array("q", [campaign.weight for campaign in campaigns])

    def place(self, serial: int) -> int | None:
        """Where a campaign stands; None when it is not here."""
        found = bisect_left(self.serials, serial)
        return found if found < len(self.serials) and self.serials[found] == serial else None


class Pool:
    """A set of candidates of a tier that can serve, at a moment and for a width; never empty. Its members are in the
    order of their campaigns' serials."""

    __slots__ = (
        "_found", "_of", "chosen", "goals", "marks", "mask", "members", "moment", "name", "serials", "slot", "sums",
        "tier", "total", "width",
    )  # fmt: skip

    def __init__(
        self,
        slot: int,
        of: Tier,
        mask: int,
        moment: int,
        width: int,
        found: list[Chosen | None],
        needs: Mapping[int, int] | None = None,
    ) -> None:
        """`found`: for each candidate of the tier the creatives that this moment and width leave, where some pool has
        looked already; `needs`: by serial of a campaign what it counts for, instead of its weight; one that is missing
        counts as 1."""
        self.slot, self.tier, self.mask, self.moment, self.width = slot, of.at, mask, moment, width
        flags = flags_of(mask, len(of.candidates))
        self.members = tuple(compress(of.candidates, flags))
        self.serials = array("q", compress(of.serials, flags))
        self.goals = needs is not None
        if needs is None:
            self.sums = tuple(accumulate(compress(of.weights, flags)))
        else:
            self.sums = tuple(accumulate([max(1, needs.get(serial, 1)) for serial in self.serials]))
        self.total = self.sums[-1]
        self.marks = sum(compress(of.marks, flags))
        self.name = self.name_of(self.marks)
        self.chosen: list[Chosen | None] = list(compress(found, flags))
        """The creatives of each member, found when it is chosen first."""
        self._of, self._found = of, found

    def name_of(self, marks: int) -> int:
        return hash((self.slot, self.tier, self.goals, marks))

    def weight(self, place: int) -> int:
        """What a member counts for."""
        return self.sums[place] - (self.sums[place - 1] if place else 0)

    def choices(self, place: int) -> tuple[Choice, ...]:
        """The creatives of a member."""
        chosen = self._choose(place)
        return (chosen,) if isinstance(chosen, Choice) else chosen[: len(chosen) // 2]

    def pick(self, draw: Draw) -> Choice:
        point = draw(self.name) * self.total
        place = bisect_right(self.sums, point >> 64)
        return self._pick(self.chosen[place] or self._choose(place), place, point)

    def pick_beside(self, draw: Draw, less: Less) -> Choice | None:
        """Less what only this page or reader leaves out. None when nothing is left."""
        left: dict[int, Chosen] = {}
        gone: list[tuple[int, int]] = []
        marks, total = self.marks, self.total
        shown, out, apart, whole = less
        serials, sums = self.serials, self.sums
        for serial in sorted({*shown, *out, *apart} if out or apart else shown):
            place = bisect_left(serials, serial)
            if place == len(serials) or serials[place] != serial:
                continue
            some = None if whole and serial in shown else self.left(place, less)
            if some is not None:
                left[place] = some
            else:
                low = sums[place - 1] if place else 0
                weight = sums[place] - low
                gone.append((low, weight))
                marks, total = marks - self.members[place].mark, total - weight
        if not total:
            return None
        point = draw(self.name_of(marks)) * total
        for low, weight in gone:
            if point >> 64 >= low:
                point += weight << 64
        place = bisect_right(self.sums, point >> 64)
        return self._pick(left.get(place) or self._choose(place), place, point)

    def place(self, serial: int) -> int | None:
        """Where a campaign stands; None when it is not here."""
        found = bisect_left(self.serials, serial)
        return found if found < len(self.serials) and self.serials[found] == serial else None

    def left(self, place: int, less: Less) -> Chosen | None:
        """What a page and a reader leave of a member's creatives."""
        serial = self.serials[place]
        if serial in less.out or (less.whole and serial in less.shown):
            return None
        gone = {*less.shown.get(serial, ()), *less.apart.get(serial, ())}
        if not gone:
            return self._choose(place)
        entries = [one.entry for one in self.choices(place) if one.entry.creative.serial not in gone]
        return chosen_of(self.members[place], entries) if entries else None

    def _choose(self, place: int) -> Chosen:
        found = self.chosen[place]
        if found is None:
            found = self.chosen[place] = self.members[place].choose(self.moment, self.width)
            at = self._of.place(self.serials[place])
            if at is not None:
                self._found[at] = found
        return found

    def _pick(self, chosen: Chosen, place: int, point: int) -> Choice:
        """The creative at a point, which lies in the stretch of the member at `place`."""
        if isinstance(chosen, Choice):
            return chosen
        low = self.sums[place - 1] if place else 0
        number = (point - (low << 64)) * chosen[-1] // (self.sums[place] - low) >> 64
        count = len(chosen) // 2
        choice: Choice = chosen[bisect_right(chosen, number, count) - count]
        return choice
