"""The runs: each target on one pinned core, the generator on another, interleaved, medians."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import uvloop

from adserve.bench.generator import drive
from adserve.core.token import Key, Serve, Signer
from adserve.errors import AdserveError

CAMPAIGNS = 100
BROWSER = {
    "User-Agent": (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36"
    ),
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-IN,en;q=0.9,hi;q=0.8",
    "Sec-CH-UA": '"Chromium";v="150", "Not.A/Brand";v="24"',
    "Sec-CH-UA-Mobile": "?0",
    "Sec-CH-UA-Platform": '"Linux"',
    "Referer": "https://news.example/2026/11/a-story.html",
}
Row = dict[str, Any]


def request(path: str, port: int) -> bytes:
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        *(f"{name}: {value}" for name, value in BROWSER.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(command: list[str], port: int, core: int, environment: dict[str, str]) -> Iterator[None]:
    """A server process on one core, ended at the end by its id."""
    child = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        while True:
            if child.poll() is not None or time.monotonic() > deadline:
                raise AdserveError(f"{command[2:4]} did not start")
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield
    finally:
        child.terminate()
        child.wait(30)


def call(port: int, method: str, path: str, key: str = "", body: Any = None) -> bytes:
    """One request; AdserveError when it is refused."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    headers = {**BROWSER, "Accept": "application/json"}
    if key:
        headers |= {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request(method, path, json.dumps(body) if body is not None else None, headers)
    reply = connection.getresponse()
    data = reply.read()
    connection.close()
    if reply.status >= 300:
        raise AdserveError(f"{method} {path} answered {reply.status}: {data[:200]!r}")
    return data


def seed(port: int, key: str) -> dict[str, Any]:
    """100 campaigns over all hash tags in one slot; returns a decision."""
    api = "/api/v1"
    call(port, "PUT", f"{api}/sites/bench", key, {"id": "bench", "name": "Bench"})
    call(port, "PUT", f"{api}/sites/bench/slots/top", key, {"name": "top", "sizes": ["728x90"]})
    call(port, "PUT", f"{api}/advertisers/bench", key, {"id": "bench", "name": "Bench"})
    for n in range(CAMPAIGNS):
        name = f"bench-{n}"
        body = {"id": name, "advertiser": "bench", "name": name, "slots": ["bench/top"], "weight": 1 + n % 7}
        call(port, "PUT", f"{api}/campaigns/{name}", key, body)
        text = {
            "kind": "text",
            "name": name,
            "title": f"Offer {n}",
            "body": "A line of text",
            "click_url": "https://shop.example/",
        }
        call(port, "POST", f"{api}/campaigns/{name}/creatives?approve=true", key, text)
    time.sleep(1)
    decision: dict[str, Any] = json.loads(call(port, "GET", "/v1/slots/bench/top"))
    return decision


def bench(*, rounds: int, count: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Slot call and impression beacon, each against the bare Starlette route and a bare ASGI callable."""
    cores = sorted(os.sched_getaffinity(0))
    server_core, own_core = cores[0], cores[-1]
    os.sched_setaffinity(0, {own_core})
    key, secret = secrets.token_urlsafe(24), secrets.token_hex(32)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="adserve-bench-")))
        ports = {
            name: free_port() for name in ("adserve", "starlette_slot", "asgi_slot", "starlette_beacon", "asgi_beacon")
        }
        command = [
            sys.executable,
            "-m",
            "adserve",
            "serve",
            "--port",
            str(ports["adserve"]),
            "--data-dir",
            str(folder / "data"),
        ]
        settings = {"ADSERVE_ADMIN_KEY": key, "ADSERVE_SECRET": secret}
        stack.enter_context(process(command, ports["adserve"], server_core, settings))
        say(f"seeding {CAMPAIGNS} campaigns")
        decision = seed(ports["adserve"], key)
        token = decision["impression_url"].rsplit("/", 1)[1]
        beacons = _tokens(token, secret, rounds * count)
        page = http_get(ports["adserve"], "/v1/slots/bench/top")
        pixel = http_get(ports["adserve"], f"/e/i/{token}")
        for what, body, kind in (("slot", page, "text/html"), ("beacon", pixel, "image/gif")):
            file = folder / what
            file.write_bytes(body)
            for name in ("starlette", "asgi"):
                port = ports[f"{name}_{what}"]
                one = [sys.executable, "-m", "adserve.bench.targets", name, str(port), str(file), kind]
                stack.enter_context(process(one, port, server_core, {}))
        rows = []
        for what in ("slot", "beacon"):
            targets = {name: ports[f"{name}_{what}"] for name in ("asgi", "starlette")} | {"adserve": ports["adserve"]}
            speeds: dict[str, list[float]] = {name: [] for name in targets}
            busy: list[float] = []
            for turn in range(rounds + 1):
                for name, port in targets.items():
                    if what == "slot":
                        requests = [request("/v1/slots/bench/top", port)] * count
                    elif name == "adserve":
                        tokens = beacons[turn * count : (turn + 1) * count] if turn else beacons[:100]
                        requests = [request(f"/e/i/{one}", port) for one in tokens]
                    else:
                        requests = [request(f"/e/i/{one}", port) for one in beacons[:count]]
                    load = uvloop.run(drive(port, requests))
                    if turn:  # the first round warms up
                        speeds[name].append(load.per_second)
                        busy.append(load.busy)
                say(f"{what}: round {turn} of {rounds}")
            medians = {name: statistics.median(values) for name, values in speeds.items()}
            rows.append(
                {
                    "case": {"slot": "slot call", "beacon": "impression beacon, after its commit"}[what],
                    **{f"{name}_per_second": round(value) for name, value in medians.items()},
                    "ratio_to_starlette": round(medians["adserve"] / medians["starlette"], 3),
                    "ratio_to_asgi": round(medians["adserve"] / medians["asgi"], 3),
                    "generator_busy": round(statistics.median(busy), 2),
                }
            )
    return {"rounds": rounds, "requests_per_round": count, "campaigns": CAMPAIGNS, "cores": len(cores), "rows": rows}


def http_get(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path, headers=BROWSER)
    body = connection.getresponse().read()
    connection.close()
    return body


def _tokens(sample: str, secret: str, count: int) -> list[str]:
    """Impression tokens of serves that were never made, for beacons that are each counted."""
    signer = Signer((Key.derive(secret.encode()),))
    like: Serve = signer.verify(sample, "i")
    base = secrets.randbits(40)
    now = int(time.time())
    return [
        signer.mint(like._replace(incarnation=base, ordinal=at // 16, tag=at % 16, issued=now))[0]
        for at in range(max(count, 20_000) * 2)
    ]


def render(result: dict[str, Any]) -> str:
    """The table of a run."""
    lines = [
        f"{result['campaigns']} campaigns, {result['rounds']} rounds of {result['requests_per_round']} requests, "
        "medians; server and store on one core, generator on another",
        "",
        f"{'case':38}{'adserve/s':>11}{'starlette/s':>13}{'asgi/s':>10}{'x starlette':>13}"
        f"{'x asgi':>9}{'generator':>11}",
    ]
    for row in result["rows"]:
        lines.append(
            f"{row['case']:38}{row['adserve_per_second']:>11}{row['starlette_per_second']:>13}{row['asgi_per_second']:>10}"
            f"{row['ratio_to_starlette']:>13}{row['ratio_to_asgi']:>9}{row['generator_busy']:>11.0%}"
        )
    return "\n".join(lines)
