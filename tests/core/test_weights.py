"""Weights are exact: over every draw that there is, each candidate wins exactly its weight."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Hashable
from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from adserve.core.catalog import Candidate, CompiledSlot, Entry, Snippet
from adserve.core.decide import SlotRequest, decide
from adserve.core.model import TIERS, Campaign, Content, Creative, Site, Slot
from adserve.core.rotation import Draws

SITE = Site(id="news", serial=1, version=1, name="News")
STANDARD = TIERS.index("standard")


def slot_of(weights: list[tuple[int, list[int]]]) -> CompiledSlot:
    """A slot with a campaign for each `(weight, weights of its creatives)`."""
    candidates = []
    for at, (weight, creatives) in enumerate(weights, 1):
        campaign = Campaign(id=f"c{at}", serial=at, version=1, advertiser="a", name="c", weight=weight)
        entries = []
        for n, own in enumerate(creatives):
            content = Content(revision=1, serial=100 * at + n, click_url="https://shop.example/")
            fields: dict[str, Any] = {"campaign": campaign.id, "name": "x", "kind": "text", "content": content}
            creative = Creative(id=f"{at}.{n}", serial=100 * at + n, version=1, weight=own, **fields)
            entries.append(Entry(creative, content, Snippet(("",), ())))
        candidates.append(Candidate(campaign, tuple(entries)))
    tiers = tuple(tuple(candidates) if tier == STANDARD else () for tier in range(len(TIERS)))
    return CompiledSlot(SITE, Slot(id="news/top", serial=1, version=1, site="news", name="top"), tiers)


class Given(Draws):
    """Draws that a test sets: the first for the campaign, the second for the creative. It remembers
    the totals that it was asked for."""

    def __init__(self, *draws: int) -> None:
        super().__init__(random.Random(0))
        self.left, self.totals = list(draws), []  # type: tuple[list[int], list[int]]

    def even(self, _eligible: Hashable, total: int) -> int:
        self.totals.append(total)
        return self.left.pop(0) if self.left else 0


def winner(slot: CompiledSlot, *draws: int) -> tuple[int, str]:
    choice = decide(slot, SlotRequest(), None, 0, Given(*draws))
    assert choice is not None
    return choice.campaign.serial, choice.entry.creative.id


def total_of(slot: CompiledSlot, *draws: int) -> list[int]:
    asked = Given(*draws)
    decide(slot, SlotRequest(), None, 0, asked)
    return asked.totals


WEIGHTS = st.lists(
    st.tuples(st.integers(0, 6), st.lists(st.integers(0, 5), min_size=1, max_size=4)), min_size=2, max_size=5
)


@settings(max_examples=150, deadline=None)
@given(WEIGHTS)
def test_every_draw_in_the_range_is_won_by_weight(weights: list[tuple[int, list[int]]]) -> None:
    """Over all draws of the campaign each campaign wins its weight; over all of the creative, each
    creative its own. Weight 0 never wins, and no draw of the range goes nowhere."""
    slot = slot_of(weights)
    can = {at: weight for at, (weight, own) in enumerate(weights, 1) if weight and sum(own)}
    if not can:
        assert decide(slot, SlotRequest(), None, 0, Given()) is None
        return
    total = sum(can.values())
    several = len(can) > 1
    if several:
        assert total_of(slot)[0] == total
    won = Counter(winner(slot, draw)[0] for draw in range(total if several else 1))
    assert won == (can if several else dict.fromkeys(can, 1))
    for draw in range(total if several else 1):
        first = (draw,) if several else ()
        campaign = winner(slot, *first)[0]
        own = {f"{campaign}.{n}": weight for n, weight in enumerate(weights[campaign - 1][1]) if weight}
        if len(own) > 1:
            assert total_of(slot, *first)[-1] == sum(own.values())
            assert Counter(winner(slot, *first, inner)[1] for inner in range(sum(own.values()))) == own


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=6), st.data())
def test_a_higher_weight_never_lowers_a_share(weights: list[int], data: st.DataObject) -> None:
    """Raising one weight raises that campaign's share of all draws and lowers every other."""
    raised = data.draw(st.integers(0, len(weights) - 1))
    after = [weight + (at == raised) for at, weight in enumerate(weights)]
    shares = []
    for some in (weights, after):
        slot = slot_of([(weight, [1]) for weight in some])
        shares.append(Counter(winner(slot, draw)[0] for draw in range(sum(some))))
    for at in range(len(weights)):
        before_share, after_share = shares[0][at + 1] / sum(weights), shares[1][at + 1] / sum(after)
        assert after_share > before_share if at == raised else after_share < before_share


def test_two_equal_campaigns_share_all_draws_in_half() -> None:
    """The case that a range closed at both ends gets wrong: 1:1 is not 2/3 and 1/3."""
    slot = slot_of([(1, [1, 1]), (1, [1, 1])])
    won = Counter(winner(slot, *draws) for draws in product(range(2), range(2)))
    assert set(won.values()) == {1}
    assert len(won) == 4
