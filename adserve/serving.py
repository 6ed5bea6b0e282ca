"""One process that serves: the store, the worker, the HTTP server, and its orderly end."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import structlog
import uvicorn
from starlette.routing import BaseRoute

from adserve.app import create_app
from adserve.errors import SettingsError
from adserve.http import DRAIN_S, Server, http_options, log_requests
from adserve.settings import Settings
from adserve.store.client import end
from adserve.store.embedded import EmbeddedStore
from adserve.web.client import is_loopback
from adserve.wiring import Running, running

log = structlog.get_logger("adserve")
SUPERVISE_S = 0.5


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
        if settings.access_log:
            log_requests()
        said = [*lines, *(f"warning: {text}" for text in (*warnings, *sharing(store)))]
        print(banner(settings, store, said), file=sys.stderr, flush=True)
        server = Server(config)
        await server.serve(sockets=[sock])
    finished = (
        f"{server.cut_off} requests cut off after {DRAIN_S} s" if server.cut_off else "in-flight requests finished"
    )
    print(f"  drained: {finished}, every counter flushed", file=sys.stderr, flush=True)
