"""The compiled copy of the catalog: what a decision reads. `core.compile` makes it.

DESIGN. Immutable and swapped whole: a request that began with one copy ends with it. Per slot the
candidates stand by tier; `core.slot` says which of them are eligible. Not chosen: filtering candidates per
request (cost grows with the catalog).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from adserve.core.model import Campaign, Creative, Thing
from adserve.core.parts import Framed as Framed
from adserve.core.parts import Snippet as Snippet
from adserve.core.slot import CompiledSlot as CompiledSlot
from adserve.core.terms import Terms


class Landing(NamedTuple):
    """What an event of a revision has to know. `parts`: where a click goes, None when it may not go anywhere any
    more."""

    creative: Creative
    campaign: Campaign
    parts: tuple[str, ...] | None
    terms: Terms


@dataclass(frozen=True, slots=True)
class Catalog:
    """The root. `things` by `kind:id`, as they are stored; `slots` by `site/slot`, those of archived sites only in
    `slot_serials`; `pages` holds the slots of a site in rank order; `landings` by the serial of a revision;
    `creatives` by the id of their campaign, in the order of their serials. `bad` names the objects that are
    skipped, `altered` those of them that are not what was approved. `replaced`: what stood in the copy before where
    this one has something else; None: nothing."""

    version: int = 0
    things: Mapping[str, Thing] = field(default_factory=dict)
    slots: Mapping[str, CompiledSlot] = field(default_factory=dict)
    slot_serials: Mapping[int, CompiledSlot] = field(default_factory=dict)
    pages: Mapping[str, tuple[CompiledSlot, ...]] = field(default_factory=dict)
    landings: Mapping[int, Landing] = field(default_factory=dict)
    creatives: Mapping[str, tuple[Creative, ...]] = field(default_factory=dict)
    bad: frozenset[str] = frozenset()
    altered: frozenset[str] = frozenset()
    replaced: Mapping[str, Thing | None] = field(default_factory=dict)
