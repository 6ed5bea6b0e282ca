"""What a catalog of 10,000 campaigns costs: the decision alone, and a worker that starts with it or follows a change.

In process, on the event loop and with the wiring of production; the store is an embedded one of its own. Times are of
this thread (`cpu`) where another process on the machine would falsify the clock's, and of the clock elsewhere.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from msgspec.structs import replace

from adserve.core.decide import PageView, decide
from adserve.core.model import TIERS, Advertiser, Campaign, Content, Creative, Media, Revision, Site, Slot, Thing
from adserve.core.pool import Candidate, Entry
from adserve.core.rotation import Draws
from adserve.core.slot import CompiledSlot, SlotRequest
from adserve.core.standing import Standing
from adserve.settings import load
from adserve.snippet import compile_snippet
from adserve.store.embedded import EmbeddedStore
from adserve.wiring import Running, running

STANDING = Standing()
Row = dict[str, Any]
Say = Callable[[str], None]
CANDIDATES = (10, 100, 1_000, 10_000)
SHARES = (1.0, 0.5, 0.1, 0.01)
CAMPAIGNS, SLOTS = 10_000, 5
NOW = 1_800_000_000
MOBILE = 360
PART = 1_000
"""Objects that are stored with one command."""
AFTERWARDS_S = 0.5
"""How long after a change its effects on the event loop are looked at."""
_SITE = Site(id="bench", serial=1, version=1, name="Bench")
_SLOTS = [
    Slot(id=f"bench/s{at}", serial=at, version=1, site="bench", name=f"s{at}", sizes=("300x250", "728x90"), rank=at)
    for at in range(1, SLOTS + 1)
]


def _campaign(serial: int, **fields: Any) -> Campaign:
    made = {"weight": 1 + serial % 7, "slots": ("bench/*",), **fields}
    return Campaign(id=f"c{serial}", serial=serial, version=1, advertiser="bench", name=f"Campaign {serial}", **made)


def _creatives(campaign: int, width: int = 300) -> list[Creative]:
    """Two pictures of unequal weight."""
    found = []
    for serial in (2 * campaign - 1, 2 * campaign):
        content = Content(
            revision=1,
            serial=serial,
            click_url=f"https://shop.example/offers/{serial}?from={{slot}}",
            width=width,
            height=250,
            alt=f"Offer {serial}",
            media=Media(f"{serial:040x}.png", "image/png", 30_000),
        )
        found.append(
            Creative(
                id=f"x{serial}",
                serial=serial,
                version=1,
                campaign=f"c{campaign}",
                name=f"Picture {serial}",
                kind="image",
                weight=1 + serial % 2,
                state="approved",
                content=content,
                live=content,
                revisions=(Revision(1, serial),),
            )
        )
    return found


def _slot(candidates: int, share: float, barred: str) -> CompiledSlot:
    """A slot of which the rest cannot serve: its schedule is over, it is too wide, or its weight is 0."""
    found = []
    for serial in range(1, candidates + 1):
        serves = serial % round(1 / share) == 0 or serial == candidates
        fields: dict[str, Any] = {}
        if not serves and barred != "width":
            fields = {"ends_at": NOW - 1} if barred == "schedule" else {"weight": 0}
        width = 728 if barred == "width" and not serves else 300
        entries = [Entry(one, one.content, _SLOTS[0], compile_snippet) for one in _creatives(serial, width)]
        found.append(Candidate(_campaign(serial, **fields), tuple(entries)))
    return CompiledSlot(_SITE, _SLOTS[0], tuple(tuple(found) if tier == "standard" else () for tier in TIERS))


def decisions(*, rounds: int = 41, count: int = 1_000, say: Say = lambda _: None) -> list[Row]:
    """`decide` by number of candidates and share of them that is eligible, in microseconds of this thread:
    `{"candidates", "eligible_share", "warm_us", "cold_us", "ratio_to_10"}`. `warm_us` is the median over three ways to
    be barred and over `rounds` of `count` decisions, in which the numbers of candidates take turns; `cold_us` the
    first decision of a slot that was compiled just now, the median of the three."""
    rows: list[Row] = []
    for share in SHARES:
        cold: dict[int, list[float]] = {n: [] for n in CANDIDATES}
        warm: dict[int, list[float]] = {n: [] for n in CANDIDATES}
        for barred in ("schedule", "width", "weight"):
            say(f"decisions: {share:.0%} eligible, the rest barred by {barred}")
            request = SlotRequest(MOBILE if barred == "width" else None)
            slots = {n: _slot(n, share, barred) for n in CANDIDATES}
            draws = Draws(random.Random(1))  # noqa: S311 - figures, not secrets
            for n, slot in slots.items():
                cold[n].append(_timed(slot, request, draws, 1))
                _timed(slot, request, draws, 4 * n)
            for _ in range(rounds):
                for n, slot in slots.items():
                    _timed(slot, request, draws, count // 5)  # the caches of the machine are those of this size again
                    warm[n].append(_timed(slot, request, draws, count))
        first = statistics.median(warm[CANDIDATES[0]])
        for n in CANDIDATES:
            median = statistics.median(warm[n])
            rows.append(
                {
                    "candidates": n,
                    "eligible_share": share,
                    "warm_us": round(median, 2),
                    "cold_us": round(statistics.median(cold[n])),
                    "ratio_to_10": round(median / first, 2),
                }
            )
    return rows


def _timed(slot: CompiledSlot, request: SlotRequest, draws: Draws, count: int) -> float:
    """Microseconds of this thread for one decision."""
    began = time.thread_time_ns()
    for _ in range(count):
        decide(slot, request, None, STANDING, NOW, draws)
    return (time.thread_time_ns() - began) / count / 1000


class Probe:
    """Decides for a page of five slots every millisecond, and says how long it was kept from that."""

    def __init__(self) -> None:
        self.held: Running | None = None
        self._draws = Draws(random.Random(2))  # noqa: S311 - figures, not secrets
        self.forget()

    def forget(self) -> None:
        self.longest_ms = self.longest_cpu_ms = 0.0

    async def run(self) -> None:
        while True:
            began, began_cpu = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0.001)
            late, late_cpu = time.perf_counter() - began - 0.001, time.thread_time() - began_cpu
            self.longest_ms = max(self.longest_ms, late * 1000)
            self.longest_cpu_ms = max(self.longest_cpu_ms, late_cpu * 1000)
            catalog = self.held.worker.catalog if self.held else None
            for width in (None, MOBILE) if catalog else ():
                page = PageView()
                for slot in catalog.pages.get("bench", ())[:SLOTS] if catalog else ():
                    choice = decide(slot, SlotRequest(width), page, STANDING, NOW, self._draws)
                    if choice is not None:
                        page.add(choice)


def catalog(*, campaigns: int = CAMPAIGNS, say: Say = lambda _: None) -> list[Row]:
    """A worker that starts over a stored catalog in which every campaign books every slot, and follows changes of it:
    `{"case", "campaigns", "seconds", "longest_stop_ms", "longest_stop_cpu_ms"}`. `seconds`: from the start until the
    worker serves, or from a change until it is live. The stops are those of the event loop until a moment after, by the
    clock and by the time of this thread; pages are decided all the while."""
    return uvloop.run(_catalog(campaigns, say))


async def _catalog(campaigns: int, say: Say) -> list[Row]:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="adserve-bench-") as folder, EmbeddedStore.start(Path(folder)) as store:
        environment = {"ADSERVE_DATA_DIR": folder, "ADSERVE_SECRET": secrets.token_hex(32)}
        settings = load({}, environment, Path(folder) / "none.toml")
        say(f"catalog: storing {campaigns} campaigns")
        async with running(settings, store.url) as held:
            booked = [_campaign(serial) for serial in range(1, campaigns + 1)]
            pictures = [one for campaign in booked for one in _creatives(campaign.serial)]
            await _write(held, [_SITE, *_SLOTS, Advertiser(id="bench", serial=1, version=1, name="Bench")])
            await _write(held, [*booked, *pictures])
        probe = Probe()
        looking = asyncio.create_task(probe.run())

        async def timed(case: str, done: Callable[[], Awaitable[None]]) -> None:
            say(f"catalog: {case}")
            probe.forget()
            began = time.perf_counter()
            await done()
            seconds = time.perf_counter() - began
            await asyncio.sleep(AFTERWARDS_S)
            stops = {"longest_stop_ms": probe.longest_ms, "longest_stop_cpu_ms": probe.longest_cpu_ms}
            rows.append(
                {"case": case, "campaigns": campaigns, "seconds": round(seconds, 3)}
                | {name: round(value, 1) for name, value in stops.items()}
            )

        async with AsyncExitStack() as stack:

            async def start() -> None:
                probe.held = await stack.enter_async_context(running(settings, store.url))

            async def follow(*things: Thing) -> None:
                assert probe.held is not None  # noqa: S101 - the start comes first
                version = await _write(probe.held, things)
                while probe.held.worker.catalog is None or probe.held.worker.catalog.version < version:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)

            await timed("start", start)
            changes: dict[str, list[Thing]] = {
                "one campaign changed": [replace(booked[0], weight=9)],
                "one site paused": [replace(_SITE, state="paused")],
                "one site resumed": [_SITE],
                "one slot changed": [replace(_SLOTS[0], label="Offer")],
                "a tenth of the campaigns changed": [replace(one, weight=9) for one in booked[::10]],
            }
            for case, things in changes.items():
                await timed(case, partial(follow, *things))
            looking.cancel()
    return rows


async def _write(held: Running, things: Sequence[Thing]) -> int:
    """Stores objects past the API, as so many changes; the version of the catalog after them."""
    client, keys = held.services.client, held.services.keys
    execute: Any = client.execute_command
    version = await held.services.catalog.version()
    for at in range(0, len(things), PART):
        named = [(f"{type(one).__name__.lower()}:{one.id}", one) for one in things[at : at + PART]]
        objects = [word for name, one in named for word in (name, msgspec.json.encode(one))]
        order = [word for place, (name, _) in enumerate(named, version + 1) for word in (place, name)]
        await execute("HSET", keys.objects, *objects)
        await execute("ZADD", keys.changed, *order)
        version += len(named)
    await client.set(keys.version, version)
    return version


def render(rows: Iterable[Row]) -> str:
    """The table of either function."""
    found = list(rows)
    names = list(found[0])
    cells = [names, *([f"{row[name]}" for name in names] for row in found)]
    widths = [max(len(line[at]) for line in cells) for at in range(len(names))]
    return "\n".join(
        "  ".join(
            [line[0].ljust(widths[0]), *(word.rjust(width) for word, width in zip(line[1:], widths[1:], strict=True))]
        )
        for line in cells
    )
