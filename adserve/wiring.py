"""The one place that opens real things and closes them in reverse order."""

from __future__ import annotations

import asyncio
import time
import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import structlog
from crawlerdetect import CrawlerDetect

from adserve.core.traffic import TrafficRules
from adserve.errors import SettingsError, StoreError
from adserve.flows.admit import Admission, knows_secret
from adserve.flows.allow import Allowing
from adserve.flows.curves import follow as follow_traffic
from adserve.flows.explain import answer_others, explain_here
from adserve.flows.live import recent_here
from adserve.flows.load import Loader
from adserve.flows.report import keep_rolled_up
from adserve.flows.track import terms_later
from adserve.flows.worker import Lifetimes, Worker
from adserve.following import Running as Running
from adserve.following import follow_catalog, follow_secret, go_on
from adserve.opening import services_of
from adserve.settings import Settings
from adserve.signing import make_secret, proofs, signing_keys, stamp_of
from adserve.store.client import HOT_TIMEOUT_S, REPLY_ERRORS, Together, connect, end
from adserve.store.clock import StoreClock
from adserve.store.frequency import BRIEF_TIMEOUT_S, Frequencies
from adserve.store.grants import Grants
from adserve.store.keys import Keys
from adserve.store.ledger import Ledger
from adserve.store.pairs import TIMEOUT_S as PAIRS_TIMEOUT_S
from adserve.store.pairs import Pairs
from adserve.store.replay import Replay
from adserve.store.spaces import Spaces
from adserve.store.spool import Spool

log = structlog.get_logger("adserve")
DRAIN_S, BARRED_S = 3.0, 0.2
"""How long the end of a worker waits for its store, and when it may not touch it. The spool keeps the rest."""
CATCH_UP_S = 0.25


def traffic_rules(data_dir: Path) -> TrafficRules:
    """The packaged rules for invalid traffic, or the operator's copy in the data dir."""
    own = data_dir / "traffic.toml"
    path = own if own.exists() else Path(__file__).parent / "core" / "traffic.toml"
    try:
        rules = TrafficRules(tomllib.loads(path.read_text(encoding="utf-8")), CrawlerDetect().isCrawler)
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise SettingsError([f"{path}: {problem!r}"]) from None
    rules.agent(b"Mozilla/5.0 (X11; Linux x86_64)")  # its patterns are compiled now, not while a reader waits
    return rules


@asynccontextmanager
async def running(
    settings: Settings, store_url: str, *, clock: Callable[[], float] | None = None, patient: bool = False
) -> AsyncIterator[Running]:
    """A worker with its services, by the store's time unless another clock is given. Leaving flushes every
    counter and says whether that worked. UnfitStore, unless it is `patient`: then it fills pages and waits."""
    clock = clock or StoreClock()
    async with AsyncExitStack() as stack:
        keys = Keys(settings.key_prefix)
        hot = connect(store_url, timeout_s=HOT_TIMEOUT_S, connections=6)
        stack.push_async_callback(hot.aclose)
        client = connect(store_url)
        stack.push_async_callback(client.aclose)
        make_secret(settings)
        secret_stamp = stamp_of(settings)
        signing = signing_keys(settings)
        spaces = Spaces()
        spool = Spool(settings.data_dir / "spool", keys.prefix, spaces.incarnation, limit=settings.spool_max_bytes)
        ledger = Ledger(hot, keys, spaces, spool, click_lifetime_s=settings.click_lifetime_s)
        lifetimes = Lifetimes(settings.impression_lifetime_s, settings.view_lifetime_s, settings.click_lifetime_s)
        worker = Worker(
            ledger,
            signing,
            traffic_rules(settings.data_dir),
            clock,
            settings.public_url,
            settings.own_origin,
            settings.trusted_proxies,
            (settings.country_header or "").encode(),
            lifetimes,
            workers=settings.workers,
            allowance_s=settings.allowance_s,
        )
        held: Running
        refresh = Together(lambda: _load(held, loader))
        stack.push_async_callback(refresh.close)
        brief = connect(store_url, timeout_s=BRIEF_TIMEOUT_S, connections=2)
        stack.push_async_callback(brief.aclose)
        worker.frequencies = Frequencies(brief, keys, ledger.breaker.refuses, clock)
        stack.push_async_callback(worker.frequencies.close)
        quick = connect(store_url, timeout_s=PAIRS_TIMEOUT_S, connections=4)
        stack.push_async_callback(quick.aclose)
        keep_s = settings.pairs_days * 86_400
        worker.pairs = Pairs(quick, keys, ledger.breaker.refuses, keep_s=keep_s, an_hour=settings.pairs_an_hour)
        allowing = Allowing(worker.allowances, Grants(hot, keys), clock, ledger.breaker.refuses)
        stack.push_async_callback(allowing.close)
        services = services_of(settings, client, keys, clock, refresh)
        services.explain = partial(explain_here, worker)
        services.recent = partial(recent_here, worker)
        services.secrets = lambda: [key.secret for key in worker.keys]
        loader = Loader(worker, services.catalog)
        stack.push_async_callback(services.accounts.close)

        async def known(renew: bool) -> bool:
            try:
                return await knows_secret(client, keys, proofs(worker.keys), renew=renew)
            except SettingsError:  # unless the file, which is read in a moment, has its key by now
                return await knows_secret(client, keys, proofs(signing_keys(settings)), renew=False)

        admission = Admission(
            client,
            keys,
            ledger.breaker,
            known,
            embedded=settings.redis_url is None,
            unsafe=bool(settings.unsafe_store),
        )
        held = Running(settings, worker, services, admission)

        async def catch_up() -> bool:
            try:
                await asyncio.wait_for(refresh(), CATCH_UP_S)
            except REPLY_ERRORS:
                return False
            return True

        worker.catch_up = catch_up
        replay = Replay(ledger, keys.prefix, clock, lambda serve: terms_later(worker, refresh, serve))
        try:
            await (admission.keep() if patient else admission.ask())
            await refresh()
        except REPLY_ERRORS:
            held.store_up = False
            log.warning("store_unavailable_at_start")
        if not admission.given:
            admission.withdraw()
        await worker.frequencies.refresh()
        worker.frequencies.start()
        ledger.start()
        following = asyncio.create_task(go_on(lambda: follow_catalog(held, services.catalog, refresh)))
        stack.push_async_callback(end, [following])  # the last to end: a store may come back while the worker drains
        tasks = [
            asyncio.create_task(go_on(work))
            for work in (
                lambda: keep_rolled_up(services, lambda: worker.catalog if admission.given else None),
                lambda: follow_traffic(services, worker.curves, lambda: worker.catalog if admission.given else None),
                services.accounts.follow,
                lambda: follow_secret(held, secret_stamp),
                lambda: answer_others(worker, services.questions, lambda: held.store_up and held.failure is None),
                replay.run,
                allowing.run,
            )
        ]
        try:
            yield held
        finally:
            await end(tasks)
            patience_s = DRAIN_S if held.failure is None else BARRED_S
            clean = await ledger.close(within_s=patience_s)
            await replay.finish(patience_s)
            log.info("drained", flushed=clean, events=ledger.committed)
            if not clean:
                raise StoreError("neither the store nor the spool took the last counters")


async def _load(held: Running, loader: Loader) -> None:
    """Loads what changed. A store that was away is read whole: it may have come back with an older catalog, of a
    replica or a backup."""
    await loader.load(whole=held.worker.catalog is None or not held.store_up)
    held.last_contact = time.monotonic()
