"""Hours of the week in a zone."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adserve.core.hours import DAYS, Hours, OpenHours, hours_of, hours_text, parse_hours
from adserve.core.schedule import parse_moment

UTC = ZoneInfo("UTC")
ZONES = ["UTC", "Asia/Kolkata", "Asia/Kathmandu", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]


@pytest.mark.parametrize(
    ("text", "days", "start", "end", "stored"),
    [
        ("mon-fri 09:00-17:00", (0, 1, 2, 3, 4), 540, 1020, "mon-fri 09:00-17:00"),
        ("Sat,SUN 10:00-14:00", (5, 6), 600, 840, "sat-sun 10:00-14:00"),
        ("22:00-06:00", tuple(range(7)), 1320, 1800, "22:00-06:00"),
        ("sat-sun", (5, 6), 0, 1440, "sat-sun"),
        ("fri-mon 0:00-24:00", (0, 4, 5, 6), 0, 1440, "mon,fri-sun"),
        ("18:00 - 24:00", tuple(range(7)), 1080, 1440, "18:00-24:00"),
        (" mon, wed ,fri 9:05-09:06", (0, 2, 4), 545, 546, "mon,wed,fri 09:05-09:06"),
        ("mon-sun", tuple(range(7)), 0, 1440, "mon-sun"),
        ("fri 22:00-06:00", (4,), 1320, 1800, "fri 22:00-06:00"),
    ],
)
def test_hours_are_read(text: str, days: tuple[int, ...], start: int, end: int, stored: str) -> None:
    """And stored in one form, which says the same."""
    assert parse_hours(text) == (days, start, end)
    assert hours_text(text) == stored
    assert parse_hours(stored) == (days, start, end)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "takes hours like"),
        ("montag", "days are mon, tue"),
        ("mon-tue-wed", "days are mon"),
        ("mon 9-17", "takes hours like"),
        ("mon 09:00-25:00", "times are 00:00 to 24:00"),
        ("mon 09:60-10:00", "times are"),
        ("24:00-06:00", "as an end only"),
        ("09:00-09:00", "ends when it begins"),
        ("mon 09:00-17:00 x", "takes hours like"),
        ("09:00-17:00 mon", "takes hours like"),
        ("mon,,tue", "days are mon"),
        ("\u0661\u0662:00-13:00", "takes hours like"),
    ],
)
def test_what_is_no_hours_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_hours(text)


@pytest.mark.parametrize(
    ("text", "zone", "at", "expected"),
    [
        ("mon-fri 09:00-17:00", "Asia/Kathmandu", "2026-11-23T03:14:59Z", False),
        ("mon-fri 09:00-17:00", "Asia/Kathmandu", "2026-11-23T03:15:00Z", True),
        ("mon-fri 09:00-17:00", "Asia/Kathmandu", "2026-11-23T11:15:00Z", False),
        ("fri 22:00-06:00", "UTC", "2026-11-28T05:59:59Z", True),
        ("fri 22:00-06:00", "UTC", "2026-11-28T06:00:00Z", False),
        ("fri 22:00-06:00", "UTC", "2026-11-27T05:00:00Z", False),
        ("sun 22:00-06:00", "UTC", "2026-11-30T01:00:00Z", True),
        ("sat-sun", "Asia/Kolkata", "2026-11-27T18:30:00Z", True),
        ("sat-sun", "Asia/Kolkata", "2026-11-27T18:29:59Z", False),
        ("18:00-24:00", "UTC", "2026-11-27T23:59:59Z", True),
        ("18:00-24:00", "UTC", "2026-11-28T00:00:00Z", False),
        ("02:00-03:00", "Europe/Berlin", "2026-10-25T00:30:00Z", True),
        ("02:00-03:00", "Europe/Berlin", "2026-10-25T01:30:00Z", True),
        ("09:00-10:00", "Europe/Berlin", "2026-07-01T07:30:00Z", True),
        ("09:00-10:00", "Europe/Berlin", "2026-12-01T07:30:00Z", False),
    ],
)
def test_hours_are_those_of_the_clock_on_the_wall(text: str, zone: str, at: str, expected: bool) -> None:
    hours = hours_of((text,), zone)
    assert hours is not None
    assert hours.is_open(parse_moment(at, UTC)) is expected


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


texts = st.builds(
    lambda first, last, start, end: f"{DAYS[first]}-{DAYS[last]} {clock(start)}-{clock(end)}",
    st.integers(0, 6),
    st.integers(0, 6),
    st.integers(0, 700),
    st.integers(701, 1440),
) | st.sampled_from(["22:00-06:00", "sat-sun", "fri 23:30-00:15", "sun 20:00-04:00"])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(texts, min_size=1, max_size=3),
    st.sampled_from(ZONES),
    st.integers(29_000_000, 31_000_000),
    st.integers(1, 5000),
    st.integers(0, 59),
)
def test_open_seconds_are_the_sum_of_open_minutes(
    found: list[str], zone: str, minute: int, long: int, rest: int
) -> None:
    """Minute by minute, over clock changes too, and with ends within a minute."""
    hours = Hours(found, zone)
    start = minute * 60
    walked = sum(60 for at in range(long) if hours.is_open(start + at * 60))
    last = start + long * 60
    walked += rest if hours.is_open(last) else 0
    assert hours.open_seconds(start, last + rest) == walked
    assert hours.open_seconds(last + 60, start) == 0


@pytest.mark.parametrize(("day", "expected"), [("2026-03-29", 4), ("2026-10-25", 6), ("2026-06-01", 5)])
def test_a_day_on_which_clocks_change_has_an_hour_less_or_more(day: str, expected: int) -> None:
    """From midnight to 5 o'clock in Berlin."""
    hours = Hours(("00:00-05:00",), "Europe/Berlin")
    start = parse_moment(day, ZoneInfo("Europe/Berlin"))
    assert hours.open_seconds(start, start + 12 * 3600) == expected * 3600
    assert hours.open_seconds(start - 40 * 86_400, start + 40 * 86_400) == sum(
        hours.open_seconds(start + at * 900, start + at * 900 + 900) for at in range(-40 * 96, 40 * 96)
    )


def test_no_hours_are_none() -> None:
    assert hours_of((), "UTC") is None
    assert hours_of((), "nowhere") is None


@pytest.mark.parametrize(
    ("texts", "zone"), [(("mon-sun", "x"), "UTC"), (("mon-sun",), "nowhere"), (("mon" + " " * 10**6 + "!",), "UTC")]
)
def test_hours_that_nobody_can_read_are_never_open(texts: tuple[str, ...], zone: str) -> None:
    """Of a store that was spoilt; a long text costs no time."""
    hours = hours_of(texts, zone)
    assert hours is not None
    assert not any(hours.is_open(1_800_000_000 + at * 3600) for at in range(168))
    assert hours.open_seconds(1_800_000_000, 1_900_000_000) == 0


@given(st.lists(st.none() | st.tuples(texts, st.sampled_from(ZONES)), max_size=30), st.integers(29_000_000, 31_000_000))
def test_the_mask_is_that_of_the_candidates_that_are_open(found: list[tuple[str, str] | None], minute: int) -> None:
    """At several moments in turn, also back."""
    hours = [None if one is None else hours_of((one[0],), one[1]) for one in found]
    of_all = OpenHours(hours)
    for now in (minute * 60, minute * 60 + 59, minute * 60 + 60, minute * 60 + 90_000, minute * 60):
        wanted = sum(1 << at for at, one in enumerate(hours) if one is None or one.is_open(now))
        assert of_all.mask(now) == wanted


def test_a_minute_is_worked_out_once() -> None:
    """Not once for each candidate, nor for each request."""
    asked = []

    class Counted(Hours):
        def is_open(self, now: float) -> bool:
            asked.append(now)
            return super().is_open(now)

    hours = Counted(("mon-fri 09:00-17:00",), "UTC")
    again = Counted(("mon-fri 9:00-17:00",), "UTC")
    of_all = OpenHours([hours, None, again] * 1000)
    now = int(datetime(2026, 11, 28, 12, tzinfo=UTC).timestamp())
    shut = of_all.mask(now)
    assert shut == of_all.mask(now + 59)
    assert (len(asked), shut.bit_count()) == (1, 1000)
    of_all.mask(now + 60)
    assert len(asked) == 2
