"""The examples as they stand, run as their pages in `docs/integrations` say, against a real service."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.service import ADMIN, environment, fetch, free_port, service, until

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
COMMANDS = {
    "jinja2": ["app.py"],
    "flask": ["-m", "flask", "run", "--port", "{port}"],
    "django": ["app.py", "runserver", "--noreload", "{port}"],
}
FALLBACK = '<a href="/letter">Our letter</a>'


@contextlib.contextmanager
def example(
    name: str, command: list[str], folder: Path, port: int, **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """A running example, asked to end at the end."""
    said = folder / f"{name}.log"
    words = [sys.executable, *(word.replace("{port}", str(port)) for word in command)]
    cwd = folder if name == "in-process" else EXAMPLES / name
    given = environment(PORT=str(port), PYTHONDONTWRITEBYTECODE="1", PYTHONUNBUFFERED="1", **variables)
    with said.open("a") as file:
        process = subprocess.Popen(words, cwd=cwd, env=given, stdout=file, stderr=file, text=True)
    try:

        def up() -> bool:
            assert process.poll() is None, said.read_text()
            with contextlib.suppress(OSError):
                return fetch(f"http://127.0.0.1:{port}/")[0] == 200
            return False

        until(up, 30)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def shown(port: int) -> str:
    status, body = fetch(f"http://127.0.0.1:{port}/")
    assert status == 200
    return body.decode()


@pytest.mark.parametrize("name", COMMANDS)
def test_an_example_is_filled_and_stands_without_the_service(name: str, tmp_path: Path) -> None:
    """A page with a snippet while the service runs, with the tag's element and the page's own when it is gone, and with
    a snippet again when it is back."""
    port = free_port()
    with service(tmp_path) as running:
        running.world()
        with example(name, COMMANDS[name], tmp_path, port, SLOTS_URL=running.origin):
            until(lambda: "slot-unit" in shown(port))  # the first page may have been too slow for its limit
            assert FALLBACK not in shown(port)
            running.stop()
            page = shown(port)
            element = '<div data-slot="top" data-size="728x90" style="min-height:108px" data-labels="lake"><template>'
            assert element in page
            assert FALLBACK in page.partition(element)[2].partition("</template>")[0]
            running.start()
            until(lambda: "slot-unit" in shown(port))


def test_the_django_example_passes_its_checks() -> None:
    done = subprocess.run(
        [sys.executable, "app.py", "check"], cwd=EXAMPLES / "django", env=environment(PYTHONDONTWRITEBYTECODE="1"),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


class Within:
    """The in-process example in a folder of its own."""

    def __init__(self, folder: Path, *, workers: int) -> None:
        self.folder, self.port, self.workers = folder, free_port(), workers
        self.base = f"http://127.0.0.1:{self.port}/s"

    def running(self) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
        options = ["--app-dir", str(EXAMPLES / "in-process"), "--port", "{port}", "--workers", str(self.workers)]
        command = ["-m", "uvicorn", "app:app", *options]
        return example("in-process", command, self.folder, self.port, ADMIN_KEY=ADMIN, PUBLIC_URL=self.base)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {ADMIN}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.base}/api/v1{path}", data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.loads(reply.read())

    def world(self) -> None:
        self.call("PUT", "/sites/news", {"name": "News"})
        self.call("PUT", "/sites/news/slots/top", {"sizes": ["728x90"]})
        self.call("PUT", "/advertisers/acme", {"name": "Acme"})
        self.call("PUT", "/campaigns/one", {"advertiser": "acme", "name": "One", "slots": ["news/*"]})
        text = {"kind": "text", "name": "t", "title": "Tea", "click_url": "https://shop.example/tea"}
        self.call("POST", "/campaigns/one/creatives?approve=true", text)

    def totals(self) -> dict[str, int]:
        found: dict[str, int] = self.call("GET", "/report?site=news&period=today&tz=UTC&by=site")["totals"]
        return found


@pytest.mark.parametrize("workers", [1, 2])
def test_a_site_with_the_service_within_counts_everything_over_a_restart(workers: int, tmp_path: Path) -> None:
    """One process, or two that share one embedded store; a SIGTERM drains, and nothing of it is left running."""
    within = Within(tmp_path, workers=workers)
    answered: set[str] = set()
    with within.running() as process:
        assert FALLBACK in shown(within.port)  # there is no site yet
        within.world()
        until(lambda: all("slot-unit" in shown(within.port) for _ in range(10)))  # every worker has heard of it
        for _ in range(30):
            (url,) = re.findall(r'<img src="([^"]*/e/i/[^"]*)"', shown(within.port))
            assert url.startswith(f"{within.base}/e/i/")
            assert fetch(url)[0] == 200
            answered.add(url)
        assert fetch(f"{within.base}/slots.js")[0] == 200
        store = json.loads((tmp_path / "slots-data" / "store.lock").read_bytes())["pid"]
        assert Path(f"/proc/{store}").exists()
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        until(lambda: not Path(f"/proc/{store}").exists())  # gone, also from the table of processes
    assert len(answered) == 30
    with within.running():
        found = within.totals()
        assert found["impressions"] == 30
        assert found["serves"] >= 40
