"""Sticky picks: always the same, in exact shares, and moved as little as can be. Draws of a page view's id."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adserve.core.decide import PageView, decide
from adserve.core.model import Goal
from adserve.core.recent import Recent
from adserve.core.rotation import Ahead, Draws, Seeded, mixed
from adserve.core.slot import CompiledSlot, SlotRequest
from adserve.core.standing import Standing
from adserve.core.sticky import key_of, pick
from tests.core.offers import candidate, slot_of

KEYS = [key_of(f"reader-{n}") for n in range(20_000)]
FEW_KEYS = KEYS[:3_000]
members = st.lists(st.tuples(st.integers(0, 2**24 - 1), st.integers(1, 1_000_000)), min_size=1, max_size=8).map(
    lambda found: dict(found)
)


def picks(booked: dict[int, int], keys: Sequence[int] = FEW_KEYS) -> list[int]:
    """The serial that each key gets, of serials with their weights."""
    serials, weights = list(booked), list(booked.values())
    return [serials[pick(key, serials, weights)] for key in keys]


def within_chance(count: int, n: int, share: float) -> bool:
    """Whether a count lies where 999,999 of a million such counts lie."""
    return abs(count - n * share) <= 5 * math.sqrt(n * share * (1 - share)) + 3


@pytest.mark.parametrize("weights", [[1, 1], [1, 2, 3], [1, 99], [1_000_000, 1, 500_000], [5] * 20, [1, 10, 100, 1000]])
@pytest.mark.parametrize("first", [1, 2**24 - 30])
def test_shares_of_many_readers_are_those_of_the_weights(weights: list[int], first: int) -> None:
    """Whatever the serials, which follow each other."""
    booked = dict(enumerate(weights, first))
    found = Counter(picks(booked, KEYS))
    for serial, weight in booked.items():
        assert within_chance(found[serial], len(KEYS), weight / sum(weights)), (serial, found)


def test_what_a_reader_gets_of_one_set_says_nothing_of_another() -> None:
    """Of sets without a common member all four pairs are as frequent as their shares."""
    pairs = Counter(zip(picks({1: 1, 2: 1}, KEYS), picks({3: 1, 4: 3}, KEYS), strict=True))
    for (one, other), share in {(1, 3): 1 / 8, (1, 4): 3 / 8, (2, 3): 1 / 8, (2, 4): 3 / 8}.items():
        assert within_chance(pairs[one, other], len(KEYS), share)


@settings(max_examples=30, deadline=None)
@given(members, st.integers(1, 1_000_000), st.data())
def test_raising_a_weight_moves_readers_to_it_alone(booked: dict[int, int], more: int, data: st.DataObject) -> None:
    """And as many as its share grows by; nobody moves between the others."""
    raised = data.draw(st.sampled_from(sorted(booked)))
    after = {serial: weight + more * (serial == raised) for serial, weight in booked.items()}
    moved = [(was, now) for was, now in zip(picks(booked), picks(after), strict=True) if was != now]
    assert all(now == raised for _, now in moved)
    gained = after[raised] / sum(after.values()) - booked[raised] / sum(booked.values())
    assert within_chance(len(moved), len(FEW_KEYS), gained)


@settings(max_examples=30, deadline=None)
@given(members, st.data())
def test_a_member_that_goes_moves_its_own_readers_alone(booked: dict[int, int], data: st.DataObject) -> None:
    """And one that comes takes its share of each; the order of the members does not matter."""
    gone = data.draw(st.sampled_from(sorted(booked)))
    left = {serial: weight for serial, weight in reversed(booked.items()) if serial != gone}
    if left:
        assert all(was in (now, gone) for was, now in zip(picks(booked), picks(left), strict=True))


def test_picks_are_these_on_every_host() -> None:
    """Written down once: who changes the hash moves every reader of every site."""
    assert [key_of(text) for text in ("vreader-1", "pa1b2c3d4")] == [5739508120489573703, 8323970561048524353]
    assert picks({1: 1, 2: 2, 3: 3, 4: 4}, KEYS[:24]) == [int(one) for one in "424342434214244434414323"]


def decided(slot: CompiledSlot, key: int, draws: Draws, page: PageView | None = None) -> tuple[int, int]:
    """Serials of campaign and creative."""
    choice = decide(slot, SlotRequest(sticky=key), page, Standing(), 0, draws)
    assert choice is not None
    return choice.campaign.serial, choice.entry.creative.serial


def test_a_reader_keeps_its_creative_and_each_creative_its_share() -> None:
    """First the campaign by weight, then its creative by weight; on a worker that remembers picks and one that forgets
    all of them."""
    slot = slot_of(candidate(1, {"weight": 1}, {"weight": 3}, weight=1), candidate(2, weight=3), rotation="sticky")
    draws, forgetful = Draws(random.Random(1)), Draws(random.Random(2), remembered=2)
    first = [decided(slot, key, draws) for key in KEYS]
    assert [decided(slot, key, forgetful) for key in KEYS[:500]] == first[:500]
    assert [decided(slot, key, draws) for key in KEYS[:500]] == first[:500]
    assert len(draws.stuck) <= 10_000
    for one, share in {(1, 10): 1 / 16, (1, 11): 3 / 16, (2, 20): 3 / 4}.items():
        assert within_chance(Counter(first)[one], len(KEYS), share)


def test_a_page_that_shows_the_pick_gets_the_next_best() -> None:
    """The same that would be picked if the first were not booked; and nothing when nothing is left."""
    three = [candidate(at, weight=at) for at in (1, 2, 3)]
    slot, draws = slot_of(*three, rotation="sticky"), Draws(random.Random(1))
    for key in KEYS[:300]:
        page = PageView()
        for left in (3, 2, 1):
            choice = decide(slot, SlotRequest(sticky=key), page, Standing(), 0, draws)
            booked = [one for one in three if one.campaign.serial not in page.shown]
            assert len(booked) == left
            alone = decided(slot_of(*booked, rotation="sticky"), key, Draws(random.Random(5)))
            assert choice is not None
            assert choice.campaign.serial == alone[0]
            page.add(choice)
        assert decide(slot, SlotRequest(sticky=key), page, Standing(), 0, draws) is None


def test_without_a_key_a_sticky_slot_is_even() -> None:
    """|serves - N x share| <= 6."""
    slot, draws, found = slot_of(candidate(1), candidate(2, weight=2), rotation="sticky"), Draws(random.Random(1)), 0
    for n in range(1, 2000):
        choice = decide(slot, SlotRequest(), None, Standing(), 0, draws)
        found += choice is not None and choice.campaign.serial == 1
        assert abs(found - n / 3) <= 6


def test_goals_stick_by_what_they_need() -> None:
    """A goal behind its plan still comes first."""
    slot = slot_of(candidate(1, goal=Goal(impressions=10)), candidate(2, weight=1000), rotation="sticky")
    assert {decided(slot, key, Draws(random.Random(1))) for key in KEYS[:200]} == {(1, 10)}


def test_no_more_than_the_limit_is_remembered() -> None:
    """And what is asked for again and again stays."""
    recent: Recent[int] = Recent(100)
    recent.put(-1, 7)
    for name in range(1000):
        recent.put(name, name)
        assert recent.get(-1) == 7
        assert len(recent) <= 100


def test_seeded_draws_are_the_same_wherever_they_are_made() -> None:
    """By the seed and how many came before, whatever set they are for; other seeds have others."""
    one, other = Seeded(5), Seeded(5)
    assert [one.even(1), one.random(2), one.even_rest(3)] == [other.random(9), other.even_rest(8), other.even(7)]
    assert Seeded(6).even(1) != Seeded(5).even(1)


def test_seeded_draws_hit_each_part_of_the_circle_alike() -> None:
    """For seeds that follow each other too."""
    for which in range(2):
        found: Counter[int] = Counter()
        for seed in range(20_000):
            draws = Seeded(mixed(seed))
            points = [draws.even(1), draws.even(1)]
            found[points[which] * 8 >> 64] += 1
        assert all(within_chance(found[part], 20_000, 1 / 8) for part in range(8))


def test_seeded_share_goals_get_their_percentage_of_page_views() -> None:
    """Of each by itself: what other page views got does not matter."""
    slot = slot_of(candidate(1, goal=Goal(share=25)), candidate(2))
    found = 0
    for seed in range(4000):
        choice, again = (decide(slot, SlotRequest(), None, Standing(), 0, Seeded(mixed(seed))) for _ in range(2))
        assert choice is not None
        assert again is not None
        assert choice.campaign is again.campaign
        found += choice.campaign.serial == 1
    assert within_chance(found, 4000, 0.25)


def test_what_is_only_planned_counts_for_no_share_goal() -> None:
    """It does once it is asked for, whether it is of the goal or not; sequences go on all the same."""
    slot = slot_of(candidate(1, goal=Goal(share=40)), candidate(2))
    draws = Draws(random.Random(1))
    ahead = Ahead(draws)
    plans = [decide(slot, SlotRequest(), None, Standing(), 0, ahead) for _ in range(200)]
    lags = draws.apart(1)._lags
    share = slot.shares[0]
    assert lags.parts(1, [share], 1, countable=True) == ((0, 320),)
    assert len(draws) > 0
    served = 0
    for n, plan in enumerate(plans, 1):
        assert plan is not None
        asked = SlotRequest(planned=(plan.campaign.serial, plan.entry.creative.serial))
        assert decide(slot, asked, None, Standing(), 0, draws) == plan
        served += plan.campaign.serial == 1
        lag = min(max(40 * n - 100 * served, -800), 800)
        if abs(lag) < 500:
            parts = draws.apart(1)._lags.parts(1, [share], 1, countable=True)
            assert parts == ((0, min(max(320 + lag, 0), 800)),)
