"""One slot with its candidates, and what of them can serve when, where and for whom.

DESIGN. A request leaves of each tier a set of candidates, which is an AND of masks (`core.masks`). What changes only
with the moment, the width, what is said of the page and whether the reader is known makes a *view* of each tier, worked
out once for all requests that are alike. What a view can offer just now (its pools) follows the hours of the week,
goals and caps; it is made anew when these change, and remembered by its set. Of a large tier that sheds and gains
members all the time the pools are made anew once a second at most: who went out meanwhile is left out of the numbers,
who came in waits that long. One moment is remembered, the latest, for time goes on.
Not chosen: one set for everything and no views (ten ANDs a request), a tree of weights that members come into and go
out of (as many trees as views, and every change in each of them).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Generator, Iterator, Mapping
from operator import attrgetter
from typing import NamedTuple

from adserve.core.bits import mask_of_flags, places_of
from adserve.core.context import Context
from adserve.core.masks import Masks
from adserve.core.model import Campaign, Site, Slot
from adserve.core.pool import ANY_WIDTH, Candidate, Chosen, Pool, Tier
from adserve.core.reasons import Reason
from adserve.core.shares import Share
from adserve.core.standing import Standing

LARGE = 256
"""Candidates that can serve from which on their pools may be a second old, less at most FEW that went out since."""
FEW = 32
MOST_ASKED, MOST_VIEWS, MOST_POOLS, MOST_MEMBERS = 4_000, 1_000, 2_000, 1_000_000
"""Requests, views, pools and members of pools that a slot remembers. Beyond that it begins anew."""
PREPARED = 50
"""Views that are worked out before a changed slot takes the place of the one before."""
KNOWN, UNKNOWN, UNANSWERED = range(3)
"""What is known of a reader: what it has seen enough of; nothing; or the store, which knows, did not answer in time."""


class SlotRequest(NamedTuple):
    """What a request says of itself. `countable` is False for robots and prefetches; `known` whether anything is known
    of what the reader has seen, and `tired` the serials of campaigns that it has seen enough of, or None when that
    could not be told in time; `sticky` the key of what always gets the same (`core.sticky`), if anything does;
    `planned` what the page has planned for the slot, by the serials of campaign and creative."""

    width: int | None = None
    context: Context = Context()
    countable: bool = True
    known: bool = False
    tired: frozenset[int] | None = frozenset()
    sticky: int | None = None
    planned: tuple[int, int] | None = None

    @property
    def knows(self) -> int:
        return UNKNOWN if not self.known else UNANSWERED if self.tired is None else KNOWN


class Offer(NamedTuple):
    """What of a tier can serve just now: first `goals` behind their plan, then `shares` (a set), then the `rest`, by
    weight. `mask` is all of it, less the serials that went `out` since the pools were made."""

    mask: int
    goals: Pool | None
    shares: int
    rest: Pool | None
    out: frozenset[int] = frozenset()


NOTHING = Offer(0, None, 0, None)


class View:
    """A tier as requests that are alike leave it. `stages` are the sets that pass each of DIMENSIONS; `mask` is what
    schedules, sizes, weights, these and the reader leave."""

    __slots__ = (
        "_epoch", "_minute", "_offer", "_second", "_standing", "_version", "mask", "masks", "moment", "serving", "slot",
        "stages", "unable", "width",
    )  # fmt: skip

    def __init__(
        self, slot: CompiledSlot, masks: Masks, serving: int, stages: tuple[int, ...], knows: int, now: int, width: int
    ) -> None:
        self.slot, self.masks, self.serving, self.stages = slot, masks, serving, stages
        self.moment, self.width = now, width
        self.mask = serving & (masks.all, ~masks.skipping, ~masks.capped)[knows]
        for stage in stages:
            self.mask &= stage
        self.unable: tuple[int, Reason] | None = None
        """Kept by `core.explain`: why nothing of it can serve, and in which minute."""
        self._offer: Offer | None = None
        self._standing: Standing | None = None
        self._version, self._minute, self._second, self._epoch = -1, -1, -1, -1

    def offer(self, standing: Standing, now: int) -> Offer:
        """What it offers at a moment."""
        steady = self.masks.steady
        offer = self._offer
        if offer is not None and (
            steady or (self._version == standing.version and self._minute == now // 60 and self._standing is standing)
        ):
            return offer
        if standing.past is not None:
            earlier: Offer = standing.past[self.masks.tier.at][0]
            return earlier
        mask = self.mask if steady else self.open(standing, now)
        if offer is not None and mask != offer.mask and self._second == now and offer.mask.bit_count() > LARGE:
            lost = offer.mask & ~mask
            if lost.bit_count() <= FEW:
                serials = self.masks.tier.serials
                out = offer.out.union([serials[at] for at in places_of(lost)])
                offer = offer._replace(mask=offer.mask & ~lost, shares=offer.shares & ~lost, out=out)
                if len(out) <= FEW:
                    return self._keep(offer, standing, now, self._second)
        if offer is None or mask != offer.mask or offer.out or (offer.goals and self._epoch != standing.epoch):
            offer = self.make(mask, standing)
        return self._keep(offer, standing, now, now)

    @property
    def stood(self) -> Standing | None:
        """The standing that it offered something for last."""
        return self._standing

    def open(self, standing: Standing, now: int) -> int:
        """The set that the hours, goals and caps leave of it."""
        mask = self.mask & self.masks.hours.mask(now)
        for closed in self.masks.closed(standing):
            mask &= ~closed
        return mask

    def make(self, mask: int, standing: Standing) -> Offer:
        """The pools of a set."""
        if not mask:
            return NOTHING
        masks, pool = self.masks, self.slot.pool
        goals, shares = mask & masks.goals, mask & masks.sharing
        rest = mask & ~goals & ~shares
        return Offer(
            mask,
            pool(self, goals, standing) if goals else None,
            shares,
            pool(self, rest) if rest else None,
        )

    def without(self, offer: Offer, blocked: int, standing: Standing) -> Offer:
        """An offer less a set."""
        if not offer.mask & blocked:
            return offer
        return self.make(offer.mask & ~blocked, standing)._replace(out=offer.out)

    def _keep(self, offer: Offer, standing: Standing, now: int, second: int) -> Offer:
        self._offer, self._version, self._minute, self._second = offer, standing.version, now // 60, second
        self._standing, self._epoch = standing, standing.epoch
        return offer


class Views(NamedTuple):
    """The tiers as requests that are alike leave them: all that have candidates, and of these those that can serve."""

    request: SlotRequest
    now: int
    every: tuple[View, ...]
    able: tuple[View, ...]


class CompiledSlot:
    """One slot with its candidates by tier, in the order of their serials. `barred`: campaigns that book it and have
    nothing to show there at all, with the reason."""

    __slots__ = (
        "_asked", "_found", "_masks", "_moment", "_moments", "_outlines", "_pools", "_seen", "_tiers", "_views",
        "_widths", "barred", "capped", "even", "live", "sets", "shares", "site", "slot", "steady", "sticky", "tiers",
    )  # fmt: skip

    def __init__(
        self,
        site: Site,
        slot: Slot,
        tiers: tuple[tuple[Candidate, ...], ...],
        barred: Mapping[str, Reason] | None = None,
    ) -> None:
        """All in one go; see `steps`."""
        for _ in self._make(site, slot, tiers, barred):
            pass

    @classmethod
    def steps(
        cls, site: Site, slot: Slot, tiers: tuple[tuple[Candidate, ...], ...], barred: Mapping[str, Reason]
    ) -> Generator[None, None, CompiledSlot]:
        """The same in steps of a millisecond or two, for who may not wait longer."""
        made = cls.__new__(cls)
        yield from made._make(site, slot, tiers, barred)
        return made

    def _make(
        self,
        site: Site,
        slot: Slot,
        tiers: tuple[tuple[Candidate, ...], ...],
        barred: Mapping[str, Reason] | None,
    ) -> Generator[None, None, None]:
        self.site, self.slot, self.tiers, self.barred = site, slot, tiers, barred or {}
        self.live = site.state == "active" and slot.state == "active"
        self.even, self.sticky = slot.rotation != "random", slot.rotation == "sticky"
        numbers: dict[int, int] = {}
        self._tiers = [Tier(at, tier, numbers) for at, tier in enumerate(tiers)]
        yield
        outlines = {id(one.outline): one.outline for tier in tiers for one in tier}
        self._outlines = [outlines[which] for which in numbers]
        self._moments = sorted({moment for outline in self._outlines for moment in outline.moments})
        self._widths = sorted({width for outline in self._outlines for width in outline.widths})
        block = site.unlabelled == "block"
        self._masks: list[Masks] = []
        for tier in self._tiers:
            if tier.candidates:
                self._masks.append((yield from Masks.steps(tier, block_unlabelled=block)))
        seen = {name: None for masks in self._masks for name in masks.targeting.sees}
        self._seen: Callable[[Context], object] | None = attrgetter(*seen) if seen else None
        self.steady = all(masks.steady for masks in self._masks)
        self.capped = any(masks.capped for masks in self._masks)
        self.sets = {one.campaign.serial: one.sets for tier in tiers for one in tier if one.sets}
        """The creatives of companion sets, by the serials of their campaigns."""
        self.shares: tuple[Share, ...] = tuple(share for masks in self._masks for share in masks.shares)
        self._moment = -1
        self._asked: dict[tuple[object, ...], Views] = {}
        self._views: dict[tuple[object, ...], Views] = {}
        self._pools: dict[tuple[object, ...], tuple[int, Pool]] = {}
        self._found: dict[tuple[int, int], list[Chosen | None]] = {}

    def views(self, request: SlotRequest, now: int) -> Views:
        """What requests like this one leave of each tier now."""
        width = request.width
        moment = bisect_right(self._moments, now)
        fitting = len(self._widths) if width is None else bisect_right(self._widths, width)
        knows = request.knows if self.capped else KNOWN
        key = (moment, fitting, knows, None if self._seen is None else self._seen(request.context))
        found = self._asked.get(key)
        if found is None:
            if moment != self._moment or len(self._views) >= MOST_VIEWS:
                self._moment, self._asked, self._views, self._pools, self._found = moment, {}, {}, {}, {}
            elif len(self._asked) >= MOST_ASKED:
                self._asked = {}
            found = self._asked[key] = self._look(request, fitting, knows, now)
        return found

    def _look(self, request: SlotRequest, fitting: int, knows: int, now: int) -> Views:
        """The views of a request that is new; most are like those of another one all the same."""
        stages = tuple([masks.targeting.masks(request.context) for masks in self._masks])
        found = self._views.get((fitting, knows, stages))
        if found is None:
            widest = ANY_WIDTH if request.width is None else request.width
            serves = [outline.serves(now, widest) for outline in self._outlines]
            every = []
            for masks, passing in zip(self._masks, stages, strict=True):
                serving = mask_of_flags([serves[outline] for outline in masks.tier.outlines])
                every.append(View(self, masks, serving, passing, knows, now, widest))
            found = Views(request, now, tuple(every), tuple(view for view in every if view.mask))
            self._views[fitting, knows, stages] = found
        return found

    def pool(self, view: View, mask: int, standing: Standing | None = None) -> Pool:
        """The pool of a set of a view; by what goals need, when `standing` is given."""
        key = (view.masks.tier.at, standing is None, mask, view.width)
        epoch = -1 if standing is None else standing.epoch
        found = self._pools.get(key)
        if found is None or found[0] != epoch:
            needs, tier = None if standing is None else standing.needs, view.masks.tier
            made = Pool(self.slot.serial, tier, mask, view.moment, view.width, self._found_of(tier, view.width), needs)
            if len(self._pools) * len(made.members) >= MOST_MEMBERS or len(self._pools) >= MOST_POOLS:
                self._pools = {}
            found = self._pools[key] = epoch, made
        return found[1]

    def _found_of(self, tier: Tier, width: int) -> list[Chosen | None]:
        """For each candidate of a tier its creatives for a width, where they were looked for at this moment."""
        found = self._found.get((tier.at, width))
        if found is None:
            found = self._found[tier.at, width] = [None] * len(tier.candidates)
        return found

    def prepare(self, earlier: CompiledSlot) -> Iterator[None]:
        """Works out what `earlier`, the slot before a change, was asked for: the first requests after the change
        find it done. Yields between pieces of it."""
        asked = list(earlier._views.values())[-PREPARED:]
        for n, one in enumerate(asked):
            views = self.views(one.request, one.now)
            yield
            if n == 0:
                yield from self._find_again(earlier)
            for view in views.able:
                before = [other for other in one.able if other.masks.tier.at == view.masks.tier.at]
                if before and (standing := before[0].stood) is not None:
                    view.offer(standing, one.now)
                    yield

    def _find_again(self, earlier: CompiledSlot) -> Iterator[None]:
        """Takes over what was found of candidates that are the same."""
        for (at, width), found in list(earlier._found.items()):
            known = dict(zip(earlier._tiers[at].candidates, found, strict=True))
            yield
            self._found[at, width] = [known.get(candidate) for candidate in self._tiers[at].candidates]
            yield

    def snapshot(self, request: SlotRequest, now: int) -> dict[int, tuple[Offer | None, tuple[int, ...]]]:
        """What a decision just now saw of goals, caps and hours: by tier its offer and closed sets. Nothing of it
        changes any more. See `core.standing.Standing.past`."""
        return {view.masks.tier.at: (view._offer, view.masks._closed) for view in self.views(request, now).able}

    def capped_campaigns(self, request: SlotRequest, standing: Standing, now: int) -> list[Campaign]:
        """The campaigns that can serve this request if the reader has not had enough of them."""
        found: list[Campaign] = []
        if self.capped and self.live:
            request = request if request.knows == KNOWN else request._replace(known=True, tired=frozenset())
            for view in self.views(request, now).able:
                mask = view.open(standing, now) & view.masks.capped
                if mask:
                    found += [one.campaign for one in view.masks.members(mask)]
        return found
