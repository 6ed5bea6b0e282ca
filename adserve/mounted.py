"""The whole service as an ASGI application within another one.

    service = adserve.create_app(data_dir="slots-data", public_url="https://news.example/s", admin_key=...)

    @asynccontextmanager
    async def lifespan(app):
        async with service.lifespan():
            yield

    app = Starlette(routes=[Mount("/s", service), ...], lifespan=lifespan)

It opens its store with the host's lifespan and drains when that ends. Where there is none it opens with the first
request, and is drained as far as the host's event loop lets its tasks end. One task opens and closes: what is open
belongs to it, and not to the request that happened to come first.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import structlog
from starlette.responses import PlainTextResponse
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from adserve import app, logs
from adserve.contrib.client import Client
from adserve.core.access import DELIVERY, Account
from adserve.core.validate import nearest
from adserve.errors import SettingsError
from adserve.metrics.publisher import Publisher
from adserve.opening import store_of
from adserve.serving import start_warnings, supervised
from adserve.settings import SETTINGS, Settings, load
from adserve.web.answers import Waiting
from adserve.web.client import Ask
from adserve.web.delivery import Delivery, route_of
from adserve.wiring import running

log = structlog.get_logger("adserve")
HOSTS = frozenset({"host", "port", "access_log"})
"""Settings of a server of our own."""
_HOST = Account("host application", None, "host application", scopes=(DELIVERY,))


def create_app(**settings: Any) -> Mounted:
    """An application for `mount`. The settings are those of `adserve serve`, in lower case and without `adserve_`;
    they go before the environment and `adserve.toml`. `public_url`, with the path of the mount, has to be among them;
    `workers` is the number of the host's processes. SettingsError with everything that is wrong."""
    known = {setting.name for setting in SETTINGS} - HOSTS
    problems = [
        f"{name} belongs to the server that the host runs: leave it out"
        if name in HOSTS
        else f"{name} is no setting{nearest(name, known)}"
        for name in settings
        if name not in known
    ]
    given = {name: _text(value) for name, value in settings.items() if name in known and value is not None}
    found: Settings | None = None
    try:
        found = load(given, os.environ, source="argument")
    except SettingsError as failure:
        problems += failure.problems
    if (found.public_url if found else given.get("public_url") or os.environ.get("ADSERVE_PUBLIC_URL")) is None:
        problems.append("public_url is missing: say where readers reach the mount, as https://news.example/s")
    if found is None or problems:
        raise SettingsError(problems)
    return Mounted(found)


def _text(value: Any) -> str:
    """A setting as its variable would have it."""
    if isinstance(value, list | tuple | set | frozenset):
        return ",".join(map(str, value))
    return str(int(value) if isinstance(value, bool) else value)


class Mounted:
    """ASGI. `lifespan` is for the lifespan of the host, or to be one; `client` for its templates."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._alone = Router(lifespan=self.lifespan)
        self._delivery: Delivery | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._ended = False

    @asynccontextmanager
    async def lifespan(self, _: object = None) -> AsyncIterator[None]:
        """Open from beginning to end; in-flight counters are flushed before it ends. What cannot be opened raises."""
        self._ended = False
        await self._opened()
        try:
            yield
        finally:
            self._ended = True
            await self._close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._alone(scope, receive, send)
            return
        delivery = self._delivery if self._loop is asyncio.get_running_loop() else None
        if delivery is None:
            try:
                delivery = await self._opened()
            except Exception:
                log.exception("not_opened")
                refused = PlainTextResponse("the service is not open\n", 503, {"Retry-After": "2"})
                await refused(scope, receive, send)
                return
        await delivery(scope, receive, send)

    def client(self, site: str, **options: Any) -> Client:
        """Slots for the host's own templates without a call over HTTP, by its `aslot` and `apage`. The reader's
        `address` is believed. Options are those of `contrib.client.Client`."""
        return Client(str(self.settings.public_url), site, **{"afetch": self.fetch, **options})

    async def fetch(self, url: str, headers: Mapping[str, str]) -> str:
        """The text of the answer to a slot or page call, for `afetch` of a template helper. LookupError when it is
        none of 200."""
        path, _, query = url.removeprefix(str(self.settings.public_url)).partition("?")
        found = route_of(path)
        if found is None or found[0] not in ("s", "p"):
            raise LookupError(f"{path} is no call for slots")
        sent = {name.lower().encode("latin-1"): value.encode("latin-1") for name, value in headers.items()}
        delivery = self._delivery if self._loop is asyncio.get_running_loop() else None
        answer = (delivery or await self._opened()).answer(Ask("GET", query.encode(), sent, "", _HOST), *found)
        if isinstance(answer, Waiting):
            await asyncio.wait([answer.future])
            answer = answer.answer(answer.future)
        if answer is None or answer[0].status != 200:
            raise LookupError(f"no answer to {path}")
        return answer[1].decode()

    async def _opened(self) -> Delivery:
        """What answers, opened by whoever comes first. An end is an end: only another lifespan opens it again."""
        if self._ended:
            raise RuntimeError("the lifespan of the service has ended")
        loop = asyncio.get_running_loop()
        if self._loop not in (None, loop) and not (self._keeper is None or self._keeper.done()):
            if not self._loop.is_closed():
                raise RuntimeError("the service is open in another event loop")
            self._keeper = None
        if self._keeper is None or self._keeper.done():
            self._loop, self._delivery = loop, None
            self._ready: asyncio.Future[Delivery] = loop.create_future()
            self._ready.add_done_callback(lambda ready: ready.cancelled() or ready.exception())  # whoever waits is told
            self._closing = asyncio.Event()
            self._keeper = loop.create_task(self._keep(self._ready, self._closing))
        return await asyncio.shield(self._ready)

    async def _keep(self, ready: asyncio.Future[Delivery], closing: asyncio.Event) -> None:
        if not structlog.is_configured():
            logs.configure(self.settings.log_format)
        try:
            async with AsyncExitStack() as stack:
                opening = store_of(self.settings)
                url, store = await asyncio.to_thread(opening.__enter__)
                stack.push_async_callback(asyncio.to_thread, opening.__exit__, None, None, None)
                await stack.enter_async_context(supervised(store))
                publisher = await stack.enter_async_context(Publisher.alone())
                held = await stack.enter_async_context(running(self.settings, url))
                warnings = start_warnings(self.settings)
                self._delivery = app.create_app(held, warnings=warnings, publisher=publisher, mounted=True)
                ready.set_result(self._delivery)
                await closing.wait()
        except Exception as problem:
            if ready.done():
                raise
            ready.set_exception(problem)
        finally:
            self._delivery = None

    async def _close(self) -> None:
        """Until everything is flushed and closed. StoreError when neither the store nor the spool took it all."""
        if self._keeper is not None:
            self._closing.set()
            await self._keeper
