"""Slow readers and silent services: nginx keeps them from each other."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.proxies.proxy import Proxy, nginx

LARGE = 40_000_000
"""Bytes of an answer: more than the buffers of two connections hold."""


class Upstream:
    """A service that notes what it was asked, and when its answer was taken whole. `silent`: it never answers."""

    def __init__(self, *, silent: bool = False, size: int = LARGE) -> None:
        self.heads: list[str] = []
        self.asked, self.taken = threading.Semaphore(0), threading.Semaphore(0)
        self.silent, self.size = silent, size
        self._sock = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._sock.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._sock.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):  # whoever asked may have gone
            head = b""
            while b"\r\n\r\n" not in head and (more := connection.recv(65_536)):
                head += more
            self.heads.append(head.decode("latin-1"))
            self.asked.release()
            if self.silent:
                connection.recv(1)
                return
            length = f"Content-Type: text/plain\r\nContent-Length: {self.size}\r\nConnection: close"
            head_of_answer = f"HTTP/1.1 200 OK\r\n{length}\r\n\r\n"
            connection.sendall(head_of_answer.encode() + b"x" * self.size)
            self.taken.release()

    def close(self) -> None:
        self._sock.close()


@contextmanager
def behind(*, silent: bool = False, size: int = LARGE, patient: bool = False) -> Iterator[tuple[Upstream, Proxy]]:
    upstream = Upstream(silent=silent, size=size)
    try:
        with nginx(upstream.port, patient=patient) as proxy:
            yield upstream, proxy
    finally:
        upstream.close()


def test_a_request_that_drips_in_reaches_nobody_before_it_is_whole() -> None:
    """Neither its head nor its body is passed on in part."""
    with behind() as (upstream, proxy), proxy.connect("serve.example") as slow:
        slow.sendall(b"POST /e/i/x HTTP/1.1\r\nHost: serve.exa")
        with proxy.connect("serve.example") as quick:
            quick.sendall(b"GET /quick HTTP/1.1\r\nHost: serve.example\r\n\r\n")
            assert upstream.asked.acquire(timeout=10)
        slow.sendall(b"mple\r\nContent-Length: 10\r\n\r\nhalf ")
        with proxy.connect("serve.example") as quick:
            quick.sendall(b"GET /again HTTP/1.1\r\nHost: serve.example\r\n\r\n")
            assert upstream.asked.acquire(timeout=10)
        assert [head.split(" ")[1] for head in upstream.heads] == ["/quick", "/again"]
        slow.sendall(b"whole")
        assert upstream.asked.acquire(timeout=10)
        assert upstream.heads[-1].startswith("POST /e/i/x ")


def test_an_answer_is_taken_whole_from_the_service_though_its_reader_takes_nothing() -> None:
    """The service's connection is free while the reader still has everything to read."""
    with behind() as (upstream, proxy), proxy.connect("serve.example") as reader:
        reader.sendall(b"GET /m/x HTTP/1.1\r\nHost: serve.example\r\nConnection: close\r\n\r\n")
        assert upstream.taken.acquire(timeout=20)
        read = 0
        while more := reader.recv(1 << 20):
            read += len(more)
        assert read > LARGE


def test_what_a_reader_says_of_its_address_is_replaced() -> None:
    """One line, the address of the connection, and no cookie of the reader's goes along."""
    with behind() as (upstream, proxy):
        said = {"X_Forwarded_For": "198.51.100.1", "Cookie": "session=1"}
        proxy.get("serve.example", "/v1/slots/news/top", source="127.0.0.7", **said)
        (head,) = upstream.heads
    sent = [line.partition(": ")[::2] for line in head.split("\r\n")[1:] if line]
    assert [value for name, value in sent if name.lower() == "x-forwarded-for"] == ["127.0.0.7"]
    assert [name for name, _ in sent if name.lower() == "cookie"] == []


def test_an_include_carries_the_reader_s_browser_and_no_credentials() -> None:
    """What the service judges by goes along; cookies, keys and conditions of the page do not."""
    with behind(size=2, patient=True) as (upstream, proxy):
        (proxy.root / "p.html").write_text('a<!--# include virtual="/slots/news/top?pv=$request_id" -->b')
        said = {"Cookie": "a=1", "Authorization": "Basic eA==", "Referer": "https://x.example/", "Sec_GPC": "1"}
        answer, body = proxy.get("news.example", "/p.html", source="127.0.0.8", Accept_Language="hi", **said)
        (head,) = upstream.heads
    assert (answer.status, body) == (200, "axxb")
    sent = {name.lower(): value for name, _, value in (line.partition(": ") for line in head.split("\r\n")[1:] if line)}
    assert head.startswith("GET /v1/slots/news/top?pv=")
    assert len(head.split(" ")[1].partition("pv=")[2]) == 32
    assert sent["x-forwarded-for"] == "127.0.0.8"
    assert (sent["accept-language"], sent["sec-gpc"], sent["accept"]) == ("hi", "1", "text/html")
    assert "Mozilla" in sent["user-agent"]
    assert not {"cookie", "authorization", "referer", "accept-encoding"} & sent.keys()


def test_a_page_is_whole_when_the_service_is_silent() -> None:
    """It takes calls and answers none: the page comes without, before the service lets go."""
    with behind(silent=True) as (_, proxy):
        (proxy.root / "p.html").write_text('a<!--# include virtual="/slots/news/top" -->b')
        answer, body = proxy.get("news.example", "/p.html")
        assert (answer.status, body) == (200, "ab")
