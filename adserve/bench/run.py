"""The parts of a bench and their table."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from adserve.bench import catalog, decision, tag
from adserve.bench.calls import CASES, ON_ALL_CORES, Cores, Row, Say, bench_calls
from adserve.bench.generator import CONNECTIONS
from adserve.bench.ledger import bench_ledger
from adserve.bench.servers import CAMPAIGNS

PARTS = ("calls", "workers", "decisions", "catalog", "ledger", "tag")


def bench(*, rounds: int, count: int, parts: Sequence[str], say: Say) -> dict[str, Any]:
    """Everything asked for, as JSON."""
    found: dict[str, Any] = {
        "machine": {"cores": len(os.sched_getaffinity(0)), "python": platform.python_version()},
        "campaigns": CAMPAIGNS,
        "connections": CONNECTIONS,
        "rounds": rounds,
        "requests_per_round": count,
    }
    with tempfile.TemporaryDirectory(prefix="adserve-bench-") as name:
        options: dict[str, Any] = {"folder": Path(name), "rounds": rounds, "count": count, "say": say}
        if "calls" in parts:
            found["calls"] = bench_calls(CASES, Cores.split(), **options)
        if "workers" in parts:
            found["workers"] = bench_calls(ON_ALL_CORES, Cores.all(), **options)
        if "tag" in parts:
            found["tag"] = tag.bench_tag(folder=Path(name), rounds=rounds, say=say)
    if "decisions" in parts:
        found["decisions"] = decision.decisions(say=say)
    if "catalog" in parts:
        found["catalog"] = catalog.catalog(say=say)
    if "ledger" in parts:
        say("the ledger of an hour")
        found["ledger"] = bench_ledger()
    return found


def render(result: dict[str, Any]) -> str:
    """The tables of a run."""
    machine = result["machine"]
    lines = [
        f"{machine['cores']} cores, Python {machine['python']}; {result['campaigns']} campaigns in 5 slots over all"
        f" hash tags; {result['connections']} connections of 192 browsers;",
        f"medians of {result['rounds']} interleaved rounds of {result['requests_per_round']} requests",
    ]
    titles: dict[str, tuple[str, Callable[[Any], list[str]]]] = {
        "calls": ("One worker on one core, the generator on another", _calls),
        "workers": ("On all cores, which the generator and the store use too", _calls),
        "decisions": ("The decision alone", _rows),
        "catalog": (f"A catalog of {catalog.CAMPAIGNS} campaigns, while pages are decided", _rows),
        "ledger": ("The ledger of an hour", _ledger),
        "tag": ("The tag on the demo's tag page, in Chromium", tag.render),
    }
    for part, (title, table) in titles.items():
        if part in result:
            lines += ["", title, "", *table(result[part])]
    return "\n".join(lines)


def _calls(rows: list[Row]) -> list[str]:
    head = ("case", "adserve/s", "starlette/s", "asgi/s", "x starlette", "x asgi", "generator")
    lines = [f"{head[0]:38}{head[1]:>11}{head[2]:>13}{head[3]:>10}{head[4]:>13}{head[5]:>9}{head[6]:>11}"]
    for row in rows:
        lines.append(
            f"{row['case']:38}{row['adserve_per_second']:>11}{row['starlette_per_second']:>13}"
            f"{row['asgi_per_second']:>10}{row['ratio_to_starlette']:>13.2f}{row['ratio_to_asgi']:>9.2f}"
            f"{row['generator_busy']:>11.0%}"
        )
    return lines


def _rows(rows: list[Row]) -> list[str]:
    return [decision.render(rows)]


def _ledger(found: dict[str, Any]) -> list[str]:
    return [
        f"{found['serves']} serves with {found['events']} events: {found['bytes']} bytes in {found['bitmaps']} bitmaps,"
        f" {found['bytes_per_serve']:.2f} a serve, {found['bytes_per_million_serves']} for a million"
    ]
