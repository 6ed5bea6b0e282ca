"""Slot and page calls, beacons and clicks by what became of them."""

from __future__ import annotations

import math

from adserve.errors import AdserveError
from tests.conftest import Api, Clock
from tests.figures import samples


async def outcomes(api: Api, metric: str) -> dict[str, float]:
    """What a metric with outcomes says: `filled`, or `view,late`; what has not, is left out."""
    page = samples((await api.http.get("/metrics")).text)
    found = {}
    for name, value in page.items():
        if name.startswith(f"adserve_{metric}_total{{"):
            labels = [part.partition("=")[2].strip('"') for part in name.partition("{")[2].rstrip("}").split(",")]
            found[",".join(labels)] = value
    return {labels: value for labels, value in found.items() if value}


async def test_slot_and_page_calls_count_by_what_they_got(api: Api) -> None:
    """In both forms of the answer; the slots of a page apart from slot calls."""
    await api.world(slots=("top", "low"))
    await api.creative(slots=["news/top"])
    for accept in ("application/json", "text/html"):
        for path, times in (("news/top", 3), ("news/low", 2), ("news/none", 1)):
            for _ in range(times):
                await api.http.get(f"/v1/slots/{path}", headers={"Accept": accept})
    await api.http.get("/v1/pages/news?slots=top,low,low:2,none,no.name")
    await api.http.get("/v1/pages/none")
    assert await outcomes(api, "slot_requests") == {"filled": 6, "empty": 4, "unknown": 2}
    assert await outcomes(api, "page_requests") == {"answered": 1, "unknown": 1}
    assert await outcomes(api, "page_slots") == {"filled": 1, "empty": 2, "unknown": 2}
    api.held.worker.stale = True
    await api.http.get("/v1/slots/news/top")
    await api.http.get("/v1/pages/news")
    assert (await outcomes(api, "slot_requests"))["no_catalog"] == 1
    assert (await outcomes(api, "page_requests"))["no_catalog"] == 1


async def test_a_passback_is_an_outcome_of_its_own(api: Api) -> None:
    """For the slot and for the slots of a page."""
    await api.world()
    body = {"advertiser": "acme", "name": "one", "slots": ["news/*"]}
    await api.make("PUT", "/campaigns/one", body)
    await api.make("POST", "/campaigns/one/creatives?approve=true", {"kind": "passback", "name": "p"})
    await api.http.get("/v1/slots/news/top")
    await api.http.get("/v1/pages/news")
    assert await outcomes(api, "slot_requests") == {"passback": 1}
    assert await outcomes(api, "page_slots") == {"passback": 1}


async def test_events_count_by_what_was_answered(api: Api, clock: Clock) -> None:
    """Each request once, by kind; HEAD nowhere."""
    await api.world()
    await api.creative()
    first, second, third = [await api.decide() for _ in range(3)]
    robot = {"User-Agent": "Googlebot/2.1"}
    for url in (first["impression_url"], first["view_url"], first["click_url"]):
        await api.http.get(url)
        await api.http.get(url)
    for url in (second["impression_url"], second["view_url"], second["click_url"]):
        await api.http.get(url, headers=robot)
    for path in ("/e/i/none", "/e/v/none", "/c/none", "/e/i/" + first["view_url"].rpartition("/")[2]):
        await api.http.get(path)
    await api.http.head(third["click_url"])
    await api.http.head("/c/none")
    clock.now += 90_000
    for url in (third["impression_url"], third["view_url"], third["click_url"]):
        await api.http.get(url)
    clock.now += 50 * 3600
    for url in (third["view_url"], third["click_url"]):
        await api.http.get(url)
    expected = {f"{kind},{outcome}": 1.0 for kind in ("impression", "view", "click")
                for outcome in ("counted", "duplicate", "filtered", "late", "bad_token")}  # fmt: skip
    assert await outcomes(api, "events") == {**expected, "view,late": 2, "click,late": 2, "impression,bad_token": 2}


async def test_events_without_a_store_are_spooled_or_refused(api: Api) -> None:
    """Spooled while the breaker is open; when the spool is full too, a beacon is refused and a click goes on."""
    await api.world()
    id_ = await api.creative()
    first, second = [await api.decide() for _ in range(2)]
    await api.settle()
    breaker, spool = api.held.worker.ledger.breaker, api.held.worker.ledger.spool
    breaker.failed(at_once=True)
    breaker._until = math.inf
    for url in (first["impression_url"], first["click_url"]):
        await api.http.get(url)
    spool._limit = 0
    for url in (second["impression_url"], second["click_url"]):
        await api.http.get(url)
    found = {"impression,spooled": 1, "click,spooled": 1, "impression,refused": 1, "click,uncounted": 1}
    assert await outcomes(api, "events") == found
    spool._limit, breaker._until = 1 << 20, 0.0
    await api.make("POST", f"/creatives/{id_}/reject", {"reason": "No"})
    await api.http.get(second["click_url"])
    found["click,gone"] = 1
    assert await outcomes(api, "events") == found
    api.held.failure, api.held.worker.catalog = AdserveError(), None  # and nobody loads another
    for url in (second["view_url"], second["click_url"]):
        assert (await api.http.get(url)).status_code == 503
    assert await outcomes(api, "events") == {**found, "view,refused": 1, "click,refused": 1}


async def test_commits_of_events_are_timed_by_batch(api: Api) -> None:
    """Ten beacons, one after the other, are ten batches."""
    await api.world()
    await api.creative()
    made = [await api.decide() for _ in range(10)]
    await api.settle()
    latency = api.held.worker.ledger.counts.latency
    before = sum(latency.counts)
    for one in made:
        await api.http.get(one["impression_url"])
    assert sum(latency.counts) == before + 10
