"""What is counted on the way of a request."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from adserve.core.figures import LIMITS_S, Answers, Latency
from adserve.store.ledger import FAILED, SPOOLED, WORDS


@pytest.mark.parametrize(
    "outcome", [*sorted(WORDS - {FAILED}), SPOOLED, "filtered:bot", "filtered:rate", "filtered:cap"]
)
def test_every_outcome_of_an_event_is_counted_once(outcome: str) -> None:
    """Under its own name; a reason is none of it, and what is too old to tell is late."""
    answers = Answers()
    answers.add(outcome)
    name = outcome.partition(":")[0]
    assert {one: n for one, n in asdict(answers).items() if n} == {name if name in asdict(answers) else "late": 1}


def test_a_duration_falls_into_one_bucket() -> None:
    """One on a limit is within it; one beyond the last has a bucket too."""
    latency = Latency()
    for seconds in (0.0, *LIMITS_S, 7.0):
        latency.observe(seconds)
    assert latency.counts == [2, *[1] * len(LIMITS_S)]
    assert latency.seconds == pytest.approx(7 + sum(LIMITS_S))
