"""Whether the ledger and the counters of one hour agree: a figure is the number of bits behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from adserve.core.report_cells import Where, decode_cell, decode_count

KINDS = {"i": "impressions", "v": "views", "c": "clicks"}
STATES = {"v": "counted", "f": "set aside", "p": "prefetched", "l": "late"}


class Difference(NamedTuple):
    """`bits` events in the ledger and `counted` in the counters, of one kind and state."""

    figure: str
    bits: int
    counted: int


class Verdict(NamedTuple):
    """One hour of one hash tag. `revisions`: the creatives that its counters name, with their
    impressions, views and clicks."""

    differences: list[Difference]
    revisions: dict[int, Counter[str]]
    events: int
    """Counted, set aside and late."""


def compare(bits: Mapping[str, int], quarters: Iterable[Iterable[tuple[str, str]]]) -> Verdict:
    """`bits` by kind and state as in the keys of the ledger (`iv`, `cf`), the cells of each quarter-hour as stored.

    >>> compare({"iv": 2}, [[("1.11.1.1.i", "3"), ("1.11.1.1.s", "3")]]).differences
    [Difference(figure='impressions counted', bits=2, counted=3)]
    """
    sums: Counter[str] = Counter()
    revisions: dict[int, Counter[str]] = {}
    steps: dict[tuple[int, Where], Counter[str]] = {}
    spoilt = 0
    for quarter, field, value in ((n, *cell) for n, cells in enumerate(quarters) for cell in cells):
        cell, count = decode_cell(field), decode_count(value)
        if cell is None or count is None:
            spoilt += 1
            continue
        metric = field.split(".", 4)[4]
        for kind, name in KINDS.items():
            if metric == kind:
                sums[kind + "v"] += count
                revisions.setdefault(cell.where.revision, Counter())[name] += count
                steps.setdefault((quarter, cell.where), Counter())[kind] += count
            elif metric == f"l{kind}":
                sums[kind + "l"] += count
            elif metric.startswith(f"f{kind}."):
                sums[kind + "f"] += count
                sums[kind + "p"] += count if metric == f"f{kind}.prefetch" else 0
        if metric == "s":
            steps.setdefault((quarter, cell.where), Counter())["s"] += count
    found = [
        Difference(f"{KINDS[kind]} {STATES[state]}", bits.get(kind + state, 0), sums[kind + state])
        for kind in KINDS
        for state in STATES
        if bits.get(kind + state, 0) != sums[kind + state]
    ]
    if spoilt:
        found.append(Difference("counters that cannot be read", 0, spoilt))
    for low, high, name in (("i", "s", "impressions without a serve"), ("v", "i", "views without an impression")):
        missing = sum(max(0, one[low] - one[high]) for one in steps.values())
        if missing:
            found.append(Difference(name, 0, missing))
    events = sum(bits.get(kind + state, 0) for kind in KINDS for state in "vfl")
    return Verdict(found, revisions, events)
