"""What a campaign's price was: no edit changes what was earned before it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from adserve.core.model import Campaign, Price
from adserve.core.pricing import MAX_PRICES, price_at, remember
from adserve.core.report_cells import Batch
from adserve.core.schedule import BUCKET_S
from adserve.errors import Conflict
from tests.core.report_world import DAY_S, NOW, TODAY, campaign, check_sums, make, revenue, rows, things

FLAT = Price("flat", 7_000_000, "INR")
WEEK: dict[str, Any] = {"starts_at": TODAY - 4 * DAY_S, "ends_at": TODAY + 3 * DAY_S}
CELLS = {"1.11.1.1.s": "9", "1.11.1.1.i": "7", "1.11.1.1.m.INR": "3", "3.12.1.1.s": "4", "2.31.1.1.i": "2"}
BATCHES = [Batch(when, CELLS) for when in range(TODAY - 4 * DAY_S, TODAY + 4 * DAY_S, 6 * 3600)]


def edit(before: Campaign, now: int, **fields: Any) -> Campaign:
    made = replace(before, **fields)
    return replace(made, priced=remember(before, made, now))


def world(one: Campaign) -> list[Any]:
    return [one if isinstance(thing, Campaign) and thing.id == one.id else thing for thing in things()]


prices = st.none() | st.builds(
    Price, st.sampled_from(["cpm", "flat"]), st.integers(0, 10**9), st.sampled_from(["INR", "USD"])
)
moments = st.none() | st.integers(TODAY - 6 * DAY_S, TODAY + 6 * DAY_S)
places = st.sampled_from([("news/top",), ("blog/*",), ("news/*", "blog/top")])
edits = st.lists(
    st.tuples(
        st.integers(0, 2 * DAY_S),
        st.fixed_dictionaries(
            {}, optional={"price": prices, "starts_at": moments, "ends_at": moments, "slots": places}
        ),
    ),
    max_size=6,
)
splits = st.sampled_from(["", "day", "hour", "day,site", "day,slot", "campaign", "day,campaign", "site", "creative"])


@given(prices, moments, moments, places, edits, splits)
def test_no_edit_changes_a_past_day(
    price: Price | None, starts: int | None, ends: int | None, slots: tuple[str, ...], changes: list[Any], by: str
) -> None:
    """Whatever was said of the days before an edit is said after it, in every split."""
    one = campaign(1, price=price, starts_at=starts, ends_at=ends, slots=slots)
    now = TODAY - 4 * DAY_S
    for gap, fields in changes:
        now += gap
        edited = edit(one, now, **fields)
        if now - now % DAY_S > TODAY - 4 * DAY_S:
            asked = {"from": "2026-11-20", "to": f"2026-11-{20 + (now - TODAY + 4 * DAY_S) // DAY_S}"}
            before, after = (
                make(BATCHES, by, asked, catalog=world(each), now=NOW + 9 * DAY_S) for each in (one, edited)
            )
            assert after == before
            check_sums(after)
        one = edited


def test_a_flat_price_is_earned_for_the_time_it_was_in_force() -> None:
    """Each price runs over its own flight; the days before a change keep theirs, and null stops it."""
    one = campaign(1, price=FLAT, slots=("news/*",), **WEEK)
    dearer = edit(one, TODAY - 2 * DAY_S, price=Price("flat", 70_000_000, "INR"))
    longer = edit(dearer, TODAY - DAY_S, ends_at=WEEK["ends_at"] + 3 * DAY_S)
    ended = edit(longer, TODAY, price=None)
    report = make([], "day", catalog=world(ended), now=NOW + 9 * DAY_S)
    assert rows(report, "day", "revenue") == [
        ("2026-11-20", "1.00"),
        ("2026-11-21", "1.00"),
        ("2026-11-22", "10.00"),
        ("2026-11-23", "7.00"),
    ]
    assert report["totals"]["revenue"] == "19.00"


def test_a_campaign_that_becomes_flat_does_not_earn_twice() -> None:
    """What `cpm` earned stays, and the flat price begins with the change."""
    batches = [Batch(TODAY + n * DAY_S, {"1.11.1.1.i": "1", "1.11.1.1.m.INR": "5000000"}) for n in (-4, -3)]
    cpm = campaign(1, price=Price("cpm", 5_000_000_000, "INR"), slots=("news/*",), **WEEK)
    flat = edit(cpm, TODAY - DAY_S, price=FLAT)
    report = make(batches, "day", catalog=world(flat), now=TODAY + BUCKET_S - 1)
    assert rows(report, "day", "revenue") == [
        ("2026-11-20", "5.00"), ("2026-11-21", "5.00"), ("2026-11-23", "1.00"), ("2026-11-24", "0.010416"),
    ]  # fmt: skip
    assert revenue(report) == {"INR": 11_010_416}


def test_a_new_currency_leaves_earlier_figures_where_they_were() -> None:
    cells = {"1.11.1.1.s": "4"}
    one = campaign(1, price=Price("cpc", 1_000_000, "INR"))
    other = edit(one, TODAY, price=Price("cpc", 1_000_000, "USD"))
    report = make([Batch(TODAY - DAY_S, cells), Batch(TODAY, cells)], "campaign", catalog=world(other))
    assert rows(report, "currency", "requests", "serves") == [("INR", None, 4), ("USD", None, 4)]
    assert [price_at(other, when) for when in (0, TODAY - 1, TODAY)] == [one.price, one.price, other.price]


def test_without_a_change_nothing_is_kept() -> None:
    """Objects of earlier versions have no history either: their price has stood since ever."""
    one = campaign(1, price=FLAT, **WEEK)
    assert remember(None, one, NOW) == ()
    assert edit(one, NOW, name="Other").priced == ()
    cpm = campaign(1, price=Price("cpm", 1, "INR"))
    assert edit(cpm, NOW, **WEEK).priced == ()


def test_a_history_is_short_where_nothing_was_in_force_between() -> None:
    """Two changes at once are one, one that is taken back at once is none, and a clock that was set back
    does not put a price before an earlier one."""
    one = campaign(1, price=FLAT, **WEEK)
    twice = edit(edit(one, NOW, price=None), NOW, price=Price("flat", 1, "INR"))
    assert [line.since for line in twice.priced] == [0, NOW]
    assert [line.price for line in edit(twice, NOW, price=FLAT).priced] == [FLAT]
    assert [line.since for line in edit(edit(one, NOW, price=None), NOW - DAY_S, price=FLAT).priced] == [0]


def test_a_full_history_refuses_the_next_price_and_nothing_else() -> None:
    one = campaign(1, price=FLAT, **WEEK)
    for n in range(1, MAX_PRICES):
        one = edit(one, NOW + n, price=Price("flat", n, "INR"))
    assert len(one.priced) == MAX_PRICES
    assert edit(one, NOW + DAY_S, name="Other").priced == one.priced
    with pytest.raises(Conflict, match="another campaign"):
        edit(one, NOW + DAY_S, price=None)
