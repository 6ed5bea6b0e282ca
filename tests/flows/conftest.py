"""Fixtures of the flows."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from adserve.settings import Settings
from adserve.store.embedded import EmbeddedStore
from adserve.wiring import running
from tests.conftest import Api, Clock
from tests.faults import Proxy, proxy


@pytest.fixture
async def faulty(store: EmbeddedStore, settings: Settings, clock: Clock) -> AsyncIterator[tuple[Api, Proxy]]:
    """A worker whose store stands behind the proxy, with one creative that serves."""
    async with proxy(str(store.socket_path)) as between, running(settings, between.url, clock=clock) as held:
        api = Api(held)
        await api.world()
        await api.creative()
        yield api, between
        between.set("pass")
        await api.http.aclose()
