"""A cap under fire: four workers, beacons that come late or never, workers that are killed with allowances in hand.

What is confirmed never passes the cap, at no moment that a watcher of the store sees; what died with a worker or was
never confirmed is served again once its grants have closed; and pages fill all the while.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from pathlib import Path
from typing import Any

from adserve.store.client import connect
from adserve.store.keys import TAGS, Keys
from tests.chaos.browsing import RUNS, chance_of
from tests.service import BROWSER, Service, service, strike

CAP, REQUESTS = (1_000, 20_000) if RUNS == 1 else (10_000, 200_000)
READERS = 24
LIFETIME_S, ALLOWANCE_S = 3, 5
CLOSED_S = LIFETIME_S + 2 * ALLOWANCE_S
"""When a grant is closed at the latest, from its taking on."""
NEVER, LATE = 0.03, 0.03
"""Impressions that are not sent, and those that come after their lifetime."""
PATIENCE_S = 4 * CLOSED_S


class Connection:
    """Of a browser; one that breaks is made again, and what it was asked is asked again."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str, accept: str = "*/*") -> tuple[int, bytes]:
        """Status and body."""
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: {BROWSER}\r\nAccept: {accept}\r\n\r\n".encode()
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                return await asyncio.wait_for(self._ask(head), 10)
            except (OSError, EOFError, TimeoutError):
                self.close()
                await asyncio.sleep(0.02)
        raise AssertionError(f"no answer to {path}")

    async def _ask(self, head: bytes) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(head)
        lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        return int(lines[0].split()[1]), await reader.readexactly(length) if length else b""

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


class Readers:
    """They ask for the slot as fast as it is answered, and show the campaign with the cap when their chance says so."""

    def __init__(self, running: Service, chance: random.Random) -> None:
        self._running, self._chance = running, chance
        self._connections = [Connection(running.port) for _ in range(READERS)]
        self._beacons: set[asyncio.Task[None]] = set()
        self._at_once = asyncio.Semaphore(READERS)
        self.requests = self.capped = self.house = self.never = 0
        self.statuses: dict[int, int] = {}

    async def ask(self, count: int) -> None:
        """That many requests."""
        await asyncio.gather(*(self._some(one, count // READERS) for one in self._connections))

    async def _some(self, connection: Connection, count: int) -> None:
        for _ in range(count):
            status, body = await connection.get("/v1/slots/news/top", "application/json")
            found = json.loads(body)
            assert (status, found["filled"]) == (200, True)
            self.requests += 1
            if found["campaign"] != "c0":
                self.house += 1
                continue
            self.capped += 1
            if self._chance.random() < NEVER:
                self.never += 1
                continue
            late = self._chance.random() < LATE
            wait_s = LIFETIME_S + 1.5 if late else self._chance.expovariate(4)
            path = found["impression_url"].removeprefix(self._running.origin)
            task = asyncio.create_task(self._show(path, min(wait_s, LIFETIME_S + 1.5)))
            self._beacons.add(task)
            task.add_done_callback(self._beacons.discard)

    async def _show(self, path: str, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        async with self._at_once:
            connection = Connection(self._running.port)
            try:
                status, _ = await connection.get(path)
            finally:
                connection.close()
        self.statuses[status] = self.statuses.get(status, 0) + 1

    async def shown(self) -> None:
        await asyncio.gather(*self._beacons)

    def close(self) -> None:
        for one in self._connections:
            one.close()


class Watcher:
    """Reads what is confirmed, of the campaign and of its counters, at one moment and as often as it can."""

    def __init__(self, running: Service) -> None:
        socket = json.loads((running.data / "store.lock").read_bytes())["socket"]
        self._client: Any = connect(f"unix://{socket}")
        self._keys = Keys()
        self.looks = self.most = 0

    async def campaign(self, id_: str) -> int:
        """The serial of a campaign."""
        return int(json.loads(await self._client.hget(self._keys.objects, f"campaign:{id_}"))["serial"])

    async def confirmed(self, serial: int) -> int:
        tag = serial % TAGS
        buckets = await self._client.zrange(self._keys.buckets(tag), 0, -1)
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hget(self._keys.totals(tag), f"{serial}.i")
            for bucket in buckets:
                pipe.hgetall(self._keys.counters(tag, int(bucket)))
            total, *hashes = await pipe.execute()
        counted = sum(int(n) for cells in hashes for cell, n in cells.items() if cell.endswith(".i"))
        assert int(total or 0) >= counted  # a quarter-hour may have begun meanwhile
        self.looks += 1
        self.most = max(self.most, int(total or 0))
        assert self.most <= CAP
        return int(total or 0)

    async def watch(self, serial: int) -> None:
        while True:
            await self.confirmed(serial)
            await asyncio.sleep(0.005)

    async def close(self) -> None:
        await self._client.aclose()


async def kill_two(running: Service, readers: Readers, chance: random.Random) -> None:
    """One while much of the cap is left, one when it comes to its end."""
    for capped in (CAP // 4, CAP * 3 // 4):
        while readers.capped < capped:  # noqa: ASYNC110 - a figure of other tasks, which tell nobody
            await asyncio.sleep(0.01)
        assert strike(chance.choice(running.worker_pids()))


async def test_no_cap_is_passed_and_all_of_it_delivered(tmp_path: Path) -> None:
    chance = chance_of(0)
    settings: dict[str, Any] = {
        "ADSERVE_IMPRESSION_LIFETIME_S": str(LIFETIME_S),
        "ADSERVE_ALLOWANCE_S": str(ALLOWANCE_S),
    }
    with service(tmp_path, workers=4, **settings) as running:
        running.world(1, 1)
        running.call("PATCH", "/campaigns/c1", {"tier": "house"})
        running.call("PATCH", "/campaigns/c0", {"caps": {"total": {"impressions": CAP}}})
        await asyncio.sleep(1)  # until every worker has heard of it
        readers, watcher = Readers(running, chance), Watcher(running)
        serial = await watcher.campaign("c0")
        watching = asyncio.create_task(watcher.watch(serial))
        killing = asyncio.create_task(kill_two(running, readers, chance))
        begun = time.monotonic()
        await readers.ask(REQUESTS)
        await asyncio.wait_for(killing, 60)
        await readers.shown()
        first, first_s = await watcher.confirmed(serial), time.monotonic() - begun
        deadline = time.monotonic() + PATIENCE_S
        while await watcher.confirmed(serial) < CAP * 99 // 100:
            assert time.monotonic() < deadline, f"{watcher.most} of {CAP} were delivered"
            assert not watching.done()
            await readers.ask(READERS)
            await asyncio.sleep(0.2)
        delivered_s = time.monotonic() - begun
        house = readers.house
        await readers.ask(10 * READERS)
        assert readers.house > house
        await readers.shown()
        assert not watching.done()
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        found = await watcher.confirmed(serial)
        print(
            f"cap {CAP}: {readers.requests} requests, {readers.capped} of the campaign, {readers.never} never shown,"
            f" answers {readers.statuses}; {first} confirmed after {first_s:.0f} s, {found} after {delivered_s:.0f} s;"
            f" {watcher.looks} looks, at most {watcher.most}"
        )
        assert CAP * 99 // 100 <= found <= CAP
        assert readers.requests >= REQUESTS * 99 // 100
        assert set(readers.statuses) <= {200, 410}
        assert watcher.looks > 100
        readers.close()
        await watcher.close()
        await asyncio.to_thread(running.at_rest)
        verdict = await asyncio.to_thread(running.audit)
        assert verdict["agrees"], (verdict["differences"], verdict["totals"])
