"""What an operator turns off is off in every worker; what a campaign books by `site/*` grows with the site."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from adserve.settings import Settings
from adserve.wiring import running
from tests.conftest import Api, Clock
from tests.flows.rest import until

SITE, SLOT = "/sites/news", "/sites/news/slots/top"


@pytest.fixture
async def pair(store_url: str, settings: Settings, clock: Clock) -> AsyncIterator[tuple[Api, Api]]:
    """Two workers over one store."""
    async with running(settings, store_url, clock=clock) as one, running(settings, store_url, clock=clock) as two:
        apis = Api(one), Api(two)
        yield apis
        for api in apis:
            await api.http.aclose()


async def followed(pair: tuple[Api, Api]) -> None:
    """Until both have what was changed last; they ask by themselves five times a second."""
    version = await pair[0].held.services.catalog.version()
    await until(lambda: all(api.held.worker.catalog and api.held.worker.catalog.version == version for api in pair))


@pytest.mark.parametrize("path", [SITE, SLOT])
async def test_a_paused_site_or_slot_is_empty_in_every_worker(pair: tuple[Api, Api], path: str) -> None:
    """In every form of the answer, until it is active again; what was served before goes on counting and leading."""
    one, two = pair
    await one.world(slots=("top", "side"))
    await one.creative()
    await followed(pair)
    before = await two.decide()
    await one.make("PATCH", path, {"state": "paused"})
    assert not (await one.decide())["filled"], "at once where it was said"
    await followed(pair)
    for api in pair:
        assert not (await api.decide())["filled"]
        page = await api.http.get("/v1/slots/news/top")
        assert (page.status_code, page.content, page.headers["adserve-fill"]) == (200, b"", "0")
        slots = (await api.http.get("/v1/pages/news")).json()["slots"]
        assert [slots[name]["filled"] for name in ("top", "side")] == [False, path == SLOT]
    assert (await two.http.get(before["impression_url"])).status_code == 200
    assert (await two.http.get(before["click_url"])).headers["location"] == "https://shop.example/tea"
    await two.make("PATCH", path, {"state": "active"})
    await followed(pair)
    for api in pair:
        assert (await api.decide())["filled"]


@pytest.mark.parametrize("path", [SITE, SLOT])
async def test_a_report_tells_what_a_pause_kept_empty(api: Api, path: str) -> None:
    """From what stayed empty for want of a campaign; both are requests."""
    await api.world()
    await api.decide()
    await api.creative()
    await api.make("PATCH", path, {"state": "paused"})
    for _ in range(3):
        await api.decide()
    await api.settle()
    report = await api.make("GET", "/report?from=2027-01-01&to=2027-03-01&by=empty_reason")
    assert [(row["empty_reason"], row["empty"], row["requests"]) for row in report["rows"]] == [
        ("no_candidates", 1, 1),
        ("paused", 3, 3),
    ]


async def test_a_booking_of_all_slots_holds_for_those_made_later(api: Api) -> None:
    """In what it accepts, serves and lets upload; an archived slot leaves, another site never joins."""
    await api.world(slots=("top",))
    await api.creative()
    assert [one["slot"] for one in (await api.make("GET", "/campaigns/one"))["accepts"]] == ["news/top"]
    await api.make("PUT", "/sites/news/slots/late", {"sizes": ["728x90"], "max_kb": 90})
    await api.make("PUT", "/sites/blog", {"name": "Blog"})
    await api.make("PUT", "/sites/blog/slots/late", {"sizes": ["970x250"]})
    assert (await api.decide("late"))["campaign"] == "one"
    assert not (await api.http.get("/v1/slots/blog/late", headers={"Accept": "application/json"})).json()["filled"]
    both = [
        {"slot": "news/late", "sizes": ["728x90"], "max_kb": 90},
        {"slot": "news/top", "sizes": ["300x250"], "max_kb": 150},
    ]
    found = (await api.make("GET", "/campaigns/one"))["accepts"]
    assert sorted(found, key=lambda one: str(one["slot"])) == both
    assert (await api.make("GET", "/campaigns"))["items"][0]["accepts"] == found
    assert (await api.make("PATCH", "/campaigns/one", {"weight": 2}))["accepts"] == found
    sized = {"kind": "passback", "name": "Own", "width": 728, "height": 90}
    assert (await api.call("POST", "/campaigns/one/creatives", sized)).status_code == 201
    assert (await api.call("POST", "/campaigns/one/creatives", {**sized, "width": 970})).status_code == 422
    await api.make("DELETE", "/sites/news/slots/late")
    assert [one["slot"] for one in (await api.make("GET", "/campaigns/one"))["accepts"]] == ["news/top"]
    assert (await api.http.get("/v1/slots/news/late")).headers["adserve-reason"] == "unknown-slot"
