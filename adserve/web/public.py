"""The public routes that are not hot: media, the tag, health, version, metrics."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from adserve import __version__
from adserve.flows.worker import Worker
from adserve.store.client import REPLY_ERRORS
from adserve.store.media import MediaStore

STATIC = Path(__file__).parent / "static"
_FILE = re.compile(r"[0-9a-f]{16,64}\.(png|jpg|gif|webp|avif)\Z")
_TYPES = {"png": "image/png", "jpg": "image/jpeg", "gif": "image/gif", "webp": "image/webp", "avif": "image/avif"}
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Access-Control-Allow-Origin": "*",
}


@dataclass(frozen=True, slots=True)
class Health:
    """What the health routes ask: is the store there and fit, and what should an operator know."""

    store_up: Callable[[], bool]
    warnings: Callable[[], tuple[str, ...]]


class Public:
    """The endpoints, over one worker."""

    def __init__(self, worker: Worker, media: MediaStore, health: Health) -> None:
        self.worker, self.media_store, self.health = worker, media, health
        self.registry = CollectorRegistry()
        self.registry.register(_Figures(worker, health))

    def routes(self) -> list[Route]:
        return [
            Route("/m/{file}", self.media, methods=["GET"]),
            Route("/slots.js", self.tag, methods=["GET"]),
            Route("/healthz", self.healthz, methods=["GET"]),
            Route("/readyz", self.readyz, methods=["GET"]),
            Route("/version", self.version, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
            *(Route(f"/{name}", self.described, methods=["GET"]) for name in ("openapi.json", "docs")),
        ]

    async def media(self, request: Request) -> Response:
        """A stored picture under its content hash."""
        file = request.path_params["file"]
        if not _FILE.match(file):
            return Response("not found\n", 404, _SAFE, "text/plain")
        try:
            data = await self.media_store.get(file)
        except REPLY_ERRORS:
            return Response("cannot read it now\n", 503, {**_SAFE, "Retry-After": "2"}, "text/plain")
        if data is None:
            return Response("not found\n", 404, _SAFE, "text/plain")
        headers = {**_SAFE, "Cache-Control": "public, max-age=31536000, immutable", "ETag": f'"{file}"'}
        if request.headers.get("if-none-match") == f'"{file}"':
            return Response(status_code=304, headers=headers)
        return Response(data, 200, headers, _TYPES[file.rpartition(".")[2]])

    async def tag(self, _: Request) -> Response:
        """The browser tag."""
        headers = {**_SAFE, "Cache-Control": "public, max-age=300"}
        del headers["Content-Security-Policy"]
        return FileResponse(STATIC / "slots.js", media_type="text/javascript", headers=headers)

    async def healthz(self, _: Request) -> Response:
        return JSONResponse({"status": "alive"}, headers={"Cache-Control": "no-store"})

    async def readyz(self, _: Request) -> Response:
        """503 until a first catalog is loaded; `degraded` without the store."""
        loaded = self.worker.catalog is not None
        status = "starting" if not loaded else "ready" if self.health.store_up() else "degraded"
        body = {"status": status, "warnings": list(self.health.warnings())}
        return JSONResponse(body, 200 if loaded else 503, {"Cache-Control": "no-store"})

    async def version(self, _: Request) -> Response:
        return JSONResponse({"version": __version__})

    async def described(self, request: Request) -> Response:
        """The description of the interface stands with the management API."""
        return RedirectResponse(f"/api/v1{request.url.path}", 307)

    async def metrics(self, _: Request) -> Response:
        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)


class _Figures:
    """The figures of one worker, read when somebody asks."""

    def __init__(self, worker: Worker, health: Health) -> None:
        self.worker, self.health = worker, health

    def collect(self) -> list[Metric]:
        worker = self.worker
        ledger, spool = worker.ledger, worker.ledger.spool
        counters = {
            "events_committed": ("Events that the store has committed", ledger.committed),
            "store_failures": ("Calls of the hot path that failed", ledger.failures + ledger.counts.failures),
            "breaker_opened": ("How often the breaker before the store has opened", ledger.breaker.opened),
            "events_spooled": ("Events written to the spool", spool.events),
            "events_replayed": ("Events taken from a spool to the store", spool.replayed),
            "events_expired": ("Spooled records that came too late to be counted", spool.expired),
            "events_refused": ("Spooled events that the store can never take", spool.refused),
            "malformed_parameters": ("Query parameters that were ignored", worker.malformed),
            "clock_skew": ("Tokens from the future", worker.clock_skew),
            "clicks_uncounted": ("Clicks that were sent on without the store", worker.clicks_uncounted),
        }
        found: list[Metric] = []
        for name, (text, value) in counters.items():
            family = CounterMetricFamily(f"adserve_{name}", text)
            family.add_metric([], value)
            found.append(family)
        catalog = worker.catalog
        gauges = {
            "catalog_version": ("Version of the compiled catalog", catalog.version if catalog else 0),
            "bad_creatives": (
                "Creatives and other objects skipped because their stored data is bad",
                len(catalog.bad) if catalog else 0,
            ),
            "store_up": ("Whether the store answers", int(self.health.store_up())),
            "clock_off_seconds": ("Seconds by which the store's clock is ahead of this host's", worker.clock_off_s),
            "breaker_closed": ("Whether events go to the store at once", int(ledger.breaker.state == "closed")),
        }
        found += [GaugeMetricFamily(f"adserve_{name}", text, value=value) for name, (text, value) in gauges.items()]
        return found
