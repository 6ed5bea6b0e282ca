"""One rendering of a page: what stands in its slots and what is planned for them.

DESIGN. Slots choose in the order of their ranks, so a plan holds what each would get if all of them were asked for in
that order. Who asks for a slot gets what is planned there, as long as it may serve; so calls that come at once with
the same plan take one entry each and show nothing twice. What is only planned keeps its campaign from other slots, save
from one that would stay empty in the very call that plans: an empty slot now is worse than another choice later.
A companion set is planned as a whole where its first member is drawn: each of the others is matched with a slot of
its own further down, in which it may serve and no higher tier would. Where that fails it is drawn again, without
the set.
Not chosen: planning sets before everything else (a set of the last tier would keep the first out).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from msgspec import Struct

from adserve.core.catalog import Catalog
from adserve.core.companions import companions_of, matched
from adserve.core.decide import Choice, PageView, as_planned, decide
from adserve.core.entry import NO_MATES
from adserve.core.model import Advertiser, Campaign
from adserve.core.plan import Placed
from adserve.core.pool import HOUSE, tags_of
from adserve.core.rotation import Draws, Seeded
from adserve.core.slot import CompiledSlot, SlotRequest
from adserve.core.standing import Standing

Key = tuple[int, int]
"""Serial of a slot, and which instance of it."""


class Place(NamedTuple):
    """An instance of a slot on a page: 0 is the first, whether it has a number or not; others have their own."""

    slot: CompiledSlot
    instance: int
    key: Key

    @classmethod
    def of(cls, slot: CompiledSlot, instance: int = 0) -> Place:
        return cls(slot, instance, (slot.slot.serial, instance))


def in_rank(places: Iterable[Place]) -> list[Place]:
    """In the order in which they choose."""
    return sorted(places, key=lambda one: (one.slot.slot.rank, one.slot.slot.serial, one.instance))


class Held(NamedTuple):
    """What stands in a place or is planned for it. `campaign` is None when this worker has not heard of it yet;
    `standing`: whether others have to look at it, which they need not of a passback."""

    campaign: Campaign | None
    serial: int
    creative: int
    revision: int
    tags: tuple[str, ...]
    mates: frozenset[int]
    house: bool
    served: bool
    standing: bool


class Asking(Struct, frozen=True):
    """What decisions about the slots of a call have in common."""

    of: Callable[[CompiledSlot], SlotRequest]
    standing: Standing
    now: int


class Rendering:
    """What one page view shows and plans, by place."""

    __slots__ = ("_catalog", "_page", "_parted", "held")

    def __init__(self, catalog: Catalog, entries: Iterable[Placed] = ()) -> None:
        self.held: dict[Key, Held] = {(one.slot, one.instance): _held(catalog, one) for one in entries}
        self._catalog = catalog
        self._page: PageView | None = None
        self._parted: set[int] = set()

    def page(self, key: Key) -> PageView:
        """What all places but one hold."""
        if key in self.held:
            return self._view(key, ())
        if self._page is None:
            self._page = self._view(key, ())
        return self._page

    def spare(self, key: Key, asked: Collection[Key]) -> PageView:
        """The same without what is only planned for places that nobody asked for."""
        return self._view(key, [other for other, one in self.held.items() if not one.served and other not in asked])

    def planned(self, key: Key) -> tuple[int, int] | None:
        """What is planned for a place, as a request says it."""
        held = self.held.get(key)
        return None if held is None or held.served else (held.serial, held.creative)

    def holds(self, key: Key, asking: Asking) -> bool:
        """Whether what is planned for a place may stand there as far as its companion set goes: until one of the set is
        served, all that is planned of it has to be able to serve."""
        mates = [(key, self.held[key]), *self._mates(key)]
        if len(mates) == 1 or any(one.served for _, one in mates):
            return True
        return all(self._able(other, one, asking) for other, one in mates)

    def _able(self, key: Key, held: Held, asking: Asking) -> bool:
        slot = self._catalog.slot_serials.get(key[0])
        if slot is None:
            return False
        request = asking.of(slot)._replace(planned=(held.serial, held.creative))
        return as_planned(slot, request, self.page(key), asking.standing, asking.now) is not None

    def _mates(self, key: Key) -> list[tuple[Key, Held]]:
        """The other places of the companion set of which one member is held in a place."""
        own = self.held[key]
        return [
            (other, one)
            for other, one in (self.held.items() if own.mates else ())
            if one.serial == own.serial and one.creative in own.mates and other != key
        ]

    def put(self, key: Key, choice: Choice, *, served: bool) -> None:
        """`choice` stands there now, or is planned."""
        was = self.held.get(key)
        self.held[key] = held = _held_of(choice, served=served)
        if was is not None and (was.serial, was.creative) != (held.serial, held.creative):
            self._page = None
        elif was is None and self._page is not None and held.standing:
            self._page.add(choice)

    def drop(self, key: Key) -> None:
        """Nothing stands there any more. Of a set of which nothing is served yet nothing is planned any more either."""
        if key not in self.held:
            return
        self._page = None
        mates = self._mates(key)
        del self.held[key]
        if not any(one.served for _, one in mates):
            for other, _ in mates:
                del self.held[other]

    def give_way(self, key: Key, asked: Collection[Key]) -> None:
        """Drops what is only planned for places that nobody asked for and cannot stand beside what a place has."""
        new = self.held[key]
        for other, one in list(self.held.items()):
            if other != key and other in self.held and not one.served and other not in asked and _clash(new, one):
                self.drop(other)

    def plan(self, place: Place, later: Sequence[Place], asking: Asking, draws: Draws) -> None:
        """Plans a place in which nothing is held, and with it the rest of a companion set in some of those that come
        `later`. Nothing is planned where nothing may serve."""
        slot, request = place.slot, asking.of(place.slot)
        page = self.page(place.key)
        if slot.sets:
            page = page.copied()
            page.gathers, page.parted = True, self._parted
        while True:
            choice = decide(slot, request, page, asking.standing, asking.now, draws)
            if choice is None:
                return
            if not choice.entry.mates:
                self.put(place.key, choice, served=False)
                return
            together = _together(choice, place, [one for one in later if one.key not in self.held], page, asking)
            if together is not None:
                for one, member in together:
                    self.put(one.key, member, served=False)
                return
            self._parted |= choice.entry.mates  # so it is not drawn again, and this comes to an end

    def entries(self) -> tuple[Placed, ...]:
        """For a plan."""
        served: list[Placed] = []
        planned: list[Placed] = []
        for (slot, instance), one in self.held.items():
            placed = Placed(slot, instance, one.serial, one.revision, one.house, one.served)
            (served if one.served else planned).append(placed)
        return (*served, *planned)

    def _view(self, key: Key, without: Collection[Key]) -> PageView:
        page = PageView()
        for other, one in self.held.items():
            if other != key and other not in without and one.standing:
                if one.campaign is not None:
                    page.put(one.campaign, one.creative, one.tags, house=one.house)
                elif not one.house:
                    page.shown.setdefault(one.serial, set()).add(one.creative)
        return page


def _clash(one: Held, other: Held) -> bool:
    if one.serial == other.serial:
        return not one.house
    excludes = one.campaign.excludes if one.campaign is not None else ()
    excluded = other.campaign.excludes if other.campaign is not None else ()
    return not (set(excludes).isdisjoint(other.tags) and set(excluded).isdisjoint(one.tags))


def _held_of(choice: Choice, *, served: bool) -> Held:
    campaign, entry = choice.campaign, choice.entry
    return Held(
        campaign,
        campaign.serial,
        entry.creative.serial,
        entry.content.serial,
        choice.tags,
        entry.mates,
        choice.tier == HOUSE,
        served,
        entry.creative.kind != "passback",
    )


def _held(catalog: Catalog, placed: Placed) -> Held:
    _, _, serial, revision, house, served = placed
    landing = catalog.landings.get(revision)
    if landing is None:
        return Held(None, serial, 0, revision, (), NO_MATES, house, served, standing=True)
    creative, campaign = landing.creative, landing.campaign
    owner = catalog.things.get(f"advertiser:{campaign.advertiser}")
    tags = tags_of(campaign, owner.categories if isinstance(owner, Advertiser) else ())
    mates = NO_MATES
    if creative.companions is not None:
        mates = companions_of(catalog.creatives.get(campaign.id, ())).get(creative.serial, NO_MATES)
    passback = creative.kind == "passback"
    return Held(campaign, serial, creative.serial, revision, tags, mates, house, served, not passback)


def _together(
    drawn: Choice, place: Place, later: Sequence[Place], page: PageView, asking: Asking
) -> list[tuple[Place, Choice]] | None:
    """A place for each creative of a companion set of which one was drawn for `place`, which gets one of them; None
    when they cannot all be placed."""
    mates = drawn.entry.mates
    if len(mates) > len(later) + 1:
        return None
    places = [place, *later]
    able: dict[int, dict[int, Choice]] = {}
    for one in places:  # of a slot that is there a hundred times it is worked out once
        if one.key[0] not in able:
            able[one.key[0]] = _able_in(one.slot, drawn, page, asking)
    fits = {(member, at): choice for at, one in enumerate(places) for member, choice in able[one.key[0]].items()}
    here = drawn.entry.creative.serial
    for begins in sorted(mates, key=lambda member: (member != here, member)):
        if (begins, 0) in fits:
            rest = sorted(mates - {begins})
            found = matched(rest, {m: [at for at in range(1, len(places)) if (m, at) in fits] for m in rest})
            if found is not None:
                return [(places[at], fits[member, at]) for at, member in [(0, begins), *sorted(found.items())]]
    return None


def _able_in(slot: CompiledSlot, drawn: Choice, page: PageView, asking: Asking) -> dict[int, Choice]:
    """The members of a companion set that may serve in a slot, by their serials; none where a higher tier would."""
    request = asking.of(slot)._replace(sticky=None)
    first = decide(slot, request, page, asking.standing, asking.now, Seeded(0))
    if first is not None and first.tier < drawn.tier:
        return {}
    found = {}
    for member in drawn.entry.mates:
        asked = request._replace(planned=(drawn.campaign.serial, member))
        choice = as_planned(slot, asked, page, asking.standing, asking.now)
        if choice is not None:
            found[member] = choice
    return found
