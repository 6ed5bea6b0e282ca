"""Headers that every answer behind the hot routes carries, unless its handler chose others itself."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
"""What is right for figures and objects that belong to one caller, and for an error of any kind."""
HSTS = "max-age=31536000"
"""A year, for this host alone: what else lies under its domain is not ours to say."""


class SafeHeaders:
    """ASGI: adds what an answer lacks, also to those that no handler of ours made (an unknown path, a method
    that a route does not take). `https`: the service is reached by https, and browsers may remember that."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self.app = app
        self.headers = {**HEADERS, **({"Strict-Transport-Security": HSTS} if https else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_headed)
