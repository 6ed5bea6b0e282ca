"""A client of the real store, and a prefix of its own for each test."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import pytest

from adserve.store.client import Redis, connect
from adserve.store.keys import Keys


@pytest.fixture
async def client(store_url: str) -> AsyncIterator[Redis]:
    found = connect(store_url)
    yield found
    await found.aclose()


@pytest.fixture
def keys() -> Keys:
    return Keys(f"t{secrets.token_hex(6)}:")
