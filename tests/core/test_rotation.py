"""Draws are exact, even, and hard to predict."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import Counter
from itertools import accumulate, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from adserve.core.rotation import Draws, EvenSequence


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 1_000_000), min_size=2, max_size=20), st.integers(0, 2**32))
def test_even_keeps_every_share_within_six_serves(weights: list[int], seed: int) -> None:
    """|serves - N x share| <= 6 at every N."""
    total, sums = sum(weights), list(accumulate(weights))
    sequence = EvenSequence(total, random.Random(seed))
    shown = [0] * len(weights)
    for n in range(1, 4001):
        shown[bisect_right(sums, next(sequence))] += 1
        if n % 5 == 0:
            assert all(abs(shown[at] - n * weight / total) <= 6 for at, weight in enumerate(weights)), n


def test_even_runs_no_fixed_alternation() -> None:
    """Two equal creatives neither alternate strictly nor repeat a short cycle."""
    sequence = EvenSequence(2, random.Random(5))
    shown = [next(sequence) for _ in range(2000)]
    repeats = sum(one == two for one, two in pairwise(shown))
    assert 400 < repeats < 1200
    for period in range(1, 65):
        assert any(shown[at] != shown[at + period] for at in range(500))


def test_two_workers_do_not_march_in_step() -> None:
    """The start of a sequence is random."""
    first, second = (EvenSequence(1000, random.Random(seed)) for seed in (1, 2))
    assert [next(first) for _ in range(20)] != [next(second) for _ in range(20)]


def test_each_eligible_set_has_its_own_sequence() -> None:
    """Interleaving two sets disturbs neither."""
    draws = Draws(random.Random(3))
    shown: dict[bytes, Counter[int]] = {b"a": Counter(), b"b": Counter()}
    chance = random.Random(9)
    for _ in range(4000):
        name = chance.choice([b"a", b"b"])
        shown[name][draws.even(name, 4)] += 1
    for counted in shown.values():
        n = counted.total()
        assert all(abs(counted[value] - n / 4) <= 6 for value in range(4))


def test_sequences_are_bounded() -> None:
    """The least recent set is forgotten."""
    draws = Draws(random.Random(1), remembered=10)
    for n in range(100):
        draws.even(n, 5)
    assert len(draws._sequences) == 10


@given(st.integers(1, 2**40), st.integers(0, 2**32))
def test_draws_lie_in_the_half_open_range(total: int, seed: int) -> None:
    """[0, total), for both rotations and any total."""
    draws = Draws(random.Random(seed))
    for _ in range(20):
        assert 0 <= draws.even(total, total) < total
        assert 0 <= draws.random(total, total) < total
