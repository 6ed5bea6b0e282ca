"""The slots of a page, in one call or in several.

DESIGN. A first page call plans all places of the page in the order of their ranks, serves those that are asked for and
hands the plan out, signed; a later call brings it back, and takes what is planned for its places if that may serve. An
id of the caller's own making plans the whole page with each call, by draws that come of the id: so calls that know
nothing of each other agree. What nobody asked for yet is decided, but not counted, and takes no allowance.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from adserve.core.catalog import Catalog
from adserve.core.decide import PageView
from adserve.core.frequency import Sight
from adserve.core.page import Asking, Key, Place, Rendering, in_rank
from adserve.core.plan import Placed, Plan
from adserve.core.pool import HOUSE
from adserve.core.rotation import Ahead, Draws, Seeded, mixed
from adserve.flows.frequency import told
from adserve.flows.serve import Empty, Filled, Reader, request_of, serve_slot
from adserve.flows.worker import Worker

MOST_BEFORE = 20
"""Instances of a slot that are planned before one with a higher number, on the page view of a caller's id."""


class Served(NamedTuple):
    """What became of the places that were asked for; `seal` makes the page view for the next call, which HTML has no
    room for."""

    made: dict[Key, Filled | Empty]
    seal: Callable[[], str]


class Several(NamedTuple):
    """What became of the instances of one slot, in their order."""

    made: list[Filled | Empty]
    seal: Callable[[], str]
    kept: dict[str, Any]

    @property
    def filled(self) -> list[Filled]:
        return [one for one in self.made if isinstance(one, Filled)]

    @property
    def fallback(self) -> bool:
        """Whether the page shows its own: a passback was chosen, and nothing else."""
        return not self.filled and any(isinstance(one, Empty) and one.fallback for one in self.made)

    def as_json(self) -> dict[str, Any]:
        """One ad is a decision as ever."""
        page_view = self.seal()
        if len(self.made) == 1:
            return self.made[0].as_json(page_view)
        first = self.made[0]
        return {
            "slot": first.slot.name if isinstance(first, Empty) else first.slot.slot.name,
            "filled": bool(self.filled),
            **({"fallback": True} if self.fallback else {}),
            "ads": [one.as_json(page_view) for one in self.filled],
            "page_view": page_view,
            **self.kept,
        }


def serve_places(
    worker: Worker,
    catalog: Catalog,
    asked: Sequence[Place],
    page: Sequence[Place],
    reader: Reader,
    sight: Sight | None = None,
) -> Served:
    """Serves the places that are asked for, in the order of their ranks. `page`: those to plan when the call begins a
    page view, none for a call that is about its own alone. A caller's id takes them as the whole page."""
    given = reader.page_view
    if isinstance(given, str):
        return Served(_by_id(worker, catalog, in_rank(asked), page, reader, sight, given), lambda: given)
    begins = given is None
    plan = Plan(secrets.randbits(64), int(worker.clock())) if given is None else given
    plan = plan.told(reader.context.labels)
    reader = replace(reader, page_view=plan)
    rendering = Rendering(catalog, plan.entries)
    wanted = {one.key for one in asked}
    made: dict[Key, Filled | Empty] = {}
    others = [one for one in page if one.key not in wanted] if begins else []
    order = in_rank((*others, *asked))
    asking = _asking(worker, reader, sight)
    ahead: Draws | None = None
    for at, place in enumerate(order):
        key = place.key
        if begins and page and (place.slot.sets or key not in wanted) and key not in rendering.held:
            ahead = ahead or Ahead(worker.draws)
            rendering.plan(place, order[at + 1 :], asking, ahead)
        if key in wanted:
            made[key] = _serve(worker, rendering, place, wanted, reader, sight, asking, takes=bool(others))
    return Served(made, lambda: worker.plans.seal(replace(plan, entries=rendering.entries())))


def places_after(place: Place, count: int) -> list[Place]:
    """The next instances of a slot; there is no number 1, because the first has it."""
    first = max(2, place.instance + 1)
    return [Place.of(place.slot, instance) for instance in range(first, first + count)]


def alone(worker: Worker, place: Place, made: Filled | Empty, reader: Reader) -> str:
    """The page view that begins with one slot, which was asked for without any."""
    entries: tuple[Placed, ...] = ()
    if isinstance(made, Filled):
        choice, (slot, instance) = made.choice, place.key
        revision, house = choice.entry.content.serial, choice.tier == HOUSE
        entries = (Placed(slot, instance, choice.campaign.serial, revision, house, served=True),)
    plan = Plan(secrets.randbits(64), int(worker.clock())).told(reader.context.labels)
    return worker.plans.seal(replace(plan, entries=entries))


def _serve(
    worker: Worker,
    rendering: Rendering,
    place: Place,
    wanted: set[Key],
    reader: Reader,
    sight: Sight | None,
    asking: Asking,
    *,
    takes: bool,
) -> Filled | Empty:
    """Serves a place: what is planned there, or anew beside everything else, if it is filled already or the plan does
    not hold any more. `takes`: rather than staying empty it may take what is planned for a place that nobody asked
    for."""
    key, slot = place.key, place.slot
    planned = rendering.planned(key)
    if planned is None or not rendering.holds(key, asking):
        rendering.drop(key)
        planned = None
    gave = False

    def spare() -> PageView:
        nonlocal gave
        gave = True
        return rendering.spare(key, wanted)

    made = serve_slot(worker, slot, reader, rendering.page(key), sight, planned, spare if takes else None)
    if isinstance(made, Filled):
        rendering.put(key, made.choice, served=True)
        if gave:
            rendering.give_way(key, wanted)
    else:
        rendering.drop(key)
    return made


def _by_id(
    worker: Worker,
    catalog: Catalog,
    asked: Sequence[Place],
    page: Sequence[Place],
    reader: Reader,
    sight: Sight | None,
    id_: str,
) -> dict[Key, Filled | Empty]:
    """The same on the page view of an id of the caller's own making."""
    rendering, asking = Rendering(catalog), _asking(worker, reader, sight)
    begun = hashlib.blake2b(id_.encode(), digest_size=8, key=worker.keys[0].secret, person=b"adserve-pageid").digest()
    seed = int.from_bytes(begun, "big")
    known = {one.key for one in page}
    others = {one.key: one for one in asked if one.key not in known}
    for place in asked:
        for instance in (0, *range(2, min(place.instance, MOST_BEFORE))):
            one = Place.of(place.slot, instance)
            if place.instance and one.key not in known:
                others.setdefault(one.key, one)
    order = [*in_rank(page), *in_rank(others.values())]
    for at, place in enumerate(order):
        if place.key not in rendering.held:
            rendering.plan(place, order[at + 1 :], asking, _seeded(worker, seed, place.key))
    made: dict[Key, Filled | Empty] = {}
    for place in asked:
        key = place.key
        draws = _seeded(worker, seed, key)
        view, planned = rendering.page(key), rendering.planned(key)
        made[key] = serve_slot(worker, place.slot, reader, view, sight, planned, None, draws)
    return made


def _seeded(worker: Worker, seed: int, key: Key) -> Draws:
    return Seeded(mixed(seed ^ mixed(key[0] << 16 | key[1])), worker.draws.stuck)


def _asking(worker: Worker, reader: Reader, sight: Sight | None) -> Asking:
    return Asking(lambda slot: request_of(reader, sight, slot), worker.standing, int(worker.clock()))


def serve_page(
    worker: Worker,
    catalog: Catalog,
    names: Sequence[tuple[str, Place | None]],
    page: Sequence[Place],
    reader: Reader,
    sight: Sight | None = None,
) -> dict[str, Any]:
    """A page: its `page_view`, and its decisions by requested name in `slots`; an unknown one fails alone."""
    sight, figures = sight or Sight(), worker.figures
    known = [place for _, place in names if place is not None]
    figures.page_slots_unknown += len(names) - len(known)
    made, seal = serve_places(worker, catalog, known, page, reader, sight)
    page_view = seal()
    answers: dict[str, dict[str, Any]] = {}
    for name, place in names:
        if place is None:
            answers[name] = {"slot": name, "filled": False, "error": "unknown_slot"}
            continue
        one = made[place.key]
        if isinstance(one, Filled):
            figures.page_slots_filled += 1
        elif one.fallback:
            figures.page_slots_passback += 1
        else:
            figures.page_slots_empty += 1
        answers[name] = one.as_json(page_view)
    return {"page_view": page_view, "slots": answers, **kept(worker, sight)}


def serve_several(
    worker: Worker,
    catalog: Catalog,
    asked: Sequence[Place],
    page: Sequence[Place],
    reader: Reader,
    sight: Sight | None = None,
) -> Several:
    """Several ads for one slot, or one on a page view."""
    sight = sight or Sight()
    made, seal = serve_places(worker, catalog, asked, page, reader, sight)
    return Several([made[one.key] for one in asked], seal, kept(worker, sight))


def kept(worker: Worker, sight: Sight) -> dict[str, Any]:
    """What a device is to keep of a whole call."""
    return {"seen": told(sight, worker.keys[0])["seen"]} if sight.mode == "device" else {}
