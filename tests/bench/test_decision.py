"""The bench of decisions and of the catalog: it runs, and says what its tables need. Its figures are nobody's here."""

from __future__ import annotations

import pytest

from adserve.bench import catalog as of_catalog
from adserve.bench import decision
from adserve.bench.catalog import catalog
from adserve.bench.decision import decisions, render


def test_decisions_are_measured_by_candidates_and_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each number of candidates at each share, with rules and without, against the smallest."""
    monkeypatch.setattr(decision, "CANDIDATES", (10, 40))
    rows = decisions(rounds=1, count=20)
    assert [(row["rules"], row["candidates"], row["eligible_share"]) for row in rows] == [
        (rules, n, share) for rules in ("none", "targets, caps, pacing") for share in decision.SHARES for n in (10, 40)
    ]
    assert all(row["warm_us"] > 0 and row["cold_us"] > 0 for row in rows)
    assert {row["ratio_to_10"] for row in rows if row["candidates"] == 10} == {1.0}
    assert len(render(rows).splitlines()) == len(rows) + 1


def test_a_start_and_changes_of_the_catalog_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a real store and worker; each change has become live."""
    monkeypatch.setattr(of_catalog, "AFTERWARDS_S", 0)
    rows = catalog(campaigns=20)
    assert [row["case"] for row in rows] == [
        "start", "one campaign changed", "one site paused", "one site resumed", "one slot changed",
        "a tenth of the campaigns changed",
    ]  # fmt: skip
    assert all(row["seconds"] > 0 and row["campaigns"] == 20 for row in rows)
