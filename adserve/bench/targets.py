"""What is measured against: a bare ASGI callable and a bare Starlette route with the same bytes.

Run as `python -m adserve.bench.targets asgi|starlette PORT BODY_FILE`: served by the same uvicorn,
event loop, HTTP parser and options as adserve itself.
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


def bare_asgi(body: bytes, media_type: str) -> ASGIApp:
    headers = [(b"content-type", media_type.encode()), (b"content-length", b"%d" % len(body))]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def bare_starlette(body: bytes, media_type: str) -> ASGIApp:
    async def answer(_: Request) -> Response:
        return Response(body, media_type=media_type)

    return Starlette(routes=[Route("/v1/slots/{site}/{slot}", answer), Route("/e/i/{token}", answer)])


if __name__ == "__main__":
    kind, port, file, media_type = sys.argv[1:]
    make = {"asgi": bare_asgi, "starlette": bare_starlette}[kind]
    uvicorn.run(
        make(Path(file).read_bytes(), media_type), host="127.0.0.1", port=int(port), access_log=False, **http_options()
    )
