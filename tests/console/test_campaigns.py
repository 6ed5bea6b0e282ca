"""A campaign is booked, found, changed and stopped by people."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Api
from tests.console.conftest import Enter
from tests.console.reading import Reading

NEW = "/console/campaigns/new"
SIMPLE: dict[str, Any] = {"name": "Spring sale", "advertiser": "acme", "slots": ["news/top"], "weight": "1"}
SIMPLE |= {"tier": "standard", "state": "active", "unknown": "serve", "window": "day"}
ALL: dict[str, Any] = {
    **SIMPLE,
    **{"id": "spring", "tier": "sponsor", "weight": "1,000", "slots": ["news/*", "news/top"], "state": "paused"},
    **{"starts": "2027-02-01", "starts_time": "09:30", "ends": "2027-02-28", "timezone": "Asia/Kolkata"},
    **{"goal_kind": "impressions", "goal": "10,000", "pacing": "even"},
    **{"total_impressions": "12000", "daily_impressions": "500", "total_clicks": "300", "daily_clicks": "20"},
    **{"limit": "3", "window": "week", "unknown": "skip"},
    **{"target/labels/any": "politics, world\nएशिया", "target/labels/all": "news", "target/labels/none": "conflict"},
    **{"target/urls/any": "news.example/world/*", "target/languages/any": "en, pt-BR", "target/countries/none": "GB"},
    **{"target/devices/any": ["desktop", "tablet"], "target/hours": "mon-fri 09:00-17:00\nsat,sun"},
    **{"kv_any": "section=sports, chess\nmood=good", "kv_none": "section=war"},
    **{"categories": "cars", "excludes": "advertiser:rival, category:bikes"},
    **{"model": "cpm", "amount": "2.50", "currency": "inr"},
}


async def test_a_campaign_with_every_member_is_booked_by_the_form(api: Api, enter: Enter) -> None:
    """Each arrives where the API has it; a last day is stored as the day after, a time with the offset of the zone."""
    await api.world()
    person = await enter()
    made = await person.post(NEW, ALL)
    assert made.headers["location"] == "/console/campaigns/spring?done=created"
    stored = (await api.call("GET", "/campaigns/spring")).json()
    assert {name: stored[name] for name in stored if name not in ("accepts", "version")} == {
        "id": "spring",
        "advertiser": "acme",
        "name": "Spring sale",
        "tier": "sponsor",
        "weight": 1000,
        "slots": ["news/*", "news/top"],
        "timezone": "Asia/Kolkata",
        "starts": "2027-02-01T09:30:00+05:30",
        "ends": "2027-03-01",
        "goal": {"impressions": 10_000},
        "caps": {"total": {"impressions": 12_000, "clicks": 300}, "daily": {"impressions": 500, "clicks": 20}},
        "pacing": "even",
        "frequency": {"limit": 3, "window": "week", "unknown": "skip"},
        "target": {
            "labels": {"any": ["politics", "world", "एशिया"], "all": ["news"], "none": ["conflict"]},
            "urls": {"any": ["news.example/world/*"]},
            "languages": {"any": ["en", "pt-br"]},
            "countries": {"none": ["GB"]},
            "devices": {"any": ["desktop", "tablet"]},
            "kv": {"section": {"any": ["sports", "chess"], "none": ["war"]}, "mood": {"any": ["good"]}},
            "hours": ["mon-fri 09:00-17:00", "sat-sun"],
        },
        "categories": ["cars"],
        "excludes": ["advertiser:rival", "category:bikes"],
        "price": {"model": "cpm", "amount": "2.50", "currency": "INR"},
        "state": "paused",
    }


def typed_in(form: Reading) -> dict[str, Any]:
    """What a browser would send of a form as it stands."""
    names = {one.get("name") for tag in ("input", "textarea", "select") for one in form.main.iter(tag)}
    return {name: form.field(name) or "" for name in names if name}


async def test_a_form_that_is_sent_as_it_came_changes_nothing(api: Api, enter: Enter) -> None:
    """Every member survives the way into the fields and back, and all that holds something is open."""
    await api.world()
    person = await enter()
    await person.post(NEW, ALL)
    before = (await api.call("GET", "/campaigns/spring")).json()
    form = Reading(await person.get("/console/campaigns/spring/edit"))
    assert all(one.get("open") is not None for one in form.main.iter("details"))
    saved = await person.post("/console/campaigns/spring/edit", typed_in(form))
    assert saved.headers["location"] == "/console/campaigns/spring?done=saved"
    assert (await api.call("GET", "/campaigns/spring")).json() == {**before, "version": before["version"] + 1}


async def test_what_is_emptied_in_the_form_is_gone(api: Api, enter: Enter) -> None:
    """A limit, rule or price that was there goes with its text; another goal takes the place of the one before."""
    await api.world()
    person = await enter()
    await person.post(NEW, ALL)
    version = (await api.call("GET", "/campaigns/spring")).json()["version"]
    sent = {**SIMPLE, "goal_kind": "share", "goal": "25", "version": version}
    await person.post("/console/campaigns/spring/edit", sent)
    stored = (await api.call("GET", "/campaigns/spring")).json()
    assert stored["goal"] == {"share": 25}
    kept = ("caps", "frequency", "target", "price", "starts", "ends", "timezone")
    assert {name: stored[name] for name in kept} == dict.fromkeys(kept)
    assert (stored["excludes"], stored["slots"], stored["state"]) == ([], ["news/top"], "active")


async def test_a_simple_campaign_takes_three_fields(api: Api, enter: Enter) -> None:
    """Name, advertiser and slot; the id is made of the name, and nothing but the simple part is open."""
    await api.world()
    person = await enter()
    form = Reading(await person.get(f"{NEW}?advertiser=acme"))
    assert form.field("advertiser") == "acme"
    opened = ["".join(one[0].itertext()) for one in form.main.iter("details") if one.get("open") is not None]
    assert opened == ["News"]
    sent = {**typed_in(form), "name": "Été à Paris", "slots": "news/top"}
    made = await person.post(NEW, sent)
    assert made.headers["location"] == "/console/campaigns/ete-a-paris?done=created"
    shown = Reading(await person.get("/console/campaigns/ete-a-paris"))
    assert "It cannot serve as it is. It has no creative: upload one." in shown.words
    assert shown.links["Upload a creative"] == "/console/campaigns/ete-a-paris/creatives/new"


async def test_everything_wrong_with_a_campaign_is_said_at_once(api: Api, enter: Enter) -> None:
    """What the form finds and what the flow finds, each beside its field, its part of the form open, all that was typed
    kept, and nothing stored."""
    await api.world()
    person = await enter()
    typed = {
        **ALL,
        **{"id": "No Id", "name": "", "advertiser": "", "slots": ["news/gone"], "weight": "much", "timezone": "Mars"},
        **{"starts": "soon", "ends": "", "ends_time": "12:00", "goal_kind": "", "daily_clicks": "x", "limit": "0"},
        **{"target/labels/any": "a" * 90, "target/countries/none": "Britain", "target/devices/any": ["toaster"]},
        **{"kv_any": "sports", "target/hours": "never", "excludes": "rival", "amount": "much", "pacing": "even"},
    }
    refused = Reading(await person.post(NEW, typed))
    assert refused.status == 422
    wrong = [
        *("id", "name", "advertiser", "slots", "weight", "timezone", "starts", "ends", "goal", "caps", "frequency"),
        *("target/labels/any", "target/countries/none", "target/devices", "target/kv", "target/hours"),
        *("excludes", "price"),
    ]
    assert [name for name in wrong if not refused.wrong(name)] == []
    assert all(one.get("open") is not None for one in refused.main.iter("details"))
    kept = [name for name, value in typed.items() if isinstance(value, str) and refused.field(name) != value]
    assert kept == []
    assert (await api.call("GET", "/campaigns")).json()["items"] == []


async def test_a_form_of_an_older_state_is_not_saved_over_a_newer_one(api: Api, enter: Enter) -> None:
    """Of a campaign too: what came in between stays."""
    await api.world()
    await api.creative("one")
    person = await enter()
    form = Reading(await person.get("/console/campaigns/one/edit"))
    await api.call("PATCH", "/campaigns/one", {"weight": 7})
    refused = Reading(await person.post("/console/campaigns/one/edit", {**typed_in(form), "name": "Mine"}))
    assert "somebody changed this meanwhile" in refused.words
    assert refused.field("name") == "Mine"
    assert (await api.call("GET", "/campaigns/one")).json()["weight"] == 7


async def test_the_list_is_filtered_and_exported(api: Api, enter: Enter) -> None:
    """By state, advertiser, tier, name and what is to be done; what is archived shows when it is asked for."""
    await api.world()
    await api.make("PUT", "/advertisers/rival", {"name": "Rival"})
    await api.creative("one")
    await api.make("PUT", "/campaigns/two", {"advertiser": "rival", "name": "Second", "tier": "house", "slots": []})
    await api.make("PUT", "/campaigns/old", {"advertiser": "rival", "name": "Old", "state": "paused"})
    await api.call("DELETE", "/campaigns/old")
    person = await enter("reader")

    async def ids(query: str) -> set[str]:
        found = Reading(await person.get(f"/console/campaigns?{query}")).links.values()
        return {href.rpartition("/")[2] for href in found if href and href.startswith("/console/campaigns/")} - {"new"}

    assert await ids("") == {"one", "two"}
    assert await ids("state=archived") == {"old"}
    assert await ids("state=all&advertiser=rival") == {"old", "two"}
    assert await ids("tier=house") == {"two"}
    assert await ids("name=SECO") == {"two"}
    assert await ids("state=todo") == {"two"}
    exported = (await person.get("/console/campaigns?tier=house&format=csv")).text.splitlines()
    assert exported[0] == "Campaign,State,To do,Delivered,Advertiser,Tier,Flight"
    todo = "It books no slot: say where it runs."
    assert exported[1:] == [f'Second,active,{todo},0,Rival,house,"from now on, without an end"']


async def test_a_campaign_is_stopped_and_started(api: Api, enter: Enter) -> None:
    await api.world()
    await api.creative("one")
    person = await enter()
    await person.post("/console/campaigns/one/pause")
    assert not (await api.decide())["filled"]
    assert "This campaign is stopped." in Reading(await person.get("/console/campaigns/one")).words
    await person.post("/console/campaigns/one/resume")
    assert (await api.decide())["filled"]


async def test_an_advertiser_reads_its_own_and_uploads(api: Api, enter: Enter) -> None:
    """No control that its role may not use, and another's campaign is not there."""
    await api.world()
    await api.make("PUT", "/advertisers/rival", {"name": "Rival"})
    await api.creative("one")
    await api.make("PUT", "/campaigns/theirs", {"advertiser": "rival", "name": "Their secret", "slots": ["news/top"]})
    person = await enter("advertiser", "acme")
    listed = Reading(await person.get("/console/campaigns"))
    assert "/console/campaigns/one" in listed.links.values()
    assert "Their secret" not in listed.words
    assert not listed.has("advertiser")
    shown = Reading(await person.get("/console/campaigns/one"))
    assert shown.links["Upload a creative"] == "/console/campaigns/one/creatives/new"
    assert shown.actions == set()
    assert not any("/sites" in href or "/edit" in href for href in shown.links.values())
    assert (await person.get("/console/advertisers/acme")).status_code == 200
    assert (await person.get("/console/advertisers/rival")).status_code == 404
    for path in ("theirs", "theirs?format=csv"):
        assert (await person.get(f"/console/campaigns/{path}")).status_code == 404
    assert "Their secret" not in (await person.get("/console/campaigns?format=csv")).text
    for path in ("one/edit", "one/clone", "one/archive", "one/room"):
        assert (await person.get(f"/console/campaigns/{path}")).status_code == 403


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"slots": []}, "It books no slot: say where it runs."),
        ({"weight": 0}, "Its weight is 0, which never serves."),
        ({"ends": "2027-01-15"}, "It ended on 2027-01-14."),
        ({"ends": "2027-01-16"}, "It ends today."),
        ({"ends": "2027-01-17"}, "It ends tomorrow."),
        ({"starts": "2027-01-16"}, "It starts on 2027-01-16."),
    ],
)
async def test_a_campaign_says_what_stands_in_its_way(api: Api, enter: Enter, change: Any, words: str) -> None:
    """In words; the frozen clock stands on 2027-01-15."""
    await api.world()
    await api.creative("one")
    await api.call("PATCH", "/campaigns/one", change)
    person = await enter("reader")
    assert words in Reading(await person.get("/console/campaigns/one")).words


async def test_a_campaign_says_what_its_creatives_and_slots_lack(api: Api, enter: Enter) -> None:
    """One that waits for review, none that serves, and slots that are stopped."""
    await api.world(slots=("top", "side"))
    await api.creative("one", approve=False)
    person = await enter("reader")
    page = "/console/campaigns/one"
    assert "no approved creative that serves now: 1 waits for review." in Reading(await person.get(page)).words
    await api.call("PATCH", "/sites/news/slots/top", {"state": "paused"})
    assert "Stopped for all campaigns: news/top." in Reading(await person.get(page)).words
    await api.call("PATCH", "/sites/news/slots/side", {"state": "paused"})
    assert "All of the slots that it books are stopped." in Reading(await person.get(page)).words


async def test_a_campaign_shows_what_it_delivered(api: Api, enter: Enter) -> None:
    """Its count beside its goal in list and page, and the picture of its delivery; the bar is the part of the goal."""
    await api.world()
    await api.creative("one", goal={"impressions": 4}, ends="2027-02-01")
    found = await api.decide()
    await api.http.get(found["impression_url"].removeprefix("http://localhost:8000"))
    await api.settle()
    person = await enter("reader")
    for path in ("", "/one"):
        shown = Reading(await person.get(f"/console/campaigns{path}"))
        assert "1 of 4 impressions" in shown.words
        assert [one.get("value") for one in shown.main.iter("progress")] == ["0.25"]
    assert any(one.get("role") == "img" for one in shown.main.iter("{http://www.w3.org/2000/svg}svg"))
    exports = [href for words, href in shown.all_links if words == "Export as CSV"]
    assert exports == ["?format=csv", "?format=csv&table=slots-one"]
    of_creatives, of_slots = [(await person.get(f"/console/campaigns/one{one}")).text.splitlines() for one in exports]
    assert (of_creatives[1], of_slots[1]) == ("t,text,any,1,yes,approved", "top,News,300x250,150 kB,active,explain")
    assert shown.links["Report and share links"] == "/console/campaigns/one/report"


async def test_too_much_that_is_booked_is_told(api: Api, enter: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a part of the page for a script, and as a page of its own; of its slots and of warnings about it alone."""
    await api.world(slots=("top", "side"))
    await api.creative("one", slots=["news/top"], goal={"impressions": 1000}, ends="2027-02-01")
    asked = []

    async def full(_: Any, slot: str, days: int) -> dict[str, Any]:
        asked.append((slot, days))
        return {
            "totals": {"forecast": 100},
            "warnings": [
                {"campaigns": ["one", "two"], "detail": "900 requests are missing"},
                {"campaigns": ["two"], "detail": "another matter"},
            ]
        }

    person = await enter("reader")
    assert "Not known yet" in Reading(await person.get("/console/campaigns/one/room")).words
    monkeypatch.setattr("adserve.web.console.campaigns.available", full)
    page = Reading(await person.get("/console/campaigns/one"))
    (asks,) = [one.get("hx-get") for one in page.main.iter("div") if one.get("hx-get")]
    part = (await person.get(asks, **{"HX-Request": "true"})).text
    assert "In news/top: 900 requests are missing." in part
    assert "<html" not in part
    assert "another matter" not in part
    assert "900 requests are missing" in Reading(await person.get(asks)).words
    assert set(asked) == {("news/top", 28)}
    await api.make("PUT", "/campaigns/three", {"advertiser": "acme", "name": "three", "slots": ["news/*"]})
    shown = Reading(await person.get("/console/campaigns/three/room"))
    assert "Nothing in the 2 slots that were looked at" in shown.words


async def test_a_campaign_is_told_in_words(api: Api, enter: Enter) -> None:
    """Everything that the form took, for who has read nothing."""
    await api.world()
    person = await enter()
    await person.post(NEW, ALL)
    words = Reading(await person.get("/console/campaigns/spring")).words
    for one in (
        "from 1 February 2027, 09:30 to the end of 28 February 2027 (Asia/Kolkata)",
        "10,000 impressions",
        "0 of 10,000 impressions",
        "sponsor: before all others",
        "evenly over its flight",
        "at most 12,000 impressions in all and 300 clicks in all and 500 impressions a day and 20 clicks a day",
        "3 times a week for a reader; readers who are not known are not shown it",
        "one of politics, world, एशिया; all of news; none of conflict",
        "Key-value section one of sports, chess; none of war",
        "mon-fri 09:00-17:00; sat-sun (Asia/Kolkata)",
        "INR 2.50 for 1,000 impressions (CPM)",
        "on one page: advertiser rival, category bikes",
    ):
        assert one in words, one


async def test_more_slots_than_a_campaign_books_are_told_beside_them(api: Api, enter: Enter) -> None:
    """1,100 boxes that were ticked arrive, and what was typed stands there again."""
    await api.world()
    slots = [f"news/a-slot-with-a-long-name-{at}" for at in range(1_100)]
    fields = {"name": "Spring sale", "advertiser": "acme", "slots": slots}
    reply = await (await enter()).post("/console/campaigns/new", fields)
    assert reply.status_code == 422
    assert "takes a list of at most 500" in reply.text
    assert "Spring sale" in reply.text
