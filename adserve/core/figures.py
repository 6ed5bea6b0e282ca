"""What a process counts of its own work for `/metrics`: plain numbers, so that counting costs an addition."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

from adserve.core.reasons import Reason

LIMITS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
"""Upper bounds of the buckets of a `Latency`, in seconds; the last bucket has none. 0.25 is where the spool begins."""


@dataclass(slots=True)
class Answers:
    """What events of one kind were answered with: one of these each."""

    counted: int = 0
    duplicate: int = 0
    late: int = 0
    filtered: int = 0
    spooled: int = 0
    bad_token: int = 0
    """Tokens that are not ours, altered or of another purpose."""
    refused: int = 0
    """Could be neither counted nor spooled: `503`."""
    gone: int = 0
    """Clicks on a creative that may send nobody on any more."""

    def add(self, outcome: str) -> None:
        """One that the store or the spool has, by its outcome: `counted`, `filtered:bot`."""
        if outcome == "counted":
            self.counted += 1
        elif outcome == "duplicate":
            self.duplicate += 1
        elif outcome == "spooled":
            self.spooled += 1
        elif outcome.startswith("filtered"):
            self.filtered += 1
        else:  # one that came so late that nothing can be told of it any more is late
            self.late += 1


@dataclass(slots=True)
class Figures:
    """Everything that is counted on the way of a request."""

    slot_filled: int = 0
    """Slot calls: with an ad, without one, handed back to the page, for a slot that is none, and without a catalog to
    choose from."""
    slot_empty: int = 0
    slot_passback: int = 0
    slot_unknown: int = 0
    slot_no_catalog: int = 0
    page_answered: int = 0
    page_unknown: int = 0
    page_no_catalog: int = 0
    page_slots_filled: int = 0
    """Slots of the page calls that were answered; a name that is no slot's is unknown."""
    page_slots_empty: int = 0
    page_slots_passback: int = 0
    page_slots_unknown: int = 0
    empty: dict[Reason, int] = field(default_factory=lambda: dict.fromkeys(Reason, 0))
    """Decisions that stayed empty, by the reason."""
    events: dict[str, Answers] = field(default_factory=lambda: {kind: Answers() for kind in "ivc"})
    """By kind: impression, view, click."""
    api: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(2, 6), 0))
    """Answers of the management API by the hundreds of their status."""


class Latency:
    """How long something took, as counts of durations up to each of `LIMITS_S` and beyond."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(LIMITS_S) + 1)
        self.seconds = 0.0
        """Of all of them together."""

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(LIMITS_S, seconds)] += 1
        self.seconds += seconds
