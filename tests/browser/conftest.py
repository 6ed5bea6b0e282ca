"""A demo and a Chromium for the tests of this folder, which skip where no Chromium is installed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.service import environment, fetch, free_port

KEY = "an-admin-key-for-the-browser-tests"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium. Headless names itself a robot, so pages set a plain user agent."""
    if CHROMIUM is None and not os.environ.get("ADSERVE_REQUIRE_BROWSER"):
        pytest.skip("no Chromium is installed, and ADSERVE_REQUIRE_BROWSER is not set")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield found
        found.close()


@pytest.fixture(scope="module")
def origin(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A demo of its own. The browser comes first: without one nothing is started."""
    assert browser.is_connected()
    folder, port = tmp_path_factory.mktemp("demo"), free_port()
    command = [sys.executable, "-m", "adserve", "demo", "--port", str(port), "--data-dir", str(folder / "data")]
    with (folder / "stderr").open("w") as errors:
        process = subprocess.Popen(command, env=environment(ADSERVE_ADMIN_KEY=KEY), stderr=errors)
    found, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 40
    while True:
        try:
            fetch(f"{found}/healthz")
            break
        except OSError:
            assert process.poll() is None, (folder / "stderr").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
    yield found
    process.send_signal(signal.SIGTERM)
    process.wait(30)
