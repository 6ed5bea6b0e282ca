"""One page from the network, within bounds."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator

import pytest

from adserve.errors import NoPage
from adserve.inspection.fetch import MOST_BYTES, fetch


class Server:
    """Answers every request with the bytes of its path; `drip` answers a byte now and then for ever."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        self.over = threading.Event()
        self._sock = socket.create_server(("127.0.0.1", 0))
        self.origin = f"http://127.0.0.1:{self._sock.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._sock.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            path = connection.recv(65_536).split(b" ")[1].decode()
            try:
                if path == "/drip":
                    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    while not self.over.wait(0.05):
                        connection.sendall(b"x")
                connection.sendall(self.answers.get(path, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))
            except OSError:
                return

    def say(self, path: str, body: bytes, *headers: str, status: str = "200 OK") -> str:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
        self.answers[path] = "\r\n".join([*lines, "", ""]).encode() + body
        return f"{self.origin}{path}"

    def close(self) -> None:
        self.over.set()
        self._sock.close()


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.close()


def test_a_page_comes_with_its_headers(server: Server) -> None:
    """Those of one name in order."""
    url = server.say("/", b"<p>x", "Content-Security-Policy: a b", "Content-Security-Policy: c d")
    page = fetch(url)
    assert (page.status, page.html, page.cut) == (200, "<p>x", False)
    assert page.header("content-security-policy") == "a b, c d"


def test_an_answer_that_is_no_200_is_a_page_too(server: Server) -> None:
    url = server.say("/gone", b"gone", status="410 Gone")
    assert (fetch(url).status, fetch(url).html) == (410, "gone")


@pytest.mark.parametrize("count", [5, 6])
def test_five_redirects_are_followed(server: Server, count: int) -> None:
    for number in range(count):
        server.say(f"/{number}", b"", f"Location: /{number + 1}", status="302 Found")
    server.say(f"/{count}", b"there")
    if count == 5:
        assert fetch(f"{server.origin}/0").html == "there"
    else:
        with pytest.raises(NoPage, match="more than 5 redirects"):
            fetch(f"{server.origin}/0")


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://x.example/", "javascript:1", "http://a:b@x.example/"])
def test_a_redirect_leads_to_http_alone(server: Server, to: str) -> None:
    url = server.say("/", b"", f"Location: {to}", status="302 Found")
    with pytest.raises(NoPage):
        fetch(url)


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://x.example/", "news.example", "http://", "http://a:b@x.example/", "http://x:99999/"],
)
def test_only_addresses_of_pages_are_taken(url: str) -> None:
    with pytest.raises(NoPage, match="takes the address of a page"):
        fetch(url)


def test_what_is_larger_than_two_megabytes_is_cut(server: Server) -> None:
    url = server.say("/", b"x" * (MOST_BYTES + 1))
    page = fetch(url)
    assert (len(page.html), page.cut) == (MOST_BYTES, True)


def test_what_would_unpack_to_more_is_cut(server: Server) -> None:
    """A server may compress though it was asked not to."""
    url = server.say("/", gzip.compress(b"x" * 50_000_000), "Content-Encoding: gzip")
    page = fetch(url)
    assert (len(page.html), page.cut) == (MOST_BYTES, True)
    assert fetch(server.say("/small", gzip.compress(b"<p>x"), "Content-Encoding: gzip")).html == "<p>x"


@pytest.mark.parametrize("encoding", ["br", "gzip"])
def test_what_cannot_be_unpacked_is_said(server: Server, encoding: str) -> None:
    with pytest.raises(NoPage, match=encoding):
        fetch(server.say("/", b"\x1b\x00\x00", f"Content-Encoding: {encoding}"))


def test_an_answer_that_drips_ends_with_its_time(server: Server) -> None:
    """Each byte would keep a time limit of the socket's from running out."""
    with pytest.raises(NoPage, match="no whole answer in"):
        fetch(f"{server.origin}/drip", seconds=0.5)


@pytest.mark.parametrize(
    ("body", "header"),
    [
        ("Énergie".encode(), "Content-Type: text/html; charset=utf-8"),
        ("Énergie".encode(), "Content-Type: text/html"),
        ("Énergie".encode("latin-1"), "Content-Type: text/html; charset=ISO-8859-1"),
        ('<meta charset="windows-1252">Énergie'.encode("cp1252"), "Content-Type: text/html"),
        ("\ufeffÉnergie".encode(), "Content-Type: text/html; charset=latin1"),
        ("\ufeffÉnergie".encode("utf-16-le"), "Content-Type: text/html"),
        ("Énergie".encode(), "Content-Type: text/html; charset=none-such"),
    ],
)
def test_words_are_read_in_their_encoding(server: Server, body: bytes, header: str) -> None:
    assert fetch(server.say("/", body, header)).html.endswith("Énergie")


def test_nobody_there_and_no_http_are_said(server: Server) -> None:
    server.answers["/"] = b"\x16\x03\x01"
    with pytest.raises(NoPage):
        fetch(f"{server.origin}/")
    server.close()
    with pytest.raises(NoPage):
        fetch(f"{server.origin}/")
