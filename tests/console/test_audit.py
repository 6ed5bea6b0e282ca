"""The audit page: who changed what, by name, linked, filtered, by pages and whole."""

from __future__ import annotations

import csv

import pytest

from adserve.web.console import audit
from adserve.web.console.page import Call
from tests.conftest import Api
from tests.console.conftest import Enter, page
from tests.console.test_reports import HOSTILE, rows


@pytest.fixture
async def world(api: Api) -> Api:
    await api.world()
    await api.make("PUT", "/advertisers/other", {"name": "Other"})
    await api.creative("one")
    await api.creative("two", advertiser="other")
    return api


async def test_a_change_stands_there_with_the_name_of_who_made_it(world: Api, enter: Enter) -> None:
    """Newest first, with the object by its name, and its page where it has one."""
    person = await enter()
    assert person.user is not None
    form = {"name": "The News", "timezone": "UTC", "clients": "browser", "unlabelled": "serve", "version": "1"}
    reply = await person.post("/console/sites/news/edit", form, token=await person.csrf("/console/sites/news/edit"))
    assert reply.status_code == 303, reply.text
    document = page(await person.get("/console/audit?kind=site"))
    newest, *_ = rows(document)
    assert newest[1] == person.user.name
    assert newest[3] == "site The News"
    assert "/console/sites/news" in {link.get("href") for link in document.iter("a")}


@pytest.mark.parametrize(
    ("asked", "objects"),
    [
        ("kind=campaign", ["campaign two", "campaign one"]),
        ("what=campaign:one", ["campaign one"]),
        ("what=campaign:none", []),
        ("actor=nobody", []),
        ("kind=advertiser&actor=bootstrap", ["advertiser Other", "advertiser Acme"]),
    ],
)
async def test_filters_leave_what_they_say(world: Api, enter: Enter, asked: str, objects: list[str]) -> None:
    """By kind, by object, by who; nothing is told in a sentence."""
    reply = await (await enter()).get(f"/console/audit?{asked}")
    if not objects:
        assert "Nothing like that was changed." in reply.text
    else:
        assert [row[3] for row in rows(page(reply))] == objects


async def test_who_is_named_by_name_too(world: Api, enter: Enter) -> None:
    """A key by what it is called, a person by name."""
    made = await world.make("POST", "/keys", {"role": "admin", "name": "Deploy"})
    await world.call("PATCH", "/sites/news", {"name": "X"}, Authorization=f"Bearer {made['key']}")
    person = await enter()
    for asked in ("key Deploy", made["id"]):
        reply = await person.call("GET", "/console/audit", params={"actor": asked})
        assert [row[1] for row in rows(page(reply))] == ["key Deploy"]


async def test_it_goes_on_by_pages_and_the_export_has_all(
    world: Api, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No line twice, none missing."""
    monkeypatch.setattr(audit, "AT_ONCE", 2)
    person = await enter()
    path, seen = "/console/audit?kind=campaign", []
    for name in ("a", "b", "c"):
        await world.creative(name)
    while path:
        document = page(await person.get(path))
        told = "among the 10,000 changes from here on" in "".join(document.itertext())
        seen += [row[3] for row in rows(document)]
        path = next((one.get("href") for one in document.iter("a") if one.get("rel") == "next"), "")
        assert told is bool(path)
    assert seen == [f"campaign {name}" for name in ("c", "b", "a", "two", "one")]
    export = await person.get("/console/audit?kind=campaign&format=csv")
    assert [row[3] for row in csv.reader(export.text.splitlines())][1:] == seen


async def test_a_file_looks_for_no_pages(world: Api, enter: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no links; each would be compared with every page that there is."""
    person = await enter()
    asked: list[str] = []
    is_page = audit._is_page

    def looking(call: Call, path: str) -> bool:
        asked.append(path)
        return is_page(call, path)

    monkeypatch.setattr(audit, "_is_page", looking)
    shown = rows(page(await person.get("/console/audit")))
    assert len(asked) == len(shown)
    export = await person.get("/console/audit?format=csv")
    assert [row[3] for row in csv.reader(export.text.splitlines())][1:] == [row[3] for row in shown]
    assert len(asked) == len(shown)


async def test_an_advertiser_reads_of_its_own_and_no_names_of_others(world: Api, enter: Enter) -> None:
    """The publisher's people are nobody's business; its own are named."""
    person = await enter("advertiser", "acme")
    document = page(await person.get("/console/audit"))
    found = rows(document)
    assert {row[3] for row in found} == {"advertiser Acme", "campaign one", "creative t"}
    assert {row[1] for row in found} == {"the publisher"}
    assert "two" not in " ".join("".join(document.itertext()).split()).split()
    assert "bootstrap" not in (await person.get("/console/audit?format=csv")).text


async def test_stored_text_and_the_address_are_text(world: Api, enter: Enter) -> None:
    """Names of objects, and what is asked for."""
    await world.make("PATCH", "/campaigns/one", {"name": HOSTILE})
    person = await enter()
    for params in ({}, *({name: HOSTILE} for name in ("actor", "what", "kind", "before"))):
        reply = await person.call("GET", "/console/audit", params=params)
        page(reply)
        assert "<img" not in reply.text
    export = await person.call("GET", "/console/audit", params={"format": "csv"})
    assert "XSS1" in export.text


async def test_people_and_keys_lead_to_their_pages(world: Api, enter: Enter) -> None:
    """For administrators, who have these pages; others read the names."""
    made = await world.make("POST", "/keys", {"role": "admin", "name": "Deploy"})
    for role, linked in (("admin", True), ("reader", False)):
        document = page(await (await enter(role)).get("/console/audit?kind=key"))
        assert [row[3] for row in rows(document)] == ["key Deploy"]
        assert (f"/console/keys/{made['id']}" in {link.get("href") for link in document.iter("a")}) is linked


@pytest.mark.parametrize("before", ["99999999999999999999-0", "0-0", "9" * 5_000 + "-0", "1-99999999999999999999", "x"])
async def test_a_place_that_is_none_shows_the_newest(world: Api, enter: Enter, before: str) -> None:
    """And says so; the API refuses it."""
    person = await enter()
    reply = await person.get(f"/console/audit?before={before}")
    assert reply.status_code == 200
    assert len(rows(page(reply))) == len(rows(page(await person.get("/console/audit"))))
    assert "names no line of the audit" in reply.text
    assert (await world.call("GET", f"/audit?after={before}")).status_code == 422
