"""A decision as the view of the last ones tells it."""

from __future__ import annotations

from msgspec import Struct


class Seen(Struct, frozen=True, kw_only=True):
    """One decision. `at`: epoch seconds; `creative`, `campaign` and `tier` are None when nothing of theirs was chosen;
    `reason`: why it stayed empty, or `passback`; `counted`: False for robots and prefetches."""

    decision: str
    at: int
    site: str
    slot: str
    filled: bool
    campaign: str | None
    creative: str | None
    revision: int | None
    tier: str | None
    reason: str | None
    device: str
    width: int | None
    counted: bool
