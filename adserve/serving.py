"""One process that serves, alone or as one worker of several: the store, the HTTP server, its orderly end."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import structlog
import uvicorn
from starlette.routing import BaseRoute

from adserve import logs
from adserve.app import create_app
from adserve.http import DRAIN_S, Server, allow_connections, http_options, log_requests
from adserve.metrics.board import Board
from adserve.metrics.publisher import Publisher
from adserve.settings import Settings
from adserve.store.client import end
from adserve.store.embedded import EmbeddedStore
from adserve.web.client import is_loopback
from adserve.wiring import Running, running

log = structlog.get_logger("adserve")
SUPERVISE_S = 0.5
CATALOG_S = 3.0
GARBAGE = 20_000, 20, 20
"""Thresholds of the garbage collector while requests are served."""
OVERTAKEN_S = 5.0
"""How long a worker that may touch its store no more still fills pages: a newer one may be about to take its place."""


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
        ("console", f"{settings.public_url or f'http://{listening}'}/console/"),
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
    if settings.country_header is not None and not settings.trusted_proxies:
        warnings.append("ADSERVE_COUNTRY_HEADER has no effect: it takes ADSERVE_TRUSTED_PROXIES, whose header it is")
    return tuple(warnings)


def sharing(store: EmbeddedStore | None) -> tuple[str, ...]:
    """A warning when another process uses the embedded store too: of the start alone, for it passes."""
    if store is None or store.owner:
        return ()
    return (
        f"process {store.owner_pid} uses this data directory too, and both share its store: "
        "well while this service takes its place, else give each a data directory of its own",
    )


Prepare = Callable[[Running], Awaitable[tuple[Sequence[BaseRoute], Sequence[str]]]]


async def serve(
    settings: Settings, store_url: str, store: EmbeddedStore | None, sock: socket.socket, prepare: Prepare
) -> None:
    """Serves in this one process until SIGTERM or SIGINT, then drains. `prepare` adds routes and banner lines."""
    async with supervised(store), Publisher.alone() as publisher, running(settings, store_url) as held:
        extra, lines = await prepare(held)
        said = [*lines, *(f"warning: {text}" for text in (*start_warnings(settings), *sharing(store)))]
        present(banner(settings, store, said))
        cut_off = await _accept(held, sock, extra, publisher)
    if not cut_off:
        say("drained: in-flight requests finished, every counter flushed")


async def work(
    settings: Settings,
    store_url: str,
    store: EmbeddedStore | None,
    sock: socket.socket,
    *,
    life: int,
    ready: int,
    hold_s: float | None,
    board: tuple[int, int] | None = None,
) -> None:
    """One worker of several: says on `ready` that it accepts, and drains when `life` ends or on SIGTERM. `hold_s`:
    it takes the place of another one, and waits so long for a catalog before it accepts. `board`: the file with the
    figures of all workers, and its row."""
    publisher = Publisher(Board.inherited(board[0]), board[1]) if board is not None else Publisher.alone()
    patient = hold_s is not None
    async with supervised(store), publisher, running(settings, store_url, patient=patient) as held:
        await _accept(held, sock, (), publisher, life=life, ready=ready, hold_s=hold_s or 0.0)


async def _accept(
    held: Running,
    sock: socket.socket,
    extra: Sequence[BaseRoute],
    publisher: Publisher,
    *,
    life: int | None = None,
    ready: int | None = None,
    hold_s: float = 0.0,
) -> int:
    """Runs the HTTP server to its orderly end; how many requests it had to cut off."""
    allow_connections()
    app = create_app(held, extra=extra, warnings=start_warnings(held.settings), publisher=publisher)
    config = uvicorn.Config(app, access_log=bool(held.settings.access_log), **http_options())
    logs.adopt()
    if held.settings.access_log:
        log_requests()
    server = Server(config)
    if life is not None:
        asyncio.get_running_loop().add_reader(life, setattr, server, "should_exit", True)
    tasks = [asyncio.create_task(_end_when_failed(held, server))]
    if ready is not None:
        tasks.append(asyncio.create_task(_tell(held, server, ready)))
    until = time.monotonic() + hold_s
    try:
        while held.worker.catalog is None and time.monotonic() < until and not server.should_exit:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        settle()
        await server.serve(sockets=[sock])
    finally:
        await end(tasks)
    if server.cut_off:
        say(f"{server.cut_off} requests cut off after {DRAIN_S} s")
    if held.failure is not None:
        raise held.failure
    return server.cut_off


def settle() -> None:
    """What the start made stays: the garbage collector need not look at it again and again. And a request makes
    hundreds of objects and no cycle, so the collector looks less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)


async def _end_when_failed(held: Running, server: Server) -> None:
    await held.failed.wait()
    await asyncio.sleep(OVERTAKEN_S)
    server.should_exit = True


async def _tell(held: Running, server: Server, ready: int) -> None:
    """Tells the supervisor when slots fill, or, with the store away, when it has been waited for long enough."""
    until = time.monotonic() + CATALOG_S
    while not server.started or (held.worker.catalog is None and time.monotonic() < until):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    os.write(ready, b"1")
    os.close(ready)


def say(text: str) -> None:
    """A line for the operator."""
    present(f"  {text}")


def present(text: str) -> None:
    """Lines for the operator in one write, so that those of another process come before or after."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
