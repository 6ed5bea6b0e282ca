"""What a decision costs, alone, by the number of candidates and what can serve of them.

In time of this thread, where another process on the machine would falsify the clock's.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from adserve.bench.samples import NOW, SITE, SLOTS, campaign, creatives
from adserve.core.context import Context
from adserve.core.decide import decide
from adserve.core.entry import Entry
from adserve.core.model import TIERS, Caps, Goal, Limit, Rule, Target
from adserve.core.pool import Candidate
from adserve.core.reasons import Reason
from adserve.core.rotation import Draws
from adserve.core.slot import CompiledSlot, SlotRequest
from adserve.core.standing import Standing
from adserve.core.targeting import label_number
from adserve.snippet import compile_snippet

Row = dict[str, Any]
Say = Callable[[str], None]
CANDIDATES = (10, 100, 1_000, 10_000)
SHARES = (1.0, 0.5, 0.1, 0.01)
MOBILE = 360
TURN, TURNS_A_SECOND = 500, 50
"""Decisions between two changes of what goals and caps let serve, and changes in a second of 25,000 decisions."""
_PAGE = Context(labels=frozenset(map(label_number, ("politics", "world"))))


def _slot(candidates: int, share: float, barred: str) -> CompiledSlot:
    """A slot of which the rest cannot serve: its schedule is over, it is too wide, or its weight is 0."""
    found = []
    for serial in range(1, candidates + 1):
        serves = serial % round(1 / share) == 0 or serial == candidates
        fields: dict[str, Any] = {}
        if not serves and barred != "width":
            fields = {"ends_at": NOW - 1} if barred == "schedule" else {"weight": 0}
        width = 728 if barred == "width" and not serves else 300
        entries = [Entry(one, one.content, SLOTS[0], compile_snippet) for one in creatives(serial, width)]
        found.append(Candidate(campaign(serial, **fields), tuple(entries)))
    return CompiledSlot(SITE, SLOTS[0], tuple(tuple(found) if tier == "standard" else () for tier in TIERS))


def _ruled(candidates: int, share: float, standing: Standing) -> CompiledSlot:
    """A slot whose campaigns have targets, caps and goals in turn, and so have those that cannot serve."""
    rules: tuple[dict[str, Any], ...] = (
        {"target": Target(labels=Rule(none=("conflict", "disaster")))},
        {"caps": Caps(total=Limit(impressions=1_000_000))},
        {"goal": Goal(impressions=1_000_000)},
    )
    found = []
    serving = 0
    for serial in range(1, candidates + 1):
        serves = serial % round(1 / share) == 0 or serial == candidates
        serving += serves
        fields = rules[(serving + 1 if serves else serial) % 3]  # the first that serves has a goal
        if not serves and serial % 3 == 0:
            fields = {"target": Target(labels=Rule(any=("sport", f"sport-{serial}")))}
        elif not serves:
            standing.close(serial, Reason.CAP_TOTAL if serial % 3 == 1 else Reason.PACING)
        entries = [Entry(one, one.content, SLOTS[0], compile_snippet) for one in creatives(serial)]
        found.append(Candidate(campaign(serial, **fields), tuple(entries)))
    standing.renew({one.campaign.serial: 1000 + one.campaign.serial for one in found if one.campaign.goal is not None})
    return CompiledSlot(SITE, SLOTS[0], tuple(tuple(found) if tier == "standard" else () for tier in TIERS))


class _Bench:
    """A slot, and how its goals and caps stand. `turning`: goals that come and go all the time."""

    def __init__(self, slot: CompiledSlot, standing: Standing, turning: Sequence[int] = ()) -> None:
        self.slot, self.standing, self.turning = slot, standing, turning
        self._turns, self._closed = 0, 0

    def turn(self) -> int:
        """Closes one goal, opens the one that was closed before; the moment it is."""
        if len(self.turning) > 1:
            self._turns += 1
            self.standing.open(self._closed)
            self._closed = self.turning[self._turns % len(self.turning)]
            self.standing.close(self._closed, Reason.PACING)
        return NOW + self._turns // TURNS_A_SECOND


def decisions(*, rounds: int = 41, count: int = 1_000, say: Say = lambda _: None) -> list[Row]:
    """`decide` by number of candidates and share of them that is eligible, in microseconds of this thread: `{"rules",
    "candidates", "eligible_share", "warm_us", "cold_us", "ratio_to_10"}`. `warm_us` is the median over the ways to be
    barred and over `rounds` of `count` decisions, in which the numbers of candidates take turns; `cold_us` the first
    decision of a slot that was compiled just now, the median of the ways. Of `rules` there are none, and barred is by
    schedule, width or weight; or targets, caps and goals, of which one comes or goes every `TURN` decisions."""
    rows: list[Row] = []
    for rules, ways in (("none", ("schedule", "width", "weight")), ("targets, caps, pacing", ("rules",))):
        for share in SHARES:
            cold: dict[int, list[float]] = {n: [] for n in CANDIDATES}
            warm: dict[int, list[float]] = {n: [] for n in CANDIDATES}
            for barred in ways:
                say(f"decisions: {share:.0%} eligible, the rest barred by {barred}")
                request = SlotRequest(MOBILE if barred == "width" else None, _PAGE)
                made = {n: _benched(n, share, barred) for n in CANDIDATES}
                draws = Draws(random.Random(1))  # noqa: S311 - figures, not secrets
                for n, bench in made.items():
                    cold[n].append(_timed(bench, request, draws, 1))
                    _timed(bench, request, draws, 4 * n)
                for _ in range(rounds):
                    for n, bench in made.items():
                        _timed(bench, request, draws, count // 5)  # the machine's caches are those of this size again
                        warm[n].append(_timed(bench, request, draws, count))
            first = statistics.median(warm[CANDIDATES[0]])
            for n in CANDIDATES:
                median = statistics.median(warm[n])
                rows.append(
                    {
                        "rules": rules,
                        "candidates": n,
                        "eligible_share": share,
                        "warm_us": round(median, 2),
                        "cold_us": round(statistics.median(cold[n])),
                        "ratio_to_10": round(median / first, 2),
                    }
                )
    return rows


def _benched(candidates: int, share: float, barred: str) -> _Bench:
    standing = Standing()
    if barred != "rules":
        return _Bench(_slot(candidates, share, barred), standing)
    slot = _ruled(candidates, share, standing)
    goals = [one.campaign.serial for one in slot.tiers[TIERS.index("standard")] if one.campaign.goal is not None]
    return _Bench(slot, standing, tuple(goal for goal in goals if standing.why_closed(goal) is None))


def _timed(bench: _Bench, request: SlotRequest, draws: Draws, count: int) -> float:
    """Microseconds of this thread for one decision."""
    slot, standing, now = bench.slot, bench.standing, NOW
    began = time.thread_time_ns()
    for at in range(count):
        if at % TURN == 0:
            now = bench.turn()
        decide(slot, request, None, standing, now, draws)
    return (time.thread_time_ns() - began) / count / 1000


def render(rows: Iterable[Row]) -> str:
    """The table of such rows."""
    found = list(rows)
    names = list(found[0])
    cells = [names, *([f"{row[name]}" for name in names] for row in found)]
    widths = [max(len(line[at]) for line in cells) for at in range(len(names))]
    return "\n".join(
        "  ".join(
            [line[0].ljust(widths[0]), *(word.rjust(width) for word, width in zip(line[1:], widths[1:], strict=True))]
        )
        for line in cells
    )
