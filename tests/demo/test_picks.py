"""The demo's table of picks: complete up to the page that shows it, and true when the store is away."""

from __future__ import annotations

import asyncio

from adserve.demo.picks import picks
from adserve.settings import Settings
from adserve.store.embedded import EmbeddedStore
from adserve.wiring import running
from tests.conftest import Api, Clock
from tests.faults import proxy


async def test_a_pick_is_in_the_table_at_once_beside_the_creative_that_lost(api: Api) -> None:
    """No flush is waited for by the clock; campaigns that were never picked are left out."""
    await api.world(slots=("top", "side"))
    await api.creative("one", weight=3, slots=["news/top"])
    await api.creative("two", slots=["news/side"])
    text = {"kind": "text", "name": "u", "title": "U", "click_url": "https://shop.example/"}
    await api.make("POST", "/campaigns/one/creatives?approve=true", text)
    assert await picks(api.held) == []
    for count in range(1, 4):
        await api.decide()
        (group,) = await picks(api.held) or []
        assert (group.slot, group.campaign) == ("top", "one")
        rows = list(group.rows.values())
        assert [row.weight for row in rows] == [3, 1]
        assert sum(row.picks for row in rows) == count
        assert sum(group.share(row) or 0 for row in rows) == 1


async def test_what_was_picked_stays_when_it_can_be_picked_no_more(api: Api) -> None:
    """A paused campaign has left the slot, its picks have not."""
    await api.world()
    await api.creative("one")
    await api.decide()
    await api.make("PATCH", "/campaigns/one", {"state": "paused"})
    (group,) = await picks(api.held) or []
    assert [(row.name, row.weight, row.picks) for row in group.rows.values()] == [("t", 1, 1)]


async def test_without_the_store_there_is_no_table_and_nothing_is_lost(
    store: EmbeddedStore, settings: Settings, clock: Clock
) -> None:
    """None while it is away; once it is back the picks of that time are there."""
    async with proxy(str(store.socket_path)) as between, running(settings, between.url, clock=clock) as held:
        api = Api(held)
        await api.world()
        await api.creative()
        between.set("refuse")
        await api.decide()
        assert await picks(held) is None
        between.set("pass")
        found = None
        for _ in range(100):
            found = await picks(held)
            if found is not None:
                break
            await asyncio.sleep(0.02)
        assert [row.picks for group in found or () for row in group.rows.values()] == [1]
        await api.http.aclose()
