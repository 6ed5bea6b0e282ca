"""The public routes that are not hot: media, the tag, health, version, metrics."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from adserve import __version__
from adserve.flows.worker import Worker
from adserve.store.client import REPLY_ERRORS
from adserve.store.media import MediaStore, digest_of
from adserve.web.client import path_below

_STATIC = Path(__file__).parent / "static"
TAG, MORE = ((_STATIC / name).read_bytes() for name in ("slots.js", "slots-more.js"))
"""The browser tag, and what it loads for pages that ask for more; `make tag` builds both."""
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
    """The endpoints, over one worker. `figures`: what stands under `/metrics`."""

    def __init__(
        self, worker: Worker, media: MediaStore, health: Health, figures: Callable[[], Awaitable[bytes]]
    ) -> None:
        self.worker, self.media_store, self.health, self.figures = worker, media, health, figures

    def routes(self) -> list[Route]:
        return [
            Route("/m/{file}", self.media, methods=["GET"]),
            Route("/slots.js", self.tag, methods=["GET"]),
            Route("/slots-more.js", self.more, methods=["GET"]),
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
        headers = {**_SAFE, "Cache-Control": "public, max-age=31536000, immutable"}
        return _cached(request, data, file, headers, _TYPES[file.rpartition(".")[2]])

    async def tag(self, request: Request) -> Response:
        """The browser tag."""
        return _script(request, TAG)

    async def more(self, request: Request) -> Response:
        """Its second file."""
        return _script(request, MORE)

    async def healthz(self, _: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(self, _: Request) -> Response:
        """503 until a first catalog is loaded; `degraded` without the store."""
        loaded = self.worker.catalog is not None
        status = "starting" if not loaded else "ready" if self.health.store_up() else "degraded"
        body = {"status": status, "warnings": list(self.health.warnings())}
        return JSONResponse(body, 200 if loaded else 503)

    async def version(self, _: Request) -> Response:
        return JSONResponse({"version": __version__})

    async def described(self, request: Request) -> Response:
        """The description of the interface stands with the management API."""
        return RedirectResponse(f"{request.scope.get('root_path', '')}/api/v1{path_below(request.scope)}", 307)

    async def metrics(self, _: Request) -> Response:
        """The figures of all workers, whichever of them answers."""
        return Response(await self.figures(), headers={"Cache-Control": "no-store"}, media_type=CONTENT_TYPE_LATEST)


def _script(request: Request, data: bytes) -> Response:
    return _cached(request, data, digest_of(data), {**_SAFE, "Cache-Control": "public, max-age=300"}, "text/javascript")


def _cached(request: Request, data: bytes, etag: str, headers: dict[str, str], type_: str) -> Response:
    """Bytes, whole (a `Range` may be left unheard), or 304 for whoever has them."""
    headers = {**headers, "ETag": f'"{etag}"'}
    known = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
    if known & {"*", headers["ETag"]}:
        return Response(status_code=304, headers=headers)
    return Response(data, 200, headers, type_)
