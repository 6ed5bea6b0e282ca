"""Why: what each rule makes of the candidates of a tier, and the reason of a slot that stayed empty.

DESIGN. From the same masks that the decision uses, made when somebody asks. A candidate's reason is the first rule that
it fails, in the order of `core.reasons`; an empty slot has the reason of the candidate that came furthest, so that it
names what has to change for it to be filled.
"""

from __future__ import annotations

from collections.abc import Iterator

from adserve.core.decide import PageView, apart
from adserve.core.entry import Entry, running
from adserve.core.hours import hours_of
from adserve.core.masks import CLOSING, Masks
from adserve.core.model import Campaign, Creative
from adserve.core.pool import HOUSE, Candidate
from adserve.core.reasons import Reason
from adserve.core.slot import KNOWN, UNANSWERED, CompiledSlot, SlotRequest, View
from adserve.core.standing import Standing
from adserve.core.targeting import DIMENSIONS

_ORDER = {reason: at for at, reason in enumerate(Reason)}
STEP = 500
"""Candidates between two yields."""
Gate = tuple[Reason, int]
"""A rule, and the set of those that pass it."""


def why_empty(slot: CompiledSlot, request: SlotRequest, page: PageView | None, standing: Standing, now: int) -> Reason:
    """The reason of a slot that stayed empty."""
    if not slot.live:
        return Reason.PAUSED
    reasons = set(slot.barred.values())
    for view in slot.views(request, now).every:
        reasons.add(_furthest(view, request, page, standing, now))
    return max(reasons, key=_ORDER.__getitem__, default=Reason.NO_CANDIDATES)


def _furthest(view: View, request: SlotRequest, page: PageView | None, standing: Standing, now: int) -> Reason:
    left = view.serving & view.masks.hours.mask(now)
    if not left:
        return _unable(view, now)
    for reason, passing in gates(view, request, page, standing, now):
        left &= passing
        if not left:
            return reason
    return Reason.PACING  # a share goal whose turn it was not, or who may serve again from the next second on


def _unable(view: View, now: int) -> Reason:
    """Of a tier whose schedules, hours, sizes and weights let it serve nothing."""
    for _ in ask_the_unable(view, now):
        pass
    return view.unable[1] if view.unable is not None else Reason.ENDED


def ask_the_unable(view: View, now: int) -> Iterator[None]:
    """Notes why such a tier can serve nothing. Of 10,000 candidates it takes 20 ms to ask all, so they are asked once,
    and where there are hours once in a minute."""
    minute = 0 if view.masks.hours.plain else now // 60
    if view.unable is not None and view.unable[0] == minute:
        return
    found = set()
    for at, one in enumerate(view.masks.tier.candidates, 1):
        found.add(why_unable(one, now, view.width))
        if at % STEP == 0:
            yield
    view.unable = minute, max(found, key=_ORDER.__getitem__)


def gates(view: View, request: SlotRequest, page: PageView | None, standing: Standing, now: int) -> Iterator[Gate]:
    """What follows schedules, sizes and weights, in the order of reasons."""
    masks = view.masks
    yield from zip(DIMENSIONS, view.stages, strict=True)
    for reason, closed in zip(CLOSING, masks.closed(standing), strict=True):
        yield reason, masks.all & ~closed
    yield Reason.FREQUENCY, masks.all & ~_tiring(masks, request)
    yield Reason.ALREADY_ON_PAGE, masks.all & ~_shown(view, page)
    yield Reason.EXCLUDED, masks.all & ~(masks.beside(page.beside) if page is not None else 0)
    yield Reason.COMPANIONS, masks.all & ~(_parted(view, page) if view.slot.sets else 0)


def _tiring(masks: Masks, request: SlotRequest) -> int:
    """The set of those that the reader has seen enough of, or may have."""
    if request.knows != KNOWN:
        return masks.capped if request.knows == UNANSWERED else masks.skipping
    found = 0
    for serial in request.tired or ():
        if (place := masks.tier.place(serial)) is not None:
            found |= 1 << place
    return found


def _shown(view: View, page: PageView | None) -> int:
    """The set of those that a page shows already and may not show again."""
    repeat, tier = view.slot.slot.repeat, view.masks.tier
    found = 0
    if page is not None and repeat != "any" and tier.at != HOUSE:
        for serial, creatives in page.shown.items():
            place = tier.place(serial)
            if place is not None:
                entries = [one for one in tier.candidates[place].entries if one.serves(view.moment, view.width)]
                if repeat == "never" or all(one.creative.serial in creatives for one in entries):
                    found |= 1 << place
    return found


def _parted(view: View, page: PageView | None) -> int:
    """The set of those that have nothing to show without companions that have no place."""
    found = 0
    for serial, creatives in apart(view.slot, page).items():
        place = view.masks.tier.place(serial)
        if place is not None:
            entries = [one for one in view.masks.tier.candidates[place].entries if one.serves(view.moment, view.width)]
            if all(one.creative.serial in creatives for one in entries):
                found |= 1 << place
    return found


def why_unable(candidate: Candidate, now: int, width: int) -> Reason:
    """Of a campaign whose schedule, hours, sizes and weights let it serve nothing."""
    reasons = [why_entry_unable(candidate, entry, now, width) for entry in candidate.entries]
    return max((reason for reason in reasons if reason is not None), key=_ORDER.__getitem__)


def why_entry_unable(candidate: Candidate, entry: Entry, now: int, width: int) -> Reason | None:
    """The same of one of its creatives; None when nothing of this keeps it."""
    campaign, creative = candidate.campaign, entry.creative
    closed = why_not_now(campaign, creative, now)
    if closed is not None:
        return closed
    if entry.narrowest > width:
        return Reason.SIZE
    return None if campaign.weight and creative.weight else Reason.WEIGHT_ZERO


def why_not_now(campaign: Campaign, creative: Creative, now: int) -> Reason | None:
    """What of schedules and hours keeps a creative from serving at a moment."""
    for thing in (campaign, creative):
        if not running(thing, now):
            return Reason.NOT_STARTED if now < (thing.starts_at or 0) else Reason.ENDED
    hours = hours_of(campaign.target.hours, campaign.zone) if campaign.target else None
    return Reason.OUT_OF_HOURS if hours is not None and not hours.is_open(now) else None
