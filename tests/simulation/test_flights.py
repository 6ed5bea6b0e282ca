"""Fourteen days: slower than the rest, so it runs beside the suites of the stores."""

from __future__ import annotations

import pytest

from tests.simulation.test_delivery import assert_delivered
from tests.simulation.worlds import EXAMPLES, run


@pytest.mark.parametrize("weeks", [0, 2])
def test_a_flight_of_two_weeks_ends_within_a_hundredth_of_its_goals(weeks: int) -> None:
    outcome = run((EXAMPLES / "pacing.json").read_bytes(), days=14, weeks=weeks, seed=5 + weeks)
    assert_delivered(outcome, {"spring": 56_000, "headline": 35_000, "office-hours": 21_000, "steady": 14_000})
    assert 138 <= outcome.campaigns["clicks"].clicks <= 140
