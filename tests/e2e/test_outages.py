"""Whole services and a store that comes late, dies, hangs or has no room, with readers all the while."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.intake.test_images import drawing, saved
from tests.service import ADMIN, BROWSER, Crowd, Service, fetch, service, until
from tests.stores import LOGGED, Node, nodes
from tests.wire import request, said, status_of

RUNS = int(os.environ.get("ADSERVE_CHAOS_RUNS", "1"))
READERS = 8


class Readers:
    """Browsers that browse until they are told to stop or get no answer; what they were answered."""

    def __init__(self, running: Service) -> None:
        self.crowd = Crowd(running.origin, READERS)
        self.answers: Counter[tuple[str, int]] = Counter()
        self.unanswered = 0
        self._done = asyncio.Event()
        self._tasks = [asyncio.create_task(self._browse()) for _ in range(READERS)]

    async def _browse(self) -> None:
        http = self.crowd.http
        try:
            while not self._done.is_set():
                one = (await http.get("/v1/slots/news/top", headers={"Accept": "application/json"})).json()
                assert one["filled"]
                self.answers["serve", 200] += 1
                for name in ("impression_url", "click_url"):
                    self.unanswered += name == "impression_url"
                    self.answers[name, (await http.get(one[name])).status_code] += 1
                    self.unanswered -= name == "impression_url"
        except httpx2.TransportError:
            pass

    async def seen(self, count: int) -> None:
        """Until so many impressions more were answered."""
        wanted = self.answers["impression_url", 200] + count
        async with asyncio.timeout(60):
            while self.answers["impression_url", 200] < wanted:  # noqa: ASYNC110 - counted by many tasks
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        self._done.set()
        await asyncio.gather(*self._tasks)
        await self.crowd.http.aclose()


async def test_a_service_outlives_its_store(tmp_path: Path) -> None:
    """Started without it: alive, not ready, slots empty and quick. When it is there: ready, without a restart.
    Killed under load and back later: pages filled, events and clicks answered, reports refused with the
    reason; and in the end every figure is exact."""
    with nodes() as members, service(tmp_path, workers=2, started=False) as running:
        node = Node(tmp_path / "store", *LOGGED)
        members.append(node)
        node.kill()
        running.settings["ADSERVE_REDIS_URL"] = f"redis://127.0.0.1:{node.port}"
        running.launch()
        assert fetch(f"{running.origin}/healthz")[0] == 200
        assert fetch(f"{running.origin}/readyz")[0] == 503
        assert fetch(f"{running.origin}/v1/slots/news/top") == (200, b"")
        until(lambda: len(running.worker_pids()) == 2)
        pids = running.worker_pids()
        node.start()
        until(lambda: fetch(f"{running.origin}/readyz")[0] == 200)
        running.world()
        readers = Readers(running)
        await readers.seen(50)
        node.kill()
        await readers.seen(150 if RUNS == 1 else 10_000)
        status, body = fetch(f"{running.origin}/api/v1/report", Authorization=f"Bearer {ADMIN}")
        assert (status, b"store_unavailable" in body) == (503, True)
        node.start()
        await readers.seen(50)
        await readers.stop()
        answered = readers.answers["impression_url", 200]
        assert {*readers.answers} == {("serve", 200), ("impression_url", 200), ("click_url", 302)}
        assert readers.unanswered == 0
        totals = running.at_rest()
        assert (totals["impressions"], totals["serves"]) == (answered, readers.answers["serve", 200])
        assert totals["clicks"] + totals["filtered"] == readers.answers["click_url", 302]
        assert running.worker_pids() == pids
        assert running.audit()["agrees"]


async def test_an_end_under_load_finishes_what_it_took(tmp_path: Path) -> None:
    """SIGTERM with the store there, gone, and, twice, with a silent one: every request that was taken is answered, the
    process ends by itself with 0, and what was answered is counted, by the next start at the latest."""
    with nodes() as members, service(tmp_path, started=False) as running:
        node = Node(tmp_path / "store", *LOGGED)
        members.append(node)
        running.settings["ADSERVE_REDIS_URL"] = f"redis://127.0.0.1:{node.port}"
        answered = unanswered = served = 0
        for way in ("there", "gone", "silent"):
            running.start()
            if way == "there":
                running.world()
            readers = Readers(running)
            await readers.seen(60)
            assert node.process is not None
            assert running.process is not None
            if way == "gone":
                node.kill()
            elif way == "silent":
                os.kill(node.process.pid, signal.SIGSTOP)
            if way in ("gone", "silent"):
                await readers.seen(20)
            uploading = await HalfUpload.begin(running.port) if way == "there" else None
            await readers.seen(1)  # so that the half is read
            running.process.send_signal(signal.SIGTERM)
            if uploading is not None:
                assert status_of(await uploading.finish()) == 201
            if way == "silent":
                running.process.send_signal(signal.SIGTERM)
            code = await asyncio.to_thread(running.process.wait, 30)
            await readers.stop()
            assert (way, code) == (way, 0), running.said.read_text()
            if way == "gone":
                node.start()
            elif way == "silent":
                os.kill(node.process.pid, signal.SIGCONT)
            assert {status for _, status in readers.answers} == {200, 302}, way
            answered += readers.answers["impression_url", 200]
            served += readers.answers["serve", 200]
            unanswered += readers.unanswered
        text = running.said.read_text()
        assert (text.count("  drained: in-flight"), "cut off" in text) == (3, False)
        running.start()
        totals = running.at_rest()
        assert answered <= totals["impressions"] <= answered + unanswered
        assert served <= totals["serves"] <= served + 3 * READERS, "those whose answer did not arrive"
        assert running.audit()["agrees"]
        uploaded = running.call("GET", "/creatives?state=pending")["items"]
        assert [fetch(running.origin + one["file"])[0] for one in uploaded] == [200]
        assert running.strange_files() == []


class HalfUpload:
    """An upload whose second half comes later."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rest: bytes) -> None:
        self._reader, self._writer, self._rest = reader, writer, rest

    @classmethod
    async def begin(cls, port: int) -> HalfUpload:
        fields = {"name": "p", "alt": "x", "click_url": "https://shop.example/"}
        whole = httpx2.Request(
            "POST", f"http://127.0.0.1:{port}/api/v1/campaigns/c0/creatives", data=fields,
            files={"file": ("p.png", saved(drawing(300, 250), "PNG"))}, headers={"Authorization": f"Bearer {ADMIN}"},
        )  # fmt: skip
        body = whole.read()
        head = request("POST", whole.url.path, *(f"{name}: {value}" for name, value in whole.headers.items()))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + body[: len(body) // 2])
        await writer.drain()
        return cls(reader, writer, body[len(body) // 2 :])

    async def finish(self) -> bytes:
        self._writer.write(self._rest)
        async with asyncio.timeout(20):
            answer = await self._reader.read()
        self._writer.close()
        return answer


@pytest.mark.parametrize("limit", ["-S"] if RUNS == 1 else ["-S", "-H -S"])
async def test_more_callers_than_anybody_has_room_for(tmp_path: Path, limit: str) -> None:
    """Very many at once, processes with 256 files, a store that takes as many connections as it was promised:
    answered or asked to come again; let go only where the system permits no more files. Never a 500. What was
    answered is counted, and calm brings everything back."""
    serves, reports = (600, 100) if RUNS == 1 else (4000, 1000)
    limited = ("sh", "-c", f'ulimit {limit} -n 256; exec "$@"', "sh")
    with nodes() as members, service(tmp_path, workers=2, started=False) as running:
        node = Node(tmp_path / "store", *LOGGED, "--maxclients", "54")
        members.append(node)
        running.settings["ADSERVE_REDIS_URL"] = f"redis://127.0.0.1:{node.port}"
        running.start(*limited)
        running.world()
        crowd = Crowd(running.origin)
        shown = await crowd.serves(100)
        await crowd.http.aclose()
        agent, key = f"user-agent: {BROWSER}", f"authorization: Bearer {ADMIN}"
        asked = [request("GET", "/v1/slots/news/top", agent)] * serves
        asked += [request("GET", "/api/v1/report?site=news", key)] * reports
        events = [request("GET", one["impression_url"].removeprefix(running.origin), agent) for one in shown]

        async def ask(raw: bytes) -> int:
            try:
                return status_of(await said(running.port, raw, within_s=30))
            except OSError:
                return 0

        found = Counter(await asyncio.gather(*map(ask, asked)))
        counted = Counter(await asyncio.gather(*map(ask, events)))
        assert {*found, *counted} <= ({200, 503} if limit == "-S" else {0, 200, 503}), (found, counted)
        assert found[200] >= min(serves, 256)
        until(lambda: json.loads(fetch(f"{running.origin}/readyz")[1])["status"] == "ready")
        totals = running.at_rest()
        assert counted[200] <= totals["impressions"] <= len(events)
        assert int(node.call("INFO", "stats")["rejected_connections"]) == 0
        assert len(running.worker_pids()) == 2
        assert "worker_died" not in running.said.read_text()


def test_a_service_with_another_secret_ends_when_its_store_comes(tmp_path: Path) -> None:
    """As it would have at the start, had the store been there: 78, and the reason."""
    with nodes() as members, service(tmp_path, started=False) as running:
        node = Node(tmp_path / "store", *LOGGED)
        members.append(node)
        node.call("SET", "adserve:{cat}:secret", "of-somebody-else")
        node.kill()
        running.settings["ADSERVE_REDIS_URL"] = f"redis://127.0.0.1:{node.port}"
        running.launch()
        node.start()
        process: Any = running.process
        assert process.wait(30) == 78
        text = running.said.read_text()
        assert ("another secret" in text, '"code": 78' in text, '"code": 0' in text) == (True, True, False)
