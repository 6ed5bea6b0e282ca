"""What the ledger of an hour takes in the store."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

from adserve.core.token import Serve
from adserve.store.batch import Item
from adserve.store.client import connect
from adserve.store.embedded import EmbeddedStore
from adserve.store.keys import TAGS, Keys
from adserve.store.ledger import BATCH, Ledger
from adserve.store.spaces import Spaces
from adserve.store.spool import Event, Spool

SERVES_AN_HOUR = 100_000
VIEWED, CLICKED = 2, 100
"""Every second impression is viewed, one in a hundred clicked."""


def bench_ledger(*, serves: int = SERVES_AN_HOUR) -> dict[str, Any]:
    """Bytes of the ledger's bitmaps for the serves of one hour over all hash tags, as the store tells them (`MEMORY
    USAGE`): every serve has an impression, some a view and a click, counted by the real script."""
    with tempfile.TemporaryDirectory(prefix="adserve-bench-") as name:
        folder = Path(name)
        with EmbeddedStore.start(folder) as store:
            return uvloop.run(_fill(store.url, folder, serves))


async def _fill(url: str, folder: Path, serves: int) -> dict[str, Any]:
    client, keys, spaces = connect(url), Keys(), Spaces()
    spool = Spool(folder / "spool", keys.prefix, spaces.incarnation)
    ledger = Ledger(client, keys, spaces, spool, click_lifetime_s=86_400)
    now = int(time.time()) // 3600 * 3600
    loop, items = asyncio.get_running_loop(), []
    for n in range(serves):
        issued, ordinal = spaces.take(n % TAGS, now + n * 3600 // serves)
        serve = Serve(spaces.incarnation, ordinal, issued, 1, 1 + n % TAGS, 0, n % TAGS, 1, 1)
        ledger.counts.served(serve)
        kinds = "i" + "v" * (n // TAGS % VIEWED == 0) + "c" * (n // TAGS % CLICKED == 0)
        items += [Item(Event(kind, serve, "count"), issued, loop.create_future(), 0.0, again=False) for kind in kinds]
    await ledger.counts.flush()
    for at in range(0, len(items), BATCH):
        await ledger.apply(items[at : at + BATCH], now + 3600)
    execute: Any = client.execute_command
    found = [name async for name in client.scan_iter(match=f"{keys.prefix}*:l:*", count=1000)]
    bytes_ = sum([int(await execute("MEMORY", "USAGE", name, "SAMPLES", 0)) for name in found])
    await ledger.close()
    await client.aclose()
    return {
        "serves": serves,
        "events": len(items),
        "bitmaps": len(found),
        "bytes": bytes_,
        "bytes_per_serve": round(bytes_ / serves, 3),
        "bytes_per_million_serves": round(bytes_ / serves * 1_000_000),
    }
