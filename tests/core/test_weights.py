"""Weights are exact: over every draw that there is, each candidate wins exactly its weight."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from adserve.core.decide import Choice, PageView, decide
from adserve.core.entry import Entry
from adserve.core.explain import why_empty
from adserve.core.model import TIERS, Campaign, Content, Creative, Site, Slot
from adserve.core.pool import Candidate
from adserve.core.rotation import Draws
from adserve.core.slot import CompiledSlot, SlotRequest
from adserve.core.standing import Standing
from adserve.snippet import compile_snippet

STANDING = Standing()
SITE = Site(id="news", serial=1, version=1, name="News")
SLOT = Slot(id="news/top", serial=1, version=1, site="news", name="top")
STANDARD = TIERS.index("standard")


def slot_of(weights: list[tuple[int, list[int]]], **slot: Any) -> CompiledSlot:
    """A slot with a campaign for each `(weight, weights of its creatives)`."""
    candidates = []
    for at, (weight, creatives) in enumerate(weights, 1):
        campaign = Campaign(id=f"c{at}", serial=at, version=1, advertiser="a", name="c", weight=weight)
        entries = []
        for n, own in enumerate(creatives):
            content = Content(revision=1, serial=100 * at + n, click_url="https://shop.example/")
            fields: dict[str, Any] = {"campaign": campaign.id, "name": "x", "kind": "text", "content": content}
            creative = Creative(id=f"{at}.{n}", serial=100 * at + n, version=1, weight=own, **fields)
            entries.append(Entry(creative, content, SLOT, compile_snippet))
        candidates.append(Candidate(campaign, tuple(entries)))
    tiers = tuple(tuple(candidates) if tier == STANDARD else () for tier in range(len(TIERS)))
    return CompiledSlot(SITE, replace(SLOT, **slot), tiers)


class Given(Draws):
    """One draw that a test sets, the `part`th of `parts` of the circle. It remembers the sets that it was asked for."""

    def __init__(self, part: int = 0, parts: int = 1) -> None:
        super().__init__(random.Random(0))
        self.point, self.names = -(-part * 2**64 // parts), []  # type: tuple[int, list[int]]

    def even(self, pool: int) -> int:
        self.names.append(pool)
        return self.point

    def even_rest(self, rest: int) -> int:
        return self.even(rest)


def winner(slot: CompiledSlot, part: int, parts: int, page: PageView | None = None) -> tuple[int, str]:
    choice = decide(slot, SlotRequest(), page, STANDING, 0, Given(part, parts))
    assert choice is not None
    return choice.campaign.serial, choice.entry.creative.id


WEIGHTS = st.lists(
    st.tuples(st.integers(0, 6), st.lists(st.integers(0, 5), min_size=1, max_size=4)), min_size=2, max_size=5
)


@settings(max_examples=150, deadline=None)
@given(WEIGHTS)
def test_every_draw_in_the_range_is_won_by_weight(weights: list[tuple[int, list[int]]]) -> None:
    """Of draws that cut the circle into equal parts each campaign wins its weight, and each of its creatives its own
    of these. Weight 0 never wins, and no draw goes nowhere."""
    slot = slot_of(weights)
    can = {at: weight for at, (weight, own) in enumerate(weights, 1) if weight and sum(own)}
    if not can:
        assert decide(slot, SlotRequest(), None, STANDING, 0, Given()) is None
        return
    for campaign, weight in can.items():
        own = weights[campaign - 1][1]
        parts = sum(can.values()) * sum(own)
        won = Counter(winner(slot, part, parts) for part in range(parts))
        assert Counter(serial for serial, _ in won.elements()) == {at: can[at] * sum(own) for at in can}
        creatives = {(campaign, f"{campaign}.{n}"): weight * one for n, one in enumerate(own) if one}
        assert {which: count for which, count in won.items() if which[0] == campaign} == creatives


@settings(max_examples=150, deadline=None)
@given(WEIGHTS, st.sampled_from(["never", "creative"]), st.data())
def test_what_a_page_shows_is_left_out_and_the_rest_shares_by_weight(
    weights: list[tuple[int, list[int]]], repeat: Any, data: st.DataObject
) -> None:
    """Draw by draw it is as if what is shown had never been booked, and so is the name of the set that is left."""
    slot = slot_of(weights, repeat=repeat)
    entries = [(c.campaign, entry) for c in slot.tiers[STANDARD] for entry in c.entries]
    page = PageView()
    for campaign, entry in data.draw(st.lists(st.sampled_from(entries), max_size=6)):
        page.add(Choice(entry, campaign, STANDARD))
    gone = {serial for shown in page.shown.values() for serial in shown}
    left = [
        (weight, [0 if (at if repeat == "never" else n) in where else one for n, one in enumerate(own, 100 * at)])
        for at, (weight, own) in enumerate(weights, 1)
        for where in (page.shown if repeat == "never" else gone,)
    ]
    rest = slot_of(left, repeat=repeat)
    if decide(rest, SlotRequest(), None, STANDING, 0, Given()) is None:
        assert decide(slot, SlotRequest(), page, STANDING, 0, Given()) is None
        alone = decide(slot, SlotRequest(), None, STANDING, 0, Given())
        why = "already_on_page" if alone else why_empty(slot, SlotRequest(), None, STANDING, 0)
        assert why_empty(slot, SlotRequest(), page, STANDING, 0) == why
        return
    for part in range(60):
        assert winner(slot, part, 60, page) == winner(rest, part, 60)
    names = []
    for one, seen in ((slot, page), (rest, None)):
        draws = Given()
        decide(one, SlotRequest(), seen, STANDING, 0, draws)
        names.append(draws.names)
    assert names[0] == names[1]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=6), st.data())
def test_a_higher_weight_never_lowers_a_share(weights: list[int], data: st.DataObject) -> None:
    """Raising one weight raises that campaign's share of all draws and lowers every other."""
    raised = data.draw(st.integers(0, len(weights) - 1))
    after = [weight + (at == raised) for at, weight in enumerate(weights)]
    shares = []
    for some in (weights, after):
        slot = slot_of([(weight, [1]) for weight in some])
        shares.append(Counter(winner(slot, draw, sum(some))[0] for draw in range(sum(some))))
    for at in range(len(weights)):
        before_share, after_share = shares[0][at + 1] / sum(weights), shares[1][at + 1] / sum(after)
        assert after_share > before_share if at == raised else after_share < before_share


def test_two_equal_campaigns_share_all_draws_in_half() -> None:
    """The case that a range closed at both ends gets wrong: 1:1 is not 2/3 and 1/3."""
    slot = slot_of([(1, [1, 1]), (1, [1, 1])])
    won = Counter(winner(slot, part, 4) for part in range(4))
    assert set(won.values()) == {1}
    assert len(won) == 4
