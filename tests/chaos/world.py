"""Several workers on one store and one data dir, in this process, each behind a network of its own.

A killed worker: in one step of the event loop it loses the store (its connections are reset), the disk and its
readers; then its tasks are ended, which finds neither to say anything to. What it had sent, the store still takes;
its spool file stays, and its lock goes. A kill here falls between two awaits of the worker, never into the middle of
a system call or of the store's answer to it: for those `test_kills.py` kills processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx2

from adserve.core.access import OPERATOR
from adserve.core.rotation import Draws
from adserve.core.token import Key
from adserve.errors import StoreError, StoreUnavailable
from adserve.flows.audit import audit
from adserve.flows.report import report
from adserve.flows.review import move
from adserve.opening import services_only
from adserve.serving import supervised
from adserve.settings import Settings, load
from adserve.store.embedded import EmbeddedStore
from adserve.wiring import Running, running
from tests.conftest import ADMIN, Api, Clock
from tests.faults import Fault, Proxy, proxy

PATIENCE = {
    "adserve.store.ledger.COMMIT_S": 0.06,
    "adserve.store.ledger.SWEEP_S": 0.01,
    "adserve.store.breaker.OPEN_S": 0.1,
    "adserve.store.replay.EVERY_S": 0.03,
    "adserve.serving.SUPERVISE_S": 0.05,
    "adserve.following.POLL_S": 0.02,
    "adserve.following.SETTLE_S": 0.05,
    "adserve.wiring.HOT_TIMEOUT_S": 0.12,  # as in production less than until the breaker lets a replay through
    "adserve.wiring.DRAIN_S": 0.3,
}
"""What the parts wait for, shortened about tenfold, so that an outage and its end are a matter of milliseconds."""
CLOSE_S = 0.3
NOWHERE = Path("/dev/null/no-disk")
LANDING = "https://shop.example/tea"
START = 1_999_998_900
"""2033-05-18, a quarter-hour before the end of an hour."""


async def until(holds: Callable[[], object], within_s: float = 20) -> None:
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 - a state of other tasks, which tell nobody
            await asyncio.sleep(0.005)


class Member:
    """One worker, its network, and those who call it."""

    def __init__(self, number: int, settings: Settings, store: EmbeddedStore, clock: Clock) -> None:
        self.number, self._settings, self._store, self._clock = number, settings, store, clock
        self.fault: Fault = "pass"
        self.gone = asyncio.Event()
        self._leave = asyncio.Event()
        self.held: Running
        self.api: Api
        self.network: Proxy

    async def start(self) -> None:
        ready = asyncio.Event()
        self._life = asyncio.create_task(self._live(ready))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({self._life, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if self._life.done():
            await self._life

    async def _live(self, ready: asyncio.Event) -> None:
        async with proxy(str(self._store.socket_path)) as self.network:
            async with running(self._settings, self.network.url, clock=self._clock) as self.held:
                self.held.worker.draws = Draws(random.Random(self.number))
                self._patience(CLOSE_S)
                self.api = Api(self.held)
                ready.set()
                await self._leave.wait()
            await self.api.http.aclose()

    def _patience(self, seconds: float) -> None:
        ledger = self.held.worker.ledger
        setattr(ledger, "close", partial(type(ledger).close, ledger, within_s=seconds))  # noqa: B010 - a method

    async def end(self) -> None:
        """The orderly end: StoreError when it could not put its counters anywhere."""
        self._leave.set()
        await self._life

    def cut(self) -> None:
        """The kill: from now on it reaches nobody."""
        self.network.set("refuse")
        spool = self.held.worker.ledger.spool
        spool.directory = NOWHERE
        spool.close()
        self.gone.set()

    async def bury(self) -> None:
        """Ends the tasks of one that was cut off."""
        self._patience(0)
        with contextlib.suppress(StoreError):
            await self.end()

    @property
    def lives(self) -> bool:
        return not self._life.done()

    def set(self, fault: Fault, *, once: bool = False, only: bytes = b"") -> None:
        """From now on; where the network is back, what stood before is reset."""
        if fault == "pass" != self.fault:
            self.network.set("refuse")
        self.fault = "pass" if once else fault
        self.network.set(fault, once=once, only=only)

    @property
    def version(self) -> int:
        return self.held.worker.catalog.version if self.held.worker.catalog else -1

    @property
    def fills(self) -> bool:
        """Whether it has a catalog: one that started without the store has none."""
        return self.held.worker.catalog is not None

    def troubles(self) -> tuple[int, int]:
        """Changes when an event was not simply committed at the first try."""
        ledger = self.held.worker.ledger
        return ledger.failures, ledger.spool.events

    def holds_counts(self) -> bool:
        """Whether a kill now could lose served counts: the store has not taken them, and the spool neither."""
        counts = self.held.worker.ledger.counts
        return bool(counts._fresh) or any(not one.spooled for batches in counts._pending.values() for one in batches)

    async def ask(self, method: str, url: str, **headers: str) -> httpx2.Response | None:
        """The answer, or None when the worker was killed before."""
        if self.gone.is_set():
            return None
        asking = asyncio.create_task(self.api.http.request(method, url, headers=headers))
        killed = asyncio.create_task(self.gone.wait())
        await asyncio.wait({asking, killed}, return_when=asyncio.FIRST_COMPLETED)
        killed.cancel()
        if asking.done() and not self.gone.is_set():
            return asking.result()
        asking.cancel()
        await asyncio.wait({asking})
        return None


class World:
    """The members and what they share: a store that is started again when it dies, a data dir, a clock."""

    def __init__(self, store: EmbeddedStore, folder: Path) -> None:
        self.store, self.folder, self.clock = store, folder, Clock(START)
        self.secret = folder / "keys"
        self.keys = ["first-key-" + "0" * 32]
        self._write_keys()
        environment = {
            "ADSERVE_DATA_DIR": str(folder / "data"),
            "ADSERVE_ADMIN_KEY": ADMIN,
            "ADSERVE_SECRET_FILE": str(self.secret),
            "ADSERVE_KEY_PREFIX": f"m{os.urandom(6).hex()}:",
            "ADSERVE_TRUSTED_PROXIES": "203.0.113.9",
        }
        self.settings = load({}, environment, folder / "none.toml")
        self.members: list[Member] = []
        self._started: list[Member] = []
        self.frozen = False
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        await self._stack.enter_async_context(supervised(self.store))
        self._services = await self._stack.enter_async_context(services_only(self.settings, self.store.url))
        self._services.clock = self.clock
        for _ in range(2):
            await self.start()
        first = self.members[0].api
        await first.world(slots=("top", "bare"))
        self.creatives = [
            await first.creative(name, slots=["news/top"], price={"model": model, "amount": amount, "currency": "INR"})
            for name, model, amount in (("one", "cpm", "2.50"), ("two", "cpc", "4"))
        ]
        version = await self._services.catalog.version()
        await until(lambda: all(one.version == version for one in self.members))

    async def close(self) -> None:
        self.thaw()
        for one in self._started:
            if one.lives:
                one.cut()
                await one.bury()
        await self._stack.aclose()
        await asyncio.to_thread(self.store.restart_if_dead)

    async def start(self) -> Member:
        self.thaw()
        member = Member(len(self._started), self.settings, self.store, self.clock)
        await member.start()
        self._started.append(member)
        self.members.append(member)
        return member

    def pick(self, number: int) -> Member:
        return self.members[number % len(self.members)]

    def freeze(self) -> None:
        """The store hangs, as a machine does that swaps."""
        self.frozen = self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        if self.frozen:
            self._signal(signal.SIGCONT)
            self.frozen = False

    def heal(self) -> None:
        """Every fault ends."""
        self.thaw()
        for one in self.members:
            one.set("pass")

    def kill_store(self) -> None:
        self._signal(signal.SIGKILL)
        self.frozen = False

    def _signal(self, number: int) -> bool:
        """False for a server that was killed already."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.store.pid, number)
            return True
        return False

    @property
    def whole(self) -> bool:
        """Whether no fault stands."""
        return not self.frozen and all(one.fault == "pass" for one in self.members)

    def spooled(self) -> list[Path]:
        return [path for path in (self.folder / "data" / "spool").glob("*") if path.suffix in (".events", ".replay")]

    def _write_keys(self) -> None:
        new = self.secret.with_suffix(".new")
        new.write_text("\n".join(self.keys) + "\n")
        new.replace(self.secret)

    async def use_keys(self, *keys: str) -> None:
        """The secret file holds these from now on; returns when every worker verifies with them alone."""
        self.keys = list(keys)
        self._write_keys()
        await until(lambda: all(len(one.held.worker.keys) == len(keys) for one in self.members))

    async def until_keys(self) -> None:
        """Until every worker signs with the newest key."""
        newest = Key.derive(self.keys[0].encode())
        await until(lambda: all(one.held.worker.keys[0] == newest for one in self.members))

    async def review(self, creative: str, action: str) -> None:
        """A creative is moved; returns when every worker has heard of it."""
        while await self.report() is None:  # noqa: ASYNC110 - the store is just being started
            await asyncio.sleep(0.01)
        await move(self._services, creative, action, actor="test", reason="because")
        version = await self._services.catalog.version()
        await until(lambda: all(one.version == version for one in self.members))

    async def rest(self) -> None:
        """Heals; returns when nothing waits anywhere."""
        self.heal()
        waits: Any = None
        try:
            async with asyncio.timeout(20):
                while waits := await self._waits():  # noqa: ASYNC110 - a try, not a wait for an event
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"it does not come to rest: {waits}") from None

    async def _waits(self) -> list[Any]:
        """What keeps the figures from being final."""
        found: list[Any] = [path.name for path in self.spooled()]
        for one in self.members:
            counts = one.held.worker.ledger.counts
            if not (await counts.flush() and counts.settled and one.fills):
                found.append((one.number, one.held.worker.ledger.breaker.state, counts.settled, one.fills))
        if await self.report() is None:
            found.append("store")
        return found

    async def report(self) -> Any:
        """By hour and creative, read from the store past every fault; None while that is away."""
        asked = {"from": "2033-05-01", "to": "2033-07-01", "site": "news", "by": "hour,creative", "tz": "UTC"}
        try:
            return await report(self._services, asked, OPERATOR)
        except StoreUnavailable:
            return None

    async def audit(self) -> Any:
        return await audit(self._services, self.folder / "data" / "spool")
