"""The decision over time and over pages: evenness, and the reasons of empty slots."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adserve.core.decide import PageView, decide
from adserve.core.explain import why_empty
from adserve.core.pool import Candidate
from adserve.core.rotation import Draws
from adserve.core.slot import CompiledSlot, SlotRequest
from adserve.core.standing import Standing
from tests.core.offers import candidate, slot_of

STANDING = Standing()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["never", "any"]), st.lists(st.integers(1, 9), min_size=3, max_size=6))
def test_shares_stay_even_on_pages_and_across_changes_of_the_catalog(
    seed: int, repeat: str, weights: list[int]
) -> None:
    """|serves - N x share| <= 6 for campaigns and creatives, for each eligible set by itself: while pages of two
    slots take campaigns out, one campaign comes and goes, and the slots are compiled anew all the time."""
    chance, draws = random.Random(seed), Draws(random.Random(seed + 1))
    made = [candidate(at, {"weight": 1}, {"weight": 2}, weight=weight) for at, weight in enumerate(weights, 1)]
    shown: dict[Any, Counter[Any]] = defaultdict(Counter)
    for turn in range(3000):
        if turn % 50 == 0:
            booked = made if chance.random() < 0.5 else made[:-1]
            first, second = slot_of(*booked, repeat=repeat), slot_of(*booked, repeat=repeat, serial=2)
        page = PageView()
        for slot in (first, second):
            eligible = frozenset(c.campaign for c in booked if repeat == "any" or c.campaign.serial not in page.shown)
            choice = decide(slot, SlotRequest(), page, STANDING, 0, draws)
            assert choice is not None
            page.add(choice)
            counted = shown[slot.slot.serial, eligible]
            counted.update((choice.campaign, (choice.campaign, choice.entry.creative)))
            n, total = counted.total() / 2, sum(one.weight for one in eligible)
            share = n * choice.campaign.weight / total
            assert abs(counted[choice.campaign] - share) <= 6
            within = share * choice.entry.creative.weight / 3
            assert abs(counted[choice.campaign, choice.entry.creative] - within) <= 6


def test_robots_move_no_sequence() -> None:
    """Nor does a slot of random rotation have one. All campaigns are shown all the same."""
    for rotation, countable in (("even", False), ("random", True)):
        draws = Draws(random.Random(1))
        slot = slot_of(candidate(1), candidate(2), candidate(3), rotation=rotation)
        found = [decide(slot, SlotRequest(countable=countable), None, STANDING, 0, draws) for _ in range(50)]
        assert len(draws) == 0
        assert {choice.campaign.serial for choice in found if choice} == {1, 2, 3}


REASONS: dict[str, tuple[list[Candidate], dict[str, Any]]] = {
    "no_candidates": ([], {}),
    "paused": ([candidate(1)], {"state": "paused"}),
    "not_started": ([candidate(1, starts_at=101)], {}),
    "ended": ([candidate(1, starts_at=101), candidate(2, ends_at=100)], {}),
    "size": ([candidate(1, ends_at=100), candidate(2, width=301)], {}),
    "weight_zero": ([candidate(1, weight=0), candidate(2, width=301)], {}),
}


@pytest.mark.parametrize("reason", REASONS)
def test_an_empty_slot_has_the_reason_of_the_candidate_that_came_furthest(reason: str) -> None:
    """And the same from the creatives of a campaign as from the campaign itself."""
    candidates, fields = REASONS[reason]
    slot, request = slot_of(*candidates, **fields), SlotRequest(300)
    for _ in range(2):
        assert decide(slot, request, None, STANDING, 100, Draws(random.Random(1))) is None
        assert why_empty(slot, request, None, STANDING, 100) == reason


@pytest.mark.parametrize(
    ("reason", "creatives"),
    [
        ("not_started", [{"starts_at": 102}, {"starts_at": 101}]),
        ("ended", [{"ends_at": 100}, {"starts_at": 101}]),
        ("ended", [{"ends_at": 100}]),
        ("size", [{"width": 301}, {"ends_at": 100}]),
        ("weight_zero", [{"weight": 0}, {"width": 301}]),
    ],
)
def test_a_campaign_without_a_creative_that_can_serve_loses_for_its_reason(
    reason: str, creatives: list[dict[str, Any]]
) -> None:
    """What is on the page already is another reason."""
    slot, request = slot_of(candidate(1, *creatives)), SlotRequest(300)
    assert why_empty(slot, request, None, STANDING, 100) == reason
    shown = slot_of(candidate(1))
    page = PageView()
    choice = decide(shown, request, page, STANDING, 100, Draws(random.Random(1)))
    assert choice is not None
    page.add(choice)
    assert decide(shown, request, page, STANDING, 100, Draws(random.Random(1))) is None
    assert why_empty(shown, request, page, STANDING, 100) == "already_on_page"


@settings(deadline=None)
@given(st.data())
def test_what_was_worked_out_for_one_moment_and_width_is_not_taken_for_another(data: st.DataObject) -> None:
    """A slot that was asked before answers as one that was made just now."""
    bounds = st.none() | st.integers(0, 12)
    weight, widths = st.integers(0, 2), st.integers(0, 6)
    creative = st.fixed_dictionaries({"weight": weight, "width": widths, "starts_at": bounds, "ends_at": bounds})
    campaigns = data.draw(st.lists(st.tuples(weight, bounds, bounds, st.lists(creative, min_size=1, max_size=3))))

    def slot() -> CompiledSlot:
        return slot_of(
            *(
                candidate(at, *map(dict, creatives), weight=weight, starts_at=starts, ends_at=ends)
                for at, (weight, starts, ends, creatives) in enumerate(campaigns, 1)
            )
        )

    asked = slot()
    for now, width in data.draw(st.lists(st.tuples(st.integers(0, 13), st.none() | st.integers(0, 7)))):
        fresh, request = slot(), SlotRequest(width)
        found = [decide(one, request, None, STANDING, now, Draws(random.Random(now))) for one in (asked, fresh)]
        told = [(one.campaign.serial, one.entry.creative.serial, one.tier) if one else None for one in found]
        assert told[0] == told[1]
        if found[0] is None:
            assert why_empty(asked, request, None, STANDING, now) == why_empty(fresh, request, None, STANDING, now)
        else:
            campaign, creative_ = found[0].campaign, found[0].entry.creative
            for one in (campaign, creative_):
                assert one.weight
                assert (one.starts_at or 0) <= now < (99 if one.ends_at is None else one.ends_at)
            assert width is None or found[0].entry.content.width <= width
