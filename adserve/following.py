"""What a worker has open, and the tasks that keep it up to date: catalog, clock, secret, old counters."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from adserve.errors import AdserveError, OtherSchema, SettingsError, UnfitStore
from adserve.flows.admit import Admission, knows_secret
from adserve.flows.services import Services
from adserve.flows.worker import Worker
from adserve.settings import Settings
from adserve.signing import Stamp, proofs, signing_keys, stamp_of
from adserve.store.catalog import CatalogStore
from adserve.store.client import REPLY_ERRORS, Together, recover
from adserve.store.durability import unreachable

log = structlog.get_logger("adserve")
POLL_S = 0.2
"""How often a worker asks for the catalog's version: a change is live everywhere within a second."""
ROLL_UP_S = 3600
GO_ON_S = 1.0
CLOCK_OFF_S = 2.0
SETTLE_S = 5
"""A key that came into the secret file verifies at once and signs after this time: by then every
worker has read it, so none refuses a token that another one signed."""


@dataclass(slots=True)
class Running:
    """Everything one process has open."""

    settings: Settings
    worker: Worker
    services: Services
    admission: Admission
    store_up: bool = True
    last_contact: float = field(default_factory=time.monotonic)
    failure: AdserveError | None = None
    failed: asyncio.Event = field(default_factory=asyncio.Event)
    """What no waiting mends has come out after the start: this process has to end."""

    def fail(self, problem: AdserveError) -> None:
        """Nothing more goes to the store: what is answered from now on waits in the spool."""
        self.admission.withdraw()
        self.failure = problem
        self.failed.set()
        log.error("stopping", problem=str(problem))


async def follow_secret(held: Running, seen: Stamp) -> None:
    """Reads the secret file again when it changes. A file that cannot be used changes nothing and is
    said once; so does one without a key that the store knows. While the store is away the change waits.
    `seen`: the file as it was read at start."""
    while True:
        await asyncio.sleep(POLL_S)
        stamp = stamp_of(held.settings)
        if stamp == seen:
            continue
        try:
            keys = signing_keys(held.settings)
            if not await knows_secret(held.services.client, held.services.keys, proofs(keys)):
                continue
        except SettingsError as problem:
            log.error("secret_not_changed", problems=problem.problems)
            seen = stamp
            continue
        except UnfitStore:
            continue
        seen = stamp
        if keys == held.worker.keys:
            continue
        signing = held.worker.keys[0]
        if signing in keys:  # the new first key signs once all workers know it
            held.worker.use_keys((signing, *(key for key in keys if key != signing)))
            await asyncio.sleep(SETTLE_S)
        held.worker.use_keys(keys)
        log.info("secret_changed", keys=len(keys))


async def go_on(work: Callable[[], Awaitable[None]]) -> None:
    """Runs a task that never ends. What it did not expect (a spoilt key in the store) is said and does
    not stop it: a worker that no longer follows its catalog would look alive and serve the past."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("task_failed")
            await asyncio.sleep(GO_ON_S)


async def follow_catalog(held: Running, store: CatalogStore, load: Together) -> None:
    """Follows the catalog's version and the store's clock; a store that goes and comes is said once each."""
    clock_was_off = False
    while True:
        await asyncio.sleep(POLL_S)
        if held.failure is not None:
            continue
        try:
            await held.admission.keep()
            current = held.worker.catalog
            if current is None or not held.store_up or await store.version() != current.version:
                await load()
            held.last_contact, held.worker.stale = time.monotonic(), False
            if not held.store_up:
                held.store_up = True
                log.info("store_back")
            off_s = held.worker.clock_off_s
            if (abs(off_s) > CLOCK_OFF_S) is not clock_was_off:
                clock_was_off = not clock_was_off
                log.warning("clock_off" if clock_was_off else "clock_right", store_ahead_s=round(off_s, 1))
        except (OtherSchema, SettingsError) as problem:
            held.fail(problem)
        except REPLY_ERRORS as problem:
            if unreachable(problem):  # whatever comes back is looked at before it is counted on
                held.admission.withdraw()
            if held.store_up:
                held.store_up = False
                log.warning("store_away", problem=type(problem).__name__)
            await recover(held.services.client)
            silent_s = time.monotonic() - held.last_contact
            held.worker.stale = silent_s > held.settings.stale_limit_s
