"""An event (impression, view, click) to its outcome, answered after its commit."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from adserve.core.catalog import Landing
from adserve.core.schedule import LATE_S
from adserve.core.token import SKEW_S, Serve
from adserve.core.traffic import Address, client_network
from adserve.core.urls import fill_macros
from adserve.errors import BadToken, StoreUnavailable
from adserve.flows.serve import money_of
from adserve.flows.worker import Worker
from adserve.store.spool import UNPRICED, Event


class Tracked(NamedTuple):
    """`late` decides the status of the answer; `outcome` is what was counted."""

    late: bool
    outcome: str


def inspect(worker: Worker, token: str, kind: str) -> tuple[Serve, bool, bool]:
    """`(serve, late, countable)` of a token. BadToken when it is not ours, or from the future
    (save a click, which goes to its landing page uncounted)."""
    serve = worker.signer.verify(token, kind)
    age = int(worker.clock()) - serve.issued
    if age < -SKEW_S:
        worker.clock_skew += 1
        if kind != "c":
            raise BadToken("a token from the future")
        return serve, False, False
    lifetime = worker.lifetimes.of(kind)
    return serve, age > lifetime, age <= lifetime + LATE_S


async def track(worker: Worker, token: str, kind: str, verdict: str | None) -> Tracked:
    """Counts an impression or a view. StoreUnavailable when it cannot be counted now."""
    serve, late, countable = inspect(worker, token, kind)
    if not countable:
        return Tracked(late, "late")
    verdict = "late" if late else verdict or "count"
    now = int(worker.clock())
    try:
        landing = await _landing(worker, serve)
    except StillUnknown:
        return Tracked(late, await worker.ledger.defer(Event(kind, serve, verdict, UNPRICED), now))
    event = Event(kind, serve, verdict, *(money_of(landing.campaign) if landing else ("", "")))
    return Tracked(late, await worker.ledger.enqueue(event, now))


async def price_later(worker: Worker, refresh: Callable[[], Awaitable[None]], serve: Serve) -> tuple[str, str]:
    """What an impression and a click of a serve earn, as fields for the event script, when that could not be told as
    they came. Raises what `refresh` does when the store is away still."""
    if worker.catalog is None or serve.revision not in worker.catalog.landings:
        await refresh()
    landing = worker.catalog.landings.get(serve.revision) if worker.catalog else None
    return money_of(landing.campaign) if landing else ("", "")


async def click(worker: Worker, token: str, verdict: str | None, client: Address | None, *, count: bool) -> str | None:
    """The landing URL of a click, counted first; None when the creative may not send anyone there.
    StoreUnavailable before a first catalog is loaded, or when the store does not tell of a new creative."""
    serve, late, countable = inspect(worker, token, "c")
    landing = await _landing(worker, serve)
    if landing is None or landing.parts is None:
        return None
    if count and countable:
        now = int(worker.clock())
        who = worker.client_digest(client_network(client), landing.creative.serial, now // 86_400)
        event = Event("c", serve, "late" if late else verdict or "count", *money_of(landing.campaign), who)
        try:
            await worker.ledger.enqueue(event, now)
        except StoreUnavailable:
            worker.clicks_uncounted += 1  # the reader's way is never blocked by our store
    return fill_macros(landing.parts, _macros(worker, serve, landing, token))


class StillUnknown(StoreUnavailable):
    """A creative that this worker has not heard of, while the store does not tell of it."""


async def _landing(worker: Worker, serve: Serve) -> Landing | None:
    """Of a creative that this worker has not heard of: another one may have served it a moment ago. None when there
    is no such creative."""
    if worker.catalog is None:
        raise StoreUnavailable("no catalog is loaded yet")
    found = worker.catalog.landings.get(serve.revision)
    if found is None and worker.catch_up is not None:
        told = await worker.catch_up()
        found = worker.catalog.landings.get(serve.revision)
        if found is None and not told:
            raise StillUnknown("a creative that is not known here yet")
    return found


def _macros(worker: Worker, serve: Serve, landing: Landing, token: str) -> dict[str, str]:
    slot = worker.catalog.slot_serials.get(serve.slot) if worker.catalog else None
    return {
        "site": slot.slot.site if slot else "",
        "slot": slot.slot.name if slot else "",
        "campaign": landing.campaign.id,
        "creative": landing.creative.id,
        "random": hashlib.blake2b(token.encode(), digest_size=8).hexdigest(),
    }
