"""What the report must say, from what was served and what was answered, by the counting rules alone.

An event that was committed is applied at once. One that may stand in a spool is `pending`: the order in which it
comes to the store is open, so `conflicts` keeps out events whose order would matter, and only `duplicates` is a range.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

LIFETIME_S = {"i": 600, "v": 3600, "c": 86_400}
LATE_S = 48 * 3600
SKEW_S = 60
COUNT, LATE = "count", "late"
EXACT = ("impressions", "views", "clicks", "clicks_unseen", "filtered", "late")
ROW = ("serves", *EXACT, "duplicates")
CLICKS_A_MINUTE = 10

Row = tuple[str, str]
"""Hour (as the report prints it) and creative."""


class Said(NamedTuple):
    """An event that was answered: kind, and `count`, `late` or the reason why it is set aside."""

    kind: str
    verdict: str


@dataclass(eq=False, slots=True)
class Served:
    """A serve, and what became of its events. Kinds are i, v and c."""

    creative: str
    issued: int
    key: str
    worker: int
    urls: dict[str, str]
    safe: bool = False
    """Whether a kill of its worker can no longer lose its count."""
    spent: bool = False
    """Which of its clicks counted is not known: nothing more is sent."""
    valid: set[str] = field(default_factory=set)
    aside: dict[str, str] = field(default_factory=dict)
    late: set[str] = field(default_factory=set)
    pending: list[Said] = field(default_factory=list)
    least: int = 0
    """Duplicates that are certain."""
    most: int = 0
    """Duplicates that are possible."""

    @property
    def row(self) -> Row:
        return f"{datetime.fromtimestamp(self.issued // 3600 * 3600, UTC):%Y-%m-%dT%H:00:00+00:00}", self.creative

    def judge(self, kind: str, reason: str | None, now: int) -> str | None:
        """What an event that is sent now is; None when it counts as nothing."""
        age = now - self.issued
        if age < -SKEW_S or age > LIFETIME_S[kind] + LATE_S:
            return None
        return LATE if age > LIFETIME_S[kind] else reason or COUNT

    def conflicts(self, said: Said) -> bool:
        """Whether it matters if this comes before or after what is pending."""
        return any(_ordered(one, said) or _ordered(said, one) for one in self.pending)

    def hear(self, said: Said, *, committed: bool) -> None:
        """An event was answered. `committed`: by the store, not by a spool."""
        self.safe = True  # an event proves its serve
        if not committed or self.pending:
            self.most += self._may_repeat(said)
            self.pending.append(said)
        elif not self._apply(said):
            self.least += 1
            self.most += 1

    def _may_repeat(self, said: Said) -> bool:
        """Whether it is a duplicate in some order of what is pending."""
        heard = {*self.valid, *self.aside, *self.late, *(kind for kind, _ in self.pending)}
        viewed = "v" in self.valid or Said("v", COUNT) in self.pending
        return said.kind in heard or (said.kind == "i" and viewed) or (said == ("v", COUNT) and "i" in heard)

    def settle(self) -> None:
        """All that was pending is in the store."""
        for said in self.pending:
            self._apply(said)
        self.pending.clear()

    def _apply(self, said: Said) -> bool:
        """False for a duplicate. First one wins, save that a valid event takes the place of a prefetch."""
        kind, verdict = said
        if kind in self.valid or kind in self.late:
            return False
        if kind in self.aside and not (verdict == COUNT and self.aside[kind] == "prefetch"):
            return False
        if verdict == LATE:
            self.late.add(kind)
            return True
        if (kind, verdict) == ("v", COUNT) and self.aside.get("i", "prefetch") != "prefetch":
            verdict = "bot"  # a robot's impression has no valid view
        if verdict != COUNT:
            self.aside[kind] = verdict
            return True
        for one in (kind, "i") if kind == "v" else (kind,):  # a view sets its missing impression
            self.aside.pop(one, None)
            self.late.discard(one)
            self.valid.add(one)
        return True

    def figures(self) -> Counter[str]:
        found: Counter[str] = Counter(serves=1)
        found.update({"i": "impressions", "v": "views", "c": "clicks"}[kind] for kind in self.valid)
        found["clicks_unseen"] = int("c" in self.valid and "i" not in self.valid)
        found["filtered"], found["late"] = len(self.aside), len(self.late)
        return found


def _ordered(first: Said, second: Said) -> bool:
    if first.kind == second.kind:
        return first.verdict != second.verdict and {first.verdict, second.verdict} != {COUNT, "prefetch"}
    spoils = first.kind == "i" and first.verdict not in (COUNT, LATE, "prefetch")
    return spoils and second == Said("v", COUNT)


class Model:
    """Everything that was served, in every row of the report."""

    def __init__(self, prices: dict[str, tuple[Decimal, Decimal]]) -> None:
        self.prices = prices
        """By creative: what an impression and a click earn."""
        self.serves: list[Served] = []
        self._bursts: list[tuple[Row, Counter[str]]] = []
        self._burst_pending = False
        self.empty_most = self.empty_least = 0
        self._seen: dict[Row, Counter[str]] = {}

    def burst(self, clicked: list[Served], *, committed: bool) -> None:
        """Clicks by one client on fresh serves of one creative within a minute: ten count, it is open which."""
        for one in clicked:
            one.spent = one.safe = True
        counted = min(len(clicked), CLICKS_A_MINUTE)
        figures = Counter(clicks=counted, clicks_unseen=counted, filtered=len(clicked) - counted)
        self._bursts.append((clicked[0].row, figures))
        self._burst_pending |= not committed

    def settle(self) -> None:
        """Nothing is in a spool any more."""
        self._burst_pending = False
        for one in self.serves:
            one.settle()

    @property
    def pending(self) -> list[Served]:
        return [one for one in self.serves if one.pending]

    def bounds(self, *, at_rest: bool) -> dict[Row, tuple[Counter[str], Counter[str], bool]]:
        """By row the least and the most of each figure, and whether `EXACT` is exact."""
        found: dict[Row, tuple[Counter[str], Counter[str], bool]] = {}
        for one in self.serves:
            low, high, exact = found.get(one.row, (Counter(), Counter(), True))
            now = one.figures()
            low.update(now)
            low["serves"] -= not (at_rest and one.safe)
            low["duplicates"] += one.least
            later = one.figures()
            if one.pending:
                after = Served("", 0, "", 0, {}, valid={*one.valid}, aside={**one.aside}, late={*one.late})
                after.pending = [*one.pending]
                after.settle()
                later = after.figures()
            high.update(later)
            high["duplicates"] += one.most
            found[one.row] = low, high, exact and not one.pending
        for row, figures in self._bursts:
            low, high, exact = found[row]
            high.update(figures)
            if not self._burst_pending:
                low.update(figures)
            found[row] = low, high, exact and not self._burst_pending
        return found

    def compare(self, report: Any, *, at_rest: bool) -> None:
        """Fails when a report by hour and creative says what it must not say."""
        rows: dict[Row, Any] = {(row["hour"], row["creative"]): row for row in report["rows"] if row["creative"]}
        bounds = self.bounds(at_rest=at_rest)
        assert rows.keys() <= bounds.keys(), ("rows of nothing served", rows.keys() - bounds.keys())
        for place, (low, high, exact) in bounds.items():
            row = rows.get(place) or Counter[Any]()
            where = (place, {name: row[name] for name in ROW}, dict(low), dict(high))
            assert row["views"] <= row["impressions"] <= row["serves"], where
            for name in ("serves", "impressions", "views", "clicks", "duplicates"):
                assert low[name] <= row[name] <= high[name], (name, *where)
                assert row[name] >= self._seen.get(place, Counter())[name], (f"{name} decreased", *where)
            if exact:
                assert [row[name] for name in EXACT] == [low[name] for name in EXACT], where
            impression, click = self.prices[place[1]]
            earned = row["impressions"] * impression + row["clicks"] * click
            assert Decimal(row["revenue"] or 0) == earned, where
            self._seen[place] = Counter({name: row[name] for name in ROW})
        totals = report["totals"]
        assert (self.empty_least if at_rest else 0) <= totals["empty"] <= self.empty_most, totals
        assert totals["requests"] == totals["serves"] + totals["empty"], totals
