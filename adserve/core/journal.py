"""What a worker remembers of its decisions, so that each can be made again: the arguments, by reference.

DESIGN. Nothing of a decision is copied. What it looked at (the compiled slot, the request, the page, how campaigns
stood) does not change afterwards, so a reference keeps it as it was, and noting a decision costs one small object. They lie
in blocks of one version of the catalog; whole blocks go, the oldest first, while those left hold `limit`.
A slot that was compiled anew lives on in the journal alone, and of a large catalog that changes all the time that would be
many: so blocks go sooner when what only they keep weighs more than `heaviest`. Of the catalog itself only what each change
replaced is kept, from which an older version is put together out of the newest.
Not chosen: an index by id (most ids are never asked for, and it would take as much memory again), a log in the store
(megabytes a second for what hardly anybody asks).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from msgspec import Struct

from adserve.core.catalog import Catalog
from adserve.core.model import Thing
from adserve.core.pool import Choice
from adserve.core.slot import CompiledSlot
from adserve.core.token import Serve

LIMIT = 100_000
"""Decisions that a worker remembers at least."""
HEAVIEST = 400_000
"""Candidates of slots that nothing else keeps any more, and replaced objects: about 100 bytes each."""
BLOCK = 4_096
Replaced = Mapping[str, Thing | None]
"""What stood in a catalog before a change; None: nothing."""


class Decision(Struct, frozen=True, gc=False):
    """The arguments and the outcome of one. `ordinal` and `issued`: of its serve, or of a decision without a serve its
    number and `now`."""

    slot: CompiledSlot
    request: Any
    page: Any
    standing: Any
    now: int
    point: int
    choice: Choice | None
    incarnation: int
    ordinal: int
    issued: int

    @property
    def served(self) -> bool:
        """Whether it has a place in the ledger."""
        return self.choice is not None and self.choice.entry.creative.kind != "passback"

    def is_that(self, id_: Serve) -> bool:
        """Whether an id is its own. The signing key and grant in it say nothing of the decision."""
        if (self.incarnation, self.ordinal, self.issued) != id_[:3] or self.slot.slot.serial != id_.slot:
            return False
        return (self.choice.entry.content.serial if self.choice is not None and self.served else 0) == id_.revision


class Found(NamedTuple):
    """A decision that is remembered. `replaced`: by each change of the catalog since, the newest first."""

    decision: Decision
    version: int
    replaced: tuple[Replaced, ...]


class _Block:
    """Decisions on one copy of the catalog, in the order in which they were made. Copies are numbered in `copy`: versions
    come again when a store was set back."""

    __slots__ = ("copy", "decisions", "first", "incarnations", "last", "slots", "version")

    def __init__(self, copy: int, version: int) -> None:
        self.copy, self.version = copy, version
        self.decisions: list[Decision] = []

    def close(self) -> None:
        """Nothing more comes: what to find it by is noted."""
        moments = [one.issued for one in self.decisions]
        self.first, self.last = min(moments), max(moments)
        self.slots = {id(one.slot): one.slot for one in self.decisions}
        self.incarnations = {one.incarnation for one in self.decisions}


class Journal:
    """The decisions of one worker."""

    def __init__(self, *, limit: int = LIMIT, heaviest: int = HEAVIEST, block: int = BLOCK) -> None:
        self._limit, self._heaviest, self._block = limit, heaviest, block
        self._open = _Block(0, 0)
        self._closed: deque[_Block] = deque()
        self._replaced: deque[tuple[int, Replaced]] = deque()
        """By the changes that ended a copy, with its number; the newest right."""
        self._catalog = Catalog()
        self._count = 0
        self.dropped_early = 0
        """Decisions that went before there were `limit` newer ones, because of their weight."""

    def __len__(self) -> int:
        return self._count + len(self._open.decisions)

    def add(self, decision: Decision) -> None:
        block = self._open.decisions
        block.append(decision)
        if len(block) >= self._block:
            self._close()

    def renew(self, catalog: Catalog) -> None:
        """From now on decisions are made on this copy, which was made of the one before."""
        self._close()
        ended, self._catalog = self._open.copy, catalog
        self._open = _Block(ended + 1, catalog.version)
        if not self._closed:
            return
        if self._replaced and self._replaced[-1][0] > self._closed[-1].copy:  # nothing was decided in between
            before, earlier = self._replaced.pop()
            self._replaced.append((before, {**catalog.replaced, **earlier}))
        else:
            self._replaced.append((ended, catalog.replaced))
        self._weigh()

    def find(self, id_: Serve) -> Found | None:
        """The decision of an id, as far as it is remembered."""
        for block in (self._open, *reversed(self._closed)):
            if block is self._open or block.first <= id_.issued <= block.last:
                for one in block.decisions:
                    if one.ordinal == id_.ordinal and one.is_that(id_):
                        later = (replaced for copy, replaced in reversed(self._replaced) if copy >= block.copy)
                        return Found(one, block.version, tuple(later))
        return None

    def incarnations(self) -> set[int]:
        """Of whose decisions something may be found: a worker becomes another one when its clock is set back."""
        ends = self._open.decisions[:1] + self._open.decisions[-1:]
        return {one.incarnation for one in ends}.union(*(block.incarnations for block in self._closed))

    def _close(self) -> None:
        block = self._open
        if not block.decisions:
            return
        block.close()
        self._closed.append(block)
        self._count += len(block.decisions)
        self._open = _Block(block.copy, block.version)
        while self._count - len(self._closed[0].decisions) >= self._limit:
            self._drop()

    def _drop(self) -> None:
        self._count -= len(self._closed.popleft().decisions)
        oldest = self._closed[0].copy if self._closed else self._open.copy
        while self._replaced and self._replaced[0][0] < oldest:
            self._replaced.popleft()

    def _weigh(self) -> None:
        """Lets the oldest go until what is kept for them alone weighs no more than it may."""
        known = self._catalog.slot_serials
        changes = list(self._replaced)
        seen: set[int] = set()
        left, kept = self._heaviest, 0
        for block in reversed(self._closed):
            while changes and changes[-1][0] >= block.copy:
                left -= len(changes.pop()[1])
            for which, slot in block.slots.items():
                if which not in seen and known.get(slot.slot.serial) is not slot:
                    left -= sum(map(len, slot.tiers))
                seen.add(which)
            if left < 0:
                break
            kept += 1
        while len(self._closed) > kept:
            self.dropped_early += len(self._closed[0].decisions)
            self._drop()

    def __iter__(self) -> Iterator[Decision]:
        for block in (*self._closed, self._open):
            yield from block.decisions


def things_of(things: Mapping[str, Thing], replaced: tuple[Replaced, ...]) -> dict[str, Thing]:
    """The objects of an older version, out of those of the newest."""
    found: dict[str, Thing | None] = dict(things)
    for one in replaced:
        found.update(one)
    return {name: thing for name, thing in found.items() if thing is not None}
