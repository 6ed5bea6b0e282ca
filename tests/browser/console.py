"""The console in a browser: signed in by the link that the command line prints, and led to every page there is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page

from adserve.web.console.pages import PAGES
from tests.console.town import line_of, links_of, named
from tests.e2e.test_process import run
from tests.service import BROWSER, Service, environment

PHONE, DESK = {"width": 360, "height": 800}, {"width": 1280, "height": 900}
LINK = re.compile(r"http://\S+/console/link/\S+")
LISTENS = """window.violations = []; addEventListener('securitypolicyviolation', (event) =>
violations.push(`${event.violatedDirective}: ${event.blockedURI}`))"""


def link_of(said: Path) -> str:
    """The link that a demo printed."""
    found = LINK.search(said.read_text())
    assert found is not None, said.read_text()
    return found[0]


def admin_of(running: Service) -> str:
    """A link that signs in the first person of a service that has nobody yet."""

    def users(*words: str) -> str:
        command = [sys.executable, "-m", "adserve", "users", *words, "--data-dir", str(running.data)]
        done = subprocess.run(
            command, env=environment(ADSERVE_PUBLIC_URL=running.origin), capture_output=True, text=True, check=True
        )
        return done.stdout

    users("invite", "first", "--role", "admin")
    found = LINK.search(users("link", "first", "--for", "sign-in"))
    assert found is not None
    return found[0]


def follow(link: Locator) -> None:
    """Clicks, and waits for the whole of the page that comes of it. A click alone ends when its first bytes are there,
    and what is counted or looked at then without waiting is not there yet."""
    with link.page.expect_navigation():
        link.click()


def signed_in(browser: Browser, running: Service, *, script: bool = True) -> Page:
    """A page of `boss`, whom the service knows, just signed in by a link."""
    made = run("users", "link", "boss", "--for", "sign-in", "--json", ADSERVE_DATA_DIR=str(running.data))
    assert made.returncode == 0, made.stderr
    secret = json.loads(made.stdout)["link"].rpartition("/")[2]
    context = browser.new_context(user_agent=BROWSER, java_script_enabled=script)
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(f"{running.origin}/console/link/{secret}")
    follow(page.locator("main button"))
    return page


class Visitor:
    """A page that is signed in, and what its browser complained of."""

    def __init__(self, context: BrowserContext, link: str) -> None:
        self.complaints: list[str] = []
        context.add_init_script(LISTENS)
        self.page: Page = context.new_page()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.origin = link.partition("/console/")[0]
        self.page.goto(link)
        follow(self.page.locator("main button"))
        assert self.page.url == f"{self.origin}/console/", self.page.url

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(f"{self.page.url}: {message.text}")

    def go(self, path: str) -> None:
        self.page.goto(f"{self.origin}{path}")

    def every(self) -> dict[str, str]:
        """One address of each line of the table that links lead to, by the line."""
        found: dict[str, str] = {}
        waiting, asked = ["/console/"], set[str]()
        while waiting:
            path = waiting.pop(0)
            line = line_of(PAGES, "GET", path)
            if line is None or named(line) in found or path in asked:
                continue
            asked.add(path)
            if "format=csv" in path or line.path.startswith("/console/preview"):
                continue  # a file, and the document of a frame
            self.go(path)
            found[named(line)] = path
            waiting += list(links_of(self.page.content(), path, self.origin))
        return found
