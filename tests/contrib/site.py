"""A server that answers like the delivery routes, well or badly, for the helpers that call it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

SNIPPET = '<div class="slot-unit" data-decision="d1"><a href="/c/t"><img src="/m/x.png" alt="R&amp;D"></a></div>'
LAZY = SNIPPET.replace("<img ", '<img loading="lazy" ')


class Site(ThreadingHTTPServer):
    """Answers like the delivery routes, and remembers what it was asked and over how many connections."""

    daemon_threads = True
    request_queue_size = 100

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        self.peers: set[object] = set()
        self.broken = False
        self.release = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.asked[-1][0]).query)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Site

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))
        self.server.peers.add(self.client_address)
        path = urlsplit(self.path).path
        if path.endswith("/silent"):
            self.server.release.wait(5)
        elif path.endswith("/drip"):
            self._drip()
        elif path.startswith("/v1/pages/"):
            self._page()
        else:
            self._reply("" if path.endswith("/empty") else SNIPPET)

    def _page(self) -> None:
        decisions = {
            "top": {"filled": True, "html": SNIPPET, "impression_url": 'http://s/e/i/T"><b>&x'},
            "sidebar": {"filled": True, "html": LAZY, "impression_url": "http://s/e/i/U"},
            "footer": {"filled": False, "html": ""},
            "nosuch": {"filled": False, "error": "unknown_slot"},
        }
        kept: dict[str, dict[str, object]] = {"text": {"seen": "kept"}, "number": {"seen": 7}}
        seen = kept.get(self.server.query().get("lang", [""])[0], {})
        self._reply(json.dumps({"page_view": "p", "slots": decisions, **seen}))

    def _drip(self) -> None:
        """One byte each 10 ms: every single read is quick, the whole is not."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
        while not self.server.release.wait(0.01):
            self.wfile.write(b"x")

    def _reply(self, text: str) -> None:
        body = text.encode()
        self.send_response(500 if self.server.broken else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def served(handler: type[Handler] = Handler) -> Iterator[Site]:
    """A running one."""
    site = Site()
    site.RequestHandlerClass = handler
    site.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that gave up are the point
    thread = threading.Thread(target=site.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield site
    finally:
        site.release.set()
        site.shutdown()
        thread.join()
        site.server_close()
