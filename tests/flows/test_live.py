"""The last decisions of all workers: each is told as what it came to, the newest first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from adserve.core.access import OPERATOR, Account
from adserve.flows.explain import EVERY_S, explain_past
from adserve.flows.live import MOST, recent
from adserve.settings import Settings
from adserve.wiring import Running, running
from tests.conftest import Api, Clock

ACME = Account("k", "advertiser", "n", advertiser="acme")


@pytest.fixture
async def world(api: Api) -> Api:
    """A slot with a campaign for `labels=tea` and nothing else."""
    await api.world()
    await api.creative("one", target={"labels": {"any": ["tea"]}})
    return api


@pytest.fixture
async def another(world: Api, store_url: str, settings: Settings, clock: Clock) -> AsyncIterator[Api]:
    """A second worker on the same store."""
    async with running(settings, store_url, clock=clock) as held:
        api = Api(held)
        yield api
        await api.http.aclose()


async def known(held: Running, workers: int) -> None:
    """Until so many workers have noted that they live."""
    async with asyncio.timeout(10):
        while len(await held.services.questions.workers()) < workers:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_each_decision_is_told_as_what_it_came_to(world: Api, clock: Clock) -> None:
    """Filled with whose creative, or empty with its reason; the id explains it."""
    filled = await world.decide(labels="tea", device="mobile")
    clock.now += 5
    empty = await world.decide(labels="coffee")
    found = await recent(world.held.services, OPERATOR)
    assert found.missing == 0
    newest, before = found.seen
    assert (newest.at, newest.filled, newest.reason, newest.campaign) == (int(clock.now), False, "target_labels", None)
    assert (newest.site, newest.slot, newest.decision) == ("news", "top", empty["decision"])
    assert (before.filled, before.reason, before.campaign, before.creative) == (True, None, "one", filled["creative"])
    assert (before.tier, before.revision, before.device, before.width) == ("standard", 1, "mobile", 360)
    for one, slot in ((newest, None), (before, filled["creative"])):
        told = await explain_past(world.held.services, OPERATOR, one.decision, {})
        assert (told["outcome"], told["same"]) == (slot, True)


async def test_robots_are_shown_as_what_they_are(world: Api) -> None:
    """They get ads, and are not counted."""
    await world.http.get("/v1/slots/news/top?labels=tea", headers={"User-Agent": "Googlebot/2.1"})
    (one,) = (await recent(world.held.services, OPERATOR)).seen
    assert (one.filled, one.counted) == (True, False)


async def test_those_of_other_workers_are_among_them(world: Api, another: Api, clock: Clock) -> None:
    """In one order, each once, whichever worker is asked."""
    await known(world.held, 2)
    ids = []
    for at in range(6):
        clock.now += 1
        ids.append((await (world, another)[at % 2].decide(labels="coffee"))["decision"])
    for api in (world, another):
        found = await recent(api.held.services, OPERATOR)
        assert [one.decision for one in found.seen] == ids[::-1]
        assert found.missing == 0
    assert [one.decision for one in (await recent(world.held.services, OPERATOR, 2)).seen] == ids[:3:-1]


async def test_the_command_line_has_none_of_its_own_and_asks_all(world: Api, clock: Clock) -> None:
    """As a process that decides nothing."""
    await known(world.held, 1)
    made = await world.decide(labels="coffee")
    world.held.services.recent = None
    found = await recent(world.held.services, OPERATOR)
    assert [one.decision for one in found.seen] == [made["decision"]]


async def test_a_worker_that_does_not_answer_is_said(world: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the others say is there all the same."""
    monkeypatch.setattr("adserve.flows.live.PATIENCE_S", 0.01)
    assert EVERY_S > 0.01
    await world.decide(labels="coffee")
    await world.held.services.questions.take(["abc"])
    found = await recent(world.held.services, OPERATOR)
    assert (len(found.seen), found.missing) == (1, 1)


async def test_an_advertiser_sees_what_chose_its_own(world: Api) -> None:
    """Neither what stayed empty nor what went to others."""
    await world.make("PUT", "/advertisers/other", {"name": "Other"})
    await world.creative("two", advertiser="other", target={"labels": {"any": ["coffee"]}})
    for labels in ("tea", "coffee", "milk"):
        await world.decide(labels=labels)
    assert len((await recent(world.held.services, OPERATOR)).seen) == 3
    found = await recent(world.held.services, ACME)
    assert [one.campaign for one in found.seen] == ["one"]


async def test_no_more_are_told_than_may_be(world: Api) -> None:
    """However many are asked for."""
    for _ in range(MOST + 3):
        await world.decide(labels="coffee")
    for asked, told in ((1, 1), (0, 1), (10**9, MOST)):
        assert len((await recent(world.held.services, OPERATOR, asked)).seen) == told
