"""Parameters to queries: everything wrong is said at once."""

from __future__ import annotations

import pytest

from adserve.core.report import Folding
from adserve.core.report_names import Names
from adserve.core.report_query import parse_query
from adserve.errors import Invalid
from tests.core.report_world import (
    NOW,
    TODAY,
    make,
    things,
)


def ask(now: int = NOW, tz: str = "Asia/Kolkata", **params: str) -> tuple[str, str, tuple[str, ...]]:
    query = parse_query({name.rstrip("_"): value for name, value in params.items()}, now=now, default_tz=tz)
    report = Folding(query, Names([]), now=now, click_lifetime_s=0).report()
    return report["from"][:16], report["to"][:16], query.by


def test_without_a_range_a_report_is_about_seven_local_days() -> None:
    assert ask() == ("2026-11-18T00:00", "2026-11-25T00:00", ("day",))
    assert ask(to="2026-11-03") == ("2026-10-27T00:00", "2026-11-03T00:00", ("day",))
    assert ask(from_="2026-11-03", by="") == ("2026-11-03T00:00", "2026-11-25T00:00", ())
    assert ask(from_="", to="", tz="UTC", by="slot,day,slot")[2] == ("slot", "day")


def test_periods_are_local() -> None:
    """23:00 UTC is tomorrow in Kolkata."""
    assert ask(TODAY + 23 * 3600, period="today")[:2] == ("2026-11-25T00:00", "2026-11-26T00:00")
    assert ask(period="yesterday")[:2] == ("2026-11-23T00:00", "2026-11-24T00:00")
    assert ask(period="month")[:2] == ("2026-11-01T00:00", "2026-11-25T00:00")


def test_times_widen_to_whole_quarter_hours() -> None:
    asked = ask(from_="2026-11-24T05:31:00+05:30", to="2026-11-24T00:46:00Z")
    assert asked[:2] == ("2026-11-24T05:30", "2026-11-24T06:30")


@pytest.mark.parametrize(("to", "noted"), [("05:31", True), ("05:30", False), ("05:45", False)])
def test_a_report_notes_that_its_times_were_widened(to: str, noted: bool) -> None:
    asked = {"from": "2026-11-24T03:00:00Z", "to": f"2026-11-24T{to}:00Z"}
    assert [note for note in make([], asked=asked)["notes"] if "widened" in note] == (
        ["from and to are widened to whole quarter-hours, in which events are counted"] if noted else []
    )


@pytest.mark.parametrize(
    ("params", "pointers"),
    [
        ({"from": "2026-02-30"}, ["/from"]),
        ({"from": "9999-12-31"}, ["/from"]),
        ({"from": "0000-00-00", "to": "\uff12\uff10\uff12\uff16-11-24"}, ["/from", "/to"]),
        ({"to": "yesterday"}, ["/to"]),
        ({"tz": "+99:00"}, ["/tz"]),
        ({"tz": "Mars/Base"}, ["/tz"]),
        ({"from": "2026-11-09", "to": "2026-11-01"}, ["/to"]),
        ({"from": "2026-11-09", "to": "2026-11-09"}, ["/to"]),
        ({"from": "2126-11-09"}, ["/from"]),
        ({"by": "colour"}, ["/by"]),
        ({"by": "day,"}, ["/by"]),
        ({"from": "2020-01-01", "to": "2026-01-01"}, ["/from"]),
        ({"period": "decade"}, ["/period"]),
        ({"period": "today", "from": "2026-11-01"}, ["/period"]),
        ({"format": "xml"}, ["/format"]),
        ({"site": "../x"}, ["/site"]),
        ({"slot": "news/top/x", "campaign": "a b", "creative": "x" * 65}, ["/slot", "/campaign", "/creative"]),
        ({"tz": "Mars", "by": "x", "from": "x", "format": "x"}, ["/tz", "/format", "/by", "/from"]),
        ({"tz": "Mars", "from": "2026-11-09", "to": "2026-11-01"}, ["/tz", "/to"]),
    ],
)
def test_everything_wrong_is_said_at_once(params: dict[str, str], pointers: list[str]) -> None:
    with pytest.raises(Invalid) as caught:
        parse_query(params, now=NOW, default_tz="UTC")
    assert [problem.pointer for problem in caught.value.problems] == pointers
    assert all(len(problem.detail) < 200 for problem in caught.value.problems)


def test_a_plus_lost_on_the_way_is_explained() -> None:
    with pytest.raises(Invalid, match="%2B"):
        parse_query({"from": "2026-11-24T10:00:00 05:30"}, now=NOW, default_tz="UTC")


def test_names_say_which_filter_names_nothing() -> None:
    names = Names(things())
    cases: list[tuple[dict[str, str], str | None]] = [
        ({}, None), ({"site": "x"}, "site"), ({"site": "blog", "slot": "foot"}, "slot"), ({"slot": "top"}, None),
        ({"advertiser": "x"}, "advertiser"), ({"advertiser": "zeta", "campaign": "c1"}, "campaign"),
        ({"campaign": "c2", "creative": "k1"}, "creative"), ({"advertiser": "acme", "creative": "k2"}, None),
    ]  # fmt: skip
    for filters, missing in cases:
        assert names.missing(filters) == missing, filters
    assert [names.default_zone(f) for f in ({}, {"site": "news"}, {"slot": "blog/top"}, {"slot": "top"})] == [
        "UTC", "Asia/Kolkata", "Europe/Berlin", "UTC",
    ]  # fmt: skip
