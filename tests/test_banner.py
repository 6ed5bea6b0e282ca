"""What a start prints for the operator."""

from __future__ import annotations

from pathlib import Path

import pytest

from adserve.serving import banner, start_warnings
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


def test_a_country_header_without_a_trusted_proxy_is_a_warning(tmp_path: Path) -> None:
    """With one it is none."""

    def warnings(**more: object) -> tuple[str, ...]:
        given = {"data_dir": tmp_path, "country_header": "CF-IPCountry", **more}
        return start_warnings(load(given, {}, tmp_path / "none.toml"))

    (warned,) = warnings()
    assert "ADSERVE_COUNTRY_HEADER" in warned
    assert warnings(trusted_proxies="10.0.0.1") == ()
