"""The fixture of this folder: `world`, a service with something in every place."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adserve.settings import Settings
from tests.conftest import Clock
from tests.security.world import World, inhabited


@pytest.fixture
async def world(
    settings: Settings, store_url: str, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    async with inhabited(settings, store_url, clock, tmp_path, monkeypatch) as found:
        yield found
