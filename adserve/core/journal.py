"""What a worker remembers of its decisions, so that each can be made again: the arguments, by reference.

DESIGN. Nothing of a decision is copied. What it looked at (the compiled slot, the request, the page, how campaigns
stood) does not change afterwards, so a reference keeps it as it was, and noting a decision costs one small object. They
lie in blocks of one copy of the catalog; whole blocks go, the oldest first, while those left hold `limit`.
A slot that was compiled anew lives on in the journal alone, and of a large catalog that changes all the time that would
be many: so blocks go sooner when what only they keep weighs more than `heaviest`. Of the catalog itself only what each
change replaced is kept, from which an older one is put together out of the newest.
Not chosen: an index by id (most ids are never asked for, and it would take as much memory again), a log in the store
(megabytes a second for what hardly anybody asks).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct

from adserve.core.catalog import Catalog
from adserve.core.decide import Frozen, PageView, thawed
from adserve.core.model import Thing
from adserve.core.pool import Choice
from adserve.core.rotation import Turn
from adserve.core.slot import CompiledSlot, Offer, SlotRequest
from adserve.core.standing import Standing
from adserve.core.token import Serve

LIMIT = 100_000
"""Decisions that a worker remembers at least."""
HEAVIEST = 400_000
"""Candidates of slots that nothing else keeps any more, and replaced objects: about 100 bytes each."""
BLOCK = 4_096
Replaced = Mapping[str, Thing | None]
"""What stood in a catalog before a change; None: nothing."""


class Stood(NamedTuple):
    """How goals and caps stood: by tier its offer and closed sets (`CompiledSlot.snapshot`), what goals needed, and the
    epoch of that."""

    tiers: Mapping[int, tuple[Offer | None, tuple[int, ...]]]
    needs: Mapping[int, int]
    epoch: int

    @classmethod
    def now(cls, slot: CompiledSlot, request: SlotRequest, standing: Standing, now: int) -> Stood:
        """As a decision has just seen it; the same object as long as nothing of it is another."""
        views, seen = slot.snapshot(request, now)
        noted = views.noted
        if noted is not None and noted[0] == seen and noted[1].needs is standing.needs:
            found: Stood = noted[1]
            return found
        found = cls({at: (offer, closed) for at, offer, closed in seen}, standing.needs, standing.epoch)
        views.noted = (seen, found)
        return found

    def standing(self) -> Standing:
        """For a decision that is made again."""
        found = Standing(self.tiers)
        found.needs, found.epoch = self.needs, self.epoch
        return found


class Decision(Struct, frozen=True, gc=False):
    """The arguments and the outcome of one: `shown` on the page before, None when nothing was; `stood` is None where
    goals and caps do not matter to the slot; `point` and `turns` are what was drawn. `ordinal` and
    `issued`: of its serve, or of a decision without a serve its number and `now`."""

    slot: CompiledSlot
    request: SlotRequest
    shown: Frozen | None
    stood: Stood | None
    now: int
    point: int
    turns: tuple[Turn, ...]
    choice: Choice | None
    incarnation: int
    ordinal: int
    issued: int

    @property
    def page(self) -> PageView | None:
        """The page view as it was before. Nobody changes it."""
        return None if self.shown is None else _page(self.shown)

    @property
    def served(self) -> bool:
        """Whether it has a place in the ledger."""
        return self.choice is not None and self.choice.entry.creative.kind != "passback"

    def is_that(self, id_: Serve) -> bool:
        """Whether an id is its own. The signing key and grant in it say nothing of the decision."""
        if (self.incarnation, self.ordinal, self.issued) != id_[:3] or self.slot.slot.serial != id_.slot:
            return False
        return (self.choice.entry.content.serial if self.choice is not None and self.served else 0) == id_.revision


_page = lru_cache(maxsize=16)(thawed)


class Found(NamedTuple):
    """A decision that is remembered. `replaced`: by each change of the catalog since, the newest first."""

    decision: Decision
    version: int
    replaced: tuple[Replaced, ...]


class _Block:
    """Decisions on one copy of the catalog, in the order in which they were made. Copies are numbered in `copy`:
    versions come again when a store was set back."""

    __slots__ = ("_span", "copy", "decisions", "version")

    def __init__(self, copy: int, version: int) -> None:
        self.copy, self.version = copy, version
        self.decisions: list[Decision] = []
        self._span: tuple[int, int] | None = None

    def span(self) -> tuple[int, int]:
        """The first and the last moment of a block that is full, found when somebody asks."""
        if self._span is None:
            moments = [one.issued for one in self.decisions]
            self._span = min(moments), max(moments)
        return self._span


class _Change(NamedTuple):
    """Of the catalog. `copy`: the one that it ended; `weight`: of what the journal alone keeps since."""

    copy: int
    replaced: Replaced
    weight: int


class Journal:
    """The decisions of one worker."""

    def __init__(self, *, limit: int = LIMIT, heaviest: int = HEAVIEST, block: int = BLOCK) -> None:
        self._limit, self._heaviest, self._block = limit, heaviest, block
        self._open = _Block(0, 0)
        self._closed: deque[_Block] = deque()
        self._changes: deque[_Change] = deque()
        """The newest right; several between which nothing was decided are one."""
        self._catalog = Catalog()
        self._decided: set[int] = set()
        """The slots of the newest copy with a decision, by identity."""
        self._count = 0
        self._number = 0
        self.dropped_early = 0
        """Decisions that went before there were `limit` newer ones, because of their weight."""

    def __len__(self) -> int:
        return self._count + len(self._open.decisions)

    def number(self) -> int:
        """The next number for a decision without a serve."""
        self._number += 1
        return self._number

    def add(self, decision: Decision) -> None:
        block = self._open.decisions
        block.append(decision)
        if len(block) >= self._block:
            self._close()

    def renew(self, catalog: Catalog) -> None:
        """From now on decisions are made on this copy, which was made of the one before."""
        before, self._catalog = self._catalog, catalog
        if self._open.decisions:
            self._decided = {id(slot) for slot in before.slot_serials.values()}
        self._close()
        ended = self._open.copy
        self._open = _Block(ended + 1, catalog.version)
        if not self._closed:
            return
        gone = [slot for serial, slot in before.slot_serials.items() if catalog.slot_serials.get(serial) is not slot]
        weight = len(catalog.replaced) + sum(sum(map(len, slot.tiers)) for slot in gone if id(slot) in self._decided)
        replaced = catalog.replaced
        if self._changes and self._changes[-1].copy >= self._closed[-1].copy:  # nothing was decided since
            last = self._changes.pop()
            ended, replaced, weight = last.copy, {**replaced, **last.replaced}, weight + last.weight
        self._changes.append(_Change(ended, replaced, weight))
        self._weigh()

    def find(self, id_: Serve) -> Found | None:
        """The decision of an id, as far as it is remembered."""
        for block in (self._open, *reversed(self._closed)):
            if block is not self._open:
                first, last = block.span()
                if not first <= id_.issued <= last:
                    continue
            for one in block.decisions:
                if one.ordinal == id_.ordinal and one.is_that(id_):
                    later = (change.replaced for change in reversed(self._changes) if change.copy >= block.copy)
                    return Found(one, block.version, tuple(later))
        return None

    def newest(self) -> Iterator[Decision]:
        """What was decided last, first. Nothing may be added while it goes on."""
        for block in (self._open, *reversed(self._closed)):
            yield from reversed(block.decisions)

    def incarnations(self) -> set[int]:
        """Of whose decisions something may be found: a worker becomes another one when its clock is set back."""
        blocks = [block.decisions for block in (self._open, *self._closed) if block.decisions]
        return {block[at].incarnation for block in blocks for at in (0, -1)}

    def _close(self) -> None:
        block = self._open
        if not block.decisions:
            return
        self._closed.append(block)
        self._count += len(block.decisions)
        self._open = _Block(block.copy, block.version)
        while self._count - len(self._closed[0].decisions) >= self._limit:
            self._drop()

    def _drop(self) -> None:
        self._count -= len(self._closed.popleft().decisions)
        oldest = self._closed[0].copy if self._closed else self._open.copy
        while self._changes and self._changes[0].copy < oldest:
            self._changes.popleft()

    def _weigh(self) -> None:
        """Lets the oldest go until what is kept for them alone weighs no more than it may."""
        left = self._heaviest - sum(change.weight for change in self._changes)
        while left < 0 and self._closed:
            self.dropped_early += len(self._closed[0].decisions)
            self._drop()
            left = self._heaviest - sum(change.weight for change in self._changes)

    def __iter__(self) -> Iterator[Decision]:
        for block in (*self._closed, self._open):
            yield from block.decisions


def things_of(things: Mapping[str, Thing], replaced: tuple[Replaced, ...]) -> dict[str, Thing]:
    """The objects of an older version, out of those of the newest."""
    found: dict[str, Thing | None] = dict(things)
    for one in replaced:
        found.update(one)
    return {name: thing for name, thing in found.items() if thing is not None}
