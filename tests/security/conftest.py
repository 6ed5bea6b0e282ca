"""The fixtures of this folder: `world`, a service with something in every place, and `town`, that of the console."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from adserve.flows.passwords import Hashing
from adserve.settings import Settings
from adserve.wiring import running
from tests.conftest import QUICK, Api, Clock
from tests.console.town import Town, built
from tests.security.world import World, inhabited


@pytest.fixture
async def world(
    settings: Settings, store_url: str, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    async with inhabited(settings, store_url, clock, tmp_path, monkeypatch) as found:
        yield found


@pytest.fixture
async def town(settings: Settings, store_url: str, clock: Clock) -> AsyncIterator[Town]:
    """Without a bound on calls: whoever walks asks more than one caller may."""
    free = replace(settings, api_rate=0, api_rate_without_key=0)
    async with running(free, store_url, clock=clock) as held:
        held.services.hashing = Hashing(QUICK)
        api = Api(held)
        yield await built(api)
        await api.http.aclose()
