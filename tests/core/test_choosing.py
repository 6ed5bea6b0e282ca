"""What comes first within a tier and what is left out: goals, shares, weights; caps, frequency and excludes."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adserve.core.bits import flags_of, mask_of_flags, places_of
from adserve.core.decide import PageView, decide
from adserve.core.explain import why_empty
from adserve.core.masks import CLOSING
from adserve.core.model import Caps, Frequency, Goal, Limit
from adserve.core.reasons import Reason
from adserve.core.rotation import Draws
from adserve.core.slot import FEW, LARGE, CompiledSlot, SlotRequest
from adserve.core.standing import REMEMBERED, Standing
from tests.core.offers import candidate, slot_of

PLAIN = SlotRequest()
MANY = Goal(impressions=10_000)
CAP = Caps(total=Limit(impressions=100))


def draws(seed: int = 1) -> Draws:
    return Draws(random.Random(seed))


def shown(
    slot: CompiledSlot,
    standing: Standing,
    count: int,
    request: SlotRequest = PLAIN,
    page: PageView | None = None,
    now: int = 0,
) -> Counter[int | None]:
    """Serials of the campaigns that `count` decisions choose; None where they choose none."""
    chance = draws()
    found = [decide(slot, request, page, standing, now, chance) for _ in range(count)]
    return Counter(one.campaign.serial if one else None for one in found)


@given(st.sets(st.integers(0, 300)), st.integers(301, 310))
def test_a_set_is_the_same_however_it_is_written(places: set[int], count: int) -> None:
    """Flags to a mask, and back to flags and to places."""
    flags = [at in places for at in range(count)]
    assert list(flags_of(mask_of_flags(flags), count)) == [int(flag) for flag in flags]
    assert list(places_of(mask_of_flags(flags))) == sorted(places)


def test_goals_behind_their_plan_come_before_weights() -> None:
    """Whatever the weight; a goal that is on its plan leaves the slot to the others of its tier."""
    slot = slot_of(candidate(1, goal=MANY), candidate(2, weight=1000), candidate(3, tier="sponsor", state="active"))
    assert set(shown(slot, Standing(), 20)) == {3}
    slot, standing = slot_of(candidate(1, goal=MANY), candidate(2, weight=1000), candidate(3, tier="house")), Standing()
    assert set(shown(slot, standing, 50)) == {1}
    standing.close(1, Reason.PACING)
    assert set(shown(slot, standing, 50)) == {2}
    standing.open(1)
    assert set(shown(slot, standing, 50)) == {1}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 1_000_000), min_size=2, max_size=6), st.integers(0, 2**32))
def test_goals_share_by_what_they_still_need(needs: list[int], seed: int) -> None:
    """Evenly, like weights; new needs count from the next decision on, and a goal without one counts as 1."""
    standing = Standing()
    standing.renew(dict(enumerate(needs, 1)))
    slot = slot_of(*(candidate(at, goal=MANY, weight=7) for at in range(1, len(needs) + 1)))
    chance = draws(seed)
    for _ in range(2):
        found: Counter[int] = Counter()
        for _ in range(2000):
            choice = decide(slot, PLAIN, None, standing, 0, chance)
            assert choice is not None
            found[choice.campaign.serial] += 1
        for serial in range(1, len(needs) + 1):
            part = standing.needs.get(serial, 1) / sum(standing.needs.get(n, 1) for n in range(1, len(needs) + 1))
            assert abs(found[serial] - 2000 * part) <= 8
        standing.renew(dict(enumerate(reversed(needs[1:]), 1)))


@pytest.mark.parametrize(("percents", "rest"), [([25], 75), ([25, 30], 45), ([1], 99), ([100], 0), ([80, 40], 0)])
def test_a_share_is_that_part_of_the_requests(percents: list[int], rest: int) -> None:
    """The rest falls through. Shares that come to more than all the requests share them."""
    booked = [candidate(at, goal=Goal(share=percent)) for at, percent in enumerate(percents, 1)]
    found = shown(slot_of(*booked, candidate(9, tier="remnant")), Standing(), 4000)
    total = max(100, sum(percents))
    for at, percent in enumerate(percents, 1):
        assert abs(found[at] - 4000 * percent / total) <= 12
    assert abs(found[9] - 40 * rest) <= 24


def test_a_share_that_can_serve_only_some_requests_gets_more_of_these() -> None:
    """Of a slot whose every second request it may serve, a quarter of all; and no rush after it could serve none."""
    slot, standing, chance = slot_of(candidate(1, goal=Goal(share=25)), candidate(2)), Standing(), draws()
    found: Counter[int] = Counter()
    for turn in range(4000):
        (standing.open if turn % 2 else lambda serial: standing.close(serial, Reason.PACING))(1)
        choice = decide(slot, PLAIN, None, standing, 0, chance)
        assert choice is not None
        found[choice.campaign.serial] += 1
    assert abs(found[1] - 1000) <= 20
    standing.close(1, Reason.PACING)
    for _ in range(5000):
        decide(slot, PLAIN, None, standing, 0, chance)
    standing.open(1)
    after = Counter(one.campaign.serial for _ in range(100) if (one := decide(slot, PLAIN, None, standing, 0, chance)))
    assert 25 <= after[1] <= 45


def test_a_share_of_robots_is_by_chance_and_moves_nothing() -> None:
    slot, chance = slot_of(candidate(1, goal=Goal(share=50)), candidate(2)), draws()
    robots = [decide(slot, PLAIN._replace(countable=False), None, Standing(), 0, chance) for _ in range(2000)]
    assert 850 < sum(one is not None and one.campaign.serial == 1 for one in robots) < 1150
    assert len(chance) == 0


@pytest.mark.parametrize("reason", CLOSING)
def test_what_is_closed_serves_nothing_and_says_why(reason: Reason) -> None:
    """From the next decision on, in every slot, also one that looks for the first time."""
    standing = Standing()
    first, later = (slot_of(candidate(1, caps=CAP), serial=serial) for serial in (1, 2))
    assert shown(first, standing, 3) == {1: 3}
    standing.close(1, reason)
    for slot in (first, later):
        assert shown(slot, standing, 3) == {None: 3}
        assert why_empty(slot, PLAIN, None, standing, 0) == reason
    standing.open(1)
    assert shown(later, standing, 3) == {1: 3}


def test_a_slot_that_missed_many_changes_is_right_again() -> None:
    slot, standing = slot_of(candidate(1, caps=CAP), candidate(2, caps=CAP)), Standing()
    assert set(shown(slot, standing, 20)) == {1, 2}
    standing.close(2, Reason.CAP_TOTAL)
    for turn in range(REMEMBERED + 1):
        (standing.open if turn % 2 else lambda serial: standing.close(serial, Reason.PACING))(7)
    assert set(shown(slot, standing, 20)) == {1}


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_a_large_tier_never_shows_what_is_closed(data: st.DataObject) -> None:
    """Within the second its pools are those of its beginning, less what was closed since; what opens comes in with
    the next second, and at once where nothing else could serve."""
    count = LARGE + 50
    slot, standing, chance = slot_of(*(candidate(at, goal=MANY) for at in range(1, count + 1))), Standing(), draws()
    closed: set[int] = set()
    for now in range(4):
        for _ in range(data.draw(st.integers(0, FEW + 10))):
            serial = data.draw(st.integers(1, count))
            if serial in closed:
                standing.open(serial)
                closed.discard(serial)
            else:
                standing.close(serial, Reason.PACING)
                closed.add(serial)
            choice = decide(slot, PLAIN, None, standing, now, chance)
            assert choice is not None
            assert choice.campaign.serial not in closed
    for serial in range(1, count + 1):
        if serial != 5:
            standing.close(serial, Reason.PACING)
    standing.open(5)
    assert shown(slot, standing, 20, now=4) == {5: 20}
    standing.open(7)
    standing.close(5, Reason.PACING)
    assert shown(slot, standing, 20, now=4) == {7: 20}


FREQUENT = Frequency(2, "day")


@pytest.mark.parametrize(
    ("frequency", "request_", "serves"),
    [
        (FREQUENT, {"known": True}, True),
        (FREQUENT, {"known": True, "tired": frozenset({7})}, True),
        (FREQUENT, {"known": True, "tired": frozenset({1})}, False),
        (FREQUENT, {"known": True, "tired": None}, False),
        (FREQUENT, {}, True),
        (Frequency(2, "day", "skip"), {}, False),
        (Frequency(2, "day", "skip"), {"known": True}, True),
        (None, {"known": True, "tired": None}, True),
    ],
)
def test_a_reader_who_has_seen_enough_sees_another(
    frequency: Frequency | None, request_: dict[str, Any], serves: bool
) -> None:
    """Of whom nothing is known as the campaign says; without an answer of the store capped campaigns are skipped."""
    request = PLAIN._replace(**request_)
    alone, beside = candidate(1, frequency=frequency), candidate(2)
    assert shown(slot_of(alone), Standing(), 4, request) == {1 if serves else None: 4}
    assert set(shown(slot_of(alone, beside), Standing(), 20, request)) == ({1, 2} if serves else {2})
    if not serves:
        assert why_empty(slot_of(alone), request, None, Standing(), 0) == "frequency"


def test_only_capped_campaigns_that_could_serve_are_asked_about() -> None:
    standing = Standing()
    standing.close(3, Reason.CAP_TOTAL)
    slot = slot_of(
        candidate(1, frequency=FREQUENT),
        candidate(2),
        candidate(3, frequency=FREQUENT, caps=CAP),
        candidate(4, frequency=Frequency(1, "hour", "skip"), tier="house"),
        candidate(5, frequency=FREQUENT, ends_at=100),
    )
    assert [one.serial for one in slot.capped_campaigns(PLAIN, standing, 100)] == [1, 4]
    assert slot_of(candidate(2)).capped_campaigns(PLAIN, standing, 100) == []


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ({}, {}, True),
        ({"excludes": ("category:cars",)}, {"categories": ("cars",)}, False),
        ({"categories": ("cars",)}, {"excludes": ("category:cars",)}, False),
        ({"excludes": ("category:cars",)}, {"advertiser_categories": ("cars",)}, False),
        ({"excludes": ("category:cars",)}, {"categories": ("carts",)}, True),
        ({"excludes": ("advertiser:bolt",)}, {"advertiser": "bolt"}, False),
        ({"advertiser": "bolt"}, {"excludes": ("advertiser:bolt",)}, False),
        ({"excludes": ("category:cars",), "categories": ("cars",)}, {}, True),
        ({"excludes": ("advertiser:a",)}, {"tier": "house"}, False),
        ({"tier": "house", "excludes": ("category:cars",)}, {"categories": ("cars",)}, False),
    ],
)
def test_excludes_hold_both_ways(first: dict[str, Any], second: dict[str, Any], together: bool) -> None:
    """Whichever came first, by categories of the campaign and of its advertiser, house campaigns too."""
    for one, other in ((first, second), (second, first)):
        page, chance = PageView(), draws()
        choice = decide(slot_of(candidate(1, **one)), PLAIN, page, Standing(), 0, chance)
        assert choice is not None
        page.add(choice)
        below = slot_of(candidate(2, **other))
        assert (decide(below, PLAIN, page, Standing(), 0, chance) is not None) is together
        if not together:
            assert why_empty(below, PLAIN, page, Standing(), 0) == "excluded"
            both = slot_of(candidate(2, **other), candidate(3, tier=other.get("tier", "standard")))
            if "advertiser:a" not in one.get("excludes", ()) and "advertiser:a" not in other.get("excludes", ()):
                assert set(shown(both, Standing(), 10, page=page)) == {3}


def test_a_campaign_does_not_exclude_itself() -> None:
    """A page may show two creatives of a campaign whose own category it excludes, where it may repeat."""
    slot = slot_of(candidate(1, {}, {}, categories=("cars",), excludes=("category:cars",)), repeat="creative")
    page, chance = PageView(), draws()
    for _ in range(2):
        choice = decide(slot, PLAIN, page, Standing(), 0, chance)
        assert choice is not None
        page.add(choice)
    assert len(page.shown[1]) == 2
    assert decide(slot, PLAIN, page, Standing(), 0, chance) is None


def test_an_empty_slot_names_what_barred_campaigns_lack() -> None:
    """Campaigns that book it and have nothing to show there count too."""
    plain = slot_of(candidate(1, starts_at=100))
    barred = CompiledSlot(plain.site, plain.slot, plain.tiers, {"c7": Reason.NOT_APPROVED})
    assert why_empty(plain, PLAIN, None, Standing(), 0) == "not_started"
    assert why_empty(barred, PLAIN, None, Standing(), 0) == "not_approved"
