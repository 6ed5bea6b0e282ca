"""The HTTP server: how uvicorn is run here, where it listens, how it stops, what it logs."""

from __future__ import annotations

import contextlib
import logging
import re
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import structlog
import uvicorn

from adserve.errors import AdserveError
from adserve.stopping import when_asked
from adserve.web.protocol import BoundedProtocol

log = structlog.get_logger("adserve")
TOKEN = re.compile(r"^(/e/[iv]/|/[cf]/)([A-Za-z0-9_-]{36}).*")
LINK = re.compile(r"^(/preview/|/share/|/console/(?:invitation|reset|link)/)[^/]+")
"""Links that open something to whoever has them."""
DRAIN_S = 20
FILES = 65_536


class PortBusy(AdserveError):
    """The port is taken."""

    code = "port_busy"
    exit_code = 1


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
    """A line a request: method, path, status. No address, no query, of a token the public part alone, of a link that
    opens something nothing."""

    def emit(self, record: logging.LogRecord) -> None:
        _, method, target, _, status = record.args  # type: ignore[misc]  # uvicorn's five
        log.info("request", method=method, path=told(str(target)), status=status)


def told(target: str) -> str:
    """What a line may say of an address.

    >>> told("/share/fk3n?x=1"), told("/console/sites?q=secret")
    ('/share/...', '/console/sites')
    """
    return LINK.sub(r"\1...", TOKEN.sub(r"\1\2", target.partition("?")[0]))


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
        when_asked(partial(setattr, self, "should_exit", True))
        yield

    cut_off = 0
    """Requests that had not finished when the time for draining was over."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        straight = sum(isinstance(one, BoundedProtocol) and one.pending for one in self.server_state.connections)
        self.cut_off = len(self.server_state.tasks) + straight
