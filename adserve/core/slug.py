"""Ids out of names, for whoever does not want to think of one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container

LONGEST = 48
"""Characters; what is left of 64 is room for a number."""
_OTHERS = re.compile(r"[^a-z0-9]+")


def slug(name: str, fallback: str) -> str:
    """A name in the letters of an id; `fallback` for one that has none of them.

    >>> slug("Frühling 2026 (Süd)", "campaign"), slug("वसंत", "campaign")
    ('fruhling-2026-sud', 'campaign')
    """
    plain = unicodedata.normalize("NFKD", name[:400].casefold()).encode("ascii", "ignore").decode()
    return _OTHERS.sub("-", plain).strip("-")[:LONGEST].strip("-") or fallback


def unused(wanted: str, taken: Container[str]) -> str:
    """`wanted`, or the first of `wanted-2`, `wanted-3` and so on that nobody has."""
    found, number = wanted, 1
    while found in taken:
        number += 1
        found = f"{wanted}-{number}"
    return found
