"""A setting as people may read it."""

from __future__ import annotations

from typing import NamedTuple


class InForce(NamedTuple):
    """`value`: as it is written; None where nothing is set. `source`: `flag`, `environment`, the path of the file, or
    `default`. `secret`: the value does not say what it is."""

    variable: str
    value: str | None
    source: str
    help: str
    secret: bool = False
