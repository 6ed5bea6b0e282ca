"""One process that serves: the store, the worker, the HTTP server, and its orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Literal

import structlog
import uvicorn
from starlette.routing import BaseRoute
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from adserve.app import create_app
from adserve.errors import AdserveError, SettingsError
from adserve.settings import Settings
from adserve.store.client import end
from adserve.store.embedded import EmbeddedStore
from adserve.web.client import is_loopback
from adserve.wiring import Running, running

log = structlog.get_logger("adserve")
SUPERVISE_S = 0.5
MAX_HEADER_BYTES = 32_768
MAX_HEADERS = 100
HEADER_TIMEOUT_S = 10.0
BODY_SILENCE_S = 10.0
BODY_TIMEOUT_S = 60.0
DRAIN_S = 20


class PortBusy(AdserveError):
    """The port is taken."""

    code = "port_busy"
    exit_code = 1


class BoundedProtocol(HttpToolsProtocol):
    """httptools without limits answers a 20 MB header and waits for half-sent requests for ever.

    A connection is in the head of a request (from the connect, or from the first byte of the next
    one), in its body, or between two, where uvicorn's keep-alive limit holds. One timer serves all; a
    request that comes in one piece needs none.
    """

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._head_bytes = self._raw_bytes = 0
        self._place: Literal["head", "body", "between"] = "head"
        self._body_until = 0.0
        self._too_big = False
        self._timer: asyncio.TimerHandle | None = None
        self._wait(HEADER_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._place = "head"

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        super().on_header(name, value)
        self._check_head()

    def on_url(self, url: bytes) -> None:
        self._head_bytes += len(url)
        super().on_url(url)
        self._check_head()

    def on_headers_complete(self) -> None:
        self._place = "body"
        self._body_until = self.loop.time() + BODY_TIMEOUT_S
        self._cancel()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._place = "between"
        self._head_bytes = self._raw_bytes = 0
        self._cancel()

    def data_received(self, data: bytes) -> None:
        self._raw_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._place == "body":
            self._wait(min(BODY_SILENCE_S, self._body_until - self.loop.time()))
        elif self._place == "head":
            if self._timer is None:
                self._wait(HEADER_TIMEOUT_S)
            if self._raw_bytes > MAX_HEADER_BYTES:  # a name or value without an end: the parser tells nothing of it
                self._too_big = True
                self.send_400_response("too large")

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls for a request that the parser refuses; ours are refused through it too."""
        if self._too_big:
            self.transport.write(
                b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            )
            self.transport.close()
        else:
            super().send_400_response(msg)

    def _check_head(self) -> None:
        """Raises into the parser, which ends the request before the application hears of it."""
        if self._head_bytes > MAX_HEADER_BYTES or len(self.headers) > MAX_HEADERS:
            self._too_big = True
            raise ValueError("the head of the request is too large")

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, seconds: float) -> None:
        self._cancel()
        self._timer = self.loop.call_later(max(0.0, seconds), self._too_slow)

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. PortBusy says who holds the port and which one is free next."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as problem:
        sock.close()
        if problem.errno not in (98, 48):
            raise PortBusy(f"cannot listen on {host}:{port}: {problem.strerror}") from None
        raise PortBusy(f"port {port} is taken{_holder(port)}; the next free one is {_next_free(host, port)}") from None
    sock.listen(2048)
    return sock


def _holder(port: int) -> str:
    """` by NAME (process N)` where the system tells (Linux)."""
    inodes: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                part = line.split()
                if part[3] == "0A" and int(part[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{part[9]}]")
    for link in Path("/proc").glob("[0-9]*/fd/*") if inodes else ():
        with contextlib.suppress(OSError):
            if str(link.readlink()) in inodes:
                process = link.parent.parent
                return f" by {(process / 'comm').read_text().strip()} (process {process.name})"
    return ""


def _next_free(host: str, port: int) -> int:
    for other in range(port + 1, min(port + 200, 65536)):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind((host, other))
            return other
    return 0


@contextmanager
def store_of(settings: Settings) -> Iterator[tuple[str, EmbeddedStore | None]]:
    """`(url, embedded store or None)`: the configured store, or an embedded one for as long as needed."""
    if settings.redis_url is not None:
        yield settings.redis_url, None
        return
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as problem:
        raise SettingsError([f"ADSERVE_DATA_DIR: {settings.data_dir} cannot be used: {problem.strerror}"]) from None
    with EmbeddedStore.start(settings.data_dir, fsync=settings.embedded_sync) as store:  # type: ignore[arg-type]
        yield store.url, store


@asynccontextmanager
async def supervised(store: EmbeddedStore | None) -> AsyncIterator[None]:
    """Starts an embedded store again when it died."""

    async def watch() -> None:
        while store is not None:
            await asyncio.sleep(SUPERVISE_S)
            if await asyncio.to_thread(store.restart_if_dead):
                log.warning("store_restarted")

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        await end([task])


def http_options() -> dict[str, Any]:
    """How uvicorn is run: for us, and for the bare targets of the bench."""
    return {
        "loop": "uvloop",
        "http": BoundedProtocol,
        "ws": "none",
        "lifespan": "off",
        "log_level": "warning",
        "server_header": False,
        "date_header": False,
        "proxy_headers": False,
        "timeout_keep_alive": 75,
        "timeout_graceful_shutdown": DRAIN_S,
    }


class _Server(uvicorn.Server):
    """uvicorn raises the signal again when it has stopped, which would end the process before the
    counters are flushed; here a signal only asks it to stop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, setattr, self, "should_exit", True)
        yield

    cut_off = 0
    """Requests that had not finished when the time for draining was over."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        self.cut_off = len(self.server_state.tasks)


def banner(settings: Settings, store: EmbeddedStore | None, lines: Sequence[str]) -> str:
    """What an operator wants to see at start."""
    listening = f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}"
    kept = f"embedded Valkey {store.version}, {store.durability}" if store else "the store of ADSERVE_REDIS_URL"
    rows = [
        ("serving", settings.public_url or f"http://{listening}"),
        ("listening", listening),
        ("data", str(settings.data_dir.resolve())),
        ("store", kept),
        ("workers", str(settings.workers)),
    ]
    return "\n".join([f"  {name:11}{value}" for name, value in rows] + [f"  {line}" for line in lines])


def start_warnings(settings: Settings) -> tuple[str, ...]:
    """What works, but perhaps not as meant."""
    warnings: list[str] = []
    if settings.public_url is None and not is_loopback(settings.host):
        warnings.append(
            "ADSERVE_PUBLIC_URL is not set: links point to the listening address, which readers may not reach"
        )
    if settings.country_header is not None:
        warnings.append("ADSERVE_COUNTRY_HEADER has no effect yet: targeting by country is not built")
    return tuple(warnings)


def sharing(store: EmbeddedStore | None) -> tuple[str, ...]:
    """A warning when another process uses the embedded store too: of the start alone, for it passes."""
    if store is None or store.owner:
        return ()
    return (
        f"process {store.owner_pid} uses this data directory too, and both share its store: "
        "well while this service takes its place, else give each a data directory of its own",
    )


async def serve(
    settings: Settings,
    store_url: str,
    store: EmbeddedStore | None,
    sock: socket.socket,
    *,
    prepare: Callable[[Running], Awaitable[tuple[Sequence[BaseRoute], Sequence[str]]]] | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT, then drains. `prepare` may add routes and banner lines."""
    warnings = start_warnings(settings)
    async with supervised(store), running(settings, store_url) as held:
        extra, lines = await prepare(held) if prepare is not None else ((), ())
        app = create_app(held, extra=extra, warnings=warnings)
        config = uvicorn.Config(app, access_log=bool(settings.access_log), **http_options())
        said = [*lines, *(f"warning: {text}" for text in (*warnings, *sharing(store)))]
        print(banner(settings, store, said), file=sys.stderr, flush=True)
        server = _Server(config)
        await server.serve(sockets=[sock])
    finished = (
        f"{server.cut_off} requests cut off after {DRAIN_S} s" if server.cut_off else "in-flight requests finished"
    )
    print(f"  drained: {finished}, every counter flushed", file=sys.stderr, flush=True)
