"""Calls over kept connections, each with one deadline for all of it: name, connect, TLS, sending, reading.

Both forms use plain sockets, which belong to no thread and no event loop, so one pool serves all of a process. The
answer's parts are read by the standard library's `http.client`; only where it ends is looked for here.
"""

from __future__ import annotations

import asyncio
import io
import os
import queue
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

MAX_ANSWER_BYTES = 2_000_000
MAX_HEAD_BYTES = 65_536
MAX_IDLE = 16
"""Connections that are kept while nobody calls."""
_CHUNK_BYTES = 65_536
_Place = tuple[Any, ...]
"""What `socket.getaddrinfo` says of one address."""


class Refused(Exception):
    """An answer, but not to this: a status below 500 other than 200. The server is there."""


class KeepAlive:
    """`fetch` and `afetch`: URL and headers to the text of a `200` answer of at most 2 MB. Refused, or whatever else
    went wrong. `fetch` never takes longer than `timeout_s`; the caller of `afetch` sets its own limit."""

    def __init__(self, base_url: str, timeout_s: float) -> None:
        base = urlsplit(base_url)
        self._authority = base.netloc.rpartition("@")[2]
        self._host, self._port = base.hostname or "", base.port or (443 if base.scheme == "https" else 80)
        self._tls = ssl.create_default_context() if base.scheme == "https" else None
        self._timeout_s = timeout_s
        self._idle: list[_Connection] = []

    def fetch(self, url: str, headers: Mapping[str, str]) -> str:
        until = time.monotonic() + self._timeout_s
        request = self._request(url, headers)
        if (kept := self._take()) is not None:
            try:
                return self._text(kept, kept.ask(request, until))
            except _Stale:
                pass
        connection = self._connect(until)
        return self._text(connection, connection.ask(request, until))

    async def afetch(self, url: str, headers: Mapping[str, str]) -> str:
        """Without holding up the event loop. TLS, which sockets of a loop cannot do, takes a thread."""
        if self._tls is not None:
            return await asyncio.to_thread(self.fetch, url, headers)
        request = self._request(url, headers)
        if (kept := self._take()) is not None:
            try:
                return self._text(kept, await kept.aask(request))
            except _Stale:
                pass
        connection = await self._aconnect()
        return self._text(connection, await connection.aask(request))

    def _request(self, url: str, headers: Mapping[str, str]) -> bytes:
        target = url[url.index("/", url.index("://") + 3) :]
        lines = [f"GET {target} HTTP/1.1", f"Host: {self._authority}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _take(self) -> _Connection | None:
        """An idle connection. One made before a fork is the parent's: sharing it would mix up readers' answers."""
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread was faster
                return None
            if connection.process == os.getpid():
                return connection
        return None

    def _text(self, connection: _Connection, answer: _Answer) -> str:
        if answer.lasting and len(self._idle) < MAX_IDLE:
            self._idle.append(connection)
        if answer.status >= 500:
            raise HTTPException(f"answered {answer.status}")
        if answer.status != 200:
            raise Refused(f"answered {answer.status}")
        return answer.body.decode()

    def _connect(self, until: float) -> _Connection:
        problem: OSError = ConnectionError(f"{self._host} has no address")
        for place in self._numeric() or _look_up(self._host, self._port, until):
            connection = _Connection(place)
            try:
                connection.open(place, until, self._tls, self._host)
                return connection
            except OSError as failure:
                problem = failure
        raise problem

    async def _aconnect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        problem: OSError = ConnectionError(f"{self._host} has no address")
        for place in self._numeric() or await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM):
            connection = _Connection(place)
            try:
                await connection.aopen(place)
                return connection
            except OSError as failure:
                problem = failure
        raise problem

    def _numeric(self) -> list[_Place]:
        """The place of a host that is an address already, which takes no time; else nothing."""
        try:
            return _places(self._host, self._port, socket.AI_NUMERICHOST)
        except OSError:
            return []


class _Stale(ConnectionError):
    """It closed while it idled, so nothing was asked."""


class _Connection:
    """A socket that closes with its owner."""

    def __init__(self, place: _Place) -> None:
        self.process = os.getpid()
        self._sock = socket.socket(place[0], place[1], place[2])

    def __del__(self) -> None:
        if sock := getattr(self, "_sock", None):
            sock.close()

    def open(self, place: _Place, until: float, tls: ssl.SSLContext | None, host: str) -> None:
        self._sock.settimeout(_left_s(until))
        self._sock.connect(place[4])
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self._sock.settimeout(_left_s(until))
            self._sock = tls.wrap_socket(self._sock, server_hostname=host)

    async def aopen(self, place: _Place) -> None:
        self._sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(self._sock, place[4])
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes, until: float) -> _Answer:
        """Until a moment, however slowly bytes drip in: a socket's own timeout starts anew with each."""
        data = b""
        try:
            self._sock.settimeout(_left_s(until))
            self._sock.sendall(request)
            while (answer := answer_in(data)) is None:
                self._sock.settimeout(_left_s(until))
                data = _more(data, self._sock.recv(_CHUNK_BYTES))
        except ConnectionError as problem:
            raise problem if data else _Stale(str(problem)) from None
        return answer

    async def aask(self, request: bytes) -> _Answer:
        loop, data = asyncio.get_running_loop(), b""
        try:
            self._sock.setblocking(False)
            await loop.sock_sendall(self._sock, request)
            while (answer := answer_in(data)) is None:
                if data:
                    await asyncio.sleep(0)  # whoever floods must not keep the loop from its other work and the deadline
                data = _more(data, await loop.sock_recv(self._sock, _CHUNK_BYTES))
        except ConnectionError as problem:
            raise problem if data else _Stale(str(problem)) from None
        return answer


class _Answer:
    """An answer that came whole. `lasting`: its connection takes another request."""

    def __init__(self, response: HTTPResponse, body: bytes, *, lasting: bool) -> None:
        self.status, self.body, self.lasting = response.status, body, lasting


def answer_in(data: bytes) -> _Answer | None:
    """The answer that bytes are, or None while some of it is missing. HTTPException: it will never be one, or is too
    large, or does not say where it ends, so nobody could tell a whole one from a part."""
    _, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        if len(data) > MAX_HEAD_BYTES or (data and not b"HTTP/1.".startswith(data[:7])):
            raise HTTPException("no head of an answer")
        return None
    response = HTTPResponse(_Bytes(data), method="GET")  # type: ignore[arg-type]  # all that it uses of a socket
    response.begin()
    if max(len(rest), response.length or 0) > MAX_ANSWER_BYTES + MAX_HEAD_BYTES * response.chunked:
        raise HTTPException("an answer of more than 2 MB")
    if response.chunked:
        if not data.endswith(b"\r\n\r\n"):
            return None
        try:
            return _Answer(response, response.read(), lasting=not response.will_close)
        except HTTPException:  # between two chunks; with a bad one it goes on until the deadline
            return None
    length = response.length
    if length is None:
        raise HTTPException("an answer of no stated length")
    if len(rest) < length:
        return None
    return _Answer(response, rest[:length], lasting=not response.will_close and len(rest) == length)


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def _more(data: bytes, received: bytes) -> bytes:
    if not received:
        raise ConnectionResetError("closed before the answer was whole")
    return data + received


def _places(host: str, port: int, flags: int = 0) -> list[_Place]:
    return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags))


def _look_up(host: str, port: int, until: float) -> list[_Place]:
    """The addresses of a name. The system's own look-up cannot be called off, so it has a thread to itself."""
    found: queue.SimpleQueue[list[_Place] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found.put(_places(host, port))
        except OSError as problem:
            found.put(problem)

    threading.Thread(target=ask, daemon=True).start()
    try:
        places = found.get(timeout=_left_s(until))
    except queue.Empty:
        raise TimeoutError("the host's name was not found in time") from None
    if isinstance(places, OSError):
        raise places
    return places


def _left_s(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("no answer in time")
    return left
