"""What a start prints for the operator."""

from __future__ import annotations

from pathlib import Path

import pytest

from adserve.serving import banner
from adserve.settings import load


@pytest.mark.parametrize(
    ("given", "serving", "listening"),
    [
        ({}, "http://127.0.0.1:8000", "127.0.0.1:8000"),
        ({"public_url": "https://serve.example"}, "https://serve.example", "127.0.0.1:8000"),
        ({"host": "::1", "port": 8123}, "http://[::1]:8123", "[::1]:8123"),
    ],
)
def test_the_banner_says_what_readers_and_what_a_proxy_reach(
    tmp_path: Path, given: dict[str, object], serving: str, listening: str
) -> None:
    """A public address does not hide the one to point a proxy at."""
    settings = load({"data_dir": tmp_path, **given}, {}, tmp_path / "none.toml")
    rows = dict(line.split(maxsplit=1) for line in banner(settings, None, []).splitlines())
    assert (rows["serving"], rows["listening"]) == (serving, listening)
