"""Which clicks are one client's: the rate rule holds against whoever claims to be somebody else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import httpx2
import pytest

from adserve.app import create_app
from adserve.settings import Settings
from adserve.wiring import running
from tests.conftest import BROWSER, Api, Clock

PEER, PROXY = "203.0.113.9", "10.0.0.1"
Click = Callable[..., Awaitable[None]]

CLAIMS = [
    "X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP", "CF-Connecting-IPv6", "True-Client-IP",
    "X-Client-IP", "X-Cluster-Client-IP", "Fastly-Client-IP", "X-Original-Forwarded-For", "X-Forwarded", "Via",
    "X-Envoy-External-Address", "X-Azure-ClientIP", "Fly-Client-IP", "X-Appengine-User-IP", "Client-IP",
]  # fmt: skip


@pytest.fixture
async def behind(store_url: str, settings: Settings, clock: Clock) -> AsyncIterator[Api]:
    """A worker that trusts one proxy, with a creative."""
    trusting = replace(settings, trusted_proxies=(ip_network(PROXY),))
    async with running(trusting, store_url, clock=clock) as held:
        api = Api(held)
        await api.world()
        await api.creative()
        yield api
        await api.http.aclose()


async def click(api: Api, peer: str, *headers: tuple[str, str]) -> Any:
    """A click on a fresh serve, from this peer with these header lines; the serve."""
    one = await api.decide()
    transport = httpx2.ASGITransport(app=create_app(api.held), client=(peer, 1))
    async with httpx2.AsyncClient(transport=transport, headers={"User-Agent": BROWSER}) as http:
        reply = await http.get(one["click_url"], headers=[("User-Agent", BROWSER), *headers])
    assert (reply.status_code, reply.headers["location"]) == (302, "https://shop.example/tea")
    return one


async def counted(api: Api) -> tuple[int, int]:
    """`(clicks, set aside as rate)`; together they are every token that came."""
    totals = await api.totals()
    asked = "/report?from=2027-01-01&to=2027-03-01&site=news&by=filter_reason"
    rows = (await api.call("GET", asked)).json()["rows"]
    reasons = {row["filter_reason"]: row["filtered"] for row in rows if row["filter_reason"]}
    assert sum(reasons.values()) == totals["filtered"] == reasons.get("rate", 0)
    assert totals["late"] == 0
    return totals["clicks"], totals["filtered"]


@pytest.mark.parametrize("name", CLAIMS)
async def test_a_header_makes_nobody_another_client(behind: Api, name: str) -> None:
    """Straight from the network, with another claim each time: one client, ten clicks."""
    for number in range(15):
        claim = f"for=1.2.3.{number}" if name == "Forwarded" else f"1.2.3.{number}"
        await click(behind, PEER, (name, claim))
    await click(behind, PEER, *((name, f"1.2.4.{number}") for number in range(90)))
    assert await counted(behind) == (10, 6)


async def test_without_trusted_proxies_no_header_is_believed(api: Api) -> None:
    await api.world()
    await api.creative()
    for number in range(12):
        await click(api, PROXY, ("X-Forwarded-For", f"1.2.3.{number}"))
    assert await counted(api) == (10, 2)


@pytest.mark.parametrize(
    "lines",
    [
        lambda n: [f"1.2.3.{n}, {PEER}"],
        lambda n: [f"1.2.3.{n}", PEER],
        lambda n: [f"1.2.3.{n}, {PEER}", PROXY],
        lambda n: [f"{PEER}:{50_000 + n}"],
        lambda n: [f"1.2.3.{n}, ::ffff:{PEER}"],
        lambda n: [*(f"9.9.{n}.{hop}" for hop in range(80)), PEER],
    ],
    ids=["one line", "a line of its own", "two proxies", "with ports", "mapped", "many lines"],
)
async def test_behind_a_proxy_the_client_is_whom_the_proxy_saw(behind: Api, lines: Callable[[int], list[str]]) -> None:
    """What the client wrote itself stands left of it and decides nothing."""
    for number in range(12):
        await click(behind, PROXY, *(("X-Forwarded-For", line) for line in lines(number)))
    assert await counted(behind) == (10, 2)
    other = [line.replace(PEER, "198.51.100.7") for line in lines(0)]
    await click(behind, PROXY, *(("X-Forwarded-For", line) for line in other))
    assert await counted(behind) == (11, 2)


async def test_the_rule_is_for_one_client_and_one_creative(behind: Api, clock: Clock) -> None:
    """A household (IPv6 /64) is one; another network is not, nor is another creative, nor the next minute.
    A double click is a duplicate and uses nothing up."""
    house = [("X-Forwarded-For", f"2001:db8:1:2::{n:x}") for n in range(1, 13)]
    for one in house:
        await click(behind, PROXY, one)
    assert await counted(behind) == (10, 2)
    await click(behind, PROXY, ("X-Forwarded-For", "2001:db8:1:3::1"))
    assert await counted(behind) == (11, 2)
    await behind.make("PATCH", "/campaigns/one", {"state": "paused"})
    await behind.creative("two")
    twice = await click(behind, PROXY, house[0])
    for _ in range(3):
        await behind.http.get(twice["click_url"])
    assert await counted(behind) == (12, 2)
    assert (await behind.totals())["duplicates"] == 3
    for _ in range(9):
        await click(behind, PROXY, house[0])
    assert await counted(behind) == (21, 2)
    await click(behind, PROXY, house[0])
    assert await counted(behind) == (21, 3)
    clock.now += 60
    await click(behind, PROXY, house[0])
    assert await counted(behind) == (22, 3)
