"""The start page and the system page: what waits, how today goes, what runs, and nothing secret."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import ADMIN, SECRET, Api, Clock
from tests.console.conftest import Enter, page
from tests.console.test_reports import HOSTILE, rows
from tests.flows.test_delivery import DAY, TODAY, day, put


@pytest.fixture
async def world(api: Api) -> Api:
    """A campaign behind its plan, one on it, one of somebody else; a creative that waits."""
    await api.world()
    await api.make("PUT", "/advertisers/other", {"name": "Other"})
    flight: dict[str, Any] = {"starts": day(-4), "ends": day(6), "goal": {"impressions": 10_000}}
    for name, advertiser in (("late", "acme"), ("good", "acme"), ("theirs", "other")):
        await api.creative(name, advertiser=advertiser, target={"labels": {"any": ["tea"]}}, **flight)
    await api.creative("queued", approve=False)
    await put(api, TODAY - DAY + 3600, 500, campaign="late")
    await put(api, TODAY + 3600, 100, campaign="late")
    await put(api, TODAY - 2 * DAY, 4_150, campaign="good")
    return api


async def test_it_says_what_waits_and_what_is_behind(world: Api, enter: Enter) -> None:
    """The worst first, in words, with a link to its report."""
    document = page(await (await enter()).get("/console/"))
    text = " ".join("".join(document.itertext()).split())
    assert [row[0] for row in rows(document, 1)] == ["theirs", "late"]
    assert "behind plan" in rows(document, 1)[0][2]
    assert [row[:2] for row in rows(document, 2)] == [["t", "queued"]]
    assert "/console/campaigns/late/report" in {link.get("href") for link in document.iter("a")}
    assert "No slot stayed empty today." in text


async def test_today_is_compared_with_yesterday_until_the_same_time(world: Api, enter: Enter, clock: Clock) -> None:
    """Up to the last quarter-hour that is over; what came since is in `so far` alone."""
    clock.now = TODAY + 8 * 3600 + 100
    await put(world, TODAY + 8 * 3600, 7, campaign="good")
    await put(world, TODAY - DAY + 9 * 3600, 9_999, campaign="good")
    document = page(await (await enter()).get("/console/"))
    figures = {row[0]: row[1:] for row in rows(document)}
    assert figures["Impressions"] == ["107", "100", "500", "-80%"]
    heads = [" ".join("".join(head.itertext()).split()) for head in next(document.iter("thead")).iter("th")]
    assert heads == ["Figure", "Today so far", "Today until 08:00", "Yesterday until 08:00", "Change"]


@pytest.mark.parametrize("broken", ["totals", "curves"])
async def test_plans_that_cannot_be_read_are_left_out_and_said(world: Api, enter: Enter, broken: str) -> None:
    """What waits is there all the same, and nobody reads that nothing is behind."""
    keys = world.held.services.keys
    await world.held.services.client.set(keys.totals(3) if broken == "totals" else keys.curves, "x")
    reply = await (await enter()).get("/console/")
    assert reply.status_code == 200
    document = page(reply)
    assert [row[:2] for row in rows(document, 1)] == [["t", "queued"]]
    assert reply.text.count("The figures cannot be read just now.") == 1
    assert "No campaign is behind its plan." not in reply.text
    assert (await (await enter("advertiser", "acme")).get("/console/?table=behind&format=csv")).status_code == 200


async def test_right_after_midnight_there_is_nothing_to_compare(world: Api, enter: Enter, clock: Clock) -> None:
    """And no failure."""
    clock.now = TODAY + 30
    reply = await (await enter()).get("/console/")
    assert reply.status_code == 200
    page(reply)


async def test_empty_slots_are_told_with_their_reason(world: Api, enter: Enter) -> None:
    """And with what to do; an advertiser sees none of it."""
    for _ in range(3):
        await world.decide(labels="coffee")
    await world.settle()
    document = page(await (await enter()).get("/console/"))
    assert [row[:3] for row in rows(document, 3)] == [["news/top", "labels", "3"]]
    text = (await (await enter("advertiser", "acme")).get("/console/")).text
    assert "Empty slots" not in text


async def test_an_advertiser_sees_its_own_alone(world: Api, enter: Enter) -> None:
    """Of campaigns, creatives and figures."""
    document = page(await (await enter("advertiser", "other")).get("/console/"))
    text = " ".join("".join(document.itertext()).split()).split()
    assert [row[0] for row in rows(document, 1)] == ["theirs"]
    assert not {"late", "good", "queued", "100", "600"} & {*text}


async def test_an_advertiser_is_told_what_was_rejected_and_why(world: Api, enter: Enter) -> None:
    """On its start page and in its list of campaigns, with a link, until the creative is changed or archived; not
    another's."""
    person = await enter("advertiser", "acme")
    before = page(await person.get("/console/"))
    assert "Yours to change" not in "".join(before.itertext())
    found = (await world.call("GET", "/creatives")).json()["items"]
    ids = {one["campaign"]: one["id"] for one in found}
    for campaign in ("late", "queued", "theirs"):
        await world.make("POST", f"/creatives/{ids[campaign]}/reject", {"reason": f"Too loud for {campaign}"})
    document = page(await person.get("/console/"))
    told = [["t", campaign, f"rejected: Too loud for {campaign}"] for campaign in ("queued", "late")]
    assert rows(document, -1) == told
    links = {link.get("href") for link in document.iter("a")}
    assert {f"/console/creatives/{ids[campaign]}" for campaign in ("late", "queued")} <= links
    assert "Too loud for late" in (await person.get("/console/?table=rejected&format=csv")).text
    listed = page(await person.get("/console/campaigns"))
    todo = {row[0]: row[2] for row in rows(listed)}
    assert todo["late"] == "“t” was rejected: Too loud for late"
    assert todo["good"] == ""
    assert "/console/creatives?state=rejected&campaign=late" in {link.get("href") for link in listed.iter("a")}
    assert "Too loud for late" in (await person.get("/console/campaigns/late")).text
    assert "Too loud for theirs" not in "".join([*document.itertext(), *listed.itertext()])
    await world.make("PATCH", f"/creatives/{ids['late']}", {"title": "Softer"})
    assert rows(page(await person.get("/console/")), -1) == told[:1]
    assert "Too loud" not in (await (await enter()).get("/console/")).text


@pytest.mark.parametrize(("role", "words"), [("admin", "Add a site"), ("advertiser", "ask the publisher")])
async def test_an_empty_service_says_what_to_do_first(api: Api, enter: Enter, role: str, words: str) -> None:
    """Whoever it is."""
    if role == "advertiser":
        await api.make("PUT", "/advertisers/acme", {"name": "Acme"})
    reply = await (await enter(role, "acme" if role == "advertiser" else None)).get("/console/")
    page(reply)
    assert words in reply.text


async def test_stored_names_are_text(world: Api, enter: Enter) -> None:
    """On the page that everybody begins with."""
    await world.make("PATCH", "/campaigns/late", {"name": HOSTILE})
    reply = await (await enter()).get("/console/")
    page(reply)
    assert "XSS1" in reply.text
    assert "<img" not in reply.text


async def test_the_system_page_shows_settings_and_no_secret(api: Api, enter: Enter) -> None:
    """Where each comes from, the store, the workers; for admins alone."""
    reply = await (await enter()).get("/console/system")
    document = page(reply)
    settings = {row[0]: row[1:3] for row in rows(document)}
    assert settings["ADSERVE_KEY_PREFIX"] == [api.held.settings.key_prefix, "environment"]
    assert settings["ADSERVE_PORT"] == ["8000", "default"]
    assert settings["ADSERVE_SECRET"] == settings["ADSERVE_ADMIN_KEY"] == ["set, and not shown", "environment"]
    text = " ".join("".join(document.itertext()).split())
    assert "MB" in text
    assert ADMIN not in reply.text
    assert SECRET not in reply.text
    assert (await (await enter("reviewer")).get("/console/system")).status_code == 403
    export = await (await enter()).get("/console/system?format=csv")
    assert ADMIN not in export.text


async def test_each_table_of_the_start_page_is_a_file_too(world: Api, enter: Enter) -> None:
    """Whole; an advertiser gets no file of what it does not see."""
    person = await enter()
    for name, first in (("today", "Figure"), ("behind", "Campaign"), ("waiting", "Creative"), ("empty", "Slot")):
        reply = await person.get(f"/console/?table={name}&format=csv")
        assert reply.headers["content-type"] == "text/csv; charset=utf-8"
        assert reply.text.startswith(first)
    assert "queued" in (await person.get("/console/?table=waiting&format=csv")).text
    reply = await (await enter("advertiser", "acme")).get("/console/?table=empty&format=csv")
    assert "html" in reply.headers["content-type"]


async def test_campaigns_too_many_to_compare_are_said(
    world: Api, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody takes a short list for the whole."""
    monkeypatch.setattr("adserve.flows.overview.JUDGED", 1)
    reply = await (await enter()).get("/console/")
    assert "2 more campaigns with a plan are not compared here" in reply.text
