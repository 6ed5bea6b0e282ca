"""What the browser tag costs the demo's tag page, in a Chromium: bytes, requests, shifts, time of the main thread."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import statistics
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from adserve.bench.browsers import headers
from adserve.bench.calls import Say
from adserve.bench.servers import free_port, process
from adserve.web.public import MORE, TAG

PAGE = "/demo/blogger/"
SAMPLING_US = 100
"""Between two looks of the profiler at what the main thread is in."""
WAIT_MS = 20_000
NEEDS = "the tag is measured in a Chromium: pip install playwright brotli, and apt install chromium"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
_WATCHES = """window.shifts = []; window.long = []; window.told = [];
new PerformanceObserver((list) => shifts.push(...list.getEntries().map((one) => one.value)))
  .observe({ type: 'layout-shift', buffered: true });
new PerformanceObserver((list) => long.push(...list.getEntries().flatMap((frame) => frame.scripts)
  .filter((one) => one.sourceURL.includes('/slots') && one.duration >= 50).map((one) => one.duration)))
  .observe({ type: 'long-animation-frame', buffered: true });
for (const type of ['slot:filled', 'slot:empty']) addEventListener(type, () => told.push(performance.now()));"""


def bench_tag(*, folder: Path, rounds: int, say: Say) -> dict[str, Any]:
    """One visit a round with nothing cached, by a browser that reads the page to its end; or why there is none, as
    `skipped`."""
    try:
        import brotli  # a development dependency, as the next one: a server needs neither
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        return {"skipped": NEEDS}
    port, visits = free_port(), []
    command = [sys.executable, "-m", "adserve", "demo", "--port", str(port), "--data-dir", str(folder / "demo")]
    settings = {"ADSERVE_ADMIN_KEY": secrets.token_urlsafe(24), "ADSERVE_SECRET": secrets.token_hex(32)}
    with contextlib.ExitStack() as stack:
        driver = stack.enter_context(sync_playwright())
        installed = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        try:
            browser = driver.chromium.launch(executable_path=installed, args=FLAGS)
        except Error:
            return {"skipped": NEEDS}
        stack.callback(browser.close)
        stack.enter_context(process(command, port, set(os.sched_getaffinity(0)), settings))
        for number in range(rounds):
            say(f"the tag, visit {number + 1} of {rounds}")
            visits.append(_visit(browser, f"http://127.0.0.1:{port}"))
    found: dict[str, Any] = {
        name: {"bytes": len(data), "brotli_bytes": len(brotli.compress(data, quality=11))}
        for name, data in (("slots.js", TAG), ("slots-more.js", MORE))
    }
    last = visits[-1]
    return {
        "files": found,
        "slots": last["slots"],
        "requests_until_filled": last["requests"],
        "cls": max(visit["cls"] for visit in visits),
        "long_tasks": max(visit["long_tasks"] for visit in visits),
        "filled_ms": round(statistics.median(visit["filled_ms"] for visit in visits), 1),
        "main_thread_ms": round(statistics.median(visit["main_thread_ms"] for visit in visits), 2),
    }


def _visit(browser: Any, origin: str) -> dict[str, Any]:
    """One page view; its requests are those until the last slot has its answer."""
    context = browser.new_context(user_agent=next(headers())["User-Agent"], viewport={"width": 1280, "height": 900})
    context.add_init_script(_WATCHES)
    page, asked = context.new_page(), Counter[str]()
    page.on("request", lambda request: asked.update([kind_of(urlsplit(request.url).path)]))
    profiler = context.new_cdp_session(page)
    profiler.send("Profiler.enable")
    profiler.send("Profiler.setSamplingInterval", {"interval": SAMPLING_US})
    profiler.send("Profiler.start")
    page.goto(origin + PAGE, timeout=90_000)
    slots = page.locator("[data-slot]").count()
    page.wait_for_function(f"told.length >= {slots}", timeout=WAIT_MS)
    requests = {kind: count for kind, count in sorted(asked.items()) if kind}
    for at in range(slots):
        page.evaluate(f"document.querySelectorAll('[data-slot]')[{at}].scrollIntoView()")
        page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 1100)))")
    profile = profiler.send("Profiler.stop")["profile"]
    shifts, long, filled = page.evaluate("[shifts, long, Math.max(...told)]")
    context.close()
    return {
        "slots": slots,
        "requests": requests,
        "cls": round(sum(shifts), 4),
        "long_tasks": len(long),
        "filled_ms": filled,
        "main_thread_ms": time_in(profile, "/slots.js") / 1_000,
    }


def kind_of(path: str) -> str:
    """What a request is for; nothing for one of the page's own."""
    kinds = {"/slots": "tag", "/v1/": "page calls", "/m/": "pictures", "/e/": "beacons"}
    return next((kind for start, kind in kinds.items() if path.startswith(start)), "")


def time_in(profile: dict[str, Any], ending: str) -> int:
    """Microseconds of a CPU profile in a script and in what the browser did for it; what listeners of other scripts did
    with its events is theirs."""
    nodes = {node["id"]: node for node in profile["nodes"]}
    parents = {child: node["id"] for node in profile["nodes"] for child in node.get("children", ())}

    def is_ours(id_: int | None) -> bool:
        while id_ is not None:
            url: str = nodes[id_]["callFrame"]["url"]
            if url:
                return url.endswith(ending)
            id_ = parents.get(id_)
        return False

    ours = {id_: is_ours(id_) for id_ in nodes}
    spent = zip(profile["samples"], profile["timeDeltas"], strict=True)
    return sum(int(delta) for id_, delta in spent if ours[id_])


def render(found: dict[str, Any]) -> list[str]:
    """The lines of a result."""
    if "skipped" in found:
        return [f"skipped: {found['skipped']}"]
    files = [
        f"{name:16}{sizes['bytes']:>8} bytes{sizes['brotli_bytes']:>8} by brotli"
        for name, sizes in found["files"].items()
    ]
    requests = ", ".join(f"{count} {kind}" for kind, count in found["requests_until_filled"].items())
    return [
        *files,
        f"{found['slots']} slots filled after {found['filled_ms']} ms, with {requests}",
        f"layout shift {found['cls']:.2f}, {found['long_tasks']} tasks of the tag over 50 ms,"
        f" {found['main_thread_ms']} ms of the main thread in all",
    ]
