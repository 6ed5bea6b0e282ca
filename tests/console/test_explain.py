"""Why a slot is empty, in words; the last decisions, each with its explanation."""

from __future__ import annotations

import pytest

from tests.conftest import Api
from tests.console.conftest import Enter, page
from tests.console.test_reports import HOSTILE, rows


@pytest.fixture
async def world(api: Api) -> Api:
    """A slot with a campaign for `labels=tea`, and one of somebody else that waits for review."""
    await api.world()
    await api.make("PUT", "/advertisers/other", {"name": "Other"})
    await api.creative("one", target={"labels": {"any": ["tea"]}})
    await api.creative("two", approve=False, advertiser="other")
    return api


async def test_it_says_in_words_why_and_what_to_do(world: Api, enter: Enter) -> None:
    """Of each creative the first rule that it fails; of one with a chance its share."""
    person = await enter()
    reply = await person.get("/console/explain?place=news/top&labels=coffee")
    document = page(reply)
    text = " ".join("".join(document.itertext()).split())
    assert "news/top would stay empty: labels. The page's labels do not match its rule" in text
    assert {(row[1], row[4]) for row in rows(document)} == {("one", "labels"), ("two", "not approved")}
    reply = await person.get("/console/explain?place=news/top&labels=tea")
    first = rows(page(reply))[0]
    assert (first[1], first[3], first[4]) == ("one", "100.00 %", "")
    assert "news/top would show" in reply.text


async def test_nothing_of_it_is_counted(world: Api, enter: Enter) -> None:
    """Trying is no request."""
    person = await enter()
    for _ in range(3):
        await person.get("/console/explain?place=news/top&labels=tea")
    assert (await world.totals())["requests"] == 0


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ("place=news", "place"), ("place=news/none", "place"), ("place=%00/x", "place"),
        ("place=news/top&country=India", "country"), ("place=news/top&device=fridge", ""),
        ("place=news/top&width=wide", "width"), ("place=news/top&kv=section", "kv"),
        ("place=news/top&campaign=A+b", "campaign"), ("place=news/top&lang=%21", "lang"),
    ],
)  # fmt: skip
async def test_what_is_wrong_stands_beside_its_field(world: Api, enter: Enter, asked: str, field: str) -> None:
    """And what was typed stays."""
    reply = await (await enter()).get(f"/console/explain?{asked}")
    assert reply.status_code == 422
    page(reply)
    assert "Not asked." in reply.text
    assert not field or f'id="wrong-{field}"' in reply.text
    assert "<tbody" not in reply.text


async def test_key_values_are_lines(world: Api, enter: Enter) -> None:
    """As many as there are."""
    await world.creative("three", target={"kv": {"section": {"any": ["world"]}}})
    person = await enter()
    for lines, shown in (("section=world\nx=y", True), ("section=sports", False)):
        reply = await person.call("GET", "/console/explain", params={"place": "news/top", "kv": lines})
        assert ("would show" in reply.text) is shown


async def test_an_advertiser_learns_of_others_that_they_are_there(world: Api, enter: Enter) -> None:
    """Neither names nor reasons."""
    reply = await (await enter("advertiser", "acme")).get("/console/explain?place=news/top&labels=coffee")
    text = " ".join("".join(page(reply).itertext()).split())
    assert "campaigns of others" in text
    assert "not approved" not in text
    assert "two" not in text.split()


async def test_a_decision_of_the_live_view_is_explained(world: Api, enter: Enter) -> None:
    """From the newest decision to why it came out so, by links."""
    await world.decide(labels="coffee", device="mobile")
    person = await enter("reader")
    document = page(await person.get("/console/live"))
    (row,) = rows(document)
    assert row[1:6] == ["news/top", "labels", "", "mobile, 360 px", "yes"]
    (link,) = (one.get("href") for one in document.iter("a") if "".join(one.itertext()) == "why?")
    reply = await person.get(link)
    text = " ".join("".join(page(reply).itertext()).split())
    assert "news/top stayed empty: labels." in text
    assert "Labels" in text
    assert "coffee" not in text  # a decision keeps numbers of labels that nobody targets
    assert "mobile" in text


async def test_the_live_view_asks_again_and_can_be_stopped(world: Api, enter: Enter) -> None:
    """Its part of the page is asked for every two seconds; without script a reload does."""
    for labels in ("tea", "coffee"):
        await world.decide(labels=labels)
    person = await enter()
    reply = await person.get("/console/live")
    assert 'hx-trigger="every 2s"' in reply.text
    assert rows(page(reply))[0][2] == "labels"
    stopped = await person.get("/console/live?paused=1&show=empty")
    assert "hx-trigger" not in stopped.text
    assert [row[2] for row in rows(page(stopped))] == ["labels"]
    filled = rows(page(await person.get("/console/live?show=filled&place=news/top")))
    assert [row[3] for row in filled] == ["one"]
    assert "None of the last decisions is like that." in (await person.get("/console/live?place=none")).text


async def test_an_advertiser_sees_decisions_for_its_own_alone(world: Api, enter: Enter) -> None:
    """Not the empty ones either: their reasons are about others too."""
    for labels in ("tea", "coffee"):
        await world.decide(labels=labels)
    found = rows(page(await (await enter("advertiser", "acme")).get("/console/live")))
    assert [row[3] for row in found] == ["one"]
    reply = await (await enter("advertiser", "other")).get("/console/live")
    assert "None of the last decisions chose a creative of yours." in reply.text


async def test_a_decision_that_nobody_remembers_says_so(world: Api, enter: Enter) -> None:
    """And what is no id is no failure."""
    person = await enter()
    for id_ in ("d" * 36, "x", "%00", "e" * 300):
        assert (await person.get(f"/console/explain/{id_}")).status_code == 404


@pytest.mark.parametrize("name", ["place", "labels", "url", "lang", "country", "device", "width", "kv", "campaign"])
async def test_nothing_of_the_address_becomes_markup(world: Api, enter: Enter, name: str) -> None:
    """On either page."""
    person = await enter()
    for path in ("/console/explain", "/console/live"):
        reply = await person.call("GET", path, params={"place": "news/top", name: HOSTILE})
        page(reply)
        assert "<img" not in reply.text
