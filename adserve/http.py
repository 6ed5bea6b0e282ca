"""The HTTP server: uvicorn with limits on what a connection may send and how long it may take."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import structlog
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from adserve.errors import AdserveError

log = structlog.get_logger("adserve")
MAX_HEADER_BYTES = 32_768
MAX_HEADERS = 100
HEADER_TIMEOUT_S = 10.0
BODY_SILENCE_S = 10.0
BODY_TIMEOUT_S = 60.0
LINGER_S = 1.0
TOKEN = re.compile(r"^(/e/[iv]/|/c/)([A-Za-z0-9_-]{36}).*")
DRAIN_S = 20
FILES = 65_536


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
        self._last = False  # the next response is the last one
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
        if self._last:
            self._say_close()

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

    def shutdown(self) -> None:
        """The server drains. A response says that it is the last one; a connection between two requests
        has a moment to send another, so that a request that is on its way is not answered by a reset."""
        self._last = True
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(LINGER_S, self._end_between)
        else:
            self._say_close()

    def _say_close(self) -> None:
        self.headers.append((b"connection", b"close"))  # what a client sends that wants it: uvicorn then says so
        if self.cycle is not None:
            self.cycle.keep_alive = False

    def _end_between(self) -> None:
        if not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete):
            self.transport.close()

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


def allow_connections() -> None:
    """Lets this process open as many files as the system permits: the loop closes a connection that finds none
    left, and many systems begin with 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


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
        raise PortBusy(f"port {port} is taken{holder(port)}; the next free one is {_next_free(host, port)}") from None
    sock.listen(2048)
    return sock


def holder(port: int) -> str:
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


def http_options() -> dict[str, Any]:
    """How uvicorn is run: for us, and for the bare targets of the bench."""
    return {
        "loop": "uvloop",
        "http": BoundedProtocol,
        "ws": "none",
        "lifespan": "off",
        "log_level": "error",  # its warnings are about what strangers send, who must not fill the log
        "server_header": False,
        "date_header": False,
        "proxy_headers": False,
        "timeout_keep_alive": 75,
        "timeout_graceful_shutdown": DRAIN_S,
    }


class _AccessLog(logging.Handler):
    """A line a request: method, path, status. No address, no query, of a token the public part alone."""

    def emit(self, record: logging.LogRecord) -> None:
        _, method, target, _, status = record.args  # type: ignore[misc]  # uvicorn's five
        path = TOKEN.sub(r"\1\2", str(target).partition("?")[0])
        log.info("request", method=method, path=path, status=status)


def log_requests() -> None:
    """Turns the access log on, after uvicorn has set its own loggers."""
    access = logging.getLogger("uvicorn.access")
    access.handlers = [_AccessLog()]
    access.setLevel(logging.INFO)


class Server(uvicorn.Server):
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
