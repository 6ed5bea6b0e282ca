"""From stored objects to the compiled copy, out of the copy before: only what a change touches is made anew.

DESIGN. What changed is found by comparing the objects, so it does not matter how many changes came together,
nor whether an older catalog came back. A change touches campaigns (their own, that of their creatives or their
advertiser) and slots (their own, that of their site, and every slot that a touched campaign books or booked).
A touched slot keeps the candidates of all other campaigns; one whose look changed makes all of them anew. The first
compile is that of an empty copy, so there is one way and no second one that could differ from it.

At 10,000 campaigns even this takes longer than an event loop may stand still. So it is a generator that yields
after each small piece of work and returns the copy; who runs it decides when to pause.
Not chosen: a thread (each turn of the event loop would wait for the interpreter, 5 ms at a time, as long as
the thread computes), a table of what depends on what (it would have to be right itself).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Set
from typing import NamedTuple, TypeVar

from adserve.core.catalog import Catalog, Landing
from adserve.core.companions import companions_of
from adserve.core.entry import NO_MATES, Render, entry_of
from adserve.core.fit import forms_of
from adserve.core.model import TIERS, Advertiser, Campaign, Creative, Site, Slot, Thing
from adserve.core.pool import Candidate
from adserve.core.reasons import Reason
from adserve.core.revisions import genuine
from adserve.core.slot import CompiledSlot
from adserve.core.terms import NO_TERMS, terms_of
from adserve.core.urls import UrlError, check_landing_url, compile_landing_url

Things = Mapping[str, Thing]
T = TypeVar("T")
Steps = Generator[None, None, T]
SERVING = ("approved", "pending")
"""States in which what is live serves."""
PIECE = 500
"""Objects looked at between two yields where each takes about a microsecond."""


def compile_catalog(version: int, things: Things, render: Render, unreadable: Iterable[str] = ()) -> Catalog:
    """Everything stored to the compiled copy, at once."""
    steps = recompile(Catalog(), version, things, render, unreadable)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            catalog: Catalog = done.value
            return catalog


def recompile(
    before: Catalog, version: int, things: Things, render: Render, unreadable: Iterable[str] = ()
) -> Steps[Catalog]:
    """The copy of `things`, made of the copy `before`. A creative that cannot be shown is skipped and named in
    `bad`, where the names of `unreadable` objects stand too."""
    changed = yield from _changed(before.things, things)
    touched = yield from _touched(before.things, things, changed)
    creatives = yield from _grouped(before, things, changed)
    landings, bad = yield from _landings(before, things, touched, creatives)
    altered = frozenset(name for name in bad if isinstance(t := things.get(name), Creative) and not genuine(t))
    if any(name.startswith(("site:", "slot:")) for name in changed):
        sites = {one.id: one for one in things.values() if isinstance(one, Site)}
        wanted = [
            (sites[one.site], one)
            for one in things.values()
            if isinstance(one, Slot) and one.state != "archived" and one.site in sites
        ]
        in_use = [one.id for one in sites.values() if one.state != "archived"]
    else:
        wanted = [(one.site, one.slot) for one in before.slot_serials.values()]
        in_use = list(before.pages)
    yield
    slots = yield from _slots(before, touched, wanted, _Stock(things, creatives, landings, bad, render))
    slots.sort(key=lambda one: (one.slot.rank, one.slot.serial))
    pages: dict[str, list[CompiledSlot]] = {site: [] for site in in_use}
    for one in slots:
        if one.site.id in pages:
            pages[one.site.id].append(one)
    return Catalog(
        version,
        things,
        {one.slot.id: one for one in slots if one.site.id in pages},
        {one.slot.serial: one for one in slots},
        {site: tuple(found) for site, found in pages.items()},
        landings,
        creatives,
        frozenset({*bad, *unreadable}),
        altered,
        {name: before.things.get(name) for name in changed} if before.things else {},
    )


def _changed(before: Things, things: Things) -> Steps[list[str]]:
    """The names of objects that are new, other than before, or gone."""
    changed = [name for name in before if name not in things]
    for at, (name, thing) in enumerate(things.items()):
        earlier = before.get(name)
        if earlier is not thing and earlier != thing:
            changed.append(name)
        if at % PIECE == 0:
            yield
    return changed


def _touched(before: Things, things: Things, changed: Iterable[str]) -> Steps[set[str]]:
    """The ids of campaigns that a change may matter to."""
    touched, owners = set(), set()
    for at, name in enumerate(changed):
        for one in (before.get(name), things.get(name)):
            if isinstance(one, Campaign):
                touched.add(one.id)
            elif isinstance(one, Creative):
                touched.add(one.campaign)
            elif isinstance(one, Advertiser):
                owners.add(one.id)
        if at % PIECE == 0:
            yield
    if owners:
        touched.update(t.id for t in things.values() if isinstance(t, Campaign) and t.advertiser in owners)
        yield
    return touched


def _grouped(before: Catalog, things: Things, changed: Iterable[str]) -> Steps[dict[str, tuple[Creative, ...]]]:
    """The creatives by campaign."""
    groups: dict[str, dict[str, Creative]] = {}

    def group(campaign: str) -> dict[str, Creative]:
        if campaign not in groups:
            groups[campaign] = {one.id: one for one in before.creatives.get(campaign, ())}
        return groups[campaign]

    for at, name in enumerate(changed):
        earlier, thing = before.things.get(name), things.get(name)
        if isinstance(earlier, Creative):
            group(earlier.campaign).pop(earlier.id, None)
        if isinstance(thing, Creative):
            group(thing.campaign)[thing.id] = thing
        if at % PIECE == 0:
            yield
    creatives = {**before.creatives}
    for at, (campaign, found) in enumerate(groups.items()):
        creatives[campaign] = tuple(sorted(found.values(), key=lambda one: one.serial))
        if not found:
            del creatives[campaign]
        if at % PIECE == 0:
            yield
    return creatives


def _landings(
    before: Catalog, things: Things, touched: Set[str], creatives: Mapping[str, tuple[Creative, ...]]
) -> Steps[tuple[dict[int, Landing], set[str]]]:
    """The landings by revision, and the names of creatives that cannot be shown."""
    landings = {**before.landings}
    for id_ in touched:
        for creative in before.creatives.get(id_, ()):
            for revision in creative.revisions:
                landings.pop(revision.serial, None)
        yield
    bad = {name for name in before.bad if isinstance(t := things.get(name), Creative) and t.campaign not in touched}
    for id_ in touched:
        campaign = things.get(f"campaign:{id_}")
        terms = terms_of(campaign) if isinstance(campaign, Campaign) else NO_TERMS
        for creative in creatives.get(id_, ()):
            parts = None
            try:
                parts = _parts(creative)
            except UrlError:
                bad.add(f"creative:{creative.id}")
            if not genuine(creative):
                parts = None
                bad.add(f"creative:{creative.id}")
            if isinstance(campaign, Campaign):
                landing = Landing(creative, campaign, parts, terms)
                landings.update((revision.serial, landing) for revision in creative.revisions)
            else:
                bad.add(f"creative:{creative.id}")
        yield
    return landings, bad


def _parts(creative: Creative) -> tuple[str, ...] | None:
    """The landing URL of the live revision, checked again: stored data may be tampered with. None
    without one, so that a token of an older revision never leads to what nobody has reviewed, and for a
    passback, which has none. UrlError when it may not be one."""
    if creative.state in ("rejected", "archived") or creative.live is None or creative.kind == "passback":
        return None
    return compile_landing_url(check_landing_url(creative.live.click_url))


class _Stock(NamedTuple):
    """What candidates are made of."""

    things: Things
    creatives: Mapping[str, tuple[Creative, ...]]
    landings: Mapping[int, Landing]
    bad: Set[str]
    render: Render

    def candidate(self, campaign: Campaign, slot: Slot) -> Candidate | None:
        """A campaign in a slot that it books; None when it has nothing to show there."""
        owner = self.things.get(f"advertiser:{campaign.advertiser}")
        if campaign.state != "active" or (isinstance(owner, Advertiser) and owner.state == "archived"):
            return None
        entries = []
        creatives = self.creatives.get(campaign.id, ())
        mates = companions_of(creatives)
        for creative in creatives:
            live = creative.live
            forms = forms_of(creative.kind, live, slot) if live is not None and creative.state in SERVING else ()
            if live is not None and forms:
                landing = self.landings.get(live.serial)
                sound = creative.kind == "passback" or (landing is not None and landing.parts is not None)
                if sound and f"creative:{creative.id}" not in self.bad:
                    together = mates.get(creative.serial, NO_MATES)
                    entries.append(entry_of(creative, forms, slot, self.render, together))
        categories = owner.categories if isinstance(owner, Advertiser) else ()
        return Candidate(campaign, tuple(entries), categories) if entries else None

    def why_barred(self, campaign: Campaign, slot: Slot) -> Reason:
        """Why a campaign has nothing to show in a slot that it books."""
        owner = self.things.get(f"advertiser:{campaign.advertiser}")
        if campaign.state != "active" or (isinstance(owner, Advertiser) and owner.state == "archived"):
            return Reason.PAUSED
        creatives = [one for one in self.creatives.get(campaign.id, ()) if one.state != "archived"]
        if any(one.live is not None and one.state in SERVING for one in creatives):
            return Reason.SIZE
        return Reason.NOT_APPROVED if any(one.state != "paused" for one in creatives) else Reason.PAUSED


def _slots(
    before: Catalog, touched: Set[str], wanted: Iterable[tuple[Site, Slot]], stock: _Stock
) -> Steps[list[CompiledSlot]]:
    """The slots that are `wanted`: as they were, or with the candidates of touched campaigns made anew, or all."""
    kept = {one.slot.id: one for one in before.slot_serials.values()}
    fresh = {slot.id for _, slot in wanted if slot.id not in kept or _look(kept[slot.id].slot) != _look(slot)}
    bookings = yield from _bookings(before, stock.things, touched, wanted, fresh)
    slots = []
    for site, slot in wanted:
        earlier = kept.get(slot.id)
        same = earlier is not None and (earlier.site, earlier.slot) == (site, slot)
        if earlier is not None and same and slot.id not in bookings:
            slots.append(earlier)
            continue
        known = earlier.tiers if earlier is not None and slot.id not in fresh else ((),) * len(TIERS)
        old = {one.campaign.id: one for tier in known for one in tier if one.campaign.id in touched}
        new: dict[str, Candidate] = {}
        was = {} if earlier is None or slot.id in fresh else dict(earlier.barred)
        barred = {id_: why for id_, why in was.items() if id_ not in touched}
        for campaign in bookings.get(slot.id, ()):
            candidate = stock.candidate(campaign, slot)
            if candidate is not None:
                new[campaign.id] = candidate
            elif campaign.state != "archived" and campaign.id in stock.creatives:
                barred[campaign.id] = stock.why_barred(campaign, slot)
            yield
        if earlier is not None and same and _shows(old) == _shows(new) and was == barred:
            slots.append(earlier)
            continue
        tiers: list[tuple[Candidate, ...]] = []
        for at, tier in enumerate(known):
            found = [one for one in tier if one.campaign.id not in old]
            found += [one for one in new.values() if TIERS.index(one.campaign.tier) == at]
            tiers.append(tuple(sorted(found, key=lambda one: one.campaign.serial)))
        yield
        made = yield from CompiledSlot.steps(site, slot, tuple(tiers), barred)
        yield
        if earlier is not None:
            yield from made.prepare(earlier)
        slots.append(made)
    return slots


def _shows(candidates: Mapping[str, Candidate]) -> dict[str, object]:
    """Candidates as values."""
    return {
        id_: (one.campaign, one.tags, [(e.creative, e.content, e.mates) for e in one.entries])
        for id_, one in candidates.items()
    }


def _bookings(
    before: Catalog, things: Things, touched: Set[str], wanted: Iterable[tuple[Site, Slot]], fresh: Set[str]
) -> Steps[dict[str, list[Campaign]]]:
    """Slots whose candidates change, with the campaigns to make candidates of: all that book a fresh slot, and
    of another one the touched. Slots that a touched campaign has left stand there too."""
    of_site: dict[str, list[str]] = {}
    for _, slot in wanted:
        of_site.setdefault(slot.site, []).append(slot.id)

    def booked(campaign: Campaign) -> set[str]:
        found: set[str] = set()
        for place in campaign.slots:
            found.update(of_site.get(place[:-2], ()) if place.endswith("/*") else (place,))
        return found

    bookings: dict[str, list[Campaign]] = {}
    for id_ in touched:
        earlier = before.things.get(f"campaign:{id_}")
        if isinstance(earlier, Campaign):
            bookings.update((slot, []) for slot in booked(earlier))
        yield
    campaigns = things.values() if fresh else [things.get(f"campaign:{id_}") for id_ in touched]
    for at, campaign in enumerate(campaigns):
        if isinstance(campaign, Campaign):
            slots = booked(campaign)
            for slot_id in slots if campaign.id in touched else slots & fresh:
                bookings.setdefault(slot_id, []).append(campaign)
        if at % PIECE == 0:
            yield
    return bookings


def _look(slot: Slot) -> tuple[object, ...]:
    """What of a slot its candidates are made of."""
    return slot.serial, slot.sizes, slot.label, slot.max_kb
