"""A worker's copy of the catalog is made while its event loop goes on."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import pytest

from adserve import following
from adserve.errors import StoreUnavailable
from adserve.flows import load
from adserve.flows.load import Loader
from tests.conftest import Api

MANY = 40


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that do not look by themselves whether the catalog has changed."""
    monkeypatch.setattr(following, "POLL_S", 3600)


@pytest.fixture
def thawed() -> Iterator[None]:
    """What a test put beyond the garbage collector comes back to it."""
    yield
    gc.unfreeze()


async def test_the_loop_goes_on_while_a_copy_is_made(quiet: None, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes round for every campaign when steps take no time, and until the new copy is whole the one before is
    that of the worker."""
    await api.world()
    for at in range(MANY):
        await api.creative(f"c{at}")
    worker = api.held.worker
    before, worker.catalog = worker.catalog, None
    monkeypatch.setattr(load, "STEP_S", 0)
    monkeypatch.setattr(load, "LONGEST_S", 0)
    seen: list[None] = []

    async def look() -> None:
        while worker.catalog is None:
            seen.append(worker.catalog)
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    await Loader(worker, api.held.services.catalog).load(whole=True)
    await looking
    assert len(seen) > MANY
    assert before is not None
    assert worker.catalog is not None
    assert worker.catalog.things == before.things
    assert len(worker.catalog.slots["news/top"].tiers[1]) == MANY


async def test_what_was_loaded_is_beyond_the_garbage_collector(
    quiet: None, thawed: None, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it is much; a small catalog is left to it."""
    worker, store = api.held.worker, api.held.services.catalog
    frozen = gc.get_freeze_count()
    await api.world()
    for at in range(MANY):
        await api.creative(f"c{at}")
    assert gc.get_freeze_count() == frozen
    monkeypatch.setattr(load, "LOOSE", 1)
    worker.catalog = None
    await Loader(worker, store).load(whole=True)
    assert gc.get_freeze_count() > frozen
    assert gc.isenabled()


async def test_a_load_that_fails_leaves_copy_and_collector_as_they_were(api: Api) -> None:
    """The store went away, or the worker ends."""

    class Away:
        """A store that does not answer, or never."""

        def __init__(self, *, never: bool) -> None:
            self.never, self.bad = never, []  # type: tuple[bool, list[str]]

        async def fresh(self) -> Any:
            await asyncio.sleep(3600 if self.never else 0)
            raise StoreUnavailable("away")

    await api.world()
    before = api.held.worker.catalog
    away: Any = Away(never=False)
    with pytest.raises(StoreUnavailable):
        await Loader(api.held.worker, away).load(whole=False)
    never: Any = Away(never=True)
    loading = asyncio.create_task(Loader(api.held.worker, never).load(whole=False))
    await asyncio.sleep(0)
    assert not gc.isenabled()
    loading.cancel()
    await asyncio.wait([loading])
    assert gc.isenabled()
    assert api.held.worker.catalog is before
