"""A service with something in every place, callers on real sockets, and all that it said and stored.

`World` knows two sets of objects: `news`, `acme`, `one`, which hostile requests are never aimed at with a method that
changes something, and the `spare` ones, which they may change, archive and fill with anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import structlog
from PIL import Image

from adserve import logs
from adserve.app import create_app
from adserve.http import log_requests
from adserve.settings import Settings
from adserve.wiring import running
from tests.conftest import ADMIN, BROWSER, SECRET, Api, Clock
from tests.security import table
from tests.wire import serving

CLIENT_V4, CLIENT_V6 = "203.0.113.77", "2001:db8:1:2:3:4:5:6"
"""Where the readers of this world sit, as their trusted proxy says."""
CALLERS = 6


class Answer(NamedTuple):
    """What came back. `status` 0: the connection ended without an answer. Header names are in lower case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header that is given once; None without one."""
        values = [value for given, value in self.headers if given == name]
        assert len(values) < 2, f"{name} is given {len(values)} times"
        return values[0] if values else None

    @property
    def head(self) -> str:
        return "".join(f"{name}: {value}\n" for name, value in self.headers)


class Request(NamedTuple):
    """One HTTP request as it goes over the wire. What is text is sent as UTF-8; bytes as they are."""

    method: str
    target: str | bytes
    headers: tuple[tuple[str, str | bytes], ...] = ()
    body: bytes = b""

    def wire(self) -> bytes:
        lines = [_bytes(self.method) + b" " + _bytes(self.target) + b" HTTP/1.1"]
        given = {name.lower() for name, _ in self.headers}
        common = (("Host", "localhost:8000"), ("User-Agent", BROWSER), ("X-Forwarded-For", CLIENT_V4))
        lines += [_bytes(f"{name}: {value}") for name, value in common if name.lower() not in given]
        lines += [_bytes(name) + b": " + _bytes(value) for name, value in self.headers]
        if (self.body or self.method in ("POST", "PUT", "PATCH")) and "transfer-encoding" not in given:
            lines.append(b"Content-Length: %d" % len(self.body))
        return b"\r\n".join(lines) + b"\r\n\r\n" + self.body

    def with_key(self, key: str = ADMIN) -> Request:
        return self._replace(headers=(("Authorization", f"Bearer {key}"), *self.headers))


@dataclass
class World:
    """The service, its objects, and what to look for afterwards."""

    api: Api
    app: Any
    port: int
    logged: int
    """The port of a server that logs every request, which is not served the shortest way then."""
    log: io.StringIO
    temporary: Path
    media: str = ""
    """The file of the picture that serves, as in `/m/{file}`."""
    picture: bytes = b""
    tokens: dict[str, str] = field(default_factory=dict)
    """Of a serve whose impression, view and click have been counted, by kind; `f`: of an html creative's frame."""
    places: dict[str, str] = field(default_factory=dict)
    """Ids of the spare objects by the collection in the path."""
    secrets: set[str] = field(default_factory=set)
    """What may stand in no log line, and in no answer save that which gives it to its owner."""
    answered: int = 0

    def target(self, address: table.Address) -> str:
        """A path that leads to something. Only GET and HEAD see the objects that must stay as they are."""
        path = address.path
        reads = address.method in ("GET", "HEAD")
        if path.startswith(("/e/", "/c/", "/f/")):
            return path.replace("{token}", self.tokens[path[3] if path.startswith("/e/") else path[1]])
        if path.startswith("/v1/pairs/"):
            return path.replace("{site}/{slot}/{key}", "post/mail/k1")
        own = {"/sites/{id}": "news", "/advertisers/{id}": "acme", "/campaigns/{id}": "one"} if reads else {}
        for collection, id_ in {**self.places, **own}.items():
            path = path.replace(collection, collection.replace("{id}", id_))
        site = "news" if reads else "spare"
        if path.endswith("/availability"):
            path += "?slot=news/top"
        if path.endswith("/explain"):
            path += "?site=news&slot=top"
        path = path.replace("{decision}", self.tokens["i"][:36]).replace("{revision}", "1")
        return path.replace("{site}", site).replace("{slot}", "top").replace("{file}", self.media)

    async def ask(self, request: Request) -> Answer:
        """One request on a connection of its own."""
        return (await self.walk([request]))[0]

    async def walk(self, requests: Iterable[Request], *, logged: bool = False) -> list[Answer]:
        """Sends them all, a few at a time on connections that are kept; the answers in their order."""
        waiting = iter(enumerate(requests))
        found: dict[int, Answer] = {}

        async def caller() -> None:
            line = _Line(self.logged if logged else self.port)
            for number, one in waiting:
                found[number] = await line.ask(one)
            line.close()

        async with asyncio.timeout(300), asyncio.TaskGroup() as group:
            for _ in range(CALLERS):
                group.create_task(caller())
        self.answered += len(found)
        return [found[number] for number in sorted(found)]

    def lines(self) -> list[str]:
        """What the service has logged."""
        return self.log.getvalue().splitlines()


class _Line:
    """One connection, made anew when the service has ended it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.pair: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def close(self) -> None:
        if self.pair is not None:
            self.pair[1].close()
        self.pair = None

    async def ask(self, request: Request) -> Answer:
        for attempt in (0, 1):
            fresh = self.pair is None
            if self.pair is None:
                self.pair = await asyncio.open_connection("127.0.0.1", self.port)
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                return await self._one(request, *self.pair)
            self.close()
            if fresh or attempt:
                break
        return Answer(0, [], b"")

    async def _one(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Answer:
        writer.write(request.wire())
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
        pairs = [line.partition(":") for line in head[1:]]
        headers = [(name.lower(), value.strip()) for name, _, value in pairs]
        answer = Answer(int(head[0].split(" ")[1]), headers, b"")
        length = answer.header("content-length")
        if request.method != "HEAD" and answer.status not in (204, 304):
            whole = reader.read() if length is None else reader.readexactly(int(length))
            answer = answer._replace(body=await whole)
        if answer.header("connection") == "close":
            self.close()
        return answer


def _bytes(text: str | bytes) -> bytes:
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text


@asynccontextmanager
async def inhabited(
    settings: Settings, store_url: str, clock: Clock, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    """The world, behind a trusted proxy, with a log of every request."""
    log = io.StringIO()
    logs.configure("json", log)
    for name in ("", "uvicorn", "uvicorn.access"):
        logger = logging.getLogger(name)
        for attribute in ("handlers", "level", "propagate"):  # put back at the end
            monkeypatch.setattr(logger, attribute, getattr(logger, attribute))
    temporary = folder / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    trusting = replace(
        settings, trusted_proxies=(ip_network("127.0.0.0/8"),), access_log=1, api_rate=0, api_rate_without_key=0
    )
    async with running(trusting, store_url, clock=clock) as held:
        api, app = Api(held), create_app(held)
        async with serving(app) as port, serving(app, access_log=True) as logged:
            logs.adopt()
            log_requests()
            world = World(api, app, port, logged, log, temporary)
            await _fill(world)
            yield world
        await api.http.aclose()
    structlog.reset_defaults()


async def _fill(world: World) -> None:
    api = world.api
    await api.world(slots=("top", "side"))
    await api.creative()
    out = io.BytesIO()
    Image.new("RGB", (300, 250), (9, 99, 199)).save(out, "PNG")
    world.picture = out.getvalue()
    await api.make("PUT", "/sites/spare", table.SITE)
    await api.make("PUT", "/sites/spare/slots/top", table.SLOT)
    await api.make("PUT", "/advertisers/spare", table.ADVERTISER)
    await api.make("PUT", "/campaigns/spare", table.CAMPAIGN)
    uploaded = await api.http.post(
        "/api/v1/campaigns/spare/creatives?approve=true", data=table.FORM, files={"file": ("p.png", world.picture)},
        headers={"Authorization": f"Bearer {ADMIN}"},
    )  # fmt: skip
    assert uploaded.status_code == 201, uploaded.text
    world.media = uploaded.json()["file"].rpartition("/")[2]
    await api.make("PUT", "/sites/post", {"name": "Post", "origins": ["https://news.example"]})
    await api.make("PUT", "/sites/post/slots/mail", {"sizes": ["300x250"], "count_on": "serve"})
    framed = {"advertiser": "acme", "name": "F", "slots": ["post/mail"]}
    await api.make("PUT", "/campaigns/framed", framed)
    await api.make("POST", "/campaigns/framed/creatives?approve=true", table.MARKUP)
    waiting = await api.make("POST", "/campaigns/spare/creatives", table.TEXT)
    key = await api.make("POST", "/keys", {"role": "admin", "name": "spare"})
    world.places = {
        "/sites/{id}": "spare", "/advertisers/{id}": "spare", "/campaigns/{id}": "spare",
        "/creatives/{id}": waiting["id"], "/keys/{id}": key["id"],
    }  # fmt: skip
    one = await api.decide()
    urls = {"i": "impression_url", "v": "view_url", "c": "click_url"}
    world.tokens = {kind: one[name].rpartition("/")[2] for kind, name in urls.items()}
    framed = (await api.http.get("/v1/slots/post/mail", headers={"Accept": "application/json"})).json()
    world.tokens["f"] = framed["click_url"].rpartition("/")[2]
    for name in urls.values():
        assert (await api.http.get(one[name])).status_code in (200, 302)
    await api.settle()
    world.secrets = {ADMIN, SECRET, key["key"]}
