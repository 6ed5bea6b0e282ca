"""A reader sees a campaign no more often than it may be seen: by an id, or by what the device keeps for us."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from adserve.core.seen import read
from adserve.core.token import Key
from adserve.flows.frequency import Reading, Who
from adserve.flows.serve import Reader, sight_of
from adserve.settings import Settings
from adserve.store.batch import Item
from adserve.store.embedded import EmbeddedStore
from adserve.store.frequency import PATIENCE_S, Frequencies
from adserve.store.salts import PERIOD_S
from adserve.store.spool import Event
from adserve.wiring import running
from tests.conftest import Api, Clock
from tests.faults import Fault, Proxy, proxy
from tests.flows.conftest import faulty as faulty

DAY = 86_400
JSON = {"Accept": "application/json"}


def frequencies(api: Api) -> Frequencies:
    found = api.held.worker.frequencies
    assert found is not None
    return found


@pytest.fixture
async def capped(api: Api) -> Api:
    """Campaign `one`, shown twice a day, in two slots. A machine that others use may take its time."""
    frequencies(api).patience_s = 20
    await api.world(slots=("top", "side"), repeat="any")
    await api.creative("one", frequency={"limit": 2, "window": "day"})
    return api


def path(url: str) -> str:
    return url.removeprefix("http://localhost:8000")


async def seen_by(api: Api, **query: str) -> Any:
    """A decision whose ad a browser shows, if there is one."""
    made = await api.decide(**query)
    if made["filled"]:
        assert (await api.http.get(path(made["impression_url"]))).status_code == 200
    return made


async def shown(api: Api, times: int, **query: str) -> int:
    return sum([(await seen_by(api, **query))["filled"] for _ in range(times)])


async def reader_keys(api: Api) -> list[str]:
    client, prefix = api.held.services.client, api.held.settings.key_prefix
    return [str(key) async for key in client.scan_iter(f"{prefix}*") if "}:n:" in str(key)]


async def test_a_visitor_sees_a_campaign_as_often_as_it_may_be_seen(capped: Api, store_url: str) -> None:
    """Over all workers, whichever answers; another visitor begins anew."""
    async with running(capped.held.settings, store_url, clock=capped.held.worker.clock) as held:
        other = Api(held)
        frequencies(other).patience_s = 20
        made = [await seen_by(api, visitor="reader-1") for _ in range(3) for api in (capped, other)]
        assert [one["filled"] for one in made] == [True, True, False, False, False, False]
        assert {one["frequency"] for one in made} == {"visitor"}
        assert await shown(other, 3, visitor="reader-2") == 2
        await other.http.aclose()
    assert (await capped.totals())["impressions"] == 4


async def test_a_window_ends(capped: Api, clock: Clock) -> None:
    """It began with the first impression; then another begins."""
    begin = clock.now
    await seen_by(capped, visitor="reader-1")
    clock.now = begin + DAY / 2
    assert await shown(capped, 2, visitor="reader-1") == 1
    clock.now = begin + DAY - 1
    assert await shown(capped, 1, visitor="reader-1") == 0
    clock.now = begin + DAY
    assert await shown(capped, 3, visitor="reader-1") == 2


async def test_a_window_goes_on_when_the_salt_changes(api: Api, clock: Clock) -> None:
    """Under the digest that it began under; what begins later goes under the new one."""
    frequencies(api).patience_s = 20
    clock.now = (clock.now // PERIOD_S + 1) * PERIOD_S - DAY
    await frequencies(api).refresh()
    await api.world()
    await api.creative("one", frequency={"limit": 2, "window": "week"})
    assert await shown(api, 1, visitor="reader-1") == 1
    before = await reader_keys(api)
    clock.now += 2 * DAY
    await frequencies(api).refresh()
    assert len(frequencies(api).salts.alive(int(clock.now))) == 2
    assert await shown(api, 3, visitor="reader-1") == 1
    assert await reader_keys(api) == before
    clock.now += 5 * DAY
    assert await shown(api, 3, visitor="reader-1") == 2
    assert len(await reader_keys(api)) == 2


async def test_nothing_of_a_visitor_is_kept_but_digests_that_end(capped: Api) -> None:
    """No key, field, value, figure or file has the id, and each key is gone when its window is over."""
    await seen_by(capped, visitor="reader-one-of-many")
    await capped.settle()
    (key,) = await reader_keys(capped)
    client = capped.held.services.client
    assert 0 < await client.ttl(key) <= DAY
    assert not [name for name, dump in (await capped.contents()).items() if b"reader-one" in dump + name.encode()]
    assert "reader-one" not in (await capped.http.get("/metrics")).text
    files = [file.read_bytes() for file in capped.held.settings.data_dir.rglob("*") if file.is_file()]
    assert not [one for one in files if b"reader-one" in one]


async def test_an_impression_that_comes_again_counts_once(capped: Api) -> None:
    """Nor does its view; a view whose impression is missing counts as one; a prefetched, a late one not at all."""
    made = await capped.decide(visitor="reader-1")
    for kind in ("impression", "impression", "view", "view"):
        await capped.http.get(path(made[f"{kind}_url"]))
    made = await capped.decide(visitor="reader-1")
    assert made["filled"], "one is left"
    await capped.http.get(path(made["impression_url"]), headers={"Sec-Purpose": "prefetch"})
    assert (await capped.decide(visitor="reader-1"))["filled"]
    await capped.http.post(path(made["view_url"]))
    await capped.http.post(path(made["view_url"]))
    assert not (await capped.decide(visitor="reader-1"))["filled"]


async def test_an_address_counts_on_its_own_reader_alone(capped: Api) -> None:
    """What was altered, cut or taken from another serve is malformed: the event counts, on nobody."""
    one, other = await capped.decide(visitor="reader-1"), await capped.decide(visitor="reader-2")
    url, foreign = path(one["impression_url"]), path(other["impression_url"]).partition("?")[2]
    bare, _, own = url.partition("?")
    assert path(one["view_url"]).partition("?")[2] == own, "impression and view of a serve carry the same"
    for query in (foreign, own[:-1], own + "A", "f=", "f=%ff", "f=" + own[2:].swapcase()):
        made = await capped.decide(visitor="reader-1")
        before = capped.held.worker.malformed
        target = path(made["impression_url"]).partition("?")[0]
        assert (await capped.http.get(f"{target}?{query}")).status_code == 200
        assert capped.held.worker.malformed == before + 1, query
    assert await reader_keys(capped) == []
    await capped.http.get(bare)
    assert await reader_keys(capped) == []
    assert (await capped.totals())["impressions"] == 7


async def test_a_page_shows_a_visitor_no_more_than_is_left(capped: Api) -> None:
    """One read for all its slots, and its own serves count."""
    await seen_by(capped, visitor="reader-1")
    reads = frequencies(capped).reads
    found = (await capped.http.get("/v1/pages/news?slots=top,side,top:2&visitor=reader-1")).json()
    assert [one["filled"] for one in found["slots"].values()] == [True, False, False]
    assert {one["frequency"] for one in found["slots"].values()} == {"visitor"}
    assert "seen" not in found
    assert frequencies(capped).reads == reads + 1


async def test_only_who_needs_it_reads(capped: Api) -> None:
    """A visitor where no campaign has a frequency, and everybody else, is answered from memory."""
    await capped.make("PATCH", "/campaigns/one", {"slots": ["news/side"]})
    await capped.creative("two", slots=["news/top"])
    await capped.decide(visitor="reader-1")
    await capped.decide("side")
    await capped.decide("side", seen="")
    assert frequencies(capped).reads == 0
    assert (await capped.decide("side", visitor="reader-1"))["filled"]
    assert frequencies(capped).reads == 1


async def test_whoever_asks_for_privacy_is_not_counted(capped: Api) -> None:
    """With `Sec-GPC: 1` there is neither key nor cap nor anything to keep; another value is not that."""
    private = {**JSON, "Sec-GPC": "1"}
    for query in ("?visitor=reader-1", "?seen=", "", "?visitor=reader-1&seen=x"):
        for value in ("1", "1 ", "\t1", "1"):
            private["Sec-GPC"] = value
            made = (await capped.http.get(f"/v1/slots/news/top{query}", headers=private)).json()
            assert made["filled"]
            assert made["frequency"] == "none"
            assert "seen" not in made
            assert "?" not in made["impression_url"] + made["view_url"]
            await capped.http.get(path(made["impression_url"]), headers=private)
    page = (await capped.http.get("/v1/pages/news?visitor=reader-1", headers=private)).json()
    assert "seen" not in page
    assert (await reader_keys(capped), capped.held.worker.malformed, frequencies(capped).reads) == ([], 0, 0)
    for value in ("0", "true", "1, 1", "", "11"):
        made = (await capped.http.get("/v1/slots/news/top?visitor=r", headers={**JSON, "Sec-GPC": value})).json()
        assert made["frequency"] == "visitor"


async def test_a_beacon_of_a_reader_who_asks_for_privacy_counts_on_nobody(capped: Api) -> None:
    """Where the page's server did not pass the wish on, the browser says it."""
    made = await capped.decide(visitor="reader-1")
    await capped.http.get(path(made["impression_url"]), headers={"Sec-GPC": "1"})
    assert await reader_keys(capped) == []
    assert capped.held.worker.malformed == 0
    assert (await capped.totals())["impressions"] == 1


@pytest.mark.parametrize("visitor", ["x" * 65, "reader 1", "ré", "a/b", "%ff", "r\n"])
async def test_an_id_that_is_none_is_malformed(capped: Api, visitor: str) -> None:
    """And as good as none; an empty one is none."""
    made = (await capped.http.get("/v1/slots/news/top", params={"visitor": visitor}, headers=JSON)).json()
    assert (made["frequency"], capped.held.worker.malformed) == ("device", 1)
    assert (await capped.decide(visitor=""))["frequency"] == "device"
    assert capped.held.worker.malformed == 1


@pytest.mark.parametrize("fault", ["delay", "black_hole", "refuse"])
async def test_a_store_that_does_not_answer_in_time_leaves_capped_campaigns_out(
    faulty: tuple[Api, Proxy], fault: Fault
) -> None:
    """The slot is filled by others, as soon as 10 ms are over, and so is a page."""
    api, between = faulty
    await api.make("PATCH", "/campaigns/one", {"weight": 1})
    await api.creative("limited", tier="sponsor", frequency={"limit": 5, "window": "day"})
    frequencies(api).patience_s = 20
    assert (await api.decide(visitor="reader-1"))["campaign"] == "limited"
    between.delay_s = 0.2
    between.set(fault)
    frequencies(api).patience_s = PATIENCE_S
    made = await api.decide(visitor="reader-1")
    assert (made["campaign"], made["frequency"]) == ("one", "visitor")
    page = (await api.http.get("/v1/pages/news?visitor=reader-1")).json()
    assert page["slots"]["top"]["campaign"] == "one"
    assert (await api.decide())["campaign"] == "limited", "of whom nothing is known, as `unknown` says"
    assert frequencies(api).unanswered == 2


async def test_without_a_salt_visitors_are_not_shown_what_is_capped(capped: Api, clock: Clock) -> None:
    """It cannot be told what they have seen."""
    clock.now += PERIOD_S
    assert not (await capped.decide(visitor="reader-1"))["filled"]
    await frequencies(capped).refresh()
    assert (await capped.decide(visitor="reader-1"))["filled"]


async def test_a_changed_secret_ends_no_window(capped: Api) -> None:
    """While the one before still verifies."""
    await seen_by(capped, visitor="reader-1")
    worker = capped.held.worker
    worker.use_keys((Key.derive(b"another secret of more than thirty-two bytes"), *worker.keys))
    assert await shown(capped, 3, visitor="reader-1") == 1


@pytest.fixture
async def device(capped: Api) -> AsyncIterator[Api]:
    yield capped
    assert await reader_keys(capped) == [], "nothing of a device is in the store"
    assert frequencies(capped).reads == 0


async def test_a_device_keeps_what_it_has_seen(device: Api, clock: Clock) -> None:
    """It brings along what it was handed last, and no campaign is served more often than it may be seen."""
    seen = ""
    for filled in (True, True, False, False):
        made = await device.decide(seen=seen)
        assert (made["filled"], made["frequency"]) == (filled, "device")
        seen = made["seen"]
    clock.now += DAY - 1
    assert not (await device.decide(seen=seen))["filled"]
    clock.now += 1
    assert (await device.decide(seen=seen))["filled"]
    assert device.held.worker.malformed == 0


async def test_a_decision_hands_out_something_to_keep_when_it_matters(device: Api) -> None:
    """The first serve of a campaign with a frequency, without being asked; otherwise nothing."""
    await device.creative("two", slots=["news/side"], tier="sponsor")
    plain = await device.decide("side")
    assert (plain["campaign"], plain["frequency"]) == ("two", "none")
    assert "seen" not in plain
    first = await device.decide()
    assert first["frequency"] == "device"
    assert [(one.times, one.start) for one in (read(first["seen"], device.held.worker.keys) or {}).values()] == [
        (1, int(device.held.worker.clock()))
    ]
    assert not (await device.decide(seen=(await device.decide(seen=first["seen"]))["seen"]))["filled"]
    empty = await device.decide("side", seen="")
    assert (empty["frequency"], read(empty["seen"], device.held.worker.keys)) == ("device", {})


async def test_a_page_hands_out_what_all_its_slots_came_to(device: Api) -> None:
    """At the top, counted over them in their order; a page begins it too."""
    for query in ("", "&seen="):
        found = (await device.http.get(f"/v1/pages/news?slots=top,side,top:2{query}")).json()
        assert [found["slots"][name]["filled"] for name in ("top", "top:2", "side")] == [True, True, False]
        (one,) = (read(found["seen"], device.held.worker.keys) or {}).values()
        assert one.times == 2
    again = (await device.http.get(f"/v1/pages/news?slots=top&seen={found['seen']}")).json()
    assert not again["slots"]["top"]["filled"]


async def test_what_was_tampered_with_is_malformed(device: Api) -> None:
    """As good as nothing known; whoever brings it gets a new one."""
    seen = (await device.decide(seen=""))["seen"]
    worse = [seen[:-1] + ("A" if seen[-1] != "A" else "B"), "x" * 10_000, seen + seen, "é", seen[:16]]
    for number, sent in enumerate(worse, 1):
        made = await device.decide(seen=sent)
        assert (made["filled"], made["frequency"], device.held.worker.malformed) == (True, "device", number)
        (one,) = (read(made["seen"], device.held.worker.keys) or {}).values()
        assert one.times == 1


async def test_an_id_goes_before_what_a_device_keeps(capped: Api) -> None:
    """The store knows more."""
    made = await capped.decide(visitor="reader-1", seen="")
    assert made["frequency"] == "visitor"
    assert "seen" not in made


async def test_a_campaign_may_skip_whom_nothing_is_known_of(device: Api) -> None:
    """A device is known once it has brought back what it was handed: then it keeps things."""
    await device.make("PATCH", "/campaigns/one", {"frequency": {"limit": 2, "window": "day", "unknown": "skip"}})
    assert not (await device.decide())["filled"]
    assert not (await device.decide(seen="tampered"))["filled"]
    first = await device.decide(seen="")
    assert not first["filled"]
    assert (await device.decide(seen=first["seen"]))["filled"]
    assert not (await device.http.get("/v1/slots/news/top", headers={**JSON, "Sec-GPC": "1"})).json()["filled"]


async def test_a_visitor_is_known_from_the_first_call(capped: Api) -> None:
    """That the store has nothing of it is something."""
    await capped.make("PATCH", "/campaigns/one", {"frequency": {"limit": 2, "window": "day", "unknown": "skip"}})
    assert await shown(capped, 3, visitor="reader-1") == 2


async def test_a_serve_that_is_the_impression_counts_on_its_visitor(api: Api) -> None:
    """In e-mail and kiosks, where no beacon follows."""
    frequencies(api).patience_s = 20
    await api.world(count_on="serve")
    await api.creative("one", frequency={"limit": 2, "window": "day"})
    found = []
    for _ in range(4):
        found.append((await api.decide(visitor="reader-1"))["filled"])
        await api.settle()
    assert found == [True, True, False, False]


async def test_html_callers_count_too(capped: Api) -> None:
    """The image and the view of the snippet carry what their addresses need."""
    for filled in ("1", "1", "0"):
        reply = await capped.http.get("/v1/slots/news/top?visitor=reader-1")
        assert reply.headers["adserve-fill"] == filled
        if filled == "1":
            url = reply.text.split('src="http://localhost:8000')[-1].partition('"')[0]
            assert url.startswith("/e/i/")
            assert (await capped.http.get(url)).status_code == 200


async def test_what_waited_in_the_spool_counts_on_its_visitor(
    store: EmbeddedStore, settings: Settings, clock: Clock
) -> None:
    """Also where a worker had not heard of the campaign: as of when it came, once, and not when its window is over."""
    async with (
        proxy(str(store.socket_path)) as between,
        running(settings, between.url, clock=clock) as cut_off,
        running(settings, store.url, clock=clock) as other,
    ):
        here, there = Api(cut_off), Api(other)
        frequencies(there).patience_s = 20
        await there.world(slots=("top", "side"))
        await there.creative("known", slots=["news/side"], frequency={"limit": 1, "window": "day"})
        await cut_off.services.refresh()
        between.set("black_hole")
        await there.creative("new", slots=["news/top"], frequency={"limit": 1, "window": "day"})
        for slot in ("top", "side"):
            for visitor in ("reader-1", "reader-2"):
                made = await there.decide(slot, visitor=visitor)
                assert (await here.http.get(path(made["impression_url"]))).status_code == 200
        assert here.spooled()
        between.set("pass")
        await here.settle()
        assert len(await reader_keys(there)) == 4
        for slot in ("top", "side"):
            assert not (await there.decide(slot, visitor="reader-1"))["filled"]
        await here.http.aclose()
        await there.http.aclose()


async def test_an_impression_whose_window_is_over_leaves_nothing(capped: Api, clock: Clock) -> None:
    """One that the spool kept so long."""
    made = await capped.decide(visitor="reader-1")
    worker = capped.held.worker
    serve = worker.signer.verify(path(made["impression_url"])[5:53], "i")
    (digest, *_) = worker.visitor_digests("reader-1", int(clock.now))
    event = Event("i", serve, "count", reader=digest, campaign=1, window_s=3600)
    item = Item(event, int(clock.now), asyncio.get_running_loop().create_future(), 0.0, again=False)
    assert await worker.ledger.apply([item], int(clock.now) + 3600) == ["counted"]
    assert await reader_keys(capped) == []


async def test_a_spoilt_key_of_a_reader_keeps_no_event_from_being_counted(capped: Api) -> None:
    """Of another type, or with a field that is no count: as long as it is there, what the reader has seen cannot be
    told."""
    client = capped.held.services.client
    first, second, third = [await capped.decide(visitor="reader-1") for _ in range(3)]
    await capped.http.get(path(first["impression_url"]))
    (key,) = await reader_keys(capped)
    (field,) = await client.hkeys(key)
    await client.delete(key)
    await client.set(key, "x")
    await capped.http.get(path(second["impression_url"]))
    assert not (await capped.decide(visitor="reader-1"))["filled"]
    await client.delete(key)
    await client.hset(key, field, "many")
    assert not (await capped.decide(visitor="reader-1"))["filled"]
    await capped.http.get(path(third["impression_url"]))
    assert await client.hgetall(key) == {field: f"1:{int(capped.held.worker.clock())}"}
    assert (await capped.decide(visitor="reader-1"))["filled"]
    assert (await capped.totals())["impressions"] == 3


async def test_what_can_serve_only_since_the_store_was_asked_is_left_out(capped: Api, clock: Clock) -> None:
    """Nobody has looked how often it was seen."""
    starts = datetime.fromtimestamp(clock.now + 5, UTC).isoformat()
    await capped.creative("later", starts=starts, frequency={"limit": 2, "window": "day"})
    worker = capped.held.worker
    assert worker.catalog is not None
    slot = worker.catalog.slots["news/top"]
    reader = Reader(None, 1, None, None, "", who=Who("reader-1"))
    reading = sight_of(worker, [slot], reader)
    assert isinstance(reading, Reading)
    found = await reading.found
    clock.now += 5
    (one, later) = [worker.catalog.things[f"campaign:{name}"] for name in ("one", "later")]
    assert later.serial not in found
    assert reading.sight(found).tired == frozenset({later.serial})
    assert one.serial in found
