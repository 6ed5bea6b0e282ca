"""A synthetic week, so that a new reader's reports are not empty. It ends before today.

It goes through the same ledger script as real events, with the times of the past week as `now`.
"""

from __future__ import annotations

import asyncio
import math
import random
import secrets
from collections import defaultdict

from adserve.core.catalog import CompiledSlot
from adserve.core.decide import SlotRequest, decide
from adserve.core.rotation import Draws
from adserve.core.schedule import bucket_of, day_bounds, local_day, zone
from adserve.core.token import Serve
from adserve.flows.serve import money_of
from adserve.store.keys import tag_of
from adserve.store.ledger import Event, cell_prefix
from adserve.wiring import Running

DAYS = 7
STEP_S = 3600
BUSIEST = 14
"""Page views in the best hour of a day."""


async def seed_week(held: Running) -> None:
    """Serves, impressions, views and clicks of the seven local days before today."""
    worker = held.worker
    assert worker.catalog is not None  # noqa: S101 - the catalog was seeded just now
    chance = random.Random(7)  # noqa: S311 - figures, not secrets
    draws, incarnation = Draws(chance), secrets.randbits(40)
    ordinals: defaultdict[tuple[int, int], int] = defaultdict(int)
    today = day_bounds(local_day(int(worker.clock()), zone("Asia/Kolkata")), zone("Asia/Kolkata"))[0]
    waiting: list[asyncio.Future[str]] = []
    for hour in range(today - DAYS * 86_400, today, STEP_S):
        for _ in range(page_views(hour, today, chance)):
            issued = hour + chance.randrange(STEP_S)
            device = chance.choice((1, 2, 2, 3))
            for slot in worker.catalog.pages["news"]:
                serve = _serve(held, slot, issued, device, draws, incarnation, ordinals)
                if serve is not None:
                    waiting += _events(held, slot, serve, chance)
        if len(waiting) > 500:
            await asyncio.gather(*waiting)
            waiting.clear()
    await asyncio.gather(*waiting)
    await worker.ledger.flush()


def page_views(hour: int, today: int, chance: random.Random) -> int:
    """Morning and evening peaks, a quiet night."""
    of_day = ((hour - today) % 86_400) / 3600
    morning, evening = (math.exp(-(((of_day - peak) / width) ** 2)) for peak, width in ((9, 2.5), (20, 3)))
    return round(BUSIEST * (0.08 + 0.7 * morning + evening) / 1.1 * chance.uniform(0.7, 1.1))


def _serve(
    held: Running,
    slot: CompiledSlot,
    issued: int,
    device: int,
    draws: Draws,
    incarnation: int,
    ordinals: defaultdict[tuple[int, int], int],
) -> Serve | None:
    choice = decide(slot, SlotRequest(), None, issued, draws)
    if choice is None:
        return None
    ledger, bucket = held.worker.ledger, bucket_of(issued)
    tag = tag_of(choice.campaign.serial)
    ordinals[tag, issued // 3600] += 1
    serve = Serve(
        incarnation,
        ordinals[tag, issued // 3600],
        issued,
        slot.slot.serial,
        choice.entry.content.serial,
        0,
        tag,
        choice.tier,
        device,
    )
    ledger.add(tag_of(slot.slot.serial), bucket, f"{slot.slot.serial}.0.0.{device}.q")
    ledger.add(tag, bucket, cell_prefix(serve) + "s")
    return serve


def _events(held: Running, slot: CompiledSlot, serve: Serve, chance: random.Random) -> list[asyncio.Future[str]]:
    """What a reader's browser would have sent."""
    assert held.worker.catalog is not None  # noqa: S101 - checked by the caller
    cpm, cpc = money_of(held.worker.catalog.landings[serve.revision].campaign)
    kinds = [("i", 0.92), ("v", 0.64 if slot.slot.rank < 4 else 0.4), ("c", 0.012)]
    sent: list[asyncio.Future[str]] = []
    for kind, share in kinds:
        if chance.random() > share:
            break
        verdict = "bot" if chance.random() < 0.02 else "count"
        sent.append(held.worker.ledger.enqueue(Event(kind, serve, verdict, cpm, cpc), serve.issued + 5))
        if verdict != "count":
            break
    return sent
