"""Several workers on one socket: they die, are replaced, and end, and no reader notices."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

import adserve
from adserve.store.embedded import EmbeddedStore
from adserve.store.keys import Keys
from adserve.store.schema import NEWEST
from tests.intake.test_images import drawing, saved
from tests.servers import client
from tests.service import ADMIN, BROWSER, Crowd, Service, fetch, service, strike, until
from tests.wire import request, said, status_of

RUNS = int(os.environ.get("ADSERVE_CHAOS_RUNS", "1"))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_killed_workers_are_back_and_every_answer_counts(tmp_path: Path) -> None:
    """Each of four is killed in turn while beacons arrive: all are answered in the end, and counted once. So are
    tokens that 200 callers send at once, again and again, before and after, and all get the same answer."""
    with service(tmp_path, workers=4) as running:
        running.world()
        first = running.worker_pids()
        assert len(first) == 4
        crowd = Crowd(running.origin)
        shown = await crowd.serves(400)

        async def race(times: int) -> None:
            for one in shown[: 3 if RUNS == 1 else 50]:
                for method, status in (("GET", 200), ("POST", 204)):
                    url = one["impression_url"].removeprefix(running.origin)
                    raw = request(method, url, f"user-agent: {BROWSER}")
                    found = await asyncio.gather(*(said(running.port, raw) for _ in range(times)))
                    assert len({*found}) == 1
                    assert status_of(found[0]) == status

        await race(200)

        async def kill() -> None:
            for pid in first:
                await asyncio.sleep(0.2)
                strike(pid)

        killing = asyncio.create_task(kill())
        await asyncio.gather(*(crowd.get(one["impression_url"]) for one in shown))
        await killing
        until(lambda: len(running.worker_pids()) == 4, 3)
        assert not set(first) & set(running.worker_pids())
        await race(20)
        totals = running.at_rest()
        assert totals["impressions"] == 400
        assert crowd.refused == 0
        await crowd.http.aclose()


async def test_shares_hold_for_all_workers_together(tmp_path: Path) -> None:
    """Each rotates on its own and is off by at most 6 serves of a creative, so three are by at most 18."""
    weights = (5, 3, 1, 1)
    with service(tmp_path, workers=3) as running:
        creatives = running.world(*weights)
        crowd = Crowd(running.origin)
        serves = Counter(made["creative"] for made in await crowd.serves(1500))
        for creative, weight in zip(creatives, weights, strict=True):
            assert abs(serves[creative] - 1500 * weight / sum(weights)) <= 18, serves
        running.at_rest()
        rows = {row["creative"]: row["serves"] for row in running.report("creative")["rows"]}
        assert rows == dict(serves)
        await crowd.http.aclose()


async def test_workers_that_are_killed_during_uploads_leave_nothing_half_done(tmp_path: Path) -> None:
    """What was answered is there, what is there is whole, and no file is left that belongs to nothing."""
    chance = random.Random(int(os.environ.get("ADSERVE_CHAOS_SEED", "7")))
    uploads, kills = (10, 2) if RUNS == 1 else (400, 100)
    with service(tmp_path, workers=2) as running:
        running.world()
        done: list[str] = []
        places = asyncio.Semaphore(6)

        async def upload(http: httpx2.AsyncClient, number: int) -> None:
            fields = {"name": f"p{number}", "alt": "x", "click_url": "https://shop.example/"}
            picture = {"file": ("p.png", saved(drawing(300, 250), "PNG"))}
            async with places:
                with contextlib.suppress(httpx2.TransportError):
                    reply = await http.post("/api/v1/campaigns/c0/creatives?approve=true", data=fields, files=picture)
                    assert reply.status_code == 201, reply.text
                    done.append(reply.json()["id"])
                    assert (await http.get(reply.json()["file"])).status_code == 200

        headers = {"Authorization": f"Bearer {ADMIN}"}
        async with httpx2.AsyncClient(base_url=running.origin, headers=headers, timeout=30, trust_env=False) as http:
            uploading = [asyncio.create_task(upload(http, number)) for number in range(uploads)]
            for _ in range(kills):
                await asyncio.sleep(chance.uniform(0.1, 0.4))
                if pids := running.worker_pids():
                    strike(chance.choice(pids))
            await asyncio.gather(*uploading)
        before = running.worker_pids()
        for pid in before:  # who comes now has nothing in memory
            strike(pid)
        until(lambda: len({*running.worker_pids()} - {*before}) == 2)
        until(lambda: fetch(f"{running.origin}/readyz")[0] == 200)
        found = {one["id"]: one for one in running.listed("/creatives")}
        assert {*done} <= {*found}
        for one in found.values():
            assert one["state"] in ("approved", "pending")
            assert one["kind"] == "text" or fetch(running.origin + one["file"])[0] == 200
        assert running.stop() == 0
        assert running.strange_files() == []


async def test_uploads_that_are_sent_again_make_one_each_whoever_is_killed(tmp_path: Path) -> None:
    """Sixteen callers send each key until it is answered, over two workers of which one is killed meanwhile."""
    text = {"kind": "text", "name": "t", "title": "Tea", "click_url": "https://shop.example/tea"}
    with service(tmp_path, workers=2) as running:
        before = len(running.world())
        keys = [f"upload-{n}" for n in range(6)]
        answers: dict[str, set[bytes]] = {key: set() for key in keys}

        async def send(http: httpx2.AsyncClient, key: str) -> None:
            while True:
                pause_s = 0.05
                with contextlib.suppress(httpx2.TransportError):
                    headers = {"Authorization": f"Bearer {ADMIN}", "Idempotency-Key": key}
                    path = "/api/v1/campaigns/c0/creatives?approve=true"
                    reply = await http.post(path, json=text, headers=headers)
                    if reply.status_code == 201:
                        answers[key].add(reply.content)
                        return
                    assert reply.status_code in (409, 429, 503), reply.text
                    pause_s = 0.5 if reply.status_code == 429 else pause_s
                await asyncio.sleep(pause_s)

        async with httpx2.AsyncClient(base_url=running.origin, timeout=10) as http, asyncio.timeout(60):
            work = asyncio.gather(*(send(http, key) for key in keys for _ in range(16)))
            await asyncio.sleep(0.03)
            os.kill(running.worker_pids()[0], signal.SIGKILL)
            await work
        assert {len(found) for found in answers.values()} == {1}
        assert len(running.call("GET", "/creatives")["items"]) == before + len(keys)


def test_a_crowd_of_writers_over_two_workers_all_succeed(tmp_path: Path) -> None:
    """32 threads change one campaign at once, without If-Match: a refusal would raise."""
    with service(tmp_path, workers=2) as running:
        running.world()
        with ThreadPoolExecutor(32) as crowd:
            done = list(crowd.map(lambda n: running.call("PATCH", "/campaigns/c0", {"weight": n + 1}), range(64)))
        assert len({one["version"] for one in done}) == 64


def test_a_worker_that_does_not_come_to_accept_delays_no_other(tmp_path: Path) -> None:
    """The successor of the first is stopped before it says that it is there; the second is replaced all the same."""
    with service(tmp_path, workers=2) as running:
        first, second = running.worker_pids()
        os.kill(first, signal.SIGKILL)
        until(lambda: set(running.worker_pids()) - {first, second})
        (stuck,) = set(running.worker_pids()) - {first, second}
        os.kill(stuck, signal.SIGSTOP)
        try:
            os.kill(second, signal.SIGKILL)
            until(lambda: set(running.worker_pids()) - {first, second, stuck})
        finally:
            os.kill(stuck, signal.SIGCONT)
        until(lambda: fetch(f"{running.origin}/readyz")[0] == 200)


async def roll(running: Service) -> None:
    """SIGHUP under load: every worker is a new one, no request was refused, reset or left unanswered, and every
    answer counts."""
    running.world()
    assert running.process is not None
    before = running.worker_pids()
    crowd = Crowd(running.origin, 8)
    done = asyncio.Event()
    answered = 0

    async def browse() -> None:
        nonlocal answered
        while not done.is_set():
            one = await crowd.decide()
            assert one["filled"]
            assert (await crowd.get(one["impression_url"])).status_code == 200
            answered += 1

    browsing = [asyncio.create_task(browse()) for _ in range(8)]
    await asyncio.sleep(0.3)
    running.process.send_signal(signal.SIGHUP)
    async with asyncio.timeout(30):
        while set(before) & set(running.worker_pids()) or len(running.worker_pids()) != 2:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)
    done.set()
    await asyncio.gather(*browsing)
    assert (crowd.unanswered, crowd.refused) == (0, 0)
    totals = running.at_rest()
    assert (totals["impressions"], totals["serves"]) == (answered, answered)
    await crowd.http.aclose()


async def test_a_rolling_restart_fails_no_request(tmp_path: Path) -> None:
    with service(tmp_path, workers=2) as running:
        await roll(running)


@pytest.mark.parametrize("migrates_s", [0, 6])
async def test_a_rolling_restart_into_a_newer_schema_fails_no_request(tmp_path: Path, migrates_s: int) -> None:
    """The first worker of the new code migrates while the old ones fill pages and spool events. When that takes
    long they end, and are followed by the new code too."""
    package = tmp_path / "code" / "adserve"
    shutil.copytree(Path(adserve.__file__).parent, package)
    with service(tmp_path, workers=2, PYTHONPATH=str(package.parent), PYTHONSAFEPATH="1") as running:
        schema = package / "store" / "schema.py"
        older = schema.read_text()
        newer = older.replace("FIRST = 1\n", f"MIGRATIONS += (lambda *_: asyncio.sleep({migrates_s}),)\nFIRST = 1\n")
        assert newer != older
        schema.write_text(newer)
        await roll(running)
        with EmbeddedStore.start(running.data) as store, client(store.url) as asked:
            assert asked.get(Keys().schema) == str(NEWEST + 1)
        assert running.stop() == 0


def test_bad_settings_at_a_rolling_restart_change_nothing(tmp_path: Path) -> None:
    """They are said, and the old workers stay; with the file mended the next signal replaces them."""
    with service(tmp_path, workers=1) as running:
        assert running.process is not None
        secret = running.data / "secret"
        good, before = secret.read_text(), running.worker_pids()
        os.kill(running.process.pid, signal.SIGHUP)
        until(lambda: running.worker_pids() and not set(before) & set(running.worker_pids()))
        secret.chmod(0o600)
        secret.write_text("short\n")
        between = running.worker_pids()
        os.kill(running.process.pid, signal.SIGHUP)
        until(lambda: "worker_not_replaced" in running.said.read_text())
        assert running.worker_pids() == between
        secret.write_text(good)
        os.kill(running.process.pid, signal.SIGHUP)
        until(lambda: running.worker_pids() and not set(between) & set(running.worker_pids()))


def test_a_killed_supervisor_leaves_nothing_behind(tmp_path: Path) -> None:
    """Its workers drain and end, the last one ends the store, and what they counted is there."""
    with service(tmp_path, workers=2) as running:
        running.world()
        pids = [*running.worker_pids(), running.store_pid()]
        assert all(pids)
        running.stop(signal.SIGKILL)
        until(lambda: not any(alive(pid) for pid in pids))
        running.start()
        assert running.call("GET", "/sites/news")["name"] == "News"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_orderly_end_leaves_nothing_behind(tmp_path: Path, number: int) -> None:
    with service(tmp_path, workers=3) as running:
        pids = [*running.worker_pids(), running.store_pid()]
        assert len(pids) == 4
        assert running.stop(number) == 0
        assert not any(alive(pid) for pid in pids)
        assert "drained" in running.said.read_text()


def test_a_store_that_dies_is_back_and_pages_fill_meanwhile(tmp_path: Path) -> None:
    """From memory in every worker, within a second and without a single empty slot."""
    with service(tmp_path, workers=2) as running:
        running.world()
        os.kill(dead := running.store_pid(), signal.SIGKILL)
        begun, back = time.monotonic(), 0.0
        while time.monotonic() < begun + 3:
            status, body = fetch(f"{running.origin}/v1/slots/news/top")
            assert (status, b"data-decision" in body) == (200, True)
            if not back and running.store_pid() not in (0, dead):
                back = time.monotonic() - begun
        assert back


def test_a_worker_with_another_secret_than_the_store_ends_the_start(tmp_path: Path) -> None:
    """78, its reason on stderr, and no process left."""
    with service(tmp_path) as running:
        running.stop()
    other = Service(tmp_path, ADSERVE_SECRET="0123456789abcdef0123456789abcdef-another")
    with pytest.raises(AssertionError, match="another secret"):
        other.start()
    assert other.process is not None
    assert other.process.wait(20) == 78
    assert not alive(other.store_pid())
