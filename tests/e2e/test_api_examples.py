"""The examples of docs/api.md, run in order by a shell against a service of their own."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image

from adserve.web.api.openapi import document
from adserve.web.routes import ROUTES
from tests.needs import need
from tests.service import command, environment

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "api.md"
ADMIN = "a-key-for-the-examples-of-the-docs"
CALLS = [f"{method.upper()} {path}" for path, methods in document(ROUTES)["paths"].items() for method in methods]
SHELL = """set -eu -o pipefail
curl() { command curl -s -S -w '%{stderr}%{http_code} %{method} %{url_effective}\\n' "$@"; }
"""
"""Each `curl` of the examples says on stderr what it asked and what the status was."""


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A fresh service."""
    folder = tmp_path_factory.mktemp("service")
    with command(folder, "serve", "--data-dir", str(folder / "data"), ADSERVE_ADMIN_KEY=ADMIN) as (_, found):
        yield found


def asked(method: str, url: str, route: str) -> bool:
    """Whether a request is one of a route, written as in the table."""
    wanted, _, path = route.partition(" ")
    return wanted == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), urlsplit(url).path) is not None


def test_the_examples_run_from_top_to_bottom(origin: str, tmp_path: Path) -> None:
    """Every one succeeds, and every call that the interface describes has one. They run as readers run
    them: in a shell, with curl."""
    shell, _ = need("bash", package="bash"), need("curl", package="curl")
    blocks = re.findall(r"^```sh\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    Image.new("RGB", (728, 90), (9, 99, 199)).save(tmp_path / "banner.png")
    done = subprocess.run(
        [shell, "-c", SHELL + "".join(blocks)],
        cwd=tmp_path,
        env=environment(BASE=origin, KEY=ADMIN),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    requests = re.findall(r"^([0-9]{3}) ([A-Z]+) (\S+)$", done.stderr, re.MULTILINE)
    assert done.returncode == 0, done.stderr
    assert [one for one in requests if one[0] not in ("200", "201", "204", "302", "304", "307")] == []
    assert sum(url.startswith(origin) for _, _, url in requests) == len(requests)
    for route in CALLS:
        assert any(asked(method, url, route) for _, method, url in requests), f"no example of {route}"
