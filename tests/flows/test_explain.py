"""Why a slot shows what it shows, asked as callers ask: of what would be, and of what was."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest
import structlog
from msgspec.structs import replace

from adserve.core.reasons import Reason
from adserve.settings import Settings
from adserve.wiring import running
from tests.conftest import ADMIN, Api, Clock


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Callers may ask as often as they like."""
    return dataclasses.replace(settings, api_rate=0)


TEXT = {"kind": "text", "name": "t", "title": "Tea", "click_url": "https://shop.example/tea"}


async def explained(api: Api, slot: str = "top", **query: str) -> Any:
    reply = await api.http.get(
        "/api/v1/explain",
        params={"site": "news", "slot": slot, **query},
        headers={"Authorization": f"Bearer {api.held.settings.admin_key}"},
    )
    assert reply.status_code == 200, reply.text
    return reply.json()


async def replayed(api: Api, decision: str) -> Any:
    return await api.make("GET", f"/explain/{decision}")


def rows(told: Any) -> dict[str, Any]:
    return {one["creative"]: one for one in told["candidates"]}


async def test_a_try_serves_counts_and_moves_nothing(api: Api) -> None:
    """Shares are exact; the store, the sequences and the ordinals are as they were."""
    await api.world()
    ids = [await api.creative(name, weight=weight) for name, weight in (("one", 1), ("two", 3))]
    house = await api.creative("own", tier="house")
    await api.decide()
    await api.settle()
    before, worker = await api.contents(), api.held.worker
    sequences, spaces = len(worker.draws), list(worker.ledger.spaces._next)
    seen = set()
    for _ in range(40):
        told = await explained(api)
        assert told["outcome"] in ids
        seen.add(told["outcome"])
        assert (told["reason"], told["same"], told["by"], told["decision"]) == ("chosen", True, "worker", None)
        assert [one["creative"] for one in told["candidates"]] == [*ids, house]
        assert [one["share"] for one in told["candidates"]] == [0.5, 0.5, 0]
        assert rows(told)[house]["rejected"] == "lower_tier"
    assert seen == {*ids}
    assert await api.contents() == before
    assert (len(worker.draws), worker.ledger.spaces._next) == (sequences, spaces)
    assert len(worker.journal) == 1


async def test_a_decision_is_explained_as_it_was_made(api: Api, clock: Clock) -> None:
    """After everything has changed: the same creative, with what stood beside it then."""
    await api.world()
    ids = {name: await api.creative(name, weight=weight) for name, weight in (("one", 1), ("two", 4))}
    made = [await api.decide() for _ in range(30)]
    version = api.held.worker.catalog.version if api.held.worker.catalog else 0
    await api.make("PATCH", "/campaigns/one", {"state": "paused"})
    await api.make("POST", f"/creatives/{ids['two']}/reject", {"reason": "no"})
    late = await api.creative("late")
    clock.now += 7200
    for one in made:
        told = await replayed(api, one["decision"])
        assert (told["outcome"], told["same"], told["reason"]) == (one["creative"], True, "chosen")
        assert told["catalog_version"] == version
        assert {id_: row["share"] for id_, row in rows(told).items()} == {ids["one"]: 0.5, ids["two"]: 0.5}
        assert late not in rows(told)
    now = await explained(api)
    assert now["outcome"] == late
    assert {id_: row["rejected"] for id_, row in rows(now).items()} == {
        ids["one"]: "paused",
        ids["two"]: "not_approved",
        late: None,
    }


async def test_an_empty_decision_and_a_passback_are_explained_too(api: Api) -> None:
    await api.world()
    later = await api.creative("later", starts="2027-06-01")
    empty = await api.decide()
    told = await replayed(api, empty["decision"])
    assert (told["outcome"], told["reason"], told["same"], told["empty_share"]) == (None, "not_started", True, 1)
    assert rows(told)[later]["rejected"] == "not_started"
    assert told["rejected"] == {"not_started": 1}
    await api.make("PUT", "/campaigns/back", {"advertiser": "acme", "name": "b", "slots": ["news/*"]})
    back = await api.make("POST", "/campaigns/back/creatives?approve=true", {"kind": "passback", "name": "p"})
    told = await replayed(api, (await api.decide())["decision"])
    assert (told["outcome"], told["reason"], told["same"]) == (back["id"], "passback", True)
    assert empty["decision"] != (await api.decide())["decision"]


async def test_thousands_of_random_decisions_are_explained_to_the_byte(api: Api, clock: Clock) -> None:
    """Pages and single calls, while campaigns come, go and change: every one comes out as it did, and where it was
    eligible."""
    chance = random.Random(7)
    await api.world(slots=("a", "b", "c"))
    for name, repeat in (("a", "never"), ("b", "creative"), ("c", "any")):
        await api.make("PATCH", f"/sites/news/slots/{name}", {"repeat": repeat})
    for at in range(8):
        fields: dict[str, Any] = {"tier": chance.choice(["sponsor", "standard", "standard", "house"])}
        if at % 3 == 0:
            fields |= {"goal": {"share": chance.randrange(10, 60)}}
        if at % 3 == 1:
            fields |= {"categories": ["cars"], "goal": {"impressions": 1000}}
        if at % 4 == 2:
            fields |= {"excludes": ["category:cars"]}
        await api.creative(f"c{at}", weight=chance.randrange(1, 5), **fields)
        text = {**TEXT, "weight": chance.randrange(1, 4)}
        await api.make("POST", f"/campaigns/c{at}/creatives?approve=true", text)
    made: list[Any] = []
    for _ in range(60):
        clock.now += chance.randrange(0, 40)
        which = f"/campaigns/c{chance.randrange(8)}"
        change = chance.choice([{"weight": chance.randrange(0, 9)}, {"state": "paused"}, {"state": "active"}])
        await api.make("PATCH", which, change)
        standing, serial = api.held.worker.standing, chance.randrange(1, 9)
        if chance.random() < 0.5:
            standing.open(serial)
        else:
            standing.close(serial, chance.choice([Reason.PACING, Reason.CAP_DAILY, Reason.GOAL_REACHED]))
        standing.renew({at: chance.randrange(1, 900) for at in range(1, 9)})
        for _ in range(8):
            made.append(await api.decide(chance.choice("abc")))
            page = (await api.http.get("/v1/pages/news", params={"slots": "a,b,c,a:2,b:2"})).json()["slots"]
            made += page.values()
    assert len(made) > 2_000
    filled = 0
    for one in made:
        told = await replayed(api, one["decision"])
        assert told["same"], one
        assert told["outcome"] == one.get("creative"), one
        if told["outcome"]:
            assert rows(told)[told["outcome"]]["eligible"], told
            filled += 1
        total = sum(row["share"] for row in told["candidates"]) + told["empty_share"]
        assert total == pytest.approx(1, abs=1e-9)
    assert filled > 1_000


@pytest.mark.parametrize("id_", ["x", "A" * 36, "EAAA" * 9, "é" * 36, "a%2Fb", "%00" * 36])
async def test_an_id_that_is_nobody_s_is_not_found(api: Api, id_: str) -> None:
    await api.world()
    reply = await api.call("GET", f"/explain/{id_}")
    assert (reply.status_code, reply.json()["code"]) == (404, "not_found")


async def test_a_changed_id_finds_nothing(api: Api) -> None:
    """Of a decision that is there; save the byte of the signing key and the grant, which say nothing of it."""
    await api.world()
    await api.creative()
    id_ = (await api.decide())["decision"]
    found = 0
    for place in range(36):
        other = id_[:place] + ("B" if id_[place] != "B" else "C") + id_[place + 1 :]
        found += (await api.call("GET", f"/explain/{other}")).status_code == 200
    assert found < 16


async def test_parameters_are_checked(api: Api) -> None:
    """All that is wrong, at once."""
    await api.world()
    reply = await api.call("GET", "/explain?device=fridge&width=-1&country=India&colour=red&limit=0")
    assert reply.status_code == 422
    assert {one["pointer"] for one in reply.json()["errors"]} == {
        "/site", "/slot", "/device", "/width", "/country", "/colour", "/limit",
    }  # fmt: skip
    for path in ("site=none&slot=top", "site=news&slot=none"):
        assert (await api.call("GET", f"/explain?{path}")).status_code == 404


async def test_the_answer_is_bounded_and_says_what_it_leaves_out(api: Api) -> None:
    await api.world()
    for at in range(5):
        await api.creative(f"c{at}", weight=5 - at)
    told = await explained(api, limit="2")
    assert [one["campaign"] for one in told["candidates"]] == ["c0", "c1"]
    assert told["left_out"] == 3
    told = await explained(api, campaign="c3")
    assert [one["campaign"] for one in told["candidates"]] == ["c3"]
    assert told["left_out"] == 0


async def test_an_advertiser_learns_of_its_own_alone(api: Api) -> None:
    """The rest is one row without names; what others have won or why they lost is not said."""
    await api.world(slots=("top", "side"))
    await api.make("PUT", "/advertisers/zeta", {"name": "Zeta"})
    mine = await api.creative("mine", slots=["news/top"])
    theirs = await api.creative("theirs", advertiser="zeta", slots=["news/*"], weight=1)
    key = (await api.make("POST", "/keys", {"role": "advertiser", "advertiser": "acme", "name": "p"}))["key"]

    async def ask(path: str) -> Any:
        return await api.http.get(f"/api/v1{path}", headers={"Authorization": f"Bearer {key}"})

    outcomes = {}
    for _ in range(20):
        decision = await api.decide()
        for path in ("/explain?site=news&slot=top", f"/explain/{decision['decision']}"):
            reply = await ask(path)
            assert reply.status_code == 200
            told = reply.json()
            assert [one["creative"] for one in told["candidates"]] == [mine, "other"]
            assert [one["share"] for one in told["candidates"]] == [0.5, 0.5]
            assert (told["draw"], told["request"], told["page"]) == (None, None, None)
            assert not [word for word in (theirs, "theirs", "zeta") if word in reply.text]
        outcomes[decision["creative"]] = told["outcome"], told["reason"]
    for name in ("visitor=reader-1", "seen="):  # what a reader has seen of others would show in the shares
        assert (await ask(f"/explain?site=news&slot=top&{name}")).status_code == 422
    assert outcomes == {mine: (mine, "chosen"), theirs: (None, "other")}
    side = await api.decide("side")
    assert (await ask("/explain?site=news&slot=side")).status_code == 404
    assert (await ask(f"/explain/{side['decision']}")).json() == (await ask(f"/explain/{'EAAA' * 9}")).json()
    await api.make("PATCH", "/campaigns/theirs", {"ends": "2027-01-01", "starts": "2026-01-01"})
    await api.make("PATCH", "/campaigns/mine", {"starts": "2027-06-01"})
    told = (await ask(f"/explain/{(await api.decide())['decision']}")).json()
    assert (told["reason"], told["rejected"]) == ("not_started", {"not_started": 1})
    assert told["candidates"][-1] == {
        "creative": "other", "campaign": None, "tier": None, "share": 0.0, "eligible": False, "rejected": None,
    }  # fmt: skip


async def test_a_decision_that_comes_out_otherwise_is_reported(api: Api) -> None:
    """It is said in the answer and in the log, and not hidden."""
    await api.world()
    for name in ("one", "two"):
        await api.creative(name)
    made = {one["creative"]: one["decision"] for one in [await api.decide() for _ in range(20)]}
    decisions = api.held.worker.journal._open.decisions
    one = decisions[-1]
    other = next(decision for decision in decisions if decision.choice != one.choice)
    decisions[-1] = replace(one, point=other.point)
    assert one.choice is not None
    last = list(made.values())
    with structlog.testing.capture_logs() as logs:
        told = [await replayed(api, id_) for id_ in last]
    assert [one["same"] for one in told].count(False) == 1
    assert [line["event"] for line in logs].count("decision_differs") == 1


async def test_whichever_worker_is_asked_the_one_that_decided_answers(
    store_url: str, settings: Settings, clock: Clock, api: Api
) -> None:
    """Two workers of one store: of filled and empty slots, for staff and for an advertiser; when the one that decided
    has ended, nobody knows."""
    await api.world()
    await api.make("PUT", "/advertisers/zeta", {"name": "Zeta"})
    ids = {await api.creative("mine"), await api.creative("theirs", advertiser="zeta")}
    key = (await api.make("POST", "/keys", {"role": "advertiser", "advertiser": "acme", "name": "p"}))["key"]
    own = dataclasses.replace(settings, data_dir=settings.data_dir / "two")
    own.data_dir.mkdir()
    async with running(own, store_url, clock=clock) as other:
        there = Api(other)
        decision = await there.decide()
        await api.make("PATCH", "/sites/news", {"state": "paused"})
        await other.services.refresh()
        empty = await there.decide()
        told = await replayed(api, decision["decision"])
        assert (told["outcome"], told["same"], {*rows(told)}) == (decision["creative"], True, ids)
        assert told == await replayed(there, decision["decision"])
        told = await replayed(api, empty["decision"])
        assert (told["outcome"], told["reason"]) == (None, "paused")
        reply = await api.http.get(
            f"/api/v1/explain/{decision['decision']}", headers={"Authorization": f"Bearer {key}"}
        )
        assert "theirs" not in reply.text
        assert reply.json()["candidates"][-1]["creative"] == "other"
        await there.http.aclose()
    reply = await api.call("GET", f"/explain/{decision['decision']}")
    assert reply.status_code == 404
    assert "remembers" in reply.json()["detail"]


async def test_an_explanation_takes_what_delivery_takes(api: Api) -> None:
    """Labels, address, language, key-values and device: what is shown is what was looked at."""
    await api.world()
    await api.creative(target={"labels": {"any": ["world"]}, "devices": {"any": ["mobile"]}})
    told = await explained(
        api, labels=" World,खेल", url="https://News.example/World?x=1", lang="en-GB", country="in", device="mobile",
        **{"kv.section": "front, Back"},
    )  # fmt: skip
    assert told["reason"] == "chosen"
    assert told["request"] == {
        "labels": ["world", "खेल"], "width": 360, "device": "mobile", "country": "IN", "url": "news.example/World/",
        "languages": ["en-gb", "en"], "kv": {"section": ["back", "front"]}, "countable": True, "reader": "unknown",
        "sticky": False, "tired_of": [],
    }  # fmt: skip
    made = await replayed(api, (await api.decide(labels="world,unheard", device="mobile"))["decision"])
    assert made["request"]["labels"][1:] == ["world"]
    assert made["request"]["labels"][0].startswith("#"), "a number alone: nobody targets it"
    wrong = {
        "labels": "x" * 61, "url": "::", "lang": "english!", "visitor": "a b", "pv": "short", "kv.a b": "1", "kv.": "1",
        "seen": "nonsense",
    }  # fmt: skip
    reply = await api.http.get(
        "/api/v1/explain", params={"site": "news", "slot": "top", **wrong}, headers={"Authorization": f"Bearer {ADMIN}"}
    )
    assert reply.status_code == 422
    assert {one["pointer"].lstrip("/") for one in reply.json()["errors"]} == {*wrong} - {"seen"}
    for name, text in (("seen", "nonsense"), ("pv", "p." + "A" * 40)):
        reply = await api.call("GET", f"/explain?site=news&slot=top&{name}={text}")
        assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (422, f"/{name}")


async def test_what_a_reader_has_seen_and_what_a_page_shows_is_looked_at(api: Api) -> None:
    """By an id, by what its device keeps, and by the page view: as delivery would, and nothing of it changes."""
    await api.world(slots=("top", "side"))
    one = await api.creative(frequency={"limit": 1, "window": "day"})
    decision = await api.decide(visitor="reader-1")
    await api.http.get(decision["impression_url"])
    await api.settle()
    before = await api.contents()
    for query, why in (({"visitor": "reader-1"}, "frequency"), ({"visitor": "reader-2"}, None), ({}, None)):
        told = await explained(api, **query)
        assert rows(told)[one]["rejected"] == why, query
    assert (await explained(api, visitor="reader-1"))["request"]["tired_of"] == ["one"]
    assert await api.contents() == before
    seen = (await api.decide(seen=""))["seen"]
    assert rows(await explained(api, seen=seen))[one]["rejected"] == "frequency"
    await api.make("PATCH", "/campaigns/one", {"frequency": None})
    page = (await api.http.get("/v1/pages/news", params={"slots": "top"})).json()
    told = await explained(api, "side", pv=page["page_view"])
    assert (rows(told)[one]["rejected"], told["page"]) == ("already_on_page", ["one"])
    assert told["reason"] == "already_on_page"


async def test_a_sticky_slot_has_one_chance_for_each_reader(api: Api) -> None:
    """The one that it gets, whatever is drawn; the decision and its explanation agree."""
    await api.world(rotation="sticky")
    for name in ("one", "two", "six"):
        await api.creative(name)
    shown = set()
    for at in range(12):
        decision = await api.decide(visitor=f"reader-{at}")
        for told in (await replayed(api, decision["decision"]), await explained(api, visitor=f"reader-{at}")):
            assert (told["outcome"], told["same"], told["request"]["sticky"]) == (decision["creative"], True, True)
            assert rows(told)[decision["creative"]]["share"] == 1
            assert [row["rejected"] for row in told["candidates"]] == [None, "lower_tier", "lower_tier"]
        shown.add(decision["creative"])
    assert len(shown) == 3
