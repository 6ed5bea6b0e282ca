"""A page at `news.example` and the service that its tag asks, both made by the test: what was asked can be read off,
and what is answered is decided. What a real service makes of it is tested in `test_tag_counts.py`."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Request, Route

from adserve.web.public import MORE, TAG
from tests.service import until

SERVICE, PAGE = "https://serve.example", "https://news.example"
FRAME = f"{SERVICE}/f/frame"
SANDBOX = "allow-scripts allow-popups allow-popups-to-escape-sandbox"
OPEN = {"Access-Control-Allow-Origin": "*"}
LISTENS = """<script>window.told = []; for (const type of ['filled', 'empty', 'view']) addEventListener('slot:' + type,
(event) => told.push([type, event.target.closest('[data-slot]')?.dataset.slot, event.detail?.decision]))</script>"""

Answers = Callable[[dict[str, str], int], Any]
"""Parameters of a page call and its number to the answer; None: there is no service."""


def unit(name: str, width: int = 300, height: int = 250, kind: str = "image") -> str:
    """A snippet as the service makes it."""
    inner = {
        "image": f'<a href="{SERVICE}/c/{name}" style="display:block"><img src="{SERVICE}/m/{width}x{height}" '
        f'width="{width}" height="{height}" alt="Tea" style="display:block;max-width:100%;height:auto;border:0"></a>',
        "text": f'<a href="{SERVICE}/c/{name}" style="display:block;height:{height}px"><strong>Tea</strong></a>',
        "html": f'<iframe src="{FRAME}" sandbox="{SANDBOX}" width="{width}" height="{height}" '
        'style="display:block;border:0"></iframe>',
    }[kind]
    return (
        f'<div class="slot-unit" data-decision="{name}" data-view="{SERVICE}/e/v/{name}" style="max-width:{width}px">'
        f"{inner}</div>"
    )


def picture(size: str) -> bytes:
    """One of `300x250`."""
    width, height = map(int, size.split("x"))
    file = io.BytesIO()
    Image.new("RGB", (width, height), (9, 99, 199)).save(file, "PNG")
    return file.getvalue()


def decision(name: str, html: str) -> dict[str, Any]:
    return {"filled": True, "decision": name, "html": html, "impression_url": f"{SERVICE}/e/i/{name}"}


def filled(ask: dict[str, str], number: int, width: int = 300, height: int = 250, kind: str = "image") -> Any:
    """Every slot with an ad of its own, named by slot and call."""
    slots = {}
    for key in ask["slots"].split(","):
        name = f"{key.replace(':', '-')}.{number}"
        slots[key] = decision(name, unit(name, width, height, kind))
    return {"page_view": f"p.{number}", "slots": slots}


class Site:
    """Routes of a context: pages by path, and the service. Nothing else is reached."""

    def __init__(self, browser: Browser, pages: dict[str, str], answers: Answers = filled, **context: Any) -> None:
        self.context: BrowserContext = browser.new_context(**{"viewport": {"width": 1000, "height": 600}, **context})
        self.pages, self.answers = pages, answers
        self.headers: dict[str, str] = {}
        self.asked: list[dict[str, str]] = []
        self.sent: list[str] = []
        self.frame = "<p>A frame"
        self.refuses = 0
        """Beacons to leave unanswered."""
        self.thrown: list[str] = []
        self.context.route("**/*", self._serve)
        self.context.on("weberror", lambda problem: self.thrown.append(str(problem.error)))

    def settled(self, page: Page, count: int) -> list[str]:
        """The beacons, in order of their addresses, once there are so many and no more are about to come."""

        def enough() -> bool:
            rest(page)
            return len(self.sent) >= count

        until(enough)
        rest(page)
        return sorted(self.sent)

    def open(self, path: str = "/", **more: Any) -> Page:
        page = self.context.new_page()
        page.goto(PAGE + path, **more)
        return page

    def _serve(self, route: Route) -> None:
        url = urlsplit(route.request.url)
        if f"{url.scheme}://{url.netloc}" == PAGE and url.path in self.pages:
            route.fulfill(body=self.pages[url.path], content_type="text/html", headers=self.headers)
        elif url.path in ("/slots.js", "/slots-more.js"):
            route.fulfill(body=TAG if url.path == "/slots.js" else MORE, content_type="text/javascript", headers=OPEN)
        elif url.path.startswith("/v1/pages/"):
            self._page_call(route, url.query)
        elif url.path.startswith("/e/"):
            self._beacon(route, route.request)
        elif url.path.startswith("/m/"):
            route.fulfill(body=picture(url.path[3:]), content_type="image/png")
        elif url.path.startswith("/f/"):
            route.fulfill(body=self.frame, content_type="text/html")
        else:
            route.abort()

    def _page_call(self, route: Route, query: str) -> None:
        self.asked.append({name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()})
        answer = self.answers(self.asked[-1], len(self.asked))
        if answer is None:
            route.abort()
        else:
            route.fulfill(body=json.dumps(answer), content_type="application/json", headers=OPEN)

    def _beacon(self, route: Route, request: Request) -> None:
        url = urlsplit(request.url)
        self.sent.append(url.path + (f"?{url.query}" if url.query else ""))
        if self.refuses:
            self.refuses -= 1
            route.abort()
        else:
            route.fulfill(status=204, headers=OPEN)


def page_of(*body: str, script: str = "", head: str = "") -> str:
    """A page with the tag."""
    return (
        f'<!doctype html><html><head><meta charset="utf-8"><style>body{{margin:0}}</style>{head}</head><body>{LISTENS}'
        f'{"".join(body)}<script async src="{SERVICE}/slots.js" data-site="news" {script}></script></body></html>'
    )


def slot(name: str = "top", more: str = 'style="min-height:250px"', inner: str = "") -> str:
    return f'<div data-slot="{name}" {more}>{inner}</div>'


def events(page: Page, count: int) -> list[list[Any]]:
    """The tag's events on a page, once there are so many: kind, slot, decision."""
    found: list[list[Any]] = []

    def enough() -> bool:
        found[:] = page.evaluate("told")  # by turns: a strict policy forbids to wait inside of the page
        return len(found) >= count

    until(enough)
    return found


def rest(page: Page) -> None:
    """Two frames: what was about to happen has happened, and what was asked for has come to the routes."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.evaluate("fetch('/').then((answer) => answer.text()).catch(() => 0)")


def slots_of(told: Iterable[list[Any]], type_: str) -> list[str]:
    """The slots of the events of a kind, in their order."""
    return [name for kind, name, _ in told if kind == type_]
