"""The one place that opens real things and closes them in reverse order."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from crawlerdetect import CrawlerDetect

from adserve.core.catalog import compile_catalog
from adserve.core.token import Key
from adserve.core.traffic import TrafficRules
from adserve.errors import SettingsError, StoreError
from adserve.flows.report import roll_up_old
from adserve.flows.services import Services
from adserve.flows.worker import Lifetimes, Worker
from adserve.settings import Settings
from adserve.signing import Stamp, make_secret, signing_keys, stamp_of
from adserve.snippet import compile_snippet
from adserve.store.accounts import Accounts
from adserve.store.catalog import CatalogStore
from adserve.store.client import HOT_TIMEOUT_S, REPLY_ERRORS, Redis, Together, connect, end, recover
from adserve.store.keys import Keys
from adserve.store.ledger import Ledger
from adserve.store.media import MediaStore
from adserve.store.replay import Replay
from adserve.store.spaces import Spaces
from adserve.store.spool import Spool

log = structlog.get_logger("adserve")
POLL_S = 0.2
"""How often a worker asks for the catalog's version: a change is live everywhere within a second."""
ROLL_UP_S = 3600
GO_ON_S = 1.0
CATCH_UP_S = 0.25
DRAIN_SPOOL_S = 3.0
SETTLE_S = 5
"""A key that came into the secret file verifies at once and signs after this time: by then every
worker has read it, so none refuses a token that another one signed."""


@dataclass(slots=True)
class Running:
    """Everything one process has open."""

    settings: Settings
    worker: Worker
    services: Services
    store_up: bool = True
    last_contact: float = 0.0
    failed: SettingsError | None = None
    """Why this process must not go on, found after its start; `stop` is called then."""
    stop: Callable[[], None] = lambda: None


def traffic_rules(data_dir: Path) -> TrafficRules:
    """The packaged rules for invalid traffic, or the operator's copy in the data dir."""
    own = data_dir / "traffic.toml"
    path = own if own.exists() else Path(__file__).parent / "core" / "traffic.toml"
    try:
        return TrafficRules(tomllib.loads(path.read_text(encoding="utf-8")), CrawlerDetect().isCrawler)
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise SettingsError([f"{path}: {problem!r}"]) from None


@asynccontextmanager
async def running(
    settings: Settings, store_url: str, *, clock: Callable[[], float] = time.time
) -> AsyncIterator[Running]:
    """A worker with its services. Leaving flushes every counter and says whether that worked."""
    async with AsyncExitStack() as stack:
        keys = Keys(settings.key_prefix)
        hot = connect(store_url, timeout_s=HOT_TIMEOUT_S, connections=4)
        stack.push_async_callback(hot.aclose)
        client = connect(store_url)
        stack.push_async_callback(client.aclose)
        make_secret(settings)
        secret_stamp = stamp_of(settings)
        signing = signing_keys(settings)
        spaces = Spaces()
        spool = Spool(settings.data_dir / "spool", keys.prefix, spaces.incarnation, limit=settings.spool_max_bytes)
        ledger = Ledger(hot, keys, spaces, spool, click_lifetime_s=settings.click_lifetime_s)
        replay = Replay(ledger, keys.prefix, clock)
        lifetimes = Lifetimes(settings.impression_lifetime_s, settings.view_lifetime_s, settings.click_lifetime_s)
        worker = Worker(
            ledger,
            signing,
            traffic_rules(settings.data_dir),
            clock,
            settings.public_url,
            f"http://{_link_host(settings.host)}:{settings.port}",
            settings.trusted_proxies,
            lifetimes,
        )
        held: Running
        refresh = Together(lambda: _load(held, held.services.catalog))
        stack.push_async_callback(refresh.close)
        services = _services(settings, client, keys, clock, refresh)
        held = Running(settings, worker, services)

        async def catch_up() -> None:
            with contextlib.suppress(*REPLY_ERRORS):
                await asyncio.wait_for(refresh(), CATCH_UP_S)

        worker.catch_up = catch_up
        known = await _check_secret(held, signing)
        try:
            await refresh()
        except REPLY_ERRORS:
            held.store_up = False
            log.warning("store_unavailable_at_start")
        ledger.start()
        tasks = [
            asyncio.create_task(_go_on(work))
            for work in (
                lambda: _follow(held, services.catalog, refresh),
                lambda: _keep_house(held),
                lambda: _follow_secret(held, secret_stamp, known),
                replay.run,
            )
        ]
        try:
            yield held
        finally:
            await end(tasks)
            clean = await ledger.close()
            await replay.finish(DRAIN_SPOOL_S)
            log.info("drained", flushed=clean, events=ledger.committed)
            if not clean:
                raise StoreError("neither the store nor the spool took the last counters")


@asynccontextmanager
async def services_only(settings: Settings, store_url: str) -> AsyncIterator[Services]:
    """The management side alone, for the command line. Running workers see changes by themselves."""
    client = connect(store_url)

    async def refresh() -> None:
        return None

    try:
        yield _services(settings, client, Keys(settings.key_prefix), time.time, refresh)
    finally:
        await client.aclose()


def _services(
    settings: Settings, client: Redis, keys: Keys, clock: Callable[[], float], refresh: Callable[[], Awaitable[None]]
) -> Services:
    return Services(
        client,
        keys,
        CatalogStore(client, keys),
        Accounts(client, keys, settings.admin_key),
        MediaStore(client, keys, settings.data_dir / "media"),
        clock,
        refresh,
        settings.click_lifetime_s,
        settings.keep_quarters_days * 86_400,
        settings.max_upload_bytes,
    )


async def _check_secret(held: Running, signing: tuple[Key, ...]) -> bool:
    """Stops a worker whose secret the store does not know: it would refuse the tokens of the others.
    False when the store is away and cannot be asked."""
    services = held.services
    proofs = [hashlib.blake2b(key.secret, digest_size=8, person=b"adserve-proof").hexdigest() for key in signing]
    try:
        await services.client.set(services.keys.secret, proofs[0], nx=True)
        known = await services.client.get(services.keys.secret)
        if known in proofs:
            await services.client.set(services.keys.secret, proofs[0])
            return True
    except (*REPLY_ERRORS, ValueError):  # that one: a reply that is no text
        return False
    raise SettingsError(["the store was used with another secret: set ADSERVE_SECRET (or its file) to that one"])


async def _follow_secret(held: Running, seen: Stamp, known: bool) -> None:
    """Reads the secret file again when it changes. A file that cannot be used changes nothing and is
    said once; so does one without a key that the store knows. While the store is away the change waits.
    `seen`: the file as it was read at start; `known`: the store was there then and knew the secret. One that
    was not is asked when it comes, and another secret than its own ends this process as it would have then."""
    while True:
        await asyncio.sleep(POLL_S)
        if not known:
            try:
                known = await _check_secret(held, held.worker.keys)
            except SettingsError as problem:
                held.failed = problem
                held.stop()
                await asyncio.Event().wait()  # until the end
        stamp = stamp_of(held.settings)
        if stamp == seen:
            continue
        try:
            keys = signing_keys(held.settings)
            if not await _check_secret(held, keys):
                continue
        except SettingsError as problem:
            log.error("secret_not_changed", problems=problem.problems)
            seen = stamp
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


async def _load(held: Running, store: CatalogStore) -> None:
    """Loads what changed and swaps the compiled copy."""
    current = held.worker.catalog
    if current is None:
        version, things = await store.load_all()
    else:
        version, changed = await store.changed_since(current.version)
        if version == current.version:
            held.last_contact = time.monotonic()
            return
        things = {**current.things, **changed}
    held.last_contact = time.monotonic()
    if current is not None and version < current.version:
        version, things = await store.load_all()
    unreadable = frozenset(store.bad)  # gone, not as they were before they were spoilt
    readable = {name: thing for name, thing in things.items() if name not in unreadable} if unreadable else things
    held.worker.catalog = compile_catalog(version, readable, compile_snippet, unreadable)


async def _go_on(work: Callable[[], Awaitable[None]]) -> None:
    """Runs a task that never ends. What it did not expect (a spoilt key in the store) is said and does
    not stop it: a worker that no longer follows its catalog would look alive and serve the past."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("task_failed")
            await asyncio.sleep(GO_ON_S)


async def _follow(held: Running, store: CatalogStore, load: Together) -> None:
    """Follows the catalog's version; a store that goes and comes is said once each."""
    while True:
        await asyncio.sleep(POLL_S)
        try:
            current = held.worker.catalog
            if current is None or await store.version() != current.version:
                await load()
            held.last_contact, held.worker.stale = time.monotonic(), False
            if not held.store_up:
                held.store_up = True
                log.info("store_back")
        except REPLY_ERRORS as problem:
            if held.store_up:
                held.store_up = False
                log.warning("store_away", problem=type(problem).__name__)
            await recover(held.services.client)
            silent_s = time.monotonic() - held.last_contact
            held.worker.stale = silent_s > held.settings.stale_limit_s


async def _keep_house(held: Running) -> None:
    """Rolls quarter-hours older than the limit up to site-local days."""
    while True:
        try:
            if held.worker.catalog is not None:
                await roll_up_old(held.services, held.worker.catalog.things)
        except REPLY_ERRORS:
            log.warning("roll_up_postponed")
        await asyncio.sleep(ROLL_UP_S)


def _link_host(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
