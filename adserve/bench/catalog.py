"""What a catalog of 10,000 campaigns costs a worker that starts with it or follows a change.

In process, on the event loop and with the wiring of production; the store is an embedded one of its own.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from msgspec.structs import replace

from adserve.bench.decision import MOBILE, Row, Say
from adserve.bench.samples import NOW, SITE, SLOT_COUNT, SLOTS, campaign, creatives
from adserve.core.decide import PageView, decide
from adserve.core.model import Advertiser, Thing
from adserve.core.rotation import Draws
from adserve.core.slot import SlotRequest
from adserve.core.standing import Standing
from adserve.settings import load
from adserve.store.embedded import EmbeddedStore
from adserve.wiring import Running, running

CAMPAIGNS = 10_000
PART = 1_000
"""Objects that are stored with one command."""
AFTERWARDS_S = 0.5
"""How long after a change its effects on the event loop are looked at."""
STANDING = Standing()


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
                for slot in catalog.pages.get("bench", ())[:SLOT_COUNT] if catalog else ():
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
            booked = [campaign(serial) for serial in range(1, campaigns + 1)]
            pictures = [one for campaign in booked for one in creatives(campaign.serial)]
            await _write(held, [SITE, *SLOTS, Advertiser(id="bench", serial=1, version=1, name="Bench")])
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
                "one site paused": [replace(SITE, state="paused")],
                "one site resumed": [SITE],
                "one slot changed": [replace(SLOTS[0], label="Offer")],
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
