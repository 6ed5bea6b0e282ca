"""A worker that starts without its store, for whatever reason, waits for it alive and whole."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adserve.settings import Settings
from adserve.wiring import running
from tests.conftest import Api, Clock
from tests.service import free_port
from tests.stores import LOGGED, Node, nodes

Mend = Callable[[], None]


@asynccontextmanager
async def absent(folder: Path, _: pytest.MonkeyPatch) -> AsyncIterator[tuple[str, Mend]]:
    with nodes() as members:
        node = Node(folder, *LOGGED)
        members.append(node)
        node.kill()
        yield f"redis://127.0.0.1:{node.port}", node.start


@asynccontextmanager
async def wrong_password(folder: Path, _: pytest.MonkeyPatch) -> AsyncIterator[tuple[str, Mend]]:
    with nodes() as members:
        node = Node(folder, *LOGGED)
        members.append(node)
        node.call("CONFIG", "SET", "requirepass", "another")

        def mend() -> None:
            with node.client(password="another") as client:
                client.config_set("requirepass", "given")

        yield f"redis://:given@127.0.0.1:{node.port}", mend


@asynccontextmanager
async def no_password(folder: Path, _: pytest.MonkeyPatch) -> AsyncIterator[tuple[str, Mend]]:
    with nodes() as members:
        node = Node(folder, *LOGGED)
        members.append(node)
        node.call("CONFIG", "SET", "requirepass", "another")

        def mend() -> None:
            with node.client(password="another") as client:
                client.config_set("requirepass", "")

        yield f"redis://127.0.0.1:{node.port}", mend


@asynccontextmanager
async def wrong_database(folder: Path, _: pytest.MonkeyPatch) -> AsyncIterator[tuple[str, Mend]]:
    with nodes() as members:
        node = Node(folder, *LOGGED, "--databases", "2")
        members.append(node)

        def mend() -> None:
            node.kill()
            node.options = (*LOGGED, "--databases", "16")
            node.start()

        yield f"redis://127.0.0.1:{node.port}/9", mend


@asynccontextmanager
async def no_such_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[str, Mend]]:
    real: Any = socket.getaddrinfo
    known = False

    def getaddrinfo(host: Any, *given: Any, **named: Any) -> Any:
        if host == "store.adserve.invalid":
            if not known:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            host = "127.0.0.1"
        return real(host, *given, **named)

    def mend() -> None:
        nonlocal known
        known = True

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with nodes() as members:
        members.append(Node(folder, *LOGGED))
        yield f"redis://store.adserve.invalid:{members[0].port}", mend


@asynccontextmanager
async def another_service(folder: Path, _: pytest.MonkeyPatch) -> AsyncIterator[tuple[str, Mend]]:
    """Something else listens there: a web server."""
    port = free_port()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port)
    with nodes() as members:

        def mend() -> None:
            server.close()
            members.append(Node(folder, *LOGGED, port=port))

        yield f"redis://127.0.0.1:{port}", mend


REASONS = [absent, wrong_password, no_password, wrong_database, no_such_name, another_service]


@pytest.mark.parametrize("reason", REASONS, ids=lambda one: one.__name__)
async def test_a_worker_waits_for_its_store(
    tmp_path: Path, settings: Settings, clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: Any, reason: Any
) -> None:
    """Alive and not ready; slots are empty and whole, the API says 503 without a word of why. When the store is
    there all of it works, without a restart."""
    async with reason(tmp_path / "node", monkeypatch) as (url, mend), running(settings, url, clock=clock) as held:
        api = Api(held)
        for path, wanted in {"/healthz": 200, "/readyz": 503, "/v1/slots/news/top": 200, "/v1/pages/news": 200}.items():
            assert (await api.http.get(path)).status_code == wanted, path
        assert (await api.http.get("/v1/slots/news/top")).content == b""
        assert (await api.http.get("/readyz")).json()["status"] == "starting"
        for method, path, body in (
            ("GET", "/sites/news", None),
            ("GET", "/report", None),
            ("PUT", "/sites/a", {"name": "A"}),
        ):
            refused = await api.call(method, path, body)
            assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable")
            assert not any(word in refused.text for word in ("127.0.0.1", "password", "given", "invalid", "Traceback"))
        mend()
        async with asyncio.timeout(15):
            while (await api.http.get("/readyz")).json()["status"] != "ready":  # noqa: ASYNC110 - behind HTTP
                await asyncio.sleep(0.02)
        await api.world()
        await api.creative()
        one = await api.decide()
        assert (await api.http.get(one["impression_url"])).status_code == 200
        assert (await api.totals())["impressions"] == 1
        await api.http.aclose()
    said = "".join(capsys.readouterr())
    assert "store_unavailable_at_start" in said
    assert "given" not in said
