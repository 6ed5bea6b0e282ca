"""A demo and a Chromium for the tests of this folder, which skip where no Chromium is installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.needs import need
from tests.service import command

KEY = "an-admin-key-for-the-browser-tests"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium. Headless names itself a robot, so pages set a plain user agent."""
    installed = need("chromium", "chromium-browser", "google-chrome", package="chromium")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    flags.append("--disable-features=LocalNetworkAccessChecks")  # pages of made-up hosts frame this loopback
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=installed, args=flags, ignore_default_args=["--disable-popup-blocking"]
        )
        yield found
        found.close()


@pytest.fixture(scope="module")
def origin(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A demo of its own. The browser comes first: without one nothing is started."""
    assert browser.is_connected()
    folder = tmp_path_factory.mktemp("demo")
    with command(folder, "demo", "--data-dir", str(folder / "data"), ADSERVE_ADMIN_KEY=KEY) as (_, found):
        yield found
