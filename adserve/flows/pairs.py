"""A keyed pair: picture and link of one key, which stand where no script runs, show and lead to one creative.

DESIGN. Mail is fetched through proxies, again and again and in any order, so nothing of a request says that two belong
together but the key. What a key gets is picked by rendezvous hash (`core.sticky`), with draws that come of the key too:
every worker picks the same as long as the catalog is, and shares over many keys are those of the weights. The first
pick is remembered (`store.pairs`), so the same is shown whatever becomes of the catalog. It is a serve of the second
space of its worker (`store.spaces`): of several that race for a key only that of the winner is ever counted, by its
impression, which the serve is. What is not remembered is shown and not counted: nobody could tell the first from the
rest. Pictures of one key are picked in the order of their numbers, beside those before: of another campaign as long as
there is one, then another creative.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from adserve.core.catalog import CompiledSlot
from adserve.core.decide import Choice, PageView, decide
from adserve.core.explain import why_empty
from adserve.core.model import Advertiser
from adserve.core.pool import HOUSE, Candidate, tags_of
from adserve.core.rotation import Seeded
from adserve.core.sticky import key_of
from adserve.core.terms import terms_of
from adserve.core.token import FLAG_PROVEN, FLAG_SERVED_COUNTS, Serve
from adserve.errors import StoreUnavailable
from adserve.flows.serve import Reader, request_of
from adserve.flows.worker import Worker
from adserve.store.keys import HOUR_S, tag_of
from adserve.store.pairs import MOST as MOST
from adserve.store.pairs import UNTOLD
from adserve.store.spool import event_of

EVERY = ("hour", "day", "week")
"""After how long a key gets another creative, where it is to."""


class Pair(NamedTuple):
    """One picture of a key: `digest` stands for slot, key and time, `number` counts from 1."""

    slot: CompiledSlot
    digest: str
    number: int


class Got(NamedTuple):
    """What a pair shows. `remembered`: its clicks can be counted."""

    serve: Serve
    remembered: bool


def pair_of(slot: CompiledSlot, key: str, number: int, every: str | None, now: int) -> Pair:
    """`every`: one of EVERY, in the zone of the site, or None. The key is kept nowhere, only its digest."""
    text = f"{slot.slot.serial}\0{key}\0{_period(every, slot.site.timezone, now)}"
    return Pair(slot, hashlib.blake2b(text.encode(), digest_size=16, person=b"adserve-pair").hexdigest(), number)


def _period(every: str | None, timezone: str, now: int) -> str:
    if every is None:
        return ""
    if every == "hour":
        return f"h{now // HOUR_S}"
    local = datetime.fromtimestamp(now, ZoneInfo(timezone))
    return f"{local:d%Y-%m-%d}" if every == "day" else f"{local:w%G-%V}"


class Pairing:
    """Pairs of one worker."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self._pictures: dict[str, tuple[CompiledSlot, CompiledSlot]] = {}

    async def get(self, pair: Pair, reader: Reader, *, counts: bool) -> Got | None:
        """What a pair got, or gets now; None when there is nothing for it. `counts`: this may be its first request.
        The serve is counted when this returns."""
        worker, store = self.worker, self.worker.pairs
        site, now = pair.slot.site.serial, int(worker.clock())
        record = UNTOLD if store is None else await store.look(site, pair.digest, now)
        if (serve := record.serves.get(pair.number)) is not None:
            return Got(serve, remembered=True)
        choice = self._pick(pair, reader, record.serves, now)
        if choice is None:
            return None
        if store is None or not (record.room and counts):
            return Got(self._serve(pair, choice, now), remembered=False)
        mine = self._serve(pair, choice, now, reader)
        record = await store.let_in(site, pair.digest, now, pair.number, worker.signer.mint(mine)[0])
        serve = record.serves.get(pair.number)
        if serve is None:
            return Got(mine, remembered=False)
        if serve[:3] == mine[:3]:
            await self._count(mine, choice, reader, now)
        return Got(serve, remembered=True)

    def stayed_empty(self, pair: Pair, reader: Reader) -> None:
        """Counts a request that got nothing."""
        worker, now = self.worker, int(self.worker.clock())
        if worker.offers is not None and (slot := worker.offers.slots.get(pair.slot.slot.id)) is not None:
            why = why_empty(self._of(slot), request_of(reader), PageView(), worker.standing, now)
            worker.ledger.counts.stayed_empty(slot.slot.serial, reader.device, why, now)
            worker.figures.empty[why] += 1

    def _pick(self, pair: Pair, reader: Reader, serves: Mapping[int, Serve], now: int) -> Choice | None:
        """The choice for a pair beside what the numbers before got or would get, and what others got."""
        offers = self.worker.offers
        slot = offers.slots.get(pair.slot.slot.id) if offers is not None else None
        if offers is None or slot is None:
            return None
        page, shown = PageView(), set[int]()
        for serve in serves.values():
            landing = offers.landings.get(serve.revision)
            if landing is not None:
                owner = offers.things.get(f"advertiser:{landing.campaign.advertiser}")
                tags = tags_of(landing.campaign, owner.categories if isinstance(owner, Advertiser) else ())
                page.put(landing.campaign, landing.creative.serial, tags, house=serve.tier == HOUSE)
                shown.add(landing.campaign.serial)
        choice = None
        for number in range(1, pair.number + 1):
            if number not in serves:
                key = key_of(f"{pair.digest}{number}")
                choice = self._decide(self._of(slot), reader, page, frozenset(shown), key, now)
                if choice is None:
                    return None
                page.add(choice)
                shown.add(choice.campaign.serial)
        return choice

    def _decide(
        self, slot: CompiledSlot, reader: Reader, page: PageView, shown: frozenset[int], key: int, now: int
    ) -> Choice | None:
        """A choice of a campaign that is not `shown`, or else of a creative that is not."""
        request = request_of(reader)._replace(countable=False, sticky=key)
        for tired in (shown, frozenset[int]()) if shown else (shown,):
            draws = Seeded(key, self.worker.draws.stuck)
            choice = decide(slot, request._replace(tired=tired), page, self.worker.standing, now, draws)
            if choice is not None:
                return choice
        return None

    def _of(self, slot: CompiledSlot) -> CompiledSlot:
        """A slot with its pictures alone. Made when it is first asked for, once for each copy of the slot."""
        known, made = self._pictures.get(slot.slot.id, (None, None))
        if made is None or known is not slot:
            tiers = tuple(tuple(one for one in map(_pictures, tier) if one.entries) for tier in slot.tiers)
            made = CompiledSlot(slot.site, replace(slot.slot, repeat="creative", rotation="sticky"), tiers, slot.barred)
            self._pictures[slot.slot.id] = slot, made
        return made

    def _serve(self, pair: Pair, choice: Choice, now: int, reader: Reader | None = None) -> Serve:
        """A serve of a choice: one that can be counted for a reader, or one that is nobody's."""
        worker, tag = self.worker, tag_of(choice.campaign.serial)
        incarnation, issued, ordinal, grant, flags = 0, now, 0, 0, 0
        if reader is not None:
            incarnation, issued, ordinal = worker.ledger.spaces.take_proven(tag, now)
            countable = reader.verdict not in ("bot", "prefetch")
            grant = worker.allowances.use(choice.campaign, now) if countable else 0
            flags = FLAG_SERVED_COUNTS | FLAG_PROVEN
        revision, device = choice.entry.content.serial, reader.device if reader is not None else 0
        slot = pair.slot.slot.serial
        return Serve(incarnation, ordinal, issued, slot, revision, grant, tag, choice.tier, device, flags)

    async def _count(self, serve: Serve, choice: Choice, reader: Reader, now: int) -> None:
        event = event_of("i", serve, reader.verdict or "count", terms_of(choice.campaign))
        try:
            await self.worker.ledger.enqueue(event, now)
        except StoreUnavailable:  # nor the spool: it is lost, as any serve may be
            return


def _pictures(candidate: Candidate) -> Candidate:
    entries = tuple(entry for entry in candidate.entries if entry.creative.kind == "image")
    if len(entries) == len(candidate.entries):
        return candidate
    found = Candidate(candidate.campaign, entries)
    found.tags = candidate.tags
    return found
