"""Answers of the delivery routes: as ASGI messages, and as the bytes that go over the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from msgspec import Struct
from starlette.types import Send

Headers = list[tuple[bytes, bytes]]

COMMON: Headers = [
    (b"cache-control", b"private, no-store"),
    (b"access-control-allow-origin", b"*"),
    (b"cross-origin-resource-policy", b"cross-origin"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
HTML: Headers = [*COMMON, (b"content-type", b"text/html; charset=utf-8"), (b"vary", b"Accept")]
TEXT: Headers = [*COMMON, (b"content-type", b"text/plain; charset=utf-8")]


class Head:
    """The status and headers of an answer, ready made; its length is put in when it is sent."""

    __slots__ = ("headers", "status", "wire")

    def __init__(self, status: int, headers: Headers) -> None:
        self.status, self.headers = status, headers
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        self.wire = b"HTTP/1.1 %d %b\r\n%b" % (status, HTTPStatus(status).phrase.encode(), lines)
        if status != 204:
            self.wire += b"content-length: "

    def also(self, *headers: tuple[bytes, bytes]) -> Head:
        """The same with more headers."""
        return Head(self.status, [*self.headers, *headers])


Answer = tuple[Head, bytes]


class Waiting(Struct, frozen=True):
    """An answer that waits for the store, for a commit or a read: `answer` makes it of what `future` will have."""

    future: asyncio.Future[Any]
    answer: Callable[[asyncio.Future[Any]], Answer]
    outcome: bool = True
    """Whether that is what became of an event."""


async def send_answer(send: Send, method: str, answer: Answer) -> None:
    """An answer as ASGI messages; to HEAD without its body."""
    head, body = answer
    headers = head.headers
    if head.status != 204:
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": head.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})


def on_the_wire(answer: Answer) -> bytes:
    """The bytes of an answer."""
    head, body = answer
    if head.status == 204:
        return head.wire + b"\r\n"
    return b"%b%d\r\n\r\n%b" % (head.wire, len(body), body)
