"""Counters to reports: sums agree however they are split, and nothing is said that is not known."""

from __future__ import annotations

from datetime import date
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adserve.core.report_cells import Batch, decode_cell, decode_count
from adserve.core.report_query import DIMENSIONS
from adserve.core.schedule import BUCKET_S, day_bounds, zone
from adserve.errors import Invalid
from tests.core.report_world import (
    CLICK_S,
    DAY_S,
    TODAY,
    check_sums,
    make,
    revenue,
    rows,
)

METRICS = ["s", "i", "v", "c", "u", "d", "p", "li", "lv", "lc", "fi.bot", "fv.prefetch", "fc.rate", "m.INR", "m.USD"]
prefixes = st.builds(
    "{}.{}.{}.{}".format,
    st.integers(1, 4),
    st.sampled_from([11, 12, 21, 31, 99]),
    st.integers(0, 3),
    st.integers(0, 3),
)
ad_cells = st.builds("{}.{}".format, prefixes, st.sampled_from(METRICS))
empties = st.builds(
    "{}.0.0.{}.e.{}".format, st.integers(1, 4), st.integers(0, 3), st.sampled_from(["no_candidates", "paused"])
)
buckets = st.integers(0, 3 * 96).map(lambda n: TODAY - 2 * DAY_S + n * BUCKET_S)
hashes = st.builds(
    lambda when, *cells: Batch(when, {field: str(n) for some in cells for field, n in some.items()}),
    buckets,
    st.dictionaries(ad_cells, st.integers(0, 50), max_size=8),
    st.dictionaries(empties, st.integers(0, 50), max_size=4),
)
splits = st.lists(st.sampled_from(DIMENSIONS), max_size=3, unique=True).map(",".join)


@given(st.lists(hashes, max_size=8), splits)
@settings(deadline=None)
def test_sums_agree_however_a_report_is_split(batches: list[Batch], by: str) -> None:
    """Rows add up to the totals, and the totals do not depend on the split."""
    whole, report = make(batches), make(batches, by)
    check_sums(report)
    assert report["totals"] == whole["totals"]
    assert revenue(report) == revenue(whole)
    assert report["unreadable"] == 0


def test_sums_agree_for_every_pair_of_splits() -> None:
    cells = {"1.11.1.1.s": "9", "1.11.1.1.i": "7", "3.31.3.2.c": "2", "1.11.1.1.fi.bot": "4", "2.99.0.0.p": "3"}
    slots = {"1.0.0.1.e.paused": "3", "2.0.0.0.p": "1"}
    batches = [Batch(TODAY, cells | slots), Batch(TODAY - DAY_S, cells)]
    for by in (*DIMENSIONS, *map(",".join, combinations(DIMENSIONS, 2))):
        check_sums(make(batches, by))


@pytest.mark.parametrize("tz", ["Asia/Kolkata", "Asia/Kathmandu", "Europe/Berlin"])
@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-24", 24)])
def test_the_hours_of_a_local_day_add_up_to_it(day: str, hours: int, tz: str) -> None:
    """Also the days of 23 and 25 hours in Berlin, and hours that begin at :15 and :30 UTC."""
    start, end = day_bounds(date.fromisoformat(day), zone(tz))
    batches = [Batch(when, {"1.11.1.1.i": "1"}) for when in range(start - DAY_S, end + DAY_S, BUCKET_S)]
    asked = {"from": day, "to": str(date.fromordinal(date.fromisoformat(day).toordinal() + 1)), "tz": tz}
    by_day, by_hour = make(batches, "day", asked), make(batches, "hour", asked)
    assert rows(by_day, "day", "impressions") == [(day, (end - start) // BUCKET_S)]
    assert by_day["totals"] == by_hour["totals"]
    if tz == "Europe/Berlin":
        assert len(by_hour["rows"]) == len({row["hour"] for row in by_hour["rows"]}) == hours
    assert by_hour["rows"][0]["hour"] == by_hour["from"]
    check_sums(by_hour)


def test_a_quarter_hour_counts_for_the_local_day_of_its_start() -> None:
    """23:45 and 0:00 in Kathmandu are two days; weeks and months follow the same clock."""
    midnight = day_bounds(date(2026, 11, 1), zone("Asia/Kathmandu"))[0]
    batches = [Batch(midnight - BUCKET_S, {"1.11.1.1.i": "1"}), Batch(midnight, {"1.11.1.1.i": "2"})]
    asked = {"tz": "Asia/Kathmandu", "from": "2026-10-01", "to": "2026-12-01"}
    assert rows(make(batches, "day", asked), "day", "impressions") == [("2026-10-31", 1), ("2026-11-01", 2)]
    assert rows(make(batches, "month", asked), "month", "impressions") == [("2026-10", 1), ("2026-11", 2)]
    assert rows(make(batches, "week", asked), "week", "impressions") == [("2026-10-26", 3)]


def test_a_rolled_up_day_counts_like_its_quarter_hours() -> None:
    day = Batch(date(2026, 11, 22), {"1.11.1.1.i": "5"})
    assert rows(make([day], "day,week,month"), "day", "week", "month", "impressions") == [
        ("2026-11-22", "2026-11-16", "2026-11", 5)
    ]


CELLS = {
    "1.11.1.1.s": "10",
    "1.11.1.1.i": "8",
    "1.11.1.1.v": "4",
    "1.11.1.1.c": "2",
    "1.11.1.1.u": "1",
    "1.11.1.1.d": "3",
    "1.11.1.1.li": "1",
    "1.11.1.1.lc": "1",
    "1.11.1.1.fi.bot": "5",
    "1.11.1.1.fc.rate": "1",
    "1.11.1.1.m.INR": "20000",
    "1.0.0.1.e.no_candidates": "9",
    "1.0.0.1.p": "1",
}


def test_a_report_says_every_figure_under_its_name() -> None:
    """The answer as a whole, for one quarter-hour of one slot."""
    report = make([Batch(TODAY, CELLS)], "slot", {"from": "2026-11-24", "to": "2026-11-25"})
    figures = {
        "requests": 20, "empty": 9, "serves": 10, "impressions": 8, "views": 4, "measurable": 8, "clicks": 2,
        "clicks_unseen": 1, "filtered": 6, "late": 2, "duplicates": 3, "passbacks": 1, "fill_rate": 0.5, "ctr": 0.25,
        "viewability": 0.5, "ecpm": "2.50", "revenue": "0.02", "currency": "INR",
    }  # fmt: skip
    assert report == {
        "from": "2026-11-24T00:00:00+00:00",
        "to": "2026-11-25T00:00:00+00:00",
        "tz": "UTC",
        "by": ["slot"],
        "generated_at": "2026-11-24T06:00:00+00:00",
        "final_at": "2026-11-28T00:00:00+00:00",
        "unreadable": 0,
        "notes": [],
        "rows": [{"slot": "news/top", "slot_name": "Top Post Ad", **figures, "final": False}],
        "totals": figures,
    }


def test_rows_carry_the_names_of_their_things() -> None:
    report = make([Batch(TODAY, {"3.12.2.1.i": "1"})], "site,advertiser,campaign,creative,revision,tier,device")
    shown = {name: value for name, value in report["rows"][0].items() if name not in report["totals"]}
    assert shown == {
        "site": "blog", "site_name": "Blog", "advertiser": "acme", "advertiser_name": "Acme", "campaign": "c1",
        "campaign_name": "C1", "creative": "k1", "creative_name": "K1", "revision": 2, "tier": "remnant",
        "device": "desktop", "final": False,
    }  # fmt: skip


@pytest.mark.parametrize("by", ["advertiser", "campaign", "creative", "revision", "tier", "slot,campaign"])
def test_requests_are_null_in_rows_below_the_slot(by: str) -> None:
    """The totals still know them; no row stands for requests alone."""
    report = make([Batch(TODAY, CELLS), Batch(TODAY, {"2.0.0.0.e.paused": "4"})], by)
    assert {(row["requests"], row["empty"], row["fill_rate"]) for row in report["rows"]} == {(None, None, None)}
    assert (report["totals"]["requests"], report["totals"]["fill_rate"]) == (24, round(10 / 24, 6))
    assert len(report["rows"]) == 2, "the campaign, and the passback that has none"


BELOW = {"advertiser": "acme", "campaign": "c1", "creative": "k1"}


@pytest.mark.parametrize("name", BELOW)
def test_requests_are_null_when_a_filter_names_something_below_the_slot(name: str) -> None:
    report = make([Batch(TODAY, CELLS)], "slot", {name: BELOW[name]})
    for figures in (*report["rows"], report["totals"]):
        assert (figures["requests"], figures["empty"], figures["fill_rate"]) == (None, None, None)
        assert (figures["serves"], figures["passbacks"]) == (10, 0)


def test_filters_leave_what_they_name() -> None:
    batches = [Batch(TODAY, {f"{slot}.{revision}.1.1.i": "1" for slot in (1, 2, 3) for revision in (11, 12, 21, 31)})]
    cases = [({}, 12), ({"site": "news"}, 8), ({"slot": "news/top"}, 4), ({"slot": "top"}, 8), ({"campaign": "c1"}, 9),
             ({"advertiser": "zeta"}, 3), ({"creative": "k1"}, 6), ({"site": "blog", "creative": "k3"}, 1),
             ({"advertiser": "zeta", "campaign": "c1"}, 0)]  # fmt: skip
    for filters, impressions in cases:
        assert make(batches, "slot", filters)["totals"]["impressions"] == impressions, filters


def test_nothing_divides_by_zero() -> None:
    for report in (make([]), make([Batch(TODAY, {"1.11.1.1.c": "1"})])):
        totals = report["totals"]
        assert (totals["fill_rate"], totals["ctr"], totals["viewability"], totals["ecpm"]) == (None,) * 4
        assert (totals["revenue"], totals["currency"]) == ("0.00", None)
    assert make([])["rows"] == []


def test_reasons_split_what_was_set_aside_and_what_stayed_empty() -> None:
    by_filter = make([Batch(TODAY, CELLS)], "filter_reason")
    assert rows(by_filter, "filter_reason", "filtered", "impressions") == [("bot", 5, 0), ("rate", 1, 0), (None, 0, 8)]
    by_empty = make([Batch(TODAY, CELLS)], "empty_reason")
    assert rows(by_empty, "empty_reason", "requests", "empty", "fill_rate") == [
        ("no_candidates", 9, 9, 0.0),
        (None, 11, 0, 0.909091),
    ]


def test_rows_by_time_say_when_they_are_final() -> None:
    """A click may come for a day, and is counted as late for two more."""
    batches = [Batch(TODAY + n * DAY_S, {"1.11.1.1.i": "1"}) for n in (-4, -3, 0)]
    assert rows(make(batches, "day"), "day", "final") == [
        ("2026-11-20", True),
        ("2026-11-21", False),
        ("2026-11-24", False),
    ]
    later = TODAY - 2 * DAY_S + CLICK_S + 48 * 3600
    assert rows(make(batches, "day", now=later - 1), "final") == [(True,), (False,), (False,)]
    assert rows(make(batches, "day", now=later), "final") == [(True,), (True,), (False,)]


def test_what_the_catalog_does_not_know_is_a_row_of_its_own() -> None:
    report = make([Batch(TODAY, {"99.98.1.1.i": "3", "1.11.1.1.i": "1"})], "slot,creative")
    assert rows(report, "slot", "slot_name", "creative", "impressions") == [
        ("news/top", "Top Post Ad", "k1", 1),
        (None, None, None, 3),
    ]


def test_too_many_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adserve.core.report.MAX_ROWS", 2)
    with pytest.raises(Invalid, match="more than 2 rows"):
        make([Batch(TODAY, {f"1.{one}.1.1.i": "1" for one in (11, 12, 21)})], "revision")


BAD_FIELDS = ["", "x", "1.2.3", "1.11.1.1.", "1.11.1.1.zz", "1.11.9.1.i", "1.11.1.9.i", "-1.11.1.1.i", "1.11.1.1.i.x",
              "01.11.1.1.i", "1.11.1.1.m.inr", "1.0.0.1.q", "1.11.1.1.e.paused",
              "\uff11.11.1.1.i", "1.11.1.1.i\n"]  # fmt: skip
BAD_COUNTS = ["", "abc", "-1", "1.5", "1e3", "007", " 1", "1 ", "+1", "\uff19", "9" * 19, "nan"]


def test_unreadable_counters_are_left_out_and_reported() -> None:
    cells = dict.fromkeys(BAD_FIELDS, "1") | {f"1.11.1.1.f{k}.r": n for k, n in zip("ivc", BAD_COUNTS, strict=False)}
    report = make([Batch(TODAY, cells | {"1.11.1.1.i": "4"}), Batch(TODAY, {}, 2)], "slot")
    assert report["unreadable"] == len(BAD_FIELDS) + 3 + 2
    assert report["totals"]["impressions"] == 4
    assert report["totals"]["filtered"] == 0
    assert "could not be read" in report["notes"][0]
    assert [decode_count(text) for text in BAD_COUNTS] == [None] * len(BAD_COUNTS)


@given(st.text(max_size=30))
def test_no_field_breaks_the_decoder(field: str) -> None:
    cell = decode_cell(field)
    assert cell is None or field.startswith(f"{cell.where.slot}.{cell.where.revision}.")
