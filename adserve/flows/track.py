"""An event (impression, view, click) to its outcome, answered after its commit."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from adserve.core.catalog import Landing
from adserve.core.schedule import LATE_S
from adserve.core.token import SKEW_S, Serve
from adserve.core.traffic import Address, client_network
from adserve.core.urls import fill_macros
from adserve.errors import BadToken, StoreUnavailable
from adserve.flows.serve import money_of
from adserve.flows.worker import Worker
from adserve.store.spool import Event


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
    landing = await _landing(worker, serve)
    cpm, cpc = money_of(landing.campaign) if landing else ("", "")
    if late:
        verdict = "late"
    event = Event(kind, serve, verdict or "count", cpm, cpc)
    return Tracked(late, await worker.ledger.enqueue(event, int(worker.clock())))


async def click(worker: Worker, token: str, verdict: str | None, client: Address | None, *, count: bool) -> str | None:
    """The landing URL of a click, counted first; None when the creative may not send anyone there.
    StoreUnavailable only before a first catalog is loaded."""
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


async def _landing(worker: Worker, serve: Serve) -> Landing | None:
    """Of a creative that this worker has not heard of: another one may have served it a moment ago."""
    if worker.catalog is None:
        raise StoreUnavailable("no catalog is loaded yet")
    found = worker.catalog.landings.get(serve.revision)
    if found is None and worker.catch_up is not None:
        await worker.catch_up()
        found = worker.catalog.landings.get(serve.revision)
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
