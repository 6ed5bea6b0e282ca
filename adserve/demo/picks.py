"""How often each creative was picked today, beside its weight."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from adserve.core.access import OPERATOR
from adserve.core.catalog import CompiledSlot
from adserve.core.model import Creative
from adserve.demo.catalog import SITE
from adserve.errors import StoreUnavailable
from adserve.flows.report import report
from adserve.wiring import Running


@dataclass(slots=True)
class Row:
    """A creative. `weight` is None when this process has not heard of it yet."""

    name: str
    weight: int | None
    picks: int = 0


@dataclass(slots=True)
class Group:
    """The creatives of one campaign in one slot: those whose weights compare."""

    slot: str
    campaign: str
    rows: dict[str, Row] = field(default_factory=dict)
    """By creative id."""

    def share(self, row: Row) -> float | None:
        """0 to 1 of the group's picks."""
        total = sum(one.picks for one in self.rows.values())
        return row.picks / total if total else None


async def picks(held: Running) -> list[Group] | None:
    """Today's picks up to this moment, or None while the store does not answer. What this process has
    served and not sent yet is flushed first: a page that was filled just now is counted."""
    flushed = await held.worker.ledger.counts.flush()
    catalog = held.worker.catalog
    if not flushed or catalog is None:
        return None
    try:
        asked = {"site": SITE["id"], "by": "slot,campaign,creative", "period": "today"}
        found = await report(held.services, asked, OPERATOR)
    except StoreUnavailable:
        return None
    assert isinstance(found, dict)  # noqa: S101 - CSV was not asked for
    weights = {one.id: one.weight for one in catalog.things.values() if isinstance(one, Creative)}
    return grouped(found["rows"], catalog.pages.get(SITE["id"], ()), weights)


def grouped(
    rows: Iterable[Mapping[str, Any]], slots: Iterable[CompiledSlot], weights: Mapping[str, int]
) -> list[Group]:
    """Report rows by slot and campaign, in the order in which slots and tiers choose. The campaigns that were
    picked show those of their creatives too that were not."""
    picked = {(row["slot"], row["campaign"]): row["campaign_name"] for row in rows if row["serves"]}
    groups: dict[tuple[str, str], Group] = {}
    for slot in slots:
        for candidate in (one for tier in slot.tiers for one in tier):
            key = (slot.slot.id, candidate.campaign.id)
            if key in picked:
                entries = [entry.creative for entry in candidate.entries]
                shown = {one.id: Row(one.name, one.weight) for one in entries}
                groups[key] = Group(slot.slot.name, candidate.campaign.name, shown)
    for row in rows:
        key = (row["slot"], row["campaign"])
        if key in picked:
            group = groups.setdefault(key, Group(row["slot"].partition("/")[2], picked[key]))
            creative = Row(row["creative_name"], weights.get(row["creative"]))
            group.rows.setdefault(row["creative"], creative).picks += row["serves"]
    return list(groups.values())
