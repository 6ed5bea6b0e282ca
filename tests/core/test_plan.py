"""Plans say what they said, come from us, and end."""

from __future__ import annotations

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserve.core.plan import LIFETIME_S, MAX_LABELS, MAX_LENGTH, PREFIX, BadPlan, Placed, Plan, Sealer
from adserve.core.token import SKEW_S, Key

KEY = Key.derive(b"a first secret of more than thirty-two bytes")
OTHER = Key.derive(b"another secret of more than thirty-two bytes")
NOW = 1_790_000_000

placed = st.builds(
    Placed,
    slot=st.integers(0, 2**24 - 1),
    instance=st.integers(0, 2**14 - 1),
    campaign=st.integers(0, 2**24 - 1),
    revision=st.integers(0, 2**32 - 1),
    house=st.booleans(),
    served=st.booleans(),
)
labels = st.lists(st.integers(0, 2**48 - 1), max_size=MAX_LABELS, unique=True).map(tuple)
plans = st.builds(
    Plan,
    id=st.integers(0, 2**64 - 1),
    began=st.just(NOW),
    labels=labels,
    entries=st.lists(placed, max_size=66).map(tuple),
)
PLAN = Plan(2**63 + 5, NOW, (1, 2**47), (Placed(7, 2, 9, 11, False, True), Placed(8, 0, 10, 12, True, False)))


@given(plans)
def test_every_plan_round_trips(plan: Plan) -> None:
    """What is sealed is what is opened, at any time of its life."""
    text = Sealer([KEY]).seal(plan)
    for now in (NOW - SKEW_S, NOW, NOW + LIFETIME_S - 1):
        assert Sealer([KEY]).open(text, now) == plan


@given(plans)
def test_no_plan_can_be_taken_for_an_id_of_a_callers_own(plan: Plan) -> None:
    """It has a character that those have not, and none that a URL writes otherwise."""
    text = Sealer([KEY]).seal(plan)
    assert not re.fullmatch(r"[A-Za-z0-9_-]{8,64}", text)
    assert re.fullmatch(r"[A-Za-z0-9._-]+", text)


def test_a_plan_of_too_many_entries_says_the_first_of_them() -> None:
    """It is never longer than a URL can bear."""
    entries = tuple(Placed(at, 0, at, at, False, False) for at in range(1000))
    for count in (0, 1, MAX_LABELS):
        text = Sealer([KEY]).seal(Plan(1, NOW, tuple(range(count)), entries))
        opened = Sealer([KEY]).open(text, NOW)
        assert MAX_LENGTH - 20 < len(text) <= MAX_LENGTH
        assert opened.labels == tuple(range(count))
        assert opened.entries == entries[: len(opened.entries)]
        assert len(opened.entries) >= 66


def test_every_changed_character_is_refused() -> None:
    """There are no slack bits: each of the 63 other characters in each place fails."""
    sealer = Sealer([KEY])
    text = sealer.seal(PLAN)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for place in range(len(text)):
        for character in alphabet:
            if character != text[place]:
                with pytest.raises(BadPlan):
                    sealer.open(text[:place] + character + text[place + 1 :], NOW)


def test_nothing_shorter_or_longer_is_a_plan() -> None:
    """Truncated anywhere, doubled, padded, or with a part of another."""
    sealer = Sealer([KEY])
    text = sealer.seal(PLAN)
    for end in range(len(text)):
        with pytest.raises(BadPlan):
            sealer.open(text[:end], NOW)
    for more in ("A", "AAAA", "=", "\n", " ", text, "A" * 5_000, "A" * 5_000_000):
        with pytest.raises(BadPlan):
            sealer.open(text + more, NOW)
    other = sealer.seal(Plan(3, NOW, PLAN.labels, PLAN.entries))
    for cut in range(len(PREFIX), len(text)):
        if text[:cut] + other[cut:] not in (text, other):
            with pytest.raises(BadPlan):
                sealer.open(text[:cut] + other[cut:], NOW)


@given(st.text(max_size=200), st.booleans())
def test_no_text_from_outside_is_a_plan(text: str, prefixed: bool) -> None:
    """Whatever it is made of; and it is refused, not fallen over."""
    with pytest.raises(BadPlan):
        Sealer([KEY]).open(PREFIX + text if prefixed else text, NOW)


@given(st.binary(min_size=27, max_size=1200))
def test_no_bytes_under_our_prefix_are_a_plan(raw: bytes) -> None:
    """Without the key nobody makes one, of the right length or another."""
    with pytest.raises(BadPlan):
        Sealer([KEY]).open(PREFIX + base64.urlsafe_b64encode(raw).decode().rstrip("="), NOW)


def test_a_plan_ends() -> None:
    """Six hours after the page view began, and one from the future has not begun."""
    sealer = Sealer([KEY])
    text = sealer.seal(PLAN)
    for now in (NOW + LIFETIME_S, NOW - SKEW_S - 1, 0):
        with pytest.raises(BadPlan):
            sealer.open(text, now)


def test_the_first_key_signs_and_all_verify() -> None:
    """So a change of the secret ends no page view."""
    text = Sealer([OTHER]).seal(PLAN)
    assert Sealer([KEY, OTHER]).open(text, NOW) == PLAN
    with pytest.raises(BadPlan):
        Sealer([KEY]).open(text, NOW)
    with pytest.raises(BadPlan):
        Sealer([OTHER]).open(Sealer([KEY, OTHER]).seal(PLAN), NOW)


@given(labels, st.lists(st.integers(0, 2**48 - 1), max_size=80))
def test_labels_add_up_and_the_first_stay(told: tuple[int, ...], more: list[int]) -> None:
    """At most 50, each once."""
    plan = Plan(1, NOW, told).told(more)
    assert plan.labels[: len(told)] == told
    assert len(plan.labels) == min(MAX_LABELS, len(set(told) | set(more)))
    assert len(set(plan.labels)) == len(plan.labels)
    assert set(plan.labels) <= set(told) | set(more)
