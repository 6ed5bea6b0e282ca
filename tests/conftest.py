"""Fixtures: a real store, a real worker over it, the real ASGI stack."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from argon2 import PasswordHasher

from adserve.app import create_app
from adserve.flows.passwords import Hashing
from adserve.settings import Settings, load
from adserve.store.embedded import EmbeddedStore
from adserve.wiring import Running, running
from tests.stores import any_store

ADMIN = "an-admin-key-for-the-tests"
QUICK = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
"""Passwords are hashed as in a service, with next to no work."""
SECRET = "0123456789abcdef0123456789abcdef-for-tests"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36"


class Clock:
    """A frozen clock, in epoch seconds, that tests move."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="session")
def store() -> Iterator[EmbeddedStore]:
    """One real Valkey for the whole run."""
    with tempfile.TemporaryDirectory(prefix="adserve-test-") as folder, EmbeddedStore.start(Path(folder)) as found:
        yield found


@pytest.fixture(scope="session")
def store_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The store that workers of the tests talk to: of the kind that ADSERVE_TEST_STORE names."""
    kind = os.environ.get("ADSERVE_TEST_STORE", "embedded")
    if kind == "embedded":
        yield request.getfixturevalue("store").url
        return
    with tempfile.TemporaryDirectory(prefix="adserve-test-") as folder, any_store(kind, Path(folder)) as url:
        yield url


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a key prefix of their own, so that tests share the store and see nothing of each other."""
    environment = {
        "ADSERVE_DATA_DIR": str(tmp_path),
        "ADSERVE_ADMIN_KEY": ADMIN,
        "ADSERVE_SECRET": SECRET,
        "ADSERVE_KEY_PREFIX": f"t{os.urandom(6).hex()}:",
    }
    return load({}, environment, tmp_path / "none.toml")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def held(store_url: str, settings: Settings, clock: Clock) -> AsyncIterator[Running]:
    """A worker with its services, on a frozen clock."""
    async with running(settings, store_url, clock=clock) as found:
        found.services.hashing = Hashing(QUICK)
        yield found


class Api:
    """A caller of the whole application."""

    def __init__(self, held: Running) -> None:
        self.held = held
        transport = httpx2.ASGITransport(app=create_app(held), client=("203.0.113.9", 1))
        self.http = httpx2.AsyncClient(
            transport=transport, base_url="http://localhost:8000", headers={"User-Agent": BROWSER}
        )

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        """A management call as admin."""
        sent = {"Authorization": f"Bearer {ADMIN}", **headers}
        return await self.http.request(method, f"/api/v1{path}", json=body, headers=sent)

    async def make(self, method: str, path: str, body: Any = None) -> Any:
        """The same, which must succeed."""
        reply = await self.call(method, path, body)
        assert reply.status_code in (200, 201), reply.text
        return reply.json()

    async def world(self, *, slots: tuple[str, ...] = ("top",), timezone: str = "UTC", **slot: Any) -> None:
        """A site `news` with slots and an advertiser `acme`."""
        await self.make("PUT", "/sites/news", {"name": "News", "timezone": timezone})
        for name in slots:
            await self.make("PUT", f"/sites/news/slots/{name}", {"sizes": ["300x250"], **slot})
        await self.make("PUT", "/advertisers/acme", {"name": "Acme"})

    async def creative(self, campaign: str = "one", *, approve: bool = True, weight: int = 1, **fields: Any) -> str:
        """A text creative in a campaign that is made with it."""
        body = {"advertiser": "acme", "name": campaign, "slots": ["news/*"], **fields}
        await self.make("PUT", f"/campaigns/{campaign}", body)
        text = {"kind": "text", "name": "t", "title": "Tea", "click_url": "https://shop.example/tea", "weight": weight}
        query = "?approve=true" if approve else ""
        made = await self.make("POST", f"/campaigns/{campaign}/creatives{query}", text)
        return str(made["id"])

    async def decide(self, slot: str = "top", **query: str) -> Any:
        """A decision as a browser's script would get it."""
        reply = await self.http.get(f"/v1/slots/news/{slot}", params=query, headers={"Accept": "application/json"})
        assert reply.status_code == 200, reply.text
        return reply.json()

    def spooled(self) -> list[str]:
        """The files of the spool that are not replayed yet."""
        return [path.name for path in (self.held.settings.data_dir / "spool").glob("*-*.*")]

    async def settle(self) -> None:
        """Until everything that was answered is counted. On a busy machine some of it went to the spool."""
        counts = self.held.worker.ledger.counts
        async with asyncio.timeout(20):
            while not (await counts.flush() and counts.settled and not self.spooled()):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def contents(self) -> dict[str, bytes]:
        """Every key of this test with its value, as the store dumps it; not who called, and not who lives."""
        client, prefix = self.held.services.client, self.held.settings.key_prefix
        dump: Any = client.execute_command
        return {
            key: await dump("DUMP", key, NEVER_DECODE=True)
            async for key in client.scan_iter(f"{prefix}*")
            if "}:rate" not in key and not key.endswith(":keys:used") and "{ask}" not in key
        }

    async def keys_for_ever(self) -> list[str]:
        """Keys without an expiry that are none of those declared to last."""
        client, prefix = self.held.services.client, self.held.settings.key_prefix
        lasting = ("{cat}", ":media", ":revisions", ":c:", ":buckets", ":days", ":d:", "}:t")
        found = [key async for key in client.scan_iter(f"{prefix}*") if not any(part in key for part in lasting)]
        return [key for key in found if await client.ttl(key) == -1]

    async def totals(self, **query: str) -> dict[str, Any]:
        """The figures of the whole time around the frozen clock."""
        await self.settle()
        asked = {"from": "2027-01-01", "to": "2027-03-01", "site": "news", "by": "site", **query}
        reply = await self.http.get("/api/v1/report", params=asked, headers={"Authorization": f"Bearer {ADMIN}"})
        assert reply.status_code == 200, reply.text
        totals: dict[str, Any] = reply.json()["totals"]
        return totals


@pytest.fixture
async def api(held: Running) -> AsyncIterator[Api]:
    caller = Api(held)
    yield caller
    await caller.http.aclose()
