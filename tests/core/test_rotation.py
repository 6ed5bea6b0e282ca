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
    sequence = EvenSequence(random.Random(seed))
    shown = [0] * len(weights)
    for n in range(1, 4001):
        shown[bisect_right(sums, next(sequence) * total >> 64)] += 1
        if n % 5 == 0:
            assert all(abs(shown[at] - n * weight / total) <= 6 for at, weight in enumerate(weights)), n


def test_even_runs_no_fixed_alternation() -> None:
    """Two equal creatives neither alternate strictly nor repeat a short cycle."""
    sequence = EvenSequence(random.Random(5))
    shown = [next(sequence) >> 63 for _ in range(2000)]
    repeats = sum(one == two for one, two in pairwise(shown))
    assert 400 < repeats < 1200
    for period in range(1, 65):
        assert any(shown[at] != shown[at + period] for at in range(500))


def test_two_workers_do_not_march_in_step() -> None:
    """The start of a sequence is random."""
    first, second = (EvenSequence(random.Random(seed)) for seed in (1, 2))
    assert [next(first) for _ in range(20)] != [next(second) for _ in range(20)]


def test_each_eligible_set_has_its_own_sequence() -> None:
    """Interleaving two sets disturbs neither."""
    draws = Draws(random.Random(3))
    shown: dict[int, Counter[int]] = {1: Counter(), 2: Counter()}
    chance = random.Random(9)
    for _ in range(4000):
        name = chance.choice([1, 2])
        shown[name][draws.even(name) * 4 >> 64] += 1
    for counted in shown.values():
        n = counted.total()
        assert all(abs(counted[value] - n / 4) <= 6 for value in range(4))


def test_a_set_has_one_sequence_however_it_came_about() -> None:
    """Whole today, and yesterday what a page had left of a larger one; the other way round too."""
    for first, second in (("even", "even_rest"), ("even_rest", "even")):
        draws = Draws(random.Random(3))
        shown: Counter[int] = Counter()
        for kind in (first, second):
            for _ in range(501):
                shown[getattr(draws, kind)(7) * 3 >> 64] += 1
        like = EvenSequence(random.Random(3))
        assert shown == Counter(next(like) * 3 >> 64 for _ in range(1002))


def test_sequences_are_bounded() -> None:
    """The least recent set is forgotten, one in use is not; the rests of page views push no pool out."""
    draws = Draws(random.Random(1), remembered=10)
    pools, rests = draws._pools, draws._rests
    for n in range(100):
        draws.even(n)
        draws.even(-2)
        draws.even_rest(1000 + n)
    assert len(pools) <= 10
    assert len(rests) <= 10
    assert {99, 98, -2} <= {*pools.latest, *pools._earlier}
    for n in range(100):
        draws.even_rest(2000 + n)
    assert {99, 98, -2} <= {*pools.latest, *pools._earlier}


@given(st.integers(0, 2**32))
def test_draws_are_points_of_the_circle(seed: int) -> None:
    """[0, 2**64), for every kind of draw."""
    draws = Draws(random.Random(seed))
    for _ in range(20):
        for draw in (draws.even, draws.even_rest, draws.random):
            assert 0 <= draw(5) < 2**64
