"""A service in processes of its own, as operators run it, and a crowd of browsers that talk to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2

BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36"
ADMIN = "an-admin-key-for-the-service"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(**extra: str) -> dict[str, str]:
    """This process's own, without settings."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ADSERVE_")}
    return {**clean, **extra}


def fetch(url: str, **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(url, headers={"User-Agent": BROWSER, **headers})
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()


def until_up(process: subprocess.Popen[Any], origin: str, errors: Path) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            fetch(f"{origin}/healthz")
            return
        except OSError:
            assert process.poll() is None, errors.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)


@contextlib.contextmanager
def command(folder: Path, *arguments: str, **settings: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """An `adserve` command that serves on a port of its own: its process and origin. What it says goes to
    `stderr` in `folder`. One that still runs at the end is asked to drain, and has to do so."""
    port, said = free_port(), folder / "stderr"
    with said.open("a") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "adserve", *arguments, "--port", str(port)],
            env=environment(**settings), stderr=errors, stdout=errors, text=True,
        )  # fmt: skip
    try:
        until_up(process, f"http://127.0.0.1:{port}", said)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, said.read_text()


def until(holds: Callable[[], object], within_s: float = 15.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


class Service:
    """`adserve serve` with a small catalog: slot `news/top`, a creative or two in it."""

    def __init__(self, folder: Path, *, workers: int = 1, **settings: str) -> None:
        self.folder, self.data = folder, folder / "data"
        self.port = free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.said = folder / "stderr"
        self.settings = {"ADSERVE_ADMIN_KEY": ADMIN, "ADSERVE_DATA_DIR": str(self.data), **settings}
        self.workers = workers
        self.process: subprocess.Popen[Any] | None = None

    def launch(self, *before: str, **extra: str) -> None:
        """Until it is alive, ready or not. `before`: a command that runs it."""
        command = [sys.executable, "-m", "adserve", "serve", "--port", str(self.port), "--workers", str(self.workers)]
        with self.said.open("a") as errors:
            run = [*before, *command]
            self.process = subprocess.Popen(run, env=environment(**self.settings, **extra), stderr=errors)
        until_up(self.process, self.origin, self.said)

    def start(self, *before: str, **extra: str) -> None:
        banners = self.said.read_text().count("  workers ") if self.said.exists() else 0
        self.launch(*before, **extra)
        until(lambda: fetch(f"{self.origin}/readyz")[0] == 200)
        until(lambda: self.said.read_text().count("  workers ") > banners)  # the banner comes when all of them accept

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ends the service; its exit code."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        return self.process.wait(60)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {ADMIN}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.origin}/api/v1{path}", data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.loads(reply.read())

    def listed(self, path: str) -> list[Any]:
        """Everything of a list, page after page."""
        found: list[Any] = []
        while page := self.call("GET", f"{path}?after={found[-1]['id'] if found else ''}")["items"]:
            found += page
        return found

    def world(self, *weights: int) -> list[str]:
        """The catalog; the ids of its creatives, one a campaign."""
        self.call("PUT", "/sites/news", {"name": "News"})
        self.call("PUT", "/sites/news/slots/top", {"sizes": ["300x250"]})
        self.call("PUT", "/advertisers/acme", {"name": "Acme"})
        made = []
        for number, weight in enumerate(weights or (1,)):
            campaign = {"advertiser": "acme", "name": f"C{number}", "slots": ["news/*"], "weight": weight}
            self.call("PUT", f"/campaigns/c{number}", campaign)
            text = {"kind": "text", "name": "t", "title": "Tea", "click_url": "https://shop.example/tea"}
            made.append(self.call("POST", f"/campaigns/c{number}/creatives?approve=true", text)["id"])
        time.sleep(0.5)  # until every worker has heard of it
        return made

    def totals(self, by: str = "site") -> dict[str, Any]:
        found: dict[str, Any] = self.report(by)["totals"]
        return found

    def report(self, by: str) -> Any:
        """`GET /report` of today."""
        return self.call("GET", f"/report?site=news&period=today&tz=UTC&by={by}")

    def at_rest(self) -> dict[str, Any]:
        """The figures when no worker has anything left to count, and a store that was just killed is back."""
        until(lambda: not self.spooled(), 30)
        until(self.answers_reports)
        time.sleep(0.3)
        found: list[dict[str, Any]] = []
        until(lambda: self._totals_to(found))  # another worker may still be about to find the store
        return found[0]

    def _totals_to(self, found: list[dict[str, Any]]) -> bool:
        try:
            found.append(self.totals())
        except urllib.error.HTTPError as refused:
            if refused.code != 503:
                raise
        return bool(found)

    def spooled(self) -> list[Path]:
        """The files of the spools that are not replayed yet."""
        return list((self.data / "spool").glob("*-*.*"))

    def answers_reports(self) -> bool:
        """Whether a report is answered."""
        return self._totals_to([])

    def audit(self) -> Any:
        """The verdict of `adserve audit`, beside the running service."""
        done = subprocess.run(
            [sys.executable, "-m", "adserve", "audit", "--json"],
            env=environment(**self.settings), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode in (0, 1), done.stderr
        found = json.loads(done.stdout)
        assert found["agrees"] is (done.returncode == 0)
        return found

    def strange_files(self) -> list[str]:
        """What lies in the data directory and belongs to nothing: a file half written, one that nobody took away."""
        known = re.compile(
            r"secret|(store|owner|users)\.lock|media/[0-9a-f]{40}\.\w+|spool/[0-9a-f]+-[0-9]+\.events|store/.*"
        )
        names = [str(path.relative_to(self.data)) for path in self.data.rglob("*") if path.is_file()]
        return [name for name in names if not known.fullmatch(name)]

    def worker_pids(self) -> list[int]:
        assert self.process is not None
        return children(self.process.pid, "worker")

    def store_pid(self) -> int:
        with contextlib.suppress(OSError, ValueError, KeyError):
            return int(json.loads((self.data / "store.lock").read_bytes())["pid"])
        return 0


def strike(pid: int, number: int = signal.SIGKILL) -> bool:
    """Signals a process of the service; False when it is gone, as a worker may be that lost its store."""
    if pid <= 1:
        return False
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def children(parent: int, word: str) -> list[int]:
    """The living children of a process whose command line holds a word."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            state, ppid = (path / "stat").read_text().rpartition(")")[2].split()[:2]
            words = (path / "cmdline").read_bytes().split(b"\0")
            if int(ppid) == parent and state != "Z" and word.encode() in words:
                found.append(int(path.name))
    return sorted(found)


@contextlib.contextmanager
def service(folder: Path, *, workers: int = 1, started: bool = True, **settings: str) -> Iterator[Service]:
    """A running service with its catalog still empty; nothing of it is left at the end."""
    found = Service(folder, workers=workers, **settings)
    try:
        if started:
            found.start()
        yield found
    finally:
        if found.process is not None:
            mine = [*found.worker_pids()]
            if found.process.poll() is None:
                found.stop()
            for pid in (*mine, found.store_pid()):
                if b"data" in _arguments(pid):
                    strike(pid)


@contextlib.asynccontextmanager
async def service_beside(folder: Path, *, workers: int = 1, **settings: Any) -> AsyncIterator[Service]:
    """The same, while this process has something to do meanwhile: it may be the service's network."""
    manager = service(folder, workers=workers, **settings)
    running = await asyncio.to_thread(manager.__enter__)
    try:
        yield running
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)


def _arguments(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes() + b" " + os.readlink(f"/proc/{pid}/cwd").encode()
    return b""


class Crowd:
    """Browsers, many at once. Whoever gets no answer sends again, as long as it takes."""

    def __init__(self, origin: str, size: int = 32) -> None:
        self.origin = origin
        self._places = asyncio.Semaphore(size)
        limits = httpx2.Limits(max_connections=size, max_keepalive_connections=size)
        self.http = httpx2.AsyncClient(
            base_url=origin, headers={"User-Agent": BROWSER}, timeout=5, limits=limits, trust_env=False
        )
        self.unanswered = 0
        self.refused = 0
        """Answers of 5xx."""

    async def get(self, url: str, method: str = "GET", **headers: str) -> httpx2.Response:
        """The first answer that is none of 5xx."""
        deadline = time.monotonic() + 60
        while True:
            try:
                async with self._places:
                    reply = await self.http.request(method, url, headers=headers)
                if reply.status_code < 500:
                    return reply
                self.refused += 1
            except httpx2.TransportError:
                self.unanswered += 1
            assert time.monotonic() < deadline, f"no answer to {url}"
            await asyncio.sleep(0.05)

    async def decide(self) -> Any:
        reply = await self.get("/v1/slots/news/top", Accept="application/json")
        return reply.json()

    async def serves(self, count: int) -> list[Any]:
        """Decisions with an ad, made at once."""
        found = await asyncio.gather(*(self.decide() for _ in range(count)))
        assert all(one["filled"] for one in found)
        return list(found)
