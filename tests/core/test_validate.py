"""What a body may hold: every problem at once, each with its pointer, and never a crash."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserve.core import validate as v
from adserve.core.form import Form
from adserve.core.members import FREE
from adserve.core.model import MAX_WEIGHT, Price
from adserve.errors import Invalid

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["\ud800", "\u0661\u0660", "a\x00"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
CHECKS: dict[str, Any] = {
    "id": v.check_id,
    "text": v.text(200),
    "whole": v.whole(0, MAX_WEIGHT),
    "one_of": v.one_of("even", "random"),
    "sizes": v.list_of(v.size, 50),
    "timezone": v.timezone,
    "origin": v.origin,
    "landing": v.landing,
    "place": v.place,
    "moment": v.moment_text,
    "price": v.price,
}


def problems(form: Form) -> dict[str, str]:
    """Pointer to code of what `finish` raises."""
    with pytest.raises(Invalid) as raised:
        form.finish()
    return {one.pointer: one.code for one in raised.value.problems}


@pytest.mark.parametrize("value", ["10", "1", True, False, 1.0, 0.1, -1, 1e308, float("nan"), 2**63, 1_000_001, [], {}])
def test_a_weight_is_a_whole_number_in_its_range(value: Any) -> None:
    """Text, truth values, fractions and what is out of range are refused, at `/weight`."""
    form = Form({"weight": value})
    assert form.take("weight", 1, v.whole(0, MAX_WEIGHT)) == 1
    assert problems(form) == {"/weight": "invalid"}


@pytest.mark.parametrize("value", [0, 1, 1_000_000])
def test_the_ends_of_the_range_are_weights(value: int) -> None:
    """Zero never serves, and is a weight."""
    assert v.whole(0, MAX_WEIGHT)(value) == value


def test_all_problems_come_at_once() -> None:
    """Missing, wrong, unknown: one answer. Pointers are escaped, unreadable names are not echoed."""
    form = Form({"tier": "gold", "weight": -1, "colour": "red", "a/b~c": 1, "x\x00": 1})
    form.take("name", "", v.text(200), required=True)
    form.take("tier", "standard", v.one_of("standard", "house"))
    form.take("weight", 1, v.whole(0, 10))
    assert problems(form) == {
        "/name": "required",
        "/tier": "invalid",
        "/weight": "invalid",
        "/colour": "unknown_field",
        "/a~1b~0c": "unknown_field",
        "/(unprintable)": "unknown_field",
    }


@pytest.mark.parametrize("body", [[], "text", 1, None, True])
def test_a_body_is_an_object(body: Any) -> None:
    """Anything else is one problem at the root, and no field of it is looked for."""
    with pytest.raises(Invalid, match=r"^the body must be a JSON object$") as raised:
        Form(body)
    assert [one.pointer for one in raised.value.problems] == [""]


@pytest.mark.parametrize("good", ["a", "-", "news-2", "0", "x" * 64])
def test_ids_are_plain(good: str) -> None:
    """1 to 64 of a-z, 0-9 and -."""
    assert v.check_id(good) == good


@pytest.mark.parametrize("bad", ["", "A", "x" * 65, "a_b", "a/b", "ä", "a\n", " a", "a{x}", "..", 7, None])
def test_other_ids_are_refused(bad: Any) -> None:
    """Nothing that could reach a key, a path or a header."""
    with pytest.raises(ValueError, match="1 to 64"):
        v.check_id(bad)


@pytest.mark.parametrize(
    ("given_text", "kept"),
    [
        ("  Café ", "Café"),
        ("Cafe\u0301", "Café"),
        ("नमस्ते", "नमस्ते"),
        ("क्\u200dष", "क्\u200dष"),
        ("{{7*7}} <b>", "{{7*7}} <b>"),
    ],
)
def test_names_are_kept_in_nfc_without_blanks_around(given_text: str, kept: str) -> None:
    """Any script; markup is plain text."""
    assert v.text(200)(given_text) == kept


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "   ",
        "\u200d",
        "a\x00b",
        "a\nb",
        "a\u202eb",
        "a\u200bb",
        "a\u200fb",
        "a\ufeffb",
        "\ud800",
        "\ue000",
        "a" + "\u0301" * 400,
        "x" * 201,
        "a\u2028b",
        "a\U000e0041b",
        5,
        ["a"],
    ],
)
def test_names_that_lie_are_refused(bad: Any) -> None:
    """Control, direction, invisible and private characters, half characters, heaps of marks."""
    with pytest.raises(ValueError, match=r"takes|holds|empty"):
        v.text(200)(bad)


def test_prices_are_exact() -> None:
    """Micro-units, no floats."""
    assert v.price({"model": "cpm", "amount": "2.50", "currency": "INR"}) == Price("cpm", 2_500_000, "INR")
    assert v.price({"model": "cpc", "amount": "0.001", "currency": "EUR"}) == Price("cpc", 1_000, "EUR")


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 2.5},
        {"amount": "-1"},
        {"amount": "1e3"},
        {"amount": "1,5"},
        {"amount": ".5"},
        {"amount": "\u0662"},
        {"amount": "0.0001"},
        {"amount": "9" * 10},
        {"currency": "inr"},
        {"currency": "₹"},
        {"model": "cpa"},
        {"extra": 1},
        {"model": ["cpm"]},
    ],
)
def test_other_prices_are_refused(change: dict[str, Any]) -> None:
    """Numbers that are no decimal text, other models, other currencies."""
    with pytest.raises(ValueError, match="takes"):
        v.price({"model": "cpm", "amount": "2.50", "currency": "INR", **change})


def test_a_window_is_half_open_and_local() -> None:
    """A local date begins in the campaign's zone; an RFC 3339 time is what it says."""
    form = Form({"name": "one", "starts": "2026-11-24", "ends": "2026-11-25T00:00:00Z"})
    said = form.read(FREE)
    starts_at, ends_at = form.window(said["starts"], said["ends"], ZoneInfo("Asia/Kolkata"))
    form.finish()
    assert (said["starts"], said["ends"]) == ("2026-11-24", "2026-11-25T00:00:00Z")
    assert starts_at is not None
    assert ends_at is not None
    assert ends_at - starts_at == 86_400 + 5 * 3600 + 1800


@pytest.mark.parametrize(
    ("starts", "ends", "where"),
    [
        ("2026-11-24", "2026-11-24", "/ends"),
        ("2026-11-25", "2026-11-24", "/ends"),
        ("2026-02-30", None, "/starts"),
        ("\u0662026-11-24", None, "/starts"),
        ("2026-11-24T10:00:00", None, "/starts"),
        (1, None, "/starts"),
    ],
)
def test_windows_that_cannot_be_are_refused(starts: Any, ends: Any, where: str) -> None:
    """Empty, backwards, or of no calendar."""
    form = Form({"name": "one", "starts": starts, "ends": ends})
    said = form.read(FREE)
    form.window(said["starts"], said["ends"], ZoneInfo("UTC"))
    assert problems(form) == {where: "invalid"}


@given(JSON, st.sampled_from(sorted(CHECKS)))
def test_a_check_answers_or_says_what_is_wrong(value: Any, name: str) -> None:
    """Any JSON value: a value that can be stored, or a problem that can be shown. Nothing else is raised."""
    form = Form({"field": value})
    form.take("field", None, CHECKS[name])
    try:
        form.finish()
    except Invalid as failure:
        for one in failure.problems:
            assert (one.pointer + one.detail).encode()


@given(JSON)
def test_any_body_is_answered(body: Any) -> None:
    """Also with members nobody knows."""

    def read() -> None:
        form = Form(body)
        form.take("name", "", v.text(20), required=True)
        form.take("other", None, v.whole(1, 2))
        form.problem("x", "always")
        form.finish()

    with pytest.raises(Invalid) as raised:
        read()
    for one in raised.value.problems:
        assert (one.pointer + one.detail).encode()
