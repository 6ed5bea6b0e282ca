"""What was decided last, by all workers.

DESIGN. Every worker remembers its own decisions (`core.journal`), by reference: nothing is written for this view, and
what a decision came to is worked out of the newest few when somebody asks. The workers are asked through the store, as
for explanations (`store.questions`), all at once; who does not answer in time is missing from the answer, which says
so. Why a slot stayed empty is found one decision at a time, with a turn of the event loop after each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from heapq import nlargest
from itertools import islice
from typing import NamedTuple

import msgspec

from adserve.core.access import Account
from adserve.core.explain import why_empty
from adserve.core.explanation import PASSBACK
from adserve.core.journal import Decision
from adserve.core.live import Seen
from adserve.core.model import DEVICES, TIERS
from adserve.core.standing import Standing
from adserve.core.token import Serve, empty_id, served_id
from adserve.errors import StoreUnavailable
from adserve.flows.services import Services
from adserve.flows.worker import Worker
from adserve.store.client import REPLY_ERRORS
from adserve.store.keys import tag_of

LIMIT, MOST = 50, 200
"""Decisions that are told, unless another number is given, and at most."""
LOOKED_AT = 2_000
"""Decisions in which a worker looks for those of one advertiser."""
PATIENCE_S = 1.0
"""How long the other workers are waited for."""
RECENT = "recent"
"""The member by which a question between workers is one of these: how many."""


class Recent(NamedTuple):
    """The newest decisions first. `missing`: workers that live and did not answer in time."""

    seen: list[Seen]
    missing: int


async def recent(services: Services, account: Account, limit: int = LIMIT) -> Recent:
    """The last decisions of all workers; for an advertiser those that chose one of its own."""
    limit, bound = max(1, min(limit, MOST)), account.advertiser
    try:
        names = await services.questions.workers()
    except REPLY_ERRORS:
        names = []
    here = await services.recent(bound, limit) if services.recent is not None else None
    own = here[1] if here is not None else frozenset[str]()
    others = [name for name in names if name not in own]
    told = await asyncio.gather(*(_ask(services, name, bound, limit) for name in others))
    every = [*(here[0] if here is not None else ()), *(one for some in told for one in some or ())]
    by_id = {one.decision: one for one in every}
    return Recent(nlargest(limit, by_id.values(), key=lambda one: one.at), sum(some is None for some in told))


async def recent_here(worker: Worker, bound: str | None, limit: int) -> tuple[list[Seen], frozenset[str]]:
    """The last decisions of one worker, and the names under which it would be asked. `bound`: the advertiser whose
    they have to be."""
    every: Iterable[Decision] = worker.journal.newest()
    if bound is not None:
        every = (one for one in islice(every, LOOKED_AT) if one.served and _advertiser(one) == bound)
    found = []
    for one in list(islice(every, max(1, min(limit, MOST)))):  # before others are added
        found.append(_seen(one))
        await asyncio.sleep(0)
    incarnations = {worker.ledger.spaces.incarnation} | worker.journal.incarnations()
    return found, frozenset(f"{one:x}" for one in incarnations)


async def answer_recent(worker: Worker, what: Mapping[str, str]) -> bytes:
    """What another worker or a command is told."""
    limit = what[RECENT]
    many = int(limit) if limit.isascii() and limit.isdigit() and len(limit) < 5 else LIMIT
    found, _ = await recent_here(worker, what.get("advertiser") or None, many)
    return msgspec.json.encode(found)


async def _ask(services: Services, worker: str, bound: str | None, limit: int) -> list[Seen] | None:
    """What another worker decided last; None when it does not say."""
    what = {RECENT: str(limit), "advertiser": bound or ""}
    try:
        answer = await services.questions.ask(worker, what, patience_s=PATIENCE_S)
        return msgspec.json.decode(answer, type=list[Seen]) if answer is not None else []
    except (*REPLY_ERRORS, StoreUnavailable, msgspec.MsgspecError):
        return None


def _advertiser(decision: Decision) -> str | None:
    return decision.choice.campaign.advertiser if decision.choice is not None else None


def _seen(one: Decision) -> Seen:
    choice, slot, device = one.choice, one.slot.slot, one.request.context.device
    filled = choice is not None and one.served
    if choice is None:
        standing = one.stood.standing() if one.stood is not None else Standing()
        reason: str | None = why_empty(one.slot, one.request, one.page, standing, one.now)
    else:
        reason = None if filled else PASSBACK
    if choice is not None and filled:
        tag, revision = tag_of(choice.campaign.serial), choice.entry.content.serial
        serve = Serve(one.incarnation, one.ordinal, one.issued, slot.serial, revision, 0, tag, choice.tier, device)
        id_ = served_id(serve)
    else:
        id_ = empty_id(one.incarnation, one.ordinal, one.issued, slot.serial, tag_of(slot.serial), device)
    return Seen(
        decision=id_,
        at=one.issued,
        site=slot.site,
        slot=slot.name,
        filled=filled,
        campaign=choice.campaign.id if choice is not None else None,
        creative=choice.entry.creative.id if choice is not None else None,
        revision=choice.entry.content.revision if choice is not None else None,
        tier=TIERS[choice.tier] if choice is not None else None,
        reason=reason,
        device=DEVICES[device],
        width=one.request.width,
        counted=one.request.countable,
    )
