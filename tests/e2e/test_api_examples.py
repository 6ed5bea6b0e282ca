"""The examples of docs/api.md, run in order by a shell against a service of their own."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image

from adserve.web.routes import ROUTES
from tests.service import environment, fetch, free_port

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "api.md"
ADMIN = "a-key-for-the-examples-of-the-docs"
DELIVERY = (
    *("GET /v1/slots/{site}/{slot}", "GET /v1/pages/{site}", "GET /e/i/{token}", "POST /e/i/{token}"),
    *("GET /e/v/{token}", "POST /e/v/{token}", "GET /c/{token}", "GET /m/{file}", "GET /slots.js"),
    *("GET /healthz", "GET /readyz", "GET /version", "GET /metrics"),
)
SHELL = """set -eu -o pipefail
curl() { command curl -s -S -w '%{stderr}%{http_code} %{method} %{url_effective}\\n' "$@"; }
"""
"""Each `curl` of the examples says on stderr what it asked and what the status was."""


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A fresh service."""
    folder, port = tmp_path_factory.mktemp("service"), free_port()
    command = [sys.executable, "-m", "adserve", "serve", "--port", str(port), "--data-dir", str(folder / "data")]
    with (folder / "stderr").open("w") as errors:
        process = subprocess.Popen(command, env=environment(ADSERVE_ADMIN_KEY=ADMIN), stderr=errors)
    deadline = time.monotonic() + 40
    while True:
        try:
            fetch(f"http://127.0.0.1:{port}/healthz")
            break
        except OSError:
            assert process.poll() is None, (folder / "stderr").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    process.send_signal(signal.SIGTERM)
    process.wait(30)


def asked(method: str, url: str, route: str) -> bool:
    """Whether a request is one of a route, written as in the table."""
    wanted, _, path = route.partition(" ")
    return wanted == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), urlsplit(url).path) is not None


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("bash")), reason="no curl or bash here")
def test_the_examples_run_from_top_to_bottom(origin: str, tmp_path: Path) -> None:
    """Every one succeeds, and every route has one."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    Image.new("RGB", (728, 90), (9, 99, 199)).save(tmp_path / "banner.png")
    done = subprocess.run(
        ["bash", "-c", SHELL + "".join(blocks)],
        cwd=tmp_path,
        env=environment(BASE=origin, KEY=ADMIN),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    requests = re.findall(r"^([0-9]{3}) ([A-Z]+) (\S+)$", done.stderr, re.MULTILINE)
    assert done.returncode == 0, done.stderr
    assert [one for one in requests if one[0] not in ("200", "201", "204", "302")] == []
    assert sum(url.startswith(origin) for _, _, url in requests) == len(requests)
    for route in (*DELIVERY, *(f"{one.method} {one.path}" for one in ROUTES)):
        assert any(asked(method, url, route) for _, method, url in requests), f"no example of {route}"
