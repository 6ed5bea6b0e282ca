"""Moments, local days and their labels."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserve.core import schedule as s

ZONES = ["UTC", "Asia/Kolkata", "Asia/Kathmandu", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]
moments = st.integers(1_700_000_000, 2_200_000_000)


def test_a_bucket_is_the_quarter_hour_of_a_moment() -> None:
    assert [s.bucket_of(t) for t in (0, 899, 900, 1_800_000_001)] == [0, 0, 900, 1_800_000_000]


@pytest.mark.parametrize(
    ("day", "tz", "hours", "start"),
    [
        ("2026-03-29", "Europe/Berlin", 23, "2026-03-28T23:00:00Z"),
        ("2026-10-25", "Europe/Berlin", 25, "2026-10-24T22:00:00Z"),
        ("2026-11-24", "Asia/Kolkata", 24, "2026-11-23T18:30:00Z"),
        ("2026-11-24", "Asia/Kathmandu", 24, "2026-11-23T18:15:00Z"),
        ("2028-02-29", "UTC", 24, "2028-02-29T00:00:00Z"),
        ("2200-12-31", "UTC", 24, "2200-12-31T00:00:00Z"),
    ],
)
def test_a_local_day_has_its_true_length(day: str, tz: str, hours: int, start: str) -> None:
    """23 and 25 hours where clocks change, and offsets of a half and a quarter hour."""
    begin, end = s.day_bounds(date.fromisoformat(day), s.zone(tz))
    assert (end - begin, begin) == (hours * 3600, s.parse_moment(start, s.zone("UTC")))


@given(moments)
def test_a_stored_moment_is_shown_in_utc_and_read_back(moment: int) -> None:
    """`2026-11-24T09:00:00Z`, to the second."""
    assert s.parse_moment(s.utc_label(moment), s.zone("Asia/Kolkata")) == moment
    assert s.utc_label(1_800_000_001) == "2027-01-15T08:00:01Z"


@given(moments, st.sampled_from(ZONES))
def test_every_moment_lies_in_its_own_day_and_hour(moment: int, name: str) -> None:
    tz = s.zone(name)
    start, end = s.day_bounds(s.local_day(moment, tz), tz)
    assert start <= moment < end
    assert start % s.BUCKET_S == end % s.BUCKET_S == 0
    assert s.hour_start(moment, tz) <= moment
    assert s.parse_moment(s.hour_label(moment, tz), tz) == s.hour_start(moment, tz)
    assert s.parse_moment(s.moment_label(moment, tz), s.zone("UTC")) == moment


def test_the_repeated_hour_stays_two() -> None:
    """2 o'clock comes twice in Berlin on 25 October 2026."""
    tz = s.zone("Europe/Berlin")
    first = s.parse_moment("2026-10-25T00:30:00Z", tz)
    assert [s.hour_label(first + n * 3600, tz) for n in range(3)] == [
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:00:00+01:00",
        "2026-10-25T03:00:00+01:00",
    ]


def test_hours_of_kathmandu_begin_at_a_quarter() -> None:
    assert s.hour_label(s.parse_moment("2026-11-24T00:10:00Z", s.zone("UTC")), s.zone("Asia/Kathmandu")) == (
        "2026-11-24T05:00:00+05:45"
    )


def test_weeks_begin_on_monday_and_months_on_their_first() -> None:
    assert s.week_start(date(2027, 1, 3)) == date(2026, 12, 28)
    assert s.month_label(date(2027, 1, 3)) == "2027-01"
    assert [s.next_month(date(2026, 12, 31)), s.next_month(date(2028, 1, 31))] == [date(2027, 1, 1), date(2028, 2, 1)]


@pytest.mark.parametrize(
    ("text", "epoch"),
    [
        ("2026-11-24", 1795458600),
        ("2026-11-24T00:00:00Z", 1795478400),
        ("2026-11-24T05:30:00+05:30", 1795478400),
        ("2026-11-24t00:00:00.999z", 1795478400),
        ("1970-01-02", 66600),
    ],
)
def test_dates_are_local_and_times_carry_their_offset(text: str, epoch: int) -> None:
    assert s.parse_moment(text, s.zone("Asia/Kolkata")) == epoch


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-02-30",
        "2027-02-29",
        "9999-12-31",
        "0000-00-00",
        "1969-12-31",
        "2201-01-01",
        "\uff12\uff10\uff12\uff16-11-24",
        "٢٠٢٦-11-24",
        "2026-11-24\n",
        " 2026-11-24",
        "2026-1-2",
        "20261124",
        "2026-W48-2",
        "2026-11-24T25:00:00Z",
        "2026-11-24T24:00:00Z",
        "2026-11-24T10:60:00Z",
        "2026-11-24T10:00:60Z",
        "2026-11-24T10:00:00",
        "2026-11-24T10:00:00+99:00",
        "2026-11-24T10:00:00 05:30",
        "9999-12-31T23:59:59-12:00",
        "1795458600",
        "nan",
    ],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"takes|calendar"):
        s.parse_moment(text, s.zone("UTC"))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Mars/Base",
        "+99:00",
        "+05:30",
        "/etc/passwd",
        "../UTC",
        "Asia/../UTC",
        "Asia",
        "localtime",
        "right/UTC",
        "posix/Asia/Kolkata",
        "posixrules",
        "Asia/Kolkat\u0430",
        "UTC\n",
        "UTC\0",
        "zone.tab",
        "A" * 300,
        "Asia/Kolkata/",
        "leapseconds",
    ],
)
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="IANA"):
        s.zone(name)
