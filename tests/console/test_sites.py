"""Sites and slots are made, changed, stopped and archived by people."""

from __future__ import annotations

import httpx2
import pytest

from adserve.web.console.page import MEANWHILE
from tests.conftest import Api
from tests.console.conftest import Enter
from tests.console.reading import Reading
from tests.console.town import forms_of

SITE = {"name": "The Courier", "timezone": "Asia/Kolkata", "clients": "browser", "unlabelled": "serve", "origins": ""}
SLOT = {"title": "Below the post", "label": "Advertisement", "rotation": "even", "empty": "keep", "repeat": "never"}
SLOT |= {"count_on": "impression", "max_kb": "150", "rank": ""}


async def test_a_site_and_a_slot_are_made_without_thinking_of_ids(api: Api, enter: Enter) -> None:
    """The names become ids, a second thing of the name another one; sizes come from boxes and from text."""
    person = await enter()
    made = await person.post("/console/sites/new", {**SITE, "id": "", "origins": "https://courier.example\n"})
    assert made.headers["location"] == "/console/sites/the-courier?done=created"
    again = await person.post("/console/sites/new", SITE)
    assert again.headers["location"] == "/console/sites/the-courier-2?done=created"
    form = {**SLOT, "sizes": ["728x90", "300x250"], "more_sizes": "480x320, 600x90"}
    made = await person.post("/console/sites/the-courier/slots/new", form)
    assert made.headers["location"] == "/console/sites/the-courier/slots/below-the-post?done=created"
    slot = (await api.call("GET", "/sites/the-courier/slots/below-the-post")).json()
    assert slot["sizes"] == ["728x90", "300x250", "480x320", "600x90"]
    assert (slot["title"], slot["rank"] > 0, slot["max_kb"]) == ("Below the post", True, 150)
    shown = Reading(await person.get("/console/sites/the-courier/slots/below-the-post/edit"))
    assert shown.field("sizes") == ["728x90", "300x250"]
    assert shown.field("more_sizes") == "480x320, 600x90"


async def test_everything_wrong_with_a_site_is_said_at_once(enter: Enter) -> None:
    """Beside each field, also with the id, and what was typed stays."""
    person = await enter()
    typed = {**SITE, "id": "Not An Id", "name": "", "timezone": "Mars/Olympus", "origins": "ftp://news.example"}
    refused = Reading(await person.post("/console/sites/new", typed))
    assert refused.status == 422
    for name in ("id", "name", "timezone", "origins"):
        assert refused.wrong(name), name
        assert refused.field(name) == typed[name]
    assert "4 things have to be mended" in refused.words


async def test_everything_wrong_with_a_slot_is_said_at_once(api: Api, enter: Enter) -> None:
    await api.world()
    person = await enter()
    typed = {**SLOT, "id": "a/b", "sizes": ["728x90"], "more_sizes": "wide", "max_kb": "heavy", "rank": "1,5,x"}
    refused = Reading(await person.post("/console/sites/news/slots/new", typed))
    assert refused.status == 422
    for name in ("id", "sizes", "max_kb", "rank"):
        assert refused.wrong(name), name
    assert refused.field("sizes") == ["728x90"]
    assert [refused.field(name) for name in ("more_sizes", "max_kb", "rank")] == ["wide", "heavy", "1,5,x"]


async def test_an_id_that_is_taken_overwrites_nothing(api: Api, enter: Enter) -> None:
    await api.world()
    person = await enter()
    refused = Reading(await person.post("/console/sites/new", {**SITE, "id": "news"}))
    assert "taken" in refused.wrong("id")
    assert (await api.call("GET", "/sites/news")).json()["name"] == "News"
    refused = Reading(await person.post("/console/sites/news/slots/new", {**SLOT, "id": "top"}))
    assert "taken" in refused.wrong("id")


async def test_a_form_of_an_older_state_is_not_saved_over_a_newer_one(api: Api, enter: Enter) -> None:
    """What came in between stays; what was typed stands in the form, and may be sent again."""
    await api.world()
    person = await enter()
    old = Reading(await person.get("/console/sites/news/slots/top/edit"))
    await api.call("PATCH", "/sites/news/slots/top", {"label": "Anzeige"})
    typed = {**SLOT, "title": "Mine", "version": old.field("version"), "sizes": "300x250"}
    refused = Reading(await person.post("/console/sites/news/slots/top/edit", typed))
    assert "somebody changed this meanwhile" in refused.words
    assert refused.field("title") == "Mine"
    stored = (await api.call("GET", "/sites/news/slots/top")).json()
    assert (stored["label"], stored["title"]) == ("Anzeige", "")
    again = await person.post("/console/sites/news/slots/top/edit", {**typed, "version": refused.field("version")})
    assert again.status_code == 303


VERSIONED = {
    "/sites/news": ("name", "timezone"),
    "/sites/news/slots/top": ("title", "rank"),
    "/advertisers/acme": ("name", "name"),
    "/campaigns/one": ("name", "goal"),
    "/creatives/{made}": ("name", "weight"),
}
"""What has a form that changes it, to a text in it, and a field that takes no long one."""


@pytest.mark.parametrize("path", VERSIONED)
async def test_a_form_that_comes_back_is_of_the_version_that_it_was_opened_with(
    api: Api, enter: Enter, path: str
) -> None:
    """What somebody else saved meanwhile is told before it is overwritten, also after something else was refused; sent
    once more it goes before theirs."""
    await api.world()
    (name, other), path = VERSIONED[path], path.format(made=await api.creative("one"))
    form, person = f"/console{path}/edit", await enter()

    async def sent(on: httpx2.Response, **wrong: str) -> httpx2.Response:
        filled = next(one for one in forms_of(on.text, form) if one.action == form).filled()
        return await person.post(form, filled | {other: before[other], name: "Mine"} | wrong)

    opened = await person.get(form)
    before = next(one for one in forms_of(opened.text, form) if one.action == form).filled()
    await api.make("PATCH", path, {name: "Theirs"})
    told = await sent(opened, **{other: "x" * 300})
    if MEANWHILE not in Reading(told).words:
        told = await sent(told)
    assert MEANWHILE in Reading(told).words
    assert (await api.make("GET", path))[name] == "Theirs"
    refused = await sent(told, **{other: "x" * 300})
    assert (refused.status_code, bool(Reading(refused).wrong(other))) == (422, True)
    assert (await sent(refused)).status_code == 303
    assert (await api.make("GET", path))[name] == "Mine"


@pytest.mark.parametrize("path", ["/console/sites/news/slots/top", "/console/sites/news"])
async def test_the_switch_stops_at_once(api: Api, enter: Enter, path: str) -> None:
    """A slot, or the whole site; and lets it serve again."""
    await api.world()
    await api.creative()
    person = await enter()
    assert (await api.decide())["filled"]
    stopped = await person.post(f"{path}/pause")
    assert stopped.headers["location"] == f"{path}?done=paused"
    assert not (await api.decide())["filled"]
    shown = Reading(await person.get(f"{path}?done=paused"))
    assert "Paused: it stops serving within a second." in shown.words
    assert f"{path}/resume" in shown.actions
    await person.post(f"{path}/resume")
    assert (await api.decide())["filled"]


IN_USE = ("/sites/news", "/sites/news/slots/top", "/campaigns/one")


@pytest.mark.parametrize("button", ["pause", "resume"])
@pytest.mark.parametrize("path", IN_USE)
async def test_the_switch_takes_nothing_out_of_the_archive(api: Api, enter: Enter, path: str, button: str) -> None:
    """Its page may be older than what somebody else archived."""
    await api.world()
    await api.make("PUT", "/campaigns/one", {"advertiser": "acme", "name": "one", "slots": ["news/*"]})
    person = await enter()
    for one in IN_USE[1:] + IN_USE[:1]:  # a site when its slots are
        assert (await api.call("DELETE", one)).status_code == 200
    refused = await person.post(f"/console{path}/{button}")
    assert (refused.status_code, "it is archived" in refused.text) == (409, True)
    assert (await api.make("GET", path))["state"] == "archived"


@pytest.mark.parametrize("path", IN_USE)
async def test_an_undo_that_comes_late_starts_nothing(api: Api, enter: Enter, path: str) -> None:
    """Somebody else took it into use again, and stopped it."""
    await api.world()
    await api.make("PUT", "/campaigns/one", {"advertiser": "acme", "name": "one", "slots": ["news/*"]})
    await api.make("PATCH", path, {"state": "paused"})
    person = await enter()
    assert (await person.post(f"/console{path}/unarchive", {"was": "active"})).status_code == 303
    assert (await api.make("GET", path))["state"] == "paused"


async def test_an_archived_slot_comes_back_as_it_was(api: Api, enter: Enter) -> None:
    """The page says that it is archived, with an undo; without it, it comes back paused."""
    await api.world()
    person = await enter()
    gone = await person.post("/console/sites/news/slots/top/archive")
    shown = Reading(await person.get(gone.headers["location"]))
    assert "Archived. Undo" in shown.words
    assert (await api.call("GET", "/sites/news/slots/top")).json()["state"] == "archived"
    await person.post("/console/sites/news/slots/top/unarchive", {"was": shown.field("was")})
    assert (await api.call("GET", "/sites/news/slots/top")).json()["state"] == "active"
    await person.post("/console/sites/news/slots/top/pause")
    gone = await person.post("/console/sites/news/slots/top/archive")
    shown = Reading(await person.get(gone.headers["location"]))
    await person.post("/console/sites/news/slots/top/unarchive", {"was": shown.field("was")})
    assert (await api.call("GET", "/sites/news/slots/top")).json()["state"] == "paused"


async def test_a_site_is_archived_when_its_slots_are(api: Api, enter: Enter) -> None:
    """Before that there is no button, and whoever sends the form is told why not."""
    await api.world()
    person = await enter()
    assert "/console/sites/news/archive" not in Reading(await person.get("/console/sites/news")).actions
    refused = await person.post("/console/sites/news/archive")
    assert refused.status_code == 409
    assert "news/top is still in use" in refused.text
    await person.post("/console/sites/news/slots/top/archive")
    assert "/console/sites/news/archive" in Reading(await person.get("/console/sites/news")).actions
    await person.post("/console/sites/news/archive")
    assert "News" not in Reading(await person.get("/console/sites")).words
    assert "News" in Reading(await person.get("/console/sites?state=archived")).words


async def test_a_slot_says_what_books_it_and_what_it_did_today(api: Api, enter: Enter) -> None:
    """Campaigns by name or by the whole site, with how many of their creatives fit; requests and serves of today."""
    await api.world(slots=("top", "side"))
    await api.creative("one", slots=["news/*"])
    await api.creative("two", slots=["news/side"])
    await api.decide()
    await api.settle()
    person = await enter("reader")
    shown = Reading(await person.get("/console/sites/news/slots/top"))
    assert "/console/campaigns/one" in shown.links.values()
    assert "/console/campaigns/two" not in shown.links.values()
    assert "1 requests today 100.0% fill rate" in shown.words
    assert not any(action.endswith(("pause", "archive")) for action in shown.actions)
    table = await person.get("/console/sites/news/slots/top?format=csv")
    assert table.text.splitlines()[1] == "one,acme,standard,1,1,active"
    assert "1,100.0%,0,0" in (await person.get("/console/sites/news?format=csv")).text


async def test_what_is_left_of_a_slot_is_a_page(api: Api, enter: Enter) -> None:
    """Four weeks of days, and what to do about a forecast that is not there yet."""
    await api.world()
    person = await enter("reader")
    shown = Reading(await person.get("/console/sites/news/slots/top/room"))
    assert "a forecast needs some days of it" in shown.words
    assert len((await person.get("/console/sites/news/slots/top/room?format=csv")).text.splitlines()) == 29
