"""How often one caller may call the API, and that nobody else feels it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import httpx2
import pytest

from adserve.app import create_app
from adserve.settings import Settings
from adserve.store.client import REPLY_ERRORS, connect
from adserve.store.keys import Keys
from adserve.store.limits import Allowance, Limiter
from adserve.wiring import running
from tests.conftest import ADMIN, Api, Clock

PROXY = "10.0.0.1"
FEW = Allowance(2, 5)


@pytest.fixture
async def tight(store_url: str, settings: Settings, clock: Clock) -> AsyncIterator[Api]:
    """A service of which a key may ask five times at once and then twice a second, and a stranger three times."""
    strict = replace(
        settings,
        api_rate=int(FEW.rate),
        api_burst=FEW.burst,
        api_rate_without_key=1,
        api_burst_without_key=3,
        trusted_proxies=(ip_network(PROXY),),
    )
    async with running(strict, store_url, clock=clock) as held:
        api = Api(held)
        yield api
        await api.http.aclose()


async def ask(api: Api, secret: str | None = ADMIN, peer: str = "203.0.113.9", **headers: str) -> httpx2.Response:
    """A call for the list of sites from a peer."""
    sent = headers if secret is None else {"Authorization": f"Bearer {secret}", **headers}
    transport = httpx2.ASGITransport(app=create_app(api.held), client=(peer, 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
        return await http.get("/api/v1/sites", headers=sent)


async def statuses(api: Api, times: int, secret: str | None = ADMIN, **more: Any) -> list[int]:
    return [(await ask(api, secret, **more)).status_code for _ in range(times)]


async def test_a_key_may_call_in_a_burst_and_then_at_its_rate(tight: Api, clock: Clock) -> None:
    """429 says when to come back, and then the call is answered; the first key is limited like any other."""
    assert await statuses(tight, 6) == [200] * 5 + [429]
    refused = await ask(tight)
    assert (refused.json()["code"], refused.headers["retry-after"]) == ("too_many_requests", "1")
    assert refused.headers["content-type"] == "application/problem+json"
    clock.now += 1
    assert await statuses(tight, 3) == [200, 200, 429]
    clock.now += 60
    assert await statuses(tight, 6) == [200] * 5 + [429]


async def test_each_key_has_a_rate_of_its_own(tight: Api) -> None:
    """Whichever role and worker."""
    made = (await tight.call("POST", "/keys", {"role": "reader", "name": "other"})).json()["key"]
    assert await statuses(tight, 5) == [200] * 4 + [429]
    assert await statuses(tight, 6, made) == [200] * 5 + [429]


async def test_what_is_refused_changes_nothing(tight: Api) -> None:
    """Also where it would have."""
    await statuses(tight, 5)
    refused = await tight.call("PUT", "/sites/news", {"name": "News"})
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert await tight.held.services.catalog.get("site", "news") is None


async def test_strangers_are_one_by_network_and_limit_nobody_with_a_key(tight: Api) -> None:
    """401 until it is too often, with any key that is none; an IPv6 /64 is one network; no address is stored."""
    assert await statuses(tight, 2, None) == [401] * 2
    assert await statuses(tight, 2, "adserve_none") == [401, 429]
    assert await statuses(tight, 1) == [200]
    assert await statuses(tight, 1, None, peer="203.0.113.10") == [401]
    house = [f"2001:db8:1:2::{n:x}" for n in range(1, 5)]
    assert [(await ask(tight, None, peer)).status_code for peer in house] == [401] * 3 + [429]
    names = [key async for key in tight.held.services.client.scan_iter(f"{tight.held.settings.key_prefix}*:rate")]
    assert len(names) == 4
    assert not [name for name in names if "203" in name or "2001:db8" in name]


async def test_behind_a_proxy_a_stranger_is_whom_the_proxy_saw(tight: Api) -> None:
    """What a stranger claims of itself decides nothing."""
    for number in range(3):
        seen = {"X-Forwarded-For": f"198.51.100.{number}, 198.51.100.7"}
        assert await statuses(tight, 1, None, peer=PROXY, **seen) == [401]
    assert await statuses(tight, 1, None, peer=PROXY, **{"X-Forwarded-For": "198.51.100.7"}) == [429]
    assert await statuses(tight, 1, None, peer=PROXY, **{"X-Forwarded-For": "198.51.100.8"}) == [401]
    claims = [{"X-Forwarded-For": f"198.51.100.{number}"} for number in range(20, 24)]
    assert [(await ask(tight, None, **one)).status_code for one in claims] == [401] * 3 + [429]


async def test_delivery_is_not_limited(tight: Api) -> None:
    """Many readers share an address."""
    for _ in range(12):
        assert (await tight.http.get("/v1/slots/news/top")).status_code == 200


async def test_a_store_that_is_away_limits_nobody(tight: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """No call fails because it cannot be counted, and a store that is known to be away is not asked;
    a guess fails."""
    keys = Keys(tight.held.settings.key_prefix)
    away = connect("redis://127.0.0.1:1")
    for up in (True, False):
        limiter = Limiter(away, keys, tight.held.services.clock, lambda up=up: up)  # type: ignore[misc]
        assert [await limiter.wait_s("k-1", Allowance(1, 1)) for _ in range(3)] == [0, 0, 0]
        with pytest.raises(REPLY_ERRORS):
            await limiter.guess_wait_s({"k-1": Allowance(1, 1)})
    await away.aclose()
    client = tight.held.services.client
    await statuses(tight, 5)
    (name,) = [key async for key in client.scan_iter(f"{keys.prefix}*:rate")]
    await client.delete(name)
    await client.hset(name, mapping={"spoilt": "1"})
    assert await statuses(tight, 7) == [200] * 7


async def test_racing_callers_get_exactly_what_is_allowed(tight: Api, clock: Clock) -> None:
    """Of fifty at once over two limiters five are let through; a clock that is set back makes nobody wait for it."""
    services = tight.held.services
    limiters = [Limiter(services.client, services.keys, clock, lambda: True) for _ in range(2)]
    waits = await asyncio.gather(*(limiters[n % 2].wait_s("k-race", FEW) for n in range(50)))
    assert waits.count(0) == FEW.burst
    assert set(waits) == {0, 1}
    for step in (-86_400, 2.5):
        clock.now += step
        assert [await limiters[0].wait_s("k-race", FEW) for _ in range(6)] == [0] * 5 + [1]
    assert await services.client.pttl(services.keys.rate("k-race")) <= 2_500


async def test_a_rate_of_0_is_none(tight: Api, clock: Clock) -> None:
    """And leaves nothing in the store."""
    services = tight.held.services
    limiter = Limiter(services.client, services.keys, clock, lambda: True)
    assert [await limiter.wait_s("k-free", Allowance(0, 1)) for _ in range(3)] == [0] * 3
    assert not await services.client.exists(services.keys.rate("k-free"))


async def test_by_default_a_bulk_load_is_let_through(api: Api) -> None:
    """Two thousand calls at once by a key; strangers have five hundred."""
    held = api.held.settings
    assert (held.api_rate, held.api_burst) == (200, 2000)
    assert (held.api_rate_without_key, held.api_burst_without_key) == (20, 500)
    assert set(await statuses(api, 60, None)) == {401}
