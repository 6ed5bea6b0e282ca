"""How often the reader of a call has seen what could be served: from what the call brings, or from the store.

A slot's call and a page's ask once for all their slots. Only a visitor with a campaign to look up waits for the store.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from msgspec import Struct

from adserve.core.frequency import Shown, Sight
from adserve.core.model import Campaign
from adserve.core.pool import Candidate
from adserve.core.seen import write
from adserve.core.slot import CompiledSlot, SlotRequest
from adserve.core.token import Key
from adserve.flows.worker import Worker
from adserve.store.frequency import Found


class Who(Struct, frozen=True, gc=False):
    """What a call says of its reader."""

    visitor: str | None = None
    """The opaque id of the caller's own making."""
    seen: Mapping[int, Shown] | None = None
    """What the device has seen, by serials of campaigns; None when the caller keeps nothing for it."""
    known: bool = False
    """Whether `seen` is a text of ours."""
    private: bool = False
    """`Sec-GPC: 1`: nothing of all this."""


NOBODY = Who()
PRIVATE = Who(private=True)
_TOLD: dict[str, Mapping[str, str]] = {mode: {"frequency": mode} for mode in ("visitor", "none")}
Wanted = Collection[tuple[CompiledSlot, SlotRequest]]


class Reading(NamedTuple):
    """A read that is on its way, and what to make of it."""

    found: asyncio.Future[Found]
    sight: Callable[[Found], Sight]


def look(worker: Worker, who: Who, wanted: Wanted) -> Sight | Reading:
    """What is known of a reader for all slots of a call; one read, if it needs one."""
    if who.private:
        return Sight(private=True)
    now = int(worker.clock())
    if who.visitor is not None:
        return _look_up(worker, who.visitor, wanted, now)
    if who.seen is not None:
        slots = {id(slot): slot for slot, _ in wanted if slot.capped}.values()
        return Sight.of_device(who.seen, lambda serial: _campaign(slots, serial), now, known=who.known)
    return Sight()


def _look_up(worker: Worker, visitor: str, wanted: Wanted, now: int) -> Sight | Reading:
    digests = worker.visitor_digests(visitor, now)
    asked = _capped(worker, wanted, now)
    if not asked:
        return Sight.of_visitor(digests, (), {}, now)
    if worker.frequencies is None:
        return Sight.of_visitor(digests, asked.values(), {}, now)

    stood = worker.standing.version

    def sight(found: Found) -> Sight:
        then = int(worker.clock())
        made = Sight.of_visitor(digests, asked.values(), found, then)
        if then != now or worker.standing.version != stood:
            made.leave_out(_capped(worker, wanted, then).keys() - asked.keys())  # what can serve only since then
        return made

    return Reading(worker.frequencies.read(digests, list(asked)), sight)


def _capped(worker: Worker, wanted: Wanted, now: int) -> dict[int, Campaign]:
    return {
        campaign.serial: campaign
        for slot, request in wanted
        if slot.capped
        for campaign in slot.capped_campaigns(request, worker.standing, now)
    }


def _campaign(slots: Collection[CompiledSlot], serial: int) -> Campaign | None:
    """The campaign of a serial, if it books one of the slots."""
    for slot in slots:
        for tier in slot.tiers:
            place = bisect_left(tier, serial, key=_serial)
            if place < len(tier) and tier[place].campaign.serial == serial:
                return tier[place].campaign
    return None


def _serial(candidate: Candidate) -> int:
    return candidate.campaign.serial


def told(sight: Sight | None, key: Key | None) -> Mapping[str, str]:
    """What a decision says of it: by what the reader was known, and what its device is to keep, signed."""
    if sight is None or key is None:
        return _TOLD["none"]
    if sight.mode == "device":
        return {"frequency": "device", "seen": write(sight.shown, key)}
    return _TOLD[sight.mode]
