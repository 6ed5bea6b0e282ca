"""Money in reports, and reports as CSV."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserve.core.model import Creative, Price
from adserve.core.report_cells import Batch
from adserve.core.report_csv import to_csv
from adserve.core.report_money import flat_share, money_text
from adserve.core.schedule import BUCKET_S
from tests.core.report_world import (
    DAY_S,
    NOW,
    TODAY,
    check_sums,
    creative,
    make,
    revenue,
    rows,
    things,
)

CPC = Price("cpc", 5_000_000, "USD")
FLAT = Price("flat", 10_000_001, "INR")
WEEK = {"starts_at": TODAY - 4 * DAY_S, "ends_at": TODAY + 3 * DAY_S}
FLIGHT = things(first=FLAT, flight=WEEK)


def test_money_is_decimal_text() -> None:
    told = [money_text(n) for n in (0, 1, 2_500_000, 10, 1_234_567_890_123_456)]
    assert told == ["0.00", "0.000001", "2.50", "0.00001", "1234567890.123456"]


def test_rows_never_mix_currencies() -> None:
    """A row with two becomes two, each with the requests of its serves; what belongs to none (and what
    stayed empty) joins the first, and sums still agree."""
    cells = {"1.11.1.1.i": "8", "1.11.1.1.m.INR": "16000", "1.31.1.1.i": "5", "1.31.1.1.c": "1",
             "1.31.1.1.m.USD": "5000000", "1.99.1.1.i": "3",
             "1.11.1.1.s": "8", "1.31.1.1.s": "5", "1.99.1.1.s": "3", "1.0.0.1.e.paused": "4"}  # fmt: skip
    report = make([Batch(TODAY, cells)], "slot", catalog=things(second=CPC))
    assert rows(report, "slot", "currency", "impressions", "requests", "fill_rate", "revenue", "ecpm") == [
        ("news/top", "INR", 11, 15, None, "0.016", "1.454545"),
        ("news/top", "USD", 5, 5, None, "5.00", "1000.00"),
    ]
    totals = report["totals"]
    assert (totals["revenue"], totals["currency"], totals["ecpm"], totals["fill_rate"]) == (None, None, None, 0.8)
    assert totals["revenue_by_currency"] == {"INR": "0.016", "USD": "5.00"}
    check_sums(report)


def test_a_price_gives_its_currency_before_anything_was_earned() -> None:
    report = make([Batch(TODAY, {"1.31.1.1.i": "5"})], "campaign", catalog=things(second=CPC))
    assert rows(report, "currency", "revenue", "ecpm") == [("USD", "0.00", "0.00")]


@pytest.mark.parametrize("by", ["", "day", "hour", "week", "month", "campaign", "advertiser,day", "day,filter_reason"])
def test_a_flat_price_is_spread_over_its_flight(by: str) -> None:
    """Shares add up exactly, reach to the present quarter-hour, and need no serves."""
    seen = make([Batch(TODAY, {"1.11.1.1.i": "5"})], by, catalog=FLIGHT, now=TODAY + 9 * DAY_S)
    assert seen["totals"]["revenue"] == "10.000001"
    assert revenue(seen) == {"INR": 10_000_001}
    check_sums(seen)
    half = make([], by, catalog=FLIGHT, now=WEEK["starts_at"] + (7 * DAY_S) // 2 - 1)
    assert half["totals"]["revenue"] == money_text(sum(revenue(half).values())) == "5.00"


def test_days_before_and_after_a_flight_earn_nothing() -> None:
    report = make([], "day", {"from": "2026-11-01", "to": "2026-12-24"}, catalog=FLIGHT, now=NOW + 30 * DAY_S)
    assert [row["day"] for row in report["rows"]] == [f"2026-11-{day}" for day in range(20, 27)]


@pytest.mark.parametrize("by", ["creative", "revision", "slot", "tier", "device", "campaign,creative", "site"])
def test_a_flat_price_is_null_below_its_campaign_and_by_place(by: str) -> None:
    """Rows of other campaigns keep their money; the totals know the whole."""
    cells = {"1.11.1.1.i": "5", "3.31.2.2.i": "5", "3.31.2.2.m.INR": "7000000"}
    report = make([Batch(TODAY, cells)], by, catalog=FLIGHT)
    assert [row["revenue"] for row in report["rows"]].count(None) == 1
    assert [row["revenue"] for row in report["rows"]].count("7.00") == 1
    assert all(row["ecpm"] is None for row in report["rows"] if row["revenue"] is None)
    share = flat_share(10_000_001, (WEEK["starts_at"], WEEK["ends_at"]), 0, NOW + BUCKET_S)
    assert report["totals"]["revenue"] == money_text(7_000_000 + share)


def test_a_flat_price_of_one_site_is_told_by_site() -> None:
    one_site = things(first=FLAT, slots=("news/top", "news/foot"), flight=WEEK)
    report = make([Batch(TODAY, {"1.11.1.1.i": "5"})], "site", {"site": "news"}, catalog=one_site, now=NOW + 9 * DAY_S)
    assert rows(report, "site", "revenue") == [("news", "10.000001")]
    both = make([Batch(TODAY, {"1.11.1.1.i": "5"})], "site", {"site": "news"}, catalog=FLIGHT)
    assert (rows(both, "site", "revenue"), both["totals"]["revenue"]) == ([("news", None)], None)


def test_a_flat_price_of_two_sites_hides_only_its_own_campaign() -> None:
    """The site's row cannot say its money; by campaign the others do."""
    batches = [Batch(TODAY, {"1.11.1.1.i": "5", "1.31.1.1.i": "5", "1.31.1.1.m.INR": "7000000"})]
    by_site = make(batches, "site", {"site": "news"}, catalog=FLIGHT)
    assert (rows(by_site, "site", "revenue"), by_site["totals"]["revenue"]) == ([("news", None)], None)
    by_campaign = make(batches, "campaign", {"site": "news"}, catalog=FLIGHT)
    assert rows(by_campaign, "campaign", "revenue") == [("c1", None), ("c2", "7.00")]


@pytest.mark.parametrize("name", ["creative", "slot"])
def test_a_filter_below_a_flat_price_leaves_its_money_unknown(name: str) -> None:
    value = {"creative": "k1", "slot": "news/top"}[name]
    report = make([Batch(TODAY, {"1.11.1.1.i": "5"})], "day", {name: value}, catalog=FLIGHT)
    assert (rows(report, "revenue"), report["totals"]["revenue"]) == ([(None,)], None)


def test_a_flat_price_without_an_end_cannot_be_spread() -> None:
    report = make(
        [Batch(TODAY, {"1.11.1.1.i": "5"})], "campaign", catalog=things(first=FLAT, flight={"starts_at": TODAY})
    )
    assert (rows(report, "revenue"), report["totals"]["revenue"]) == ([(None,)], None)


@given(st.lists(st.text(min_size=1, max_size=12), min_size=3, max_size=3))
def test_csv_reads_back_as_it_was_said(names: list[str]) -> None:
    """Quoting survives any name; what a spreadsheet would run begins with an apostrophe."""
    names = [name.replace("\0", "") or "x" for name in names]
    ads = [creative(n, "c1", 10 * n + 1, name=name) for n, name in enumerate(names, 1)]
    catalog = [one for one in things() if not isinstance(one, Creative)] + list(ads)
    report = make([Batch(TODAY, {f"1.{10 * n + 1}.1.1.i": str(n) for n in (1, 2, 3)})], "creative", catalog=catalog)
    text = to_csv(report)
    read = list(csv.DictReader(io.StringIO(text, newline="")))
    assert text.endswith("\r\n")
    for row, said in zip(read, report["rows"], strict=True):
        name = said["creative_name"]
        assert row["creative_name"] == (f"'{name}" if name[0] in "=+-@\t\r\n" else name)
        assert (int(row["impressions"]), row["requests"], row["final"]) == (said["impressions"], "", "false")
        assert list(row) == [*said]


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1", "@SUM", "\t=1", "\r=1", "\n=1", '="a""b"'])
def test_csv_disarms_formulas(name: str) -> None:
    """Only what begins so: a sign within a name stays as it is."""
    ads = [creative(1, "c1", 11, name=name), creative(2, "c1", 21, name=f"x{name}")]
    catalog = [*(one for one in things() if not isinstance(one, Creative)), *ads]
    text = to_csv(make([Batch(TODAY, {"1.11.1.1.i": "1", "1.21.1.1.i": "1"})], "creative", catalog=catalog))
    read = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["creative_name"] for row in read] == [f"'{name}", f"x{name}"]


def test_csv_has_a_header_without_rows_too() -> None:
    assert to_csv(make([], "day,slot")).count("\r\n") == 1
    assert to_csv(make([], "day,slot")).startswith("day,slot,slot_name,requests,")
