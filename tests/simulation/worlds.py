"""Catalogs and runs for tests of the simulation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from adserve.core.schedule import parse_moment, zone
from adserve.simulation.catalog import read_catalog
from adserve.simulation.engine import Engine, Outcome, history
from adserve.simulation.profile import Generator, Profile

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
START = parse_moment("2026-11-02", zone("Asia/Kolkata"))


def world(campaigns: list[dict[str, Any]], **parts: Any) -> bytes:
    """A catalog file of one site with two slots; campaigns need no more than an id."""
    made = [{"name": one["id"], "advertiser": "acme", "slots": ["news/*"], **one} for one in campaigns]
    whole = {
        "sites": [{"id": "news", "name": "News", "timezone": "Asia/Kolkata"}],
        "slots": [{"site": "news", "name": name, "sizes": ["728x90"]} for name in ("top", "side")],
        "advertisers": [{"id": "acme", "name": "Acme"}],
        "campaigns": made,
        **parts,
    }
    return json.dumps(whole).encode()


def run(text: bytes, *, days: int = 1, weeks: int = 0, seed: int = 1, **profile: Any) -> Outcome:
    """Generated traffic through a catalog."""
    catalog, of_traffic = read_catalog(text, START), Profile(**profile)
    learned = history(catalog, of_traffic, START, weeks, seed) if weeks else None
    engine = Engine(catalog, of_traffic, START, seed=seed, history=learned)
    return engine.run(Generator(of_traffic, catalog, seed).arrivals(START, START + days * 86_400))
