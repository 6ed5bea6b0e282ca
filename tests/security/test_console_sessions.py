"""What opens the console and what does not: cookies that were planted, doubled, swollen or stolen; and that a session
which ended is dead in every worker."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from adserve.web.console.cookies import SESSION, VISIT
from adserve.web.console.page import ANYONE, Page
from adserve.web.console.pages import PAGES
from tests.conftest import ADMIN
from tests.console.conftest import CSRF, SAME, Person
from tests.console.forms import GOOD
from tests.console.town import Town, named
from tests.security.pages import check
from tests.service import BROWSER, Service, environment, service, strike, until

IN = "/console/sign-in"


async def test_a_cookie_that_was_planted_signs_nobody_in(town: Town) -> None:
    """Whoever signs in gets another one; what stood there before opens nothing, before and afterwards."""
    user = town.people["admin"].user
    assert user is not None
    victim = Person(town.api, "planted-" + "x" * 35)
    token = await victim.csrf(IN)
    planted = victim.cookies[SESSION]
    form = {"name": user.name, "password": "a sentence"}
    reply = await victim.post(IN, form, token=token)
    assert reply.status_code == 303, reply.text
    assert victim.cookies[SESSION] != planted
    assert (await victim.get("/console/")).status_code == 200
    assert (await Person(town.api, planted).get("/console/")).status_code == 303
    for line in reply.headers.get_list("set-cookie"):
        assert {"Secure", "HttpOnly", "Path=/"} <= {part.strip() for part in line.split(";")}, line
        assert "samesite" in line.lower(), line
        assert "domain" not in line.lower(), line


async def test_a_sign_in_that_fails_leaves_nothing(town: Town) -> None:
    """No session, no cookie of one, whatever is wrong with it; of a name that nobody has it says the same."""
    user = town.people["admin"].user
    assert user is not None
    said = set()
    client, names = town.services.client, town.services.keys
    before = [key async for key in client.scan_iter(f"{names.prefix}*session:*")]
    for name, password in ((user.name, "wrong sentence"), ("nobody-there", "wrong sentence"), (user.name, "")):
        guest = Person(town.api)
        token = await guest.csrf(IN)
        reply = await guest.post(IN, {"name": name, "password": password}, token=token)
        assert reply.status_code == 401
        assert SESSION not in guest.cookies
        said.add(reply.text.replace(name, "NAME").replace(token, "TOKEN"))
    assert len(said) == 1
    assert [key async for key in client.scan_iter(f"{names.prefix}*session:*")] == before


BEHIND = [one for one in PAGES if one.roles is not ANYONE and one.method == "GET"]


async def test_no_other_secret_opens_a_page(town: Town) -> None:
    """Of every page: a key as bearer or as cookie, two sessions at once, a session in another place."""
    for one in BEHIND:
        await _stays_shut(town, town.paths(one)[0])


async def _stays_shut(town: Town, path: str) -> None:
    session = town.people["admin"].cookies[SESSION]
    for headers in (
        [("Authorization", f"Bearer {ADMIN}")], [("Cookie", f"{SESSION}={ADMIN}")],
        [("Cookie", f"{SESSION}={session}; {SESSION}={'x' * 43}")],
        [("Cookie", f"{SESSION}={'x' * 43}; {SESSION}={session}")],
        [("Cookie", f"{SESSION}={session}"), ("Cookie", f"{SESSION}={'x' * 43}")],
        [("Authorization", f"Bearer {session}")], [("Cookie", f"adserve={session}")], [("X-Session", session)],
        [("Cookie", f"{VISIT}={session}")], [("Cookie", f"{SESSION}={session[:-1]}")],
    ):  # fmt: skip
        reply = await town.api.http.get(path, headers=headers, follow_redirects=False)
        assert (reply.status_code, reply.headers["location"].partition("?")[0]) == (303, IN), headers
    for query in (f"session={session}", f"key={ADMIN}", f"{SESSION}={session}"):
        reply = await town.api.http.get(f"{path}?{query}", follow_redirects=False)
        assert reply.status_code == 303


async def test_a_session_opens_no_call_of_the_interface(town: Town) -> None:
    """Neither its cookie nor its secret as a bearer."""
    session = town.people["admin"].cookies[SESSION]
    for headers in ({"Cookie": f"{SESSION}={session}"}, {"Authorization": f"Bearer {session}"}):
        for path in ("/sites", "/keys", "/report"):
            reply = await town.api.http.get(f"/api/v1{path}", headers=headers)
            assert reply.status_code == 401
            assert "set-cookie" not in reply.headers


async def test_swollen_and_broken_cookies_are_none(town: Town) -> None:
    """Of any size and form: the way to the sign-in, or the page when a whole session is among them."""
    session = town.people["admin"].cookies[SESSION]
    for text in (
        f"{SESSION}={'x' * 60_000}", "a=b; " * 10_000, f"{SESSION}=", f"{SESSION}=\u00e9", "=;=;=", ";" * 9_000,
        f'{SESSION}="{session}', f"{SESSION}={session}\\", "\x7f=1", f"x{SESSION}={session}", f"{SESSION}=%2e{session}",
    ):  # fmt: skip
        reply = await town.api.http.get("/console/", headers=[(b"Cookie", text.encode())], follow_redirects=False)
        check(reply, text[:60])
        assert reply.status_code in (303, 400, 431)


OTHERS = (
    "a=1", 'g_state={"i_l":0}', "theme=dark blue", "bare", "", '"', 'q="', "\x7f=1", "expires=Thu, 01 Jan 1970", "=;=",
    "\u00fc=\u00e4", f"long={'x' * 9_000}",
)  # fmt: skip


async def test_other_cookies_of_the_host_keep_nobody_out(town: Town) -> None:
    """Whatever an application beside ours sets, before and after: the session and the visit are seen."""
    session, guest = town.people["admin"].cookies[SESSION], Person(town.api)
    for other in OTHERS:
        ours = f"{SESSION}={session}"
        for line in (f"{other}; {ours}", f"{ours};{other}", f"{other};\t{SESSION} = {session}"):
            kept = await town.api.http.get("/console/", headers=[(b"Cookie", line.encode())], follow_redirects=False)
            assert kept.status_code == 200, line
    token, headers = await guest.csrf(IN), [(name.encode(), value.encode()) for name, value in SAME.items()]
    for number, other in enumerate(OTHERS):
        line = f"{other}; {VISIT}={guest.cookies[VISIT]}"
        sent = {"csrf": token, "name": f"nobody-{number}", "password": "x" * 12}
        said = await town.api.http.post(IN, headers=[*headers, (b"Cookie", line.encode())], data=sent)
        assert "the name or the password is wrong" in said.text, line


# ---- in processes of its own


class Visitor:
    """A browser that asks on a connection of its own each time, and so any worker."""

    def __init__(self, origin: str, cookies: dict[str, str] | None = None) -> None:
        self.origin, self.cookies = origin, dict(cookies or {})

    def call(self, method: str, path: str, data: dict[str, str] | None = None) -> httpx2.Response:
        headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items()), "User-Agent": BROWSER}
        reply = httpx2.request(method, self.origin + path, headers=headers, data=data, timeout=20, trust_env=False)
        for line in reply.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return reply

    def post(self, path: str, page: str, **form: str) -> httpx2.Response:
        found = CSRF.search(self.call("GET", page).text)
        assert found is not None
        return self.call("POST", path, {"csrf": found[1], **form})

    @property
    def is_in(self) -> bool:
        return self.call("GET", "/console/").status_code == 200

    def twin(self) -> Visitor:
        return Visitor(self.origin, self.cookies)


def users(running: Service, *words: str) -> str:
    command = [sys.executable, "-m", "adserve", "users", *words, "--data-dir", str(running.data)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    return done.stdout


def entered(running: Service, name: str) -> Visitor:
    found = re.search(r"/console/link/\S+", users(running, "link", name, "--for", "sign-in"))
    assert found is not None
    visitor = Visitor(running.origin)
    assert visitor.post(found[0], found[0]).status_code == 303
    assert visitor.is_in
    return visitor


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Two workers; the first person is `boss`."""
    with service(tmp_path_factory.mktemp("sessions"), workers=2) as found:
        users(found, "invite", "boss", "--role", "admin")
        yield found


ENDS = {
    "signing out": None,
    "another role": ("role", "{name}", "--role", "reader"),
    "a new password": None,
    "being disabled": ("disable", "{name}"),
    "being signed out everywhere": ("sign-out", "{name}"),
    "being deleted": ("delete", "{name}"),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_session_that_ended_is_dead_in_every_worker(running: Service, end: str) -> None:
    """At once, for the browser that ended it and for one that has its cookie."""
    name = f"u-{list(ENDS).index(end)}"
    users(running, "invite", name, "--role", "admin")
    visitor = entered(running, name)
    thief = visitor.twin()
    words = ENDS[end]
    if words is not None:
        users(running, *(word.format(name=name) for word in words))
    elif end == "signing out":
        assert visitor.post("/console/sign-out", "/console/").status_code == 303
    else:
        new = "another sentence"
        reply = visitor.post("/console/account/password", "/console/account", new=new, again=new)
        assert reply.status_code == 303, reply.text
        assert visitor.is_in
    assert [thief.call("GET", "/console/").status_code for _ in range(12)] == [303] * 12


def test_without_the_store_every_page_says_so_and_comes_back_by_itself(running: Service) -> None:
    """503 with what it means and when to come again; nothing has to be started anew."""
    boss = entered(running, "boss")
    found = CSRF.search(boss.call("GET", "/console/").text)
    assert found is not None
    lines = [one for one in PAGES if "{" not in one.path and "admin" in one.roles]

    def asked(line: Page) -> httpx2.Response:
        form = {**GOOD[line.path].fields, "csrf": found[1]} if line.method == "POST" else None
        return boss.twin().call(line.method, line.path, form)

    assert strike(running.store_pid(), signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(len(lines)) as pool:  # a silent store is waited for
            replies = list(pool.map(asked, lines))
        for line, reply in zip(lines, replies, strict=True):
            assert reply.status_code == 503, (named(line), reply.status_code)
            assert "The store is away" in reply.text, named(line)
            assert int(reply.headers["retry-after"]) >= 1, named(line)
            assert reply.headers["cache-control"] == "no-store", named(line)
            check(reply, named(line), range(503, 504))
    finally:
        strike(running.store_pid(), signal.SIGCONT)
    until(lambda: boss.is_in)
    assert Path(running.said).read_text().count("Traceback") == 0
