"""A page view over several workers: nobody asks another, and nothing is shown twice."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest

from adserve.wiring import running
from tests.conftest import Api
from tests.web.test_page_views import SLOTS, booked, campaigns, page


@pytest.fixture
async def workers(api: Api, store_url: str) -> AsyncIterator[tuple[Api, Api]]:
    """Two with one catalog, of six campaigns; the slot `top` is sticky."""
    await booked(api, 6)
    await api.make("PATCH", "/sites/news/slots/top", {"rotation": "sticky"})
    async with running(api.held.settings, store_url, clock=api.held.worker.clock) as held:
        other = Api(held)
        yield api, other
        await other.http.aclose()


async def test_any_worker_goes_on_with_a_page_view(workers: tuple[Api, Api]) -> None:
    """It takes what another has planned."""
    chance = random.Random(1)
    for _ in range(20):
        first = await page(chance.choice(workers), "sidebar")
        planned = [await page(worker, "header", pv=first["page_view"]) for worker in workers]
        assert len(set(campaigns(*planned))) == 1
        answers = [first]
        for slot in SLOTS[:3]:
            answers.append(await page(chance.choice(workers), slot, pv=answers[-1]["page_view"]))
        assert len(set(campaigns(*answers))) == 4


async def test_all_workers_come_to_one_plan_for_an_id(workers: tuple[Api, Api]) -> None:
    """Whichever answers which include."""
    for n in range(20):
        pages = [[(await worker.decide(slot, pv=f"page-view-{n}"))["creative"] for slot in SLOTS] for worker in workers]
        assert pages[0] == pages[1]
        assert len(set(pages[0])) == 5


async def test_all_workers_stick_to_the_same(workers: tuple[Api, Api]) -> None:
    """A visitor sees one creative, whoever answers."""
    got = set()
    for n in range(20):
        found = {(await worker.decide("top", visitor=f"reader-{n}"))["creative"] for worker in workers}
        assert len(found) == 1
        got |= found
    assert len(got) > 2
