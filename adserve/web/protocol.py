"""The HTTP protocol of a connection: uvicorn's over httptools, with limits, and with a way straight to an answer.

DESIGN. httptools without limits answers a 20 MB header and waits for half-sent requests for ever. A connection
is in the head of a request (from the connect, or from the first byte of the next one), in its body, or between
two. One timer serves all; a request that comes in one piece moves it not at all.

An application that has a method `straight` is asked there first, with a request that came whole and without a
body, on a connection where nothing else is going on: it gives the answer as the bytes that go over the wire, now
or when the store has committed, and neither a task nor an ASGI message is made for it. What is answered in one turn
of the event loop is written together at its end. Whatever is not as plain as that, and what `straight` does not take,
goes the way of ASGI.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable
from enum import Enum
from functools import partial
from typing import Any, Literal, Protocol

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from adserve.web.outbox import Outbox

MAX_HEADER_BYTES = 32_768
MAX_HEADERS = 100
HEADER_TIMEOUT_S = 10.0
BODY_SILENCE_S = 10.0
BODY_TIMEOUT_S = 60.0
LINGER_S = 1.0
UNREAD_S = 30.0
"""How long a client may take nothing of what waits for it."""
FAILED = (
    b"HTTP/1.1 500 Internal Server Error\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 15\r\n"
    b"connection: close\r\n\r\ninternal error\n"
)
NOT_PLAIN = frozenset({b"transfer-encoding", b"expect", b"upgrade"})
"""Headers of a request that goes the way of ASGI."""
UNUSUAL = NOT_PLAIN | {b"content-length", b"connection"}
"""Headers for which a request is looked at more closely."""


class Later(Enum):
    """The answer is written when it is there."""

    LATER = 0


LATER = Later.LATER
Write = Callable[[bytes], None]


class Straight(Protocol):
    """`(method, target, headers, peer, later)` to the answer; None when it is not for this way, and nothing was done.
    An answer that has to wait: `later()` gives what is to be called with it, once, after LATER was returned. Header
    names are lower-case; what was sent in several lines of one name is one, joined by a comma."""

    def __call__(
        self, method: bytes, target: bytes, headers: dict[bytes, bytes], peer: str, later: Callable[[], Write], /
    ) -> bytes | Literal[Later.LATER] | None: ...


def merged(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Several lines of one name are one list (RFC 9110, 5.2)."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        found[name] = found[name] + b", " + value if name in found else value
    return found


class _Pending:
    """Stands where uvicorn has the request that is being answered, so that the next one waits for its end."""

    __slots__ = ("disconnected", "keep_alive", "message_event", "more_body", "response_complete")

    def __init__(self, keep_alive: bool) -> None:
        self.response_complete = self.disconnected = False
        self.keep_alive = keep_alive
        self.message_event = _NOBODY
        self.more_body = False


class _Nobody:
    """An event that nobody waits for."""

    def set(self) -> None:
        pass


_NOBODY = _Nobody()


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        # a line a request is uvicorn's to write, which does not see what goes straight
        self._straight: Straight | None = None if self.config.access_log else getattr(self.app, "straight", None)
        self._peer = self.client[0] if self.client else ""
        self._plain: dict[bytes, bytes] | None = None  # the headers of a request that may go straight
        self._outbox = Outbox.of(self.loop)
        self._raw_bytes = 0
        self._place: Literal["head", "body", "between"] = "head"
        self._body_until = 0.0
        self._too_big = False
        self._timer: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._until = math.inf
        self._last = False  # the next response is the last one
        self._wait(HEADER_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._timer, self._unread):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader(math.inf)

    def _watch_reader(self, left: float) -> None:
        """`left`: bytes that waited for the client when it was looked at before."""
        waiting = self.transport.get_write_buffer_size()
        if waiting >= left:
            self.transport.abort()
        else:
            self._unread = self.loop.call_later(UNREAD_S, self._watch_reader, waiting)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        if self._place == "between":
            self._until = math.inf
        self._place = "head"

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_headers_complete(self) -> None:
        """Raises into the parser when the head is too large, which ends the request before anybody hears of it."""
        # a head is no larger than what came since the request before, which is not known of one behind it in a piece
        if len(self.headers) > MAX_HEADERS or not 0 < self._raw_bytes <= MAX_HEADER_BYTES:
            self._check_head()
        self._place = "body"
        self._until = math.inf
        if self._straight is not None and not self._last:
            self._plain = self._plain_headers()
            if self._plain is not None:
                return
        self._to_application()

    def _check_head(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEADER_BYTES or len(self.headers) > MAX_HEADERS:
            self._too_big = True
            raise ValueError("the head of the request is too large")

    def _plain_headers(self) -> dict[bytes, bytes] | None:
        """The headers of a request without a body, to be answered on a connection that stays, where nothing waits;
        None of any other."""
        busy = self.cycle is not None and not self.cycle.response_complete
        if busy or self.flow.write_paused:
            return None
        headers = dict(self.headers)
        if not UNUSUAL.isdisjoint(headers) and not self._is_plain(headers):
            return None
        return headers if len(headers) == len(self.headers) else merged(self.headers)

    def _is_plain(self, headers: dict[bytes, bytes]) -> bool:
        no_body = headers.get(b"content-length", b"0") == b"0"
        return no_body and NOT_PLAIN.isdisjoint(headers) and self.parser.get_http_version() == "1.1"

    def _to_application(self) -> None:
        self._body_until = self.loop.time() + BODY_TIMEOUT_S
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url = url
        self.headers += headers
        self.expect_100_continue = any(n == b"expect" and v.lower() == b"100-continue" for n, v in headers)
        super().on_headers_complete()
        if self._last:
            self._say_close()

    def on_message_complete(self) -> None:
        self._place = "between"
        self._raw_bytes = 0
        self._until = math.inf
        headers = self._plain
        if headers is None:
            super().on_message_complete()
            return
        self._plain = None
        assert self._straight is not None  # noqa: S101 - or nothing would be plain
        try:
            answer = self._straight(self.parser.get_method(), self.url, headers, self._peer, self._later)
        except Exception as problem:
            self.logger.error("Exception in application\n", exc_info=problem)
            self._end(FAILED)
            return
        if answer is None:
            self._to_application()
            super().on_message_complete()
        elif answer is not LATER:
            self._write(answer, self.parser.should_keep_alive())

    def _later(self) -> Write:
        pending = _Pending(self.parser.should_keep_alive())
        self.cycle = pending  # type: ignore[assignment]
        return partial(self._finish, pending)

    def _write(self, answer: bytes, keep_alive: bool) -> None:
        if keep_alive:
            self._outbox.put(self.transport, answer)
            self._until = self.loop.time() + self.timeout_keep_alive
        else:
            self._end(answer.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1))

    def _end(self, answer: bytes = b"") -> None:
        """Closes the connection after what waits for it, and after a last answer."""
        self._outbox.send()
        self.transport.write(answer)
        self.transport.close()

    def _finish(self, pending: _Pending, answer: bytes) -> None:
        """Writes an answer that had to wait, and lets the next request go on."""
        pending.response_complete = True
        if pending.disconnected:
            return
        self._write(answer, pending.keep_alive)
        if self.pipeline:
            self.on_response_complete()
        elif self._timer is None:
            self._wait(self.timeout_keep_alive)

    def data_received(self, data: bytes) -> None:
        self._raw_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._place == "between":
            if self._until < math.inf and self._timer is None:
                self._wait(self.timeout_keep_alive)
        elif self._place == "body":
            self._wait(min(BODY_SILENCE_S, self._body_until - self.loop.time()))
        else:
            if self._until == math.inf:
                self._wait(HEADER_TIMEOUT_S)
            if self._raw_bytes > MAX_HEADER_BYTES:  # a name or value without an end: the parser tells nothing of it
                self._too_big = True
                self.send_400_response("too large")

    def shutdown(self) -> None:
        """The server drains. A response says that it is the last one; a connection between two requests
        has a moment to send another, so that a request that is on its way is not answered by a reset."""
        self._last = True
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(LINGER_S, self._end_between)
        else:
            self._say_close()

    @property
    def pending(self) -> bool:
        """Whether an answer waits that goes straight."""
        return isinstance(self.cycle, _Pending) and not self.cycle.response_complete

    def _say_close(self) -> None:
        self.headers.append((b"connection", b"close"))  # what a client sends that wants it: uvicorn then says so
        if self.cycle is not None:
            self.cycle.keep_alive = False

    def _end_between(self) -> None:
        if not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete):
            self._end()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls for a request that the parser refuses; ours are refused through it too."""
        if self._too_big:
            self._end(b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        else:
            self._outbox.send()
            super().send_400_response(msg)

    def _wait(self, seconds: float) -> None:
        """The connection is closed after `seconds`, unless something moves the end before."""
        self._until = self.loop.time() + max(0.0, seconds)
        if self._timer is not None:
            if self._timer.when() <= self._until:
                return
            self._timer.cancel()
        self._timer = self.loop.call_at(self._until, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._until == math.inf or self.transport.is_closing():
            return
        if self.loop.time() < self._until:
            self._timer = self.loop.call_at(self._until, self._look)
        else:
            self._end()
