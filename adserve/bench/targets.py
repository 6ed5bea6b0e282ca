"""What is measured against: a bare ASGI callable and a bare Starlette route with the same bytes.

Run as `python -m adserve.bench.targets asgi|starlette PORT BODY_FILE MEDIA_TYPE WORKERS`: uvicorn as it comes, with
the same event loop, parser and options as adserve, without our protocol.
"""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from adserve.http import http_options

PATHS = ("/v1/slots/{site}/{slot}", "/v1/pages/{site}", "/e/i/{token}", "/c/{token}")


def bare_asgi(body: bytes, media_type: str) -> ASGIApp:
    headers = [(b"content-type", media_type.encode()), (b"content-length", b"%d" % len(body))]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def bare_starlette(body: bytes, media_type: str) -> ASGIApp:
    async def answer(_: Request) -> Response:
        return Response(body, media_type=media_type)

    return Starlette(routes=[Route(path, answer) for path in PATHS])


def app() -> ASGIApp:
    """The application that the command line names; each worker makes its own."""
    kind, _, file, media_type, _ = sys.argv[1:]
    make = {"asgi": bare_asgi, "starlette": bare_starlette}[kind]
    return make(Path(file).read_bytes(), media_type)


if __name__ == "__main__":
    uvicorn.run(
        "adserve.bench.targets:app",
        factory=True,
        host="127.0.0.1",
        port=int(sys.argv[2]),
        workers=int(sys.argv[5]),
        access_log=False,
        **{**http_options(), "http": "httptools"},
    )
