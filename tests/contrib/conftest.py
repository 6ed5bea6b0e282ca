"""Fixtures of the helpers: a server to call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contrib.site import Site, served


@pytest.fixture
def server() -> Iterator[Site]:
    with served() as site:
        yield site
