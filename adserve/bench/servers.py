"""What is measured: adserve, and bare targets with the same bytes, each process on cores of its own choosing."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from adserve.bench.browsers import headers
from adserve.errors import AdserveError

CAMPAIGNS = 100
SLOTS = ("top", "below-post", "sidebar", "header", "footer")
START_S = 30


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(command: Sequence[str], port: int, cores: set[int], environment: dict[str, str]) -> Iterator[int]:
    """A server process on some cores, ended at the end by its id."""
    child = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + START_S
        while True:
            if child.poll() is not None or time.monotonic() > deadline:
                raise AdserveError(f"{' '.join(command[2:5])} did not start")
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield child.pid
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(30)


@dataclass(frozen=True, slots=True)
class Service:
    """A running adserve with a seeded catalog."""

    port: int
    key: str
    data: Path

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """A management call. AdserveError when it is refused."""
        sent = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        status, answer = fetch(
            self.port, method, f"/api/v1{path}", json.dumps(body) if body is not None else None, sent
        )
        if status >= 300:
            raise AdserveError(f"{method} {path} answered {status}: {answer[:200]!r}")
        return json.loads(answer)

    def store_pid(self) -> int:
        return int(json.loads((self.data / "store.lock").read_bytes())["pid"])


def fetch(port: int, method: str, path: str, body: str | None = None, sent: dict[str, str] | None = None) -> Any:
    """`(status, body)` of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, body, {**next(headers()), **(sent or {})})
    reply = connection.getresponse()
    found = reply.status, reply.read()
    connection.close()
    return found


@contextmanager
def adserve(
    folder: Path, cores: set[int], store_cores: set[int], *, workers: int = 1, ruled: bool = False
) -> Iterator[Service]:
    """A service with 100 campaigns over all hash tags in five slots. `ruled`: with targets, goals and caps."""
    port, key, data = free_port(), secrets.token_urlsafe(24), folder / f"data-{secrets.token_hex(3)}"
    command = [sys.executable, "-m", "adserve", "serve", "--port", str(port), "--data-dir", str(data)]
    settings = {
        "ADSERVE_ADMIN_KEY": key,
        "ADSERVE_SECRET": secrets.token_hex(32),
        "ADSERVE_WORKERS": str(workers),
        "ADSERVE_TRUSTED_PROXIES": "127.0.0.1",
        "ADSERVE_PUBLIC_URL": "https://serve.example",
    }
    with process(command, port, cores, settings):
        service = Service(port, key, data)
        seed(service, ruled=ruled)
        os.sched_setaffinity(service.store_pid(), store_cores)
        yield service


def rules_of(n: int) -> dict[str, Any]:
    """What limits the nth campaign, of ten kinds in turn: targets, caps, goals that are paced over a month. None of
    them is used up by a bench, and most of them can serve most requests."""
    now = datetime.now(UTC)
    flight = {"starts": f"{now - timedelta(days=1):%Y-%m-%d}", "ends": f"{now + timedelta(days=29):%Y-%m-%d}"}
    kinds: list[dict[str, Any]] = [
        {"target": {"labels": {"none": ["conflict", f"disaster-{n}"]}}},
        {"target": {"labels": {"any": ["politics", "world", "sport"]}}},
        {"target": {"urls": {"none": ["news.example/obituaries/*"]}, "devices": {"any": ["desktop", "mobile"]}}},
        {"target": {"languages": {"any": ["en", "de", "ne"]}, "labels": {"none": ["gambling"]}}},
        {"target": {"hours": ["mon-sun 00:00-24:00"], "kv": {"section": {"none": ["kids"]}}}},
        {"caps": {"total": {"impressions": 500_000_000}}},
        {"caps": {"total": {"impressions": 500_000_000}, "daily": {"impressions": 100_000_000}}},
        {"caps": {"daily": {"impressions": 100_000_000}}, "target": {"labels": {"none": ["conflict"]}}},
        {"goal": {"impressions": 20_000_000 + n}, **flight},
        {"goal": {"impressions": 30_000_000 + n}, "target": {"labels": {"none": ["disaster"]}}, **flight},
    ]
    return kinds[n % len(kinds)]


def seed(service: Service, *, ruled: bool) -> None:
    service.call("PUT", "/sites/bench", {"name": "Bench"})
    for rank, name in enumerate(SLOTS):
        service.call("PUT", f"/sites/bench/slots/{name}", {"sizes": ["728x90"], "rank": rank + 1})
    service.call("PUT", "/advertisers/bench", {"name": "Bench"})
    for n in range(CAMPAIGNS):
        name = f"bench-{n}"
        body = {"advertiser": "bench", "name": name, "slots": ["bench/*"], "weight": 1 + n % 7}
        body |= rules_of(n) if ruled else {}
        service.call("PUT", f"/campaigns/{name}", body)
        text = {
            "kind": "text",
            "name": name,
            "title": f"Offer {n}",
            "body": "A line of text",
            "click_url": "https://shop.example/?from={site}&slot={slot}",
        }
        service.call("POST", f"/campaigns/{name}/creatives?approve=true", text)
    time.sleep(1.5)  # until every worker has it


@contextmanager
def bare(folder: Path, kind: str, body: bytes, media_type: str, cores: set[int], *, workers: int = 1) -> Iterator[int]:
    """The port of a bare Starlette route (`starlette`) or a bare ASGI callable (`asgi`) that answers these bytes."""
    port, file = free_port(), folder / f"body-{secrets.token_hex(6)}"
    file.write_bytes(body)
    command = [sys.executable, "-m", "adserve.bench.targets", kind, str(port), str(file), media_type, str(workers)]
    with process(command, port, cores, {}):
        yield port
