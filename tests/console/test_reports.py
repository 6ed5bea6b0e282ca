"""The report page: the figures of the API, as table, chart and CSV, for whoever may see them."""

from __future__ import annotations

import csv
from typing import Any

import pytest

from adserve.core.explanation import CHOSEN
from adserve.core.reasons import Reason
from adserve.core.report_query import DIMENSIONS as SPLITS
from adserve.core.report_rows import FIGURES as COUNTED
from adserve.web.console.words import DIMENSIONS, FIGURES, REASONS, UNKNOWN
from tests.conftest import Api
from tests.console.conftest import Enter, page
from tests.flows.test_delivery import DAY, TODAY, put

HOSTILE = "\"'><img src=x onerror=XSS1>"


@pytest.fixture
async def world(api: Api) -> Api:
    """Two advertisers with figures of yesterday and today."""
    await api.world()
    await api.make("PUT", "/advertisers/other", {"name": "Other"})
    await api.creative("one", price={"model": "cpm", "amount": "2.50", "currency": "INR"})
    await api.creative("two", advertiser="other")
    await put(api, TODAY - DAY, 40, clicks=2)
    await put(api, TODAY, 10, clicks=1)
    await put(api, TODAY, 7_000, campaign="two")
    return api


def rows(document: Any, place: int = 0) -> list[list[str]]:
    """The body of a table as text."""
    table = list(document.iter("table"))[place]
    return [[" ".join("".join(cell.itertext()).split()) for cell in row] for row in table.find("tbody")]


def test_every_code_and_figure_has_words() -> None:
    """None is shown as its code."""
    assert {*Reason, CHOSEN} <= {*REASONS}
    assert {*FIGURES} == {*COUNTED}
    assert {*DIMENSIONS} == {*SPLITS}
    assert {*UNKNOWN} <= {*FIGURES}
    assert all(words and meaning.endswith(".") for words, meaning in (*REASONS.values(), *FIGURES.values()))


async def test_it_shows_what_the_api_answers(world: Api, enter: Enter) -> None:
    """Row by row, with the total, the zone, how old it is and from when on it is final."""
    person = await enter()
    reply = await person.get("/console/reports?by=day&then=campaign&period=&from=2027-01-14&to=2027-01-16")
    document = page(reply)
    assert [row[:5] for row in rows(document)] == [
        ["2027-01-14", "one", "40", "0", "2"],
        ["2027-01-15", "one", "10", "0", "1"],
        ["2027-01-15", "two", "7,000", "0", "0"],
        ["Total", "", "7,050", "0", "3"],
    ]
    text = " ".join("".join(document.itertext()).split())
    for part in ("days of UTC", "As of 2027-01-15 08:00", "final from 2027-01-", "5.00 %"):
        assert part in text
    assert reply.text.count('role="img"') == 1


async def test_a_dash_says_why_it_is_one(world: Api, enter: Enter) -> None:
    """Requests split below the slot, a rate without impressions; beside the cell and in words below."""
    reply = await (await enter()).get("/console/reports?by=campaign&period=today")
    text = " ".join("".join(page(reply).itertext()).split())
    assert "Requests, Serves" not in text
    assert f"Requests: {UNKNOWN['requests']}" in text
    assert "NaN" not in reply.text
    assert 'title="requests belong to a slot' in reply.text


async def test_its_csv_is_that_of_the_api(world: Api, enter: Enter) -> None:
    """The same query, byte for byte."""
    reply = await (await enter()).get("/console/reports?by=day&then=slot&period=month&format=csv")
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    same = await world.call("GET", "/report?by=day,slot&period=month&format=csv")
    assert reply.text == same.text
    assert len(list(csv.reader(reply.text.splitlines()))) == 3


async def test_an_advertiser_sees_its_own_figures_alone(world: Api, enter: Enter) -> None:
    """Also when it asks for another's; names of others are offered nowhere."""
    person = await enter("advertiser", "acme")
    reply = await person.get("/console/reports?by=campaign&period=today")
    assert [row[:2] for row in rows(page(reply))] == [["one", "10"], ["Total", "10"]]
    assert "two" not in {option.get("value") for option in page(reply).iter("option")}
    for asked in ("campaign=two", "advertiser=other"):
        reply = await person.get(f"/console/reports?period=today&{asked}")
        assert "there is no" in reply.text
        assert "7,000" not in reply.text


@pytest.mark.parametrize(
    "asked",
    [
        "from=2027-02-30", "from=9999-12-31", "from=0000-00-00", "from=2027-01-02&to=2027-01-01", "tz=%2B99:00",
        "from=%EF%BC%92%EF%BC%90%EF%BC%92%EF%BC%97-01-01", "by=nonsense", "then=%22%3E", "slot=%27", "campaign=none",
        "period=never", "from=2010-01-01&to=2027-01-01", "period=today&from=2027-01-01",
    ],
)  # fmt: skip
async def test_what_is_wrong_is_told_and_what_was_typed_stays(world: Api, enter: Enter, asked: str) -> None:
    """Beside its field; no page fails, and nothing is shown of a wrong question."""
    reply = await (await enter()).get(f"/console/reports?{asked}")
    assert reply.status_code == 422
    document = page(reply)
    assert "No report yet." in reply.text
    assert "<tbody" not in reply.text
    typed = {field.get("name"): field.get("value") for field in document.iter("input")}
    for pair in asked.replace("%2B", "+").split("&"):
        name, _, value = pair.partition("=")
        if name in typed and "%" not in value:
            assert typed[name] == value


@pytest.mark.parametrize("name", ["by", "then", "from", "to", "tz", "site", "campaign", "figure", "period", "more"])
async def test_nothing_of_the_address_becomes_markup(world: Api, enter: Enter, name: str) -> None:
    """A link that somebody sends runs nothing."""
    person = await enter()
    for text in ('"><script>xss</script>', "'-alert(1)-'", "\\u003c", "\n"):
        reply = await person.call("GET", "/console/reports", params={name: text})
        page(reply)
        assert "<script>xss" not in reply.text
        assert "\r\nxss" not in str(reply.headers)


async def test_names_of_others_are_text_in_tables_and_charts(world: Api, enter: Enter) -> None:
    """Stored by an advertiser, seen by an admin."""
    await world.make("PATCH", "/campaigns/two", {"name": HOSTILE})
    person = await enter()
    for path in ("/console/reports?period=today&by=campaign", "/console/reports?by=day&then=campaign"):
        reply = await person.get(path)
        document = page(reply)
        assert "XSS1" in reply.text
        assert all(not image.get("onerror") for image in document.iter("img"))
        assert "<img" not in reply.text


async def test_nothing_counted_is_said_with_what_to_do(api: Api, enter: Enter) -> None:
    """An empty report is a sentence and an empty chart, not an empty table."""
    reply = await (await enter()).get("/console/reports")
    assert "Nothing was counted in this time: ask for another." in reply.text
    assert "Nothing was counted in this time." in reply.text
