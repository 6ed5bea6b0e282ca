"""An hour of readers and disasters: what was answered is counted, and nothing grows.

`make soak` runs it for `ADSERVE_SOAK_S` seconds. Its name keeps it out of what `pytest` collects by itself; there is
nothing to skip. Continuous integration runs it for a minute.

Readers come at a steady rate to several workers; some send everything again, some are robots, some come late. Every
so often something fails, in turn: a worker is killed, the store is killed, the store hangs for three seconds, the
secret is rotated; at a third of the time all workers are replaced. The eldest worker is not killed: its memory is
looked at.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.service import Crowd, Service, service, strike
from tests.soak.gauges import FILES, Sample, growths, leaked_keys, look, spooled

SECONDS = float(os.environ.get("ADSERVE_SOAK_S", "60"))
SEED = int(os.environ.get("ADSERVE_SOAK_SEED", "7"))
WORKERS = 3
REQUESTS_A_SECOND = 200
REQUESTS_A_VISIT = 3
LINE_S = 10.0
FAULT_S = min(60.0, max(5.0, SECONDS / 12))
HANG_S = 3.0
LIFETIME_S = 20
"""Of an impression: who comes later is late. A reader who is in time never needs as long."""
CROWD = 64
ROBOT = {"User-Agent": "curl/8.5.0"}


class Readers:
    """Visits, and what of them was answered: by name of the figure in the report."""

    def __init__(self, running: Service) -> None:
        self.crowd, self.chance = Crowd(running.origin, CROWD), random.Random(SEED)
        self.answered: Counter[str] = Counter()
        self.visits = self.repeats = self.behind = self._idle = 0
        self.wrong: list[BaseException] = []
        self._open: set[asyncio.Task[None]] = set()
        self._until = 0.0

    async def come(self, until: float) -> None:
        """New readers at a steady rate; the last ones are waited for."""
        gap = REQUESTS_A_VISIT / REQUESTS_A_SECOND
        due, self._until = time.monotonic(), until
        while due < until:
            await asyncio.sleep(due - time.monotonic())
            due += gap
            if len(self._open) - self._idle > 2 * CROWD:
                self.behind += 1  # the machine is too slow for the rate: fewer come
                continue
            visit = asyncio.create_task(self._visit(self.visits))
            self.visits += 1
            self._open.add(visit)
            visit.add_done_callback(self._left)
        while self._open:
            await asyncio.wait(self._open)

    def _left(self, visit: asyncio.Task[None]) -> None:
        self._open.discard(visit)
        if (problem := visit.exception()) is not None:
            self.wrong.append(problem)

    async def _visit(self, number: int) -> None:
        client = {"X-Forwarded-For": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"}
        chance = self.chance.random()
        one = await self.crowd.decide()
        assert one["filled"]
        if chance < 0.1:  # a robot, and what it follows
            await self._send(one["impression_url"], 200, "filtered", **ROBOT)
            await self._send(one["click_url"], 302, "filtered", **client, **ROBOT)
        elif chance < 0.15 and time.monotonic() + LIFETIME_S + 2 < self._until:
            self._idle += 1
            await asyncio.sleep(LIFETIME_S + 2)
            self._idle -= 1
            await self._send(one["impression_url"], 410, "late")
        elif chance < 0.25:  # a view and a click overtake the impression, which is a repeat then
            await self._send(one["view_url"], 200, "impressions", "views")
            await self._send(one["click_url"], 302, "clicks", **client)
            await self._repeat(one["impression_url"], 200)
        else:
            await self._send(one["impression_url"], 200, "impressions")
            if chance < 0.4:
                await asyncio.gather(*(self._repeat(one["impression_url"], 200) for _ in range(2)))
            elif chance < 0.7:
                await self._send(one["view_url"], 200, "views")
            elif chance < 0.8:
                await self._send(one["click_url"], 302, "clicks", **client)

    async def _send(self, url: str, status: int, *figures: str, **headers: str) -> None:
        reply = await self.crowd.get(url, **headers)
        assert reply.status_code == status, (url, reply.status_code)
        self.answered.update(figures)

    async def _repeat(self, url: str, status: int) -> None:
        await self._send(url, status, **{})
        self.repeats += 1


class Disasters:
    """What goes wrong, in turn."""

    def __init__(self, running: Service, chance: random.Random) -> None:
        self.running, self.chance = running, chance
        self.secret = Path(running.settings["ADSERVE_SECRET_FILE"])
        self.lives = WORKERS
        """Workers that were ever started."""
        self.done: Counter[str] = Counter()
        self.replaced = False

    async def go_on(self, begun: float, until: float) -> None:
        kinds: tuple[Callable[[], Any], ...] = (self.kill_worker, self.kill_store, self.hang_store, self.rotate_secret)
        turn = 0
        while time.monotonic() + FAULT_S + HANG_S < until:
            await asyncio.sleep(FAULT_S)
            if not self.replaced and time.monotonic() > begun + (until - begun) / 3:
                kind: Callable[[], Any] = self.replace_workers
            else:
                kind = kinds[turn % len(kinds)]
                turn += 1
            await kind()
            self.done[kind.__name__] += 1

    async def kill_worker(self) -> None:
        """Any but the eldest."""
        strike(self.chance.choice(self.running.worker_pids()[1:] or [0]))
        self.lives += 1

    async def kill_store(self) -> None:
        strike(self.running.store_pid())

    async def hang_store(self) -> None:
        pid = self.running.store_pid()
        strike(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(HANG_S)
        finally:
            strike(pid, signal.SIGCONT)

    async def rotate_secret(self) -> None:
        """A new key signs; those of the last visits still verify."""
        keys = [os.urandom(24).hex(), *self.secret.read_text().split()]
        new = self.secret.with_suffix(".new")
        new.write_text("\n".join(keys[:3]) + "\n")
        new.replace(self.secret)

    async def replace_workers(self) -> None:
        assert self.running.process is not None
        self.running.process.send_signal(signal.SIGHUP)
        self.lives += WORKERS
        self.replaced = True


async def test_nothing_is_lost_and_nothing_grows(tmp_path: Path) -> None:
    (secret := tmp_path / "secret").write_text(os.urandom(24).hex() + "\n")
    settings: dict[str, Any] = {
        "ADSERVE_SECRET_FILE": str(secret),
        "ADSERVE_IMPRESSION_LIFETIME_S": str(LIFETIME_S),
        "ADSERVE_TRUSTED_PROXIES": "127.0.0.1",
    }
    with service(tmp_path, workers=WORKERS, **settings) as running:
        running.world(2, 1)
        since = datetime.now(UTC).date()
        readers, disasters = Readers(running), Disasters(running, random.Random(SEED))
        before = await asyncio.to_thread(look, running)
        begun = time.monotonic()
        until = begun + SECONDS
        samples: list[Sample] = []
        watching = asyncio.create_task(watch(running, readers, begun, samples))
        await asyncio.gather(readers.come(until), disasters.go_on(begun, until))
        watching.cancel()
        await readers.crowd.http.aclose()
        await asyncio.to_thread(running.at_rest)
        found = figures(running, since)
        verdict = await asyncio.to_thread(running.audit)
        samples.append(look(running))
        print(table(readers, disasters, found, verdict, [before, *samples]))
        assert readers.wrong == []
        serves = (readers.visits, found["serves"], readers.visits + readers.crowd.unanswered)
        assert {name: found[name] for name in readers.answered} == readers.answered
        assert serves[0] <= serves[1] <= serves[2]
        # an impression that a spool held back while its view was counted comes as a repeat
        assert found["duplicates"] <= readers.repeats + readers.crowd.unanswered + found["views"]
        assert (found["clicks_unseen"], readers.crowd.refused) == (0, 0)
        assert (verdict["agrees"], verdict["pending"]) == (True, 0), verdict["differences"]
        assert leaked_keys(running, disasters.lives) == []
        assert spooled(running) == 0
        for name, process in samples[-1].processes.items():
            assert process.files <= before.processes[name].files + FILES, f"{name} keeps files open"
        assert [one for one in growths(samples) if one.too_much] == []
        assert running.stop() == 0
        said = running.said.read_text()
        assert "Traceback" not in said
        assert "task_failed" not in said


def figures(running: Service, since: Any) -> Any:
    """Of the whole run, also when it goes over midnight."""
    to = datetime.now(UTC).date() + timedelta(days=1)
    return running.call("GET", f"/report?site=news&from={since}&to={to}&tz=UTC&by=site")["totals"]


async def watch(running: Service, readers: Readers, begun: float, samples: list[Sample]) -> None:
    """A line every ten seconds."""
    sent = 0
    while True:
        await asyncio.sleep(LINE_S)
        samples.append(now := await asyncio.to_thread(look, running))
        memory = " ".join(f"{name} {one.rss // 1000} MB {one.files} files" for name, one in now.processes.items())
        total = sum(readers.answered.values())
        print(
            f"{now.at - begun:6.0f} s  {readers.visits} visits, {(total - sent) / LINE_S:.0f} events/s, "
            f"{readers.crowd.unanswered} unanswered, {readers.crowd.refused} refused, {readers.behind} kept away | "
            f"{memory} | {now.keys} keys {now.store_kb / 1000:.1f} MB, spool {now.spool_bytes} bytes",
            flush=True,
        )
        sent = total


def table(readers: Readers, disasters: Disasters, found: Any, verdict: Any, samples: list[Sample]) -> str:
    """What was answered and counted, what failed, what each process holds."""
    lines = ["", f"{'':16}{'answered':>10}{'counted':>10}"]
    answered = {"serves": readers.visits, **readers.answered, "duplicates": readers.repeats}
    lines += [f"{name:16}{count:>10}{found[name]:>10}" for name, count in answered.items()]
    lines.append(f"unanswered {readers.crowd.unanswered}, refused {readers.crowd.refused}, kept away {readers.behind}")
    lines.append("audit " + ("agrees" if verdict["agrees"] else f"differs: {verdict['differences']}"))
    lines.append(", ".join(f"{name} {count}" for name, count in disasters.done.items()))
    lines.append(f"{'memory in KB':16}{'start':>10}{'middle':>10}{'end':>10}{'an hour':>10}")
    for one in growths(samples):
        lines.append(f"{one.name:16}{one.start:>10.0f}{one.middle:>10.0f}{one.end:>10.0f}{one.slope:>10.0f}")
    for name in samples[-1].processes:
        first, last = samples[0].processes[name].files, samples[-1].processes[name].files
        lines.append(f"open files of {name}: {first} at the start, {last} at the end")
    lines.append(f"keys {samples[0].keys} to {samples[-1].keys}, spool {samples[-1].spool_bytes} bytes")
    return "\n".join(lines)
