"""A synthetic week, so that a new reader's reports are not empty. It ends before today.

It goes through the same ledger script as real events, with the times of the past week as `now`.
"""

from __future__ import annotations

import asyncio
import math
import random

from adserve.core.catalog import CompiledSlot
from adserve.core.context import Context
from adserve.core.decide import decide
from adserve.core.model import DEVICES
from adserve.core.rotation import Draws
from adserve.core.schedule import day_bounds, local_day, zone
from adserve.core.slot import SlotRequest
from adserve.core.standing import Standing
from adserve.core.token import Serve
from adserve.flows.serve import MOBILE_WIDTH
from adserve.store.keys import tag_of
from adserve.store.ledger import Ledger
from adserve.store.spaces import Spaces
from adserve.store.spool import Spool, event_of
from adserve.wiring import Running

STANDING = Standing()
DAYS = 7
STEP_S = 3600
BUSIEST = 14
"""Page views in the best hour of a day."""


async def seed_week(held: Running) -> None:
    """Serves, impressions, views and clicks of the seven local days before today."""
    worker = held.worker
    assert worker.catalog is not None  # noqa: S101 - the catalog was seeded just now
    chance = random.Random(7)  # noqa: S311 - figures, not secrets
    draws = Draws(chance)
    # a ledger of its own: the past week's hours are not in the spaces of the worker
    client, keys, spaces = held.services.client, held.services.keys, Spaces()
    spool = Spool(held.settings.data_dir / "spool", keys.prefix, spaces.incarnation)
    ledger = Ledger(client, keys, spaces, spool, click_lifetime_s=worker.lifetimes.click_s)
    ledger.start()
    today = day_bounds(local_day(int(worker.clock()), zone("Asia/Kolkata")), zone("Asia/Kolkata"))[0]
    waiting: list[asyncio.Future[str]] = []
    for hour in range(today - DAYS * 86_400, today, STEP_S):
        for issued in sorted(hour + chance.randrange(STEP_S) for _ in range(page_views(hour, today, chance))):
            device = chance.choice((1, 2, 2, 3))
            for slot in worker.catalog.pages["news"]:
                serve = _serve(ledger, slot, issued, device, draws)
                if serve is not None:
                    waiting += _events(held, ledger, slot, serve, chance)
        if len(waiting) > 500:
            await asyncio.gather(*waiting)
            waiting.clear()
    await asyncio.gather(*waiting)
    await ledger.close()


def page_views(hour: int, today: int, chance: random.Random) -> int:
    """Morning and evening peaks, a quiet night."""
    of_day = ((hour - today) % 86_400) / 3600
    morning, evening = (math.exp(-(((of_day - peak) / width) ** 2)) for peak, width in ((9, 2.5), (20, 3)))
    return round(BUSIEST * (0.08 + 0.7 * morning + evening) / 1.1 * chance.uniform(0.7, 1.1))


def _serve(ledger: Ledger, slot: CompiledSlot, issued: int, device: int, draws: Draws) -> Serve | None:
    width = MOBILE_WIDTH if DEVICES[device] == "mobile" else None
    choice = decide(slot, SlotRequest(width, Context(device=device)), None, STANDING, issued, draws)
    if choice is None:
        return None
    tag = tag_of(choice.campaign.serial)
    issued, ordinal = ledger.spaces.take(tag, issued)
    serve = Serve(
        ledger.spaces.incarnation,
        ordinal,
        issued,
        slot.slot.serial,
        choice.entry.content.serial,
        0,
        tag,
        choice.tier,
        device,
    )
    ledger.counts.served(serve)
    return serve


def _events(
    held: Running, ledger: Ledger, slot: CompiledSlot, serve: Serve, chance: random.Random
) -> list[asyncio.Future[str]]:
    """What a reader's browser would have sent."""
    assert held.worker.catalog is not None  # noqa: S101 - checked by the caller
    terms = held.worker.catalog.landings[serve.revision].terms
    kinds = [("i", 0.92), ("v", 0.64 if slot.slot.rank < 4 else 0.4), ("c", 0.012)]
    sent: list[asyncio.Future[str]] = []
    for kind, share in kinds:
        if chance.random() > share:
            break
        verdict = "bot" if chance.random() < 0.02 else "count"
        sent.append(ledger.enqueue(event_of(kind, serve, verdict, terms), serve.issued + 5))
        if verdict != "count":
            break
    return sent
