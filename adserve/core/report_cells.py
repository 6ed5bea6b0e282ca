"""Counter hashes to figures: one quarter-hour or one rolled-up day at a time.

The layout is that of `adserve.store.keys`: field `SLOT.REVISION.TIER.DEVICE.METRIC`, value a count.
Whatever else stands in a hash is skipped and counted as unreadable; a report says how many.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from adserve.core.model import DEVICES, TIERS

MAX_DIGITS = 18
"""Counts stay below 10**18, so that sums of them fit the store's 64 bits."""
PLAIN = {
    "s": "serves",
    "i": "impressions",
    "v": "views",
    "c": "clicks",
    "u": "clicks_unseen",
    "d": "duplicates",
    "p": "passbacks",
    "li": "late",
    "lv": "late",
    "lc": "late",
}
_NUMBER = r"(?:0|[1-9][0-9]{0,14})"
_CELL = re.compile(rf"({_NUMBER})\.({_NUMBER})\.([0-9])\.([0-9])\.(.{{1,64}})")
_MONEY = re.compile(r"m\.([A-Z]{3})")
_FILTERED = re.compile(r"f[ivc]\.([a-z_]{1,40})")
_EMPTY = re.compile(r"e\.([a-z_]{1,40})")
_COUNT = re.compile(rf"0|[1-9][0-9]{{0,{MAX_DIGITS - 1}}}")


class Where(NamedTuple):
    """Whose figures: serials of slot and revision (0: of the slot alone), indexes of tier and device."""

    slot: int
    revision: int
    tier: int
    device: int


class Cell(NamedTuple):
    """A figure. `detail` is the reason of `filtered` and `empty`, the currency of `micros`."""

    where: Where
    figure: str
    detail: str = ""


class Batch(NamedTuple):
    """One counter hash: `when` is the epoch second of a quarter-hour, or a rolled-up local day."""

    when: int | date
    cells: Mapping[str, str]
    unreadable: int = 0


class Group(NamedTuple):
    """All figures of one `Where` in one hash."""

    where: Where
    figures: list[tuple[Cell, int]]


@lru_cache(maxsize=65_536)
def decode_cell(field: str) -> Cell | None:
    """A field of a counter hash; None when it is none.

    >>> decode_cell("12.34.1.2.fi.bot")
    Cell(where=Where(slot=12, revision=34, tier=1, device=2), figure='filtered', detail='bot')
    """
    match = _CELL.fullmatch(field)
    if match is None:
        return None
    where = Where(*(int(part) for part in match.groups()[:4]))
    if where.tier >= len(TIERS) or where.device >= len(DEVICES):
        return None
    metric = match[5]
    if metric in PLAIN:
        figure, detail = PLAIN[metric], ""
    elif found := _MONEY.fullmatch(metric):
        figure, detail = "micros", found[1]
    elif found := _FILTERED.fullmatch(metric):
        figure, detail = "filtered", found[1]
    elif found := _EMPTY.fullmatch(metric):
        figure, detail = "empty", found[1]
    else:
        return None
    if figure == "empty" and where.revision:
        return None  # it belongs to a slot alone
    return Cell(where, figure, detail)


def decode_count(value: str) -> int | None:
    """A canonical count; None for anything else."""
    return int(value) if _COUNT.fullmatch(value) else None


def decode_batch(batch: Batch) -> tuple[list[Group], int]:
    """`(groups, unreadable)` of a hash."""
    unreadable = batch.unreadable
    groups: dict[Where, list[tuple[Cell, int]]] = {}
    for field, value in batch.cells.items():
        cell, count = decode_cell(field), decode_count(value)
        if cell is None or count is None:
            unreadable += 1
        else:
            groups.setdefault(cell.where, []).append((cell, count))
    return [Group(where, figures) for where, figures in groups.items()], unreadable
