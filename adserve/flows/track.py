"""An event (impression, view, click) to its outcome, answered after its commit."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable

from msgspec import Struct

from adserve.core.catalog import Landing
from adserve.core.schedule import LATE_S
from adserve.core.terms import NO_TERMS, Terms
from adserve.core.token import SKEW_S, Serve
from adserve.core.traffic import Address, client_network
from adserve.core.urls import fill_macros
from adserve.errors import BadToken, StoreUnavailable
from adserve.flows.worker import Worker
from adserve.store.spool import UNPRICED, Event, event_of


class Seen(Struct, frozen=True, gc=False):
    """A token that was looked at: `late` decides the status of the answer, `countable` whether anything is counted."""

    serve: Serve
    late: bool
    countable: bool


def inspect(worker: Worker, token: str, kind: str) -> Seen:
    """BadToken when the token is not ours, or from the future (save a click, which goes to its landing page
    uncounted)."""
    return judge(worker, worker.signer.verify(token, kind), kind)


def judge(worker: Worker, serve: Serve, kind: str) -> Seen:
    """The same of a serve that is known to be ours."""
    age = int(worker.clock()) - serve.issued
    if age < -SKEW_S:
        worker.clock_skew += 1
        if kind != "c":
            raise BadToken("a token from the future")
        return Seen(serve, False, False)
    lifetime = worker.lifetimes.of(kind)
    return Seen(serve, age > lifetime, age <= lifetime + LATE_S)


def is_known(worker: Worker, seen: Seen) -> bool:
    """Whether this worker has heard of the creative of a serve."""
    return worker.catalog is not None and seen.serve.revision in worker.catalog.landings


def count(worker: Worker, seen: Seen, kind: str, verdict: str | None, reader: str = "") -> asyncio.Future[str]:
    """Sends an impression or a view to its commit: the future outcome, or StoreUnavailable when it can be neither
    counted nor spooled. `verdict`: why it is set aside, or None. `reader`: what stands for the visitor, if one is
    known."""
    landing = worker.catalog.landings.get(seen.serve.revision) if worker.catalog else None
    word = "late" if seen.late else verdict or "count"
    event = event_of(kind, seen.serve, word, landing.terms if landing else NO_TERMS, reader=reader)
    return worker.ledger.enqueue(event, int(worker.clock()))


def put_by(worker: Worker, seen: Seen, kind: str, verdict: str | None, reader: str = "") -> asyncio.Future[str]:
    """The same for a creative that the store does not tell of now: it is counted, and priced, later."""
    event = Event(kind, seen.serve, "late" if seen.late else verdict or "count", UNPRICED, reader=reader)
    return worker.ledger.defer(event, int(worker.clock()))


async def terms_later(worker: Worker, refresh: Callable[[], Awaitable[None]], serve: Serve) -> Terms:
    """The terms of a serve when they could not be told as its event came. Raises what `refresh` does when the store is
    away still."""
    if worker.catalog is None or serve.revision not in worker.catalog.landings:
        await refresh()
    landing = worker.catalog.landings.get(serve.revision) if worker.catalog else None
    return landing.terms if landing else NO_TERMS


class Way(Struct, frozen=True):
    """Where a click goes; `None` for a creative that may not send anyone anywhere any more."""

    url: str | None
    outcome: asyncio.Future[str] | None
    """Of its counting, to wait for before anyone is sent there; StoreUnavailable may come of it, and the click goes
    uncounted then: the reader's way is never blocked by our store. None when nothing is counted."""


def click(
    worker: Worker, seen: Seen, token: str, verdict: str | None, client: Callable[[], Address | None] | None
) -> Way:
    """The way of a click. `client` tells where it came from; None when it is not to be counted."""
    landing = worker.catalog.landings.get(seen.serve.revision) if worker.catalog else None
    if landing is None or landing.parts is None:
        return Way(None, None)
    url = fill_macros(landing.parts, _macros(worker, seen.serve, landing, token))
    if client is None:
        return Way(url, None)
    now = int(worker.clock())
    who = worker.client_digest(client_network(client()), landing.creative.serial, now // 86_400)
    event = event_of("c", seen.serve, "late" if seen.late else verdict or "count", landing.terms, client=who)
    return Way(url, worker.ledger.enqueue(event, now))


class StillUnknown(StoreUnavailable):
    """A creative that this worker has not heard of, while the store does not tell of it."""


async def hear_of(worker: Worker, serve: Serve) -> None:
    """Sees to it that this worker knows the creative of a serve, if there is one: another one may have served it a
    moment ago. StoreUnavailable before a first catalog is loaded, StillUnknown when the store does not tell."""
    if worker.catalog is None:
        raise StoreUnavailable("no catalog is loaded yet")
    found = worker.catalog.landings.get(serve.revision)
    if found is None and worker.catch_up is not None:
        told = await worker.catch_up()
        found = worker.catalog.landings.get(serve.revision)
        if found is None and not told:
            raise StillUnknown("a creative that is not known here yet")


def _macros(worker: Worker, serve: Serve, landing: Landing, token: str) -> dict[str, str]:
    slot = worker.catalog.slot_serials.get(serve.slot) if worker.catalog else None
    return {
        "site": slot.slot.site if slot else "",
        "slot": slot.slot.name if slot else "",
        "campaign": landing.campaign.id,
        "creative": landing.creative.id,
        "random": hashlib.blake2b(token.encode(), digest_size=8).hexdigest(),
    }
