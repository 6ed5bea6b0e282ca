"""What a call says, what a page gets, and what a server that is slow, broken or hostile can do: nothing."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from adserve.contrib import connection
from adserve.contrib.circuit import Circuit
from adserve.contrib.client import Client, problems_of
from adserve.contrib.connection import Refused, answer_in
from tests.contrib.site import LAZY, SNIPPET, Handler, Site, served
from tests.needs import need

Call = Callable[..., str]
FORMS = ("slot", "aslot")


class Clock:
    """Moved by tests."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def call(client: Client, form: str, name: str, **context: Any) -> str:
    """A slot by either form, the async one in a loop of its own, as async views of Flask and Django have it."""
    if form == "slot":
        return client.slot(name, **context)
    return asyncio.run(client.aslot(name, **context))


class Raw(socketserver.ThreadingTCPServer):
    """Answers every connection with the same bytes, whatever was asked, and closes it unless told to wait."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, answer: bytes, *, hold: bool) -> None:
        super().__init__(("127.0.0.1", 0), RawHandler)
        self.answer, self.hold, self.release, self.accepted = answer, hold, threading.Event(), 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class RawHandler(socketserver.BaseRequestHandler):
    server: Raw

    def handle(self) -> None:
        self.server.accepted += 1
        self.request.recv(65536)
        try:
            self.request.sendall(self.server.answer)
        except OSError:
            return
        if self.server.hold:
            self.server.release.wait(10)


@contextmanager
def raw(answer: bytes, *, hold: bool = False) -> Iterator[Raw]:
    with Raw(answer, hold=hold) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.release.set()
            server.shutdown()
            thread.join()


OK = b"HTTP/1.1 200 OK\r\n"
HOSTILE = {
    "nothing": b"",
    "garbage": b"\x00\x01\x02 this is no HTTP" * 50,
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/evil\r\nContent-Length: 4\r\n\r\nevil",
    "an error": b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nevil",
    "too short": OK + b"Content-Length: 100\r\n\r\nevil",
    "no length": OK + b"\r\nevil",
    "a negative length": OK + b"Content-Length: -5\r\n\r\nevil",
    "a length that is none": OK + b"Content-Length: evil\r\n\r\nevil",
    "a huge length": OK + b"Content-Length: 99999999999\r\n\r\nevil",
    "more than 2 MB": OK + b"Content-Length: 2000001\r\n\r\n" + b"e" * 2_000_001,
    "an endless head": OK + b"X: y\r\n" * 20_000,
    "a long line": OK + b"X: " + b"y" * 70_000 + b"\r\n\r\n",
    "half a chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nev",
    "a chunk without an end": OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n",
    "half a chunk's length": OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0",
    "a bad chunk": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nevil\r\n0\r\n\r\n",
    "no text": OK + b"Content-Length: 2\r\n\r\n\xff\xfe",
    "only a promise": b"HTTP/1.1 100 Continue\r\n\r\n",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("answer", HOSTILE)
def test_a_hostile_answer_is_none(answer: str, form: str) -> None:
    """The page has the tag's element: nothing of it is shown, followed or raised."""
    with raw(HOSTILE[answer]) as server:
        client = Client(server.url, "news", timeout_s=5)
        assert call(client, form, "top") == '<div data-slot="top"></div>'


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("answer", ["nothing", "too short", "half a chunk", "a chunk without an end", "a long line"])
def test_a_server_that_goes_silent_costs_the_time_limit(answer: str, form: str) -> None:
    """Wherever in its answer it stops."""
    with raw(HOSTILE[answer][:60_000], hold=True) as server:
        began = time.monotonic()
        assert call(Client(server.url, "news", timeout_s=0.1), form, "top") == '<div data-slot="top"></div>'
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["silent", "drip"])
def test_a_slow_server_costs_the_time_limit(server: Site, name: str, form: str) -> None:
    began = time.monotonic()
    assert call(Client(server.url, "news", timeout_s=0.1), form, name) == f'<div data-slot="{name}"></div>'
    assert time.monotonic() - began < 5


async def test_the_async_form_does_not_hold_up_the_loop() -> None:
    """Fifty calls wait together, and the loop goes on: it is what lets the server answer them."""

    class Patient(Handler):
        def _reply(self, text: str) -> None:
            self.server.release.wait(30)
            super()._reply(text)

    with served(Patient) as server:
        client = Client(server.url, "news", timeout_s=30)
        calls = [asyncio.create_task(client.aslot("top")) for _ in range(50)]
        while len(server.asked) < 50:  # noqa: ASYNC110 (the server has no event of this loop)
            await asyncio.sleep(0.01)
        server.release.set()
        assert set(await asyncio.gather(*calls)) == {SNIPPET}


@pytest.mark.parametrize("form", FORMS)
def test_a_chunked_answer_is_read_to_its_end(form: str) -> None:
    """As proxies send it."""
    with raw(OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\n<b>\n\r\n8\r\n</b>\r\n\r\n\r\n0\r\n\r\n") as server:
        assert call(Client(server.url, "news", timeout_s=5), form, "top") == "<b>\n</b>\r\n\r\n"


def test_an_answer_is_whole_or_none_however_it_is_cut() -> None:
    """Of every beginning of an answer only the last is one."""
    for answer in (
        OK + b"Content-Length: 4\r\n\r\n<b/>",
        OK + b"Transfer-Encoding: chunked\r\n\r\n4;x=y\r\n\r\n\r\n\r\n2\r\n>>\r\n0\r\nTrailer: t\r\n\r\n",
    ):
        assert [answer_in(answer[:n]) for n in range(len(answer))] == [None] * len(answer)
        whole = answer_in(answer)
        assert whole is not None
        assert whole.body in (b"<b/>", b"\r\n\r\n>>")
    following = answer_in(OK + b"Content-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n")
    assert following is not None
    assert (following.body, following.lasting) == (b"x", False)


@pytest.mark.parametrize("form", FORMS)
def test_connections_are_kept_and_shared_by_both_forms(server: Site, form: str) -> None:
    """By loops that come and go, too."""
    client = Client(server.url, "news", timeout_s=5)
    for other in (form, *FORMS, *FORMS):
        assert call(client, other, "top") == SNIPPET
    assert len(server.peers) == 1


@pytest.mark.parametrize("form", FORMS)
def test_a_connection_that_closed_while_idle_is_made_anew(form: str) -> None:
    class ClosesAfterEach(Handler):
        def _reply(self, text: str) -> None:
            super()._reply(text)
            self.close_connection = True  # without having announced it

    with served(ClosesAfterEach) as site:
        client = Client(site.url, "news", timeout_s=5)
        assert [call(client, form, "top") for _ in range(5)] == [SNIPPET] * 5
        assert len(site.asked) == len(site.peers) == 5


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # newer Pythons warn of forks beside threads
def test_a_child_does_not_use_its_parents_connection(server: Site) -> None:
    """Two processes on one socket would read each other's answers."""
    client = Client(server.url, "news", timeout_s=5)
    assert client.slot("top") == SNIPPET
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # one that waits for ever is ended
        os._exit(0 if client.slot("top") == SNIPPET else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert client.slot("top") == SNIPPET
    assert len(server.peers) == 2


@pytest.mark.parametrize("form", FORMS)
def test_looking_up_a_name_is_part_of_the_time_limit(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's own look-up may take half a minute."""
    release = threading.Event()

    def slow(host: str, *_: object, flags: int = 0, **__: object) -> list[Any]:
        if host == "serve.example" and not flags:
            release.wait(10)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    client, began = Client("http://serve.example", "news", timeout_s=0.1), time.monotonic()
    try:
        if form == "slot":
            assert client.slot("top") == '<div data-slot="top"></div>'
        else:
            asyncio.run(_within(client, release))
        assert time.monotonic() - began < 5
    finally:
        release.set()


async def _within(client: Client, release: threading.Event) -> None:
    assert await client.aslot("top") == '<div data-slot="top"></div>'
    release.set()  # the loop's own end waits for its threads


@pytest.mark.parametrize("form", FORMS)
def test_a_name_is_looked_up(server: Site, form: str) -> None:
    client = Client(server.url.replace("127.0.0.1", "localhost"), "news", timeout_s=5)
    assert call(client, form, "top") == SNIPPET


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that nobody has signed, with its key in the same file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    run = [need("openssl", package="openssl"), *words.split(), *names, "-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run(run, check=True, capture_output=True, timeout=60)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_https_is_spoken_to_those_who_prove_who_they_are(
    form: str, host: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a kept connection too. A certificate that the system does not trust is no server."""
    with served() as site:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        site.socket = context.wrap_socket(site.socket, server_side=True)
        url = site.url.replace("http://127.0.0.1", f"https://{host}")
        assert call(Client(url, "news", timeout_s=5), form, "top") == '<div data-slot="top"></div>'
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        client = Client(url, "news", timeout_s=5)
        assert [call(client, form, "top") for _ in range(3)] == [SNIPPET] * 3
        assert len(site.asked) == 3
        assert len(site.peers) == 1


@pytest.mark.parametrize("form", FORMS)
def test_a_handshake_that_never_ends_costs_the_time_limit(form: str) -> None:
    with raw(b"\x16\x03\x03", hold=True) as server:
        url, began = server.url.replace("http:", "https:"), time.monotonic()
        assert call(Client(url, "news", timeout_s=0.1), form, "top") == '<div data-slot="top"></div>'
        assert time.monotonic() - began < 5


# ---- the circuit


@pytest.mark.parametrize("form", FORMS)
def test_a_server_that_is_away_is_left_alone(form: str, caplog: pytest.LogCaptureFixture) -> None:
    """After five calls none is tried until the rest is over, then one, and all again when that is answered. The log
    has one line for each change."""
    clock, tried, up = Clock(), [], threading.Event()

    def fetch(url: str, _: Mapping[str, str]) -> str:
        tried.append(url)
        if not up.is_set():
            raise TimeoutError
        return SNIPPET

    client = Client("http://127.0.0.1:9", "news", fetch=fetch, clock=clock, circuit=Circuit(5, 5.0))
    assert {call(client, form, "top") for _ in range(20)} == {'<div data-slot="top"></div>'}
    assert len(tried) == 5
    clock.now += 5.0
    assert call(client, form, "top") != SNIPPET
    assert call(client, form, "top") != SNIPPET
    assert len(tried) == 6
    clock.now += 5.0
    up.set()
    assert [call(client, form, "top") for _ in range(3)] == [SNIPPET] * 3
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "does not answer" in caplog.messages[0]
    assert "answers again" in caplog.messages[1]


@pytest.mark.parametrize("form", FORMS)
def test_what_a_reader_sends_opens_no_circuit(form: str) -> None:
    """Neither what cannot be sent nor what the server refuses is a failure of the server: one reader could take the
    ads from all pages."""
    asked = []

    def fetch(url: str, headers: Mapping[str, str]) -> str:
        asked.append(url)
        if "refuse" in headers.get("User-Agent", ""):
            raise Refused
        return SNIPPET

    client = Client("http://127.0.0.1:9", "news", fetch=fetch, circuit=Circuit(1, 1e9))
    for agent in ("a\r\nX-Evil: 1", "\x85", "\ud800", "☃", "a\x00b"):
        assert call(client, form, "top", headers={"User-Agent": agent}).startswith("<div")
    assert call(client, form, "top", url="x" * 20_000).startswith("<div")
    assert not asked
    assert call(client, form, "top", headers={"User-Agent": "refuse"}).startswith("<div")
    assert call(client, form, "top") == SNIPPET


@pytest.mark.parametrize("status", [302, 400, 404, 414, 431])
def test_an_answer_below_500_says_that_the_server_is_there(status: int) -> None:
    with raw(b"HTTP/1.1 %d No\r\nContent-Length: 4\r\n\r\nevil" % status) as server:
        client = Client(server.url, "news", timeout_s=5, circuit=Circuit(1, 1e9))
        for _ in range(3):
            assert client.slot("top") == '<div data-slot="top"></div>'
        assert server.accepted == 3


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_of_500_and_above_is_a_failure(form: str) -> None:
    """Of a proxy, perhaps, whose service is gone."""
    with raw(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\nevil") as server:
        client = Client(server.url, "news", timeout_s=5, circuit=Circuit(2, 1e9))
        for _ in range(5):
            assert call(client, form, "top") == '<div data-slot="top"></div>'
        assert server.accepted == 2


# ---- what is sent


def test_headers_of_the_reader_are_bounded(server: Site) -> None:
    """In number, length and name; what is no header of ours stays away."""
    client = Client(server.url, "news", timeout_s=5)
    many = {f"Sec-CH-X{'y' * n}": "v" for n in range(40)} | {"Sec-CH-A: b": "x", "Sec-CH-\r\nX": "x"}
    sent = {"User-Agent": "M" * 5000, "Sec-GPC": "1", "Sec-Purpose": "prefetch", "Accept-Language": "hi", "Cookie": "c"}
    assert client.slot("top", headers=sent | many) == SNIPPET
    got = server.asked[0][1]
    assert len(got["User-Agent"]) == 1000
    assert (got["Sec-GPC"], got["Sec-Purpose"], got["Accept-Language"]) == ("1", "prefetch", "hi")
    assert len(got) <= 33
    assert "Cookie" not in got


@pytest.mark.parametrize(
    ("address", "sent"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:DB8::1", "2001:db8::1"),
        ("203.0.113.9, 10.0.0.1", None),
        ("203.0.113.9\r\nX: 1", None),
        ("unix:", None),
        ("", None),
        (None, None),
        (5, None),
    ],
)
def test_an_address_is_one_or_is_left_out(server: Site, address: Any, sent: str | None) -> None:
    Client(server.url, "news", timeout_s=5).slot("top", address=address)
    assert server.asked[0][1].get("X-Forwarded-For") == sent


def test_a_key_goes_along_and_a_readers_own_does_not(server: Site) -> None:
    client = Client(server.url, "news", timeout_s=5, key="adserve_k")
    client.slot("top", headers={"Authorization": "Bearer reader", "authorization": "x"})
    assert server.asked[0][1]["Authorization"] == "Bearer adserve_k"


def test_what_the_request_at_hand_has_is_overridden_by_the_call(server: Site) -> None:
    """And one that is not there costs nothing."""
    known = {"headers": {"User-Agent": "R"}, "address": "203.0.113.9", "lang": "hi"}
    client = Client(server.url, "news", timeout_s=5, reader=lambda: known)
    client.slot("top", lang="en")
    assert server.query() == {"lang": ["en"]}
    assert server.asked[0][1]["User-Agent"] == "R"


def test_values_that_cannot_be_sent_never_raise(server: Site) -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    client = Client(server.url, "news", timeout_s=5)
    for context in ({"kv": {"a": Broken()}}, {"headers": 5}, {"headers": {"User-Agent": 5}}, {"headers": {5: "x"}}):
        assert client.slot("top", **context).startswith("<div")
    assert not server.asked
    assert client.slot("top", lang="\ud800", kv={"\ud800": "\ud800"}) == SNIPPET


# ---- what stands in the place


@pytest.mark.parametrize(
    ("size", "element"),
    [
        ("728x90", ' data-size="728x90" style="min-height:108px"'),
        ("728x90@728 320x90", ' data-size="728x90@728 320x90" style="min-height:108px"'),
        ("728x90@728 320x50", ' data-size="728x90@728 320x50"'),
        ("728x0", ' data-size="728x0"'),
        ("728x90;}", ' data-size="728x90;}"'),
        ("", ""),
        (None, ""),
        (90, ' data-size="90"'),
    ],
)
def test_the_element_reserves_a_height_that_is_the_same_at_every_width(size: Any, element: str) -> None:
    """Where it differs, the page's own style sheet or the tag says it."""
    client = Client("http://127.0.0.1:9", "news", fetch=_away)
    assert client.slot("top", size=size) == f'<div data-slot="top"{element}></div>'


def test_labels_go_with_the_element() -> None:
    """The tag asks with them: brand safety holds without the server's template too."""
    client = Client("http://127.0.0.1:9", "news", fetch=_away)
    assert client.slot("top", labels=["a b", 'x"y']) == '<div data-slot="top" data-labels="a b,x&#34;y"></div>'
    assert client.page(["top"], labels="a,b")["top"] == '<div data-slot="top" data-labels="a,b"></div>'


def test_what_is_markup_to_any_framework_is_left_as_it_is() -> None:
    class Safe:
        def __html__(self) -> str:
            return "<b>"

    client = Client("http://127.0.0.1:9", "news", fetch=lambda *_: "")
    assert client.slot("top", fallback=Safe()) == "<b>"
    assert client.slot("top", fallback="<b>'\"&") == "&lt;b&gt;&#39;&#34;&amp;"
    assert client.slot("top", fallback=client.slot("top", fallback="<")) == "&lt;"


def test_a_page_by_either_form_is_the_same(server: Site) -> None:
    client = Client(server.url, "news", timeout_s=5)
    filled = client.page(["top", "sidebar", "../x"])
    assert asyncio.run(client.apage(["top", "sidebar", "../x"])) == filled
    assert filled["sidebar"].startswith(LAZY)
    assert filled["../x"] == ""


@pytest.mark.parametrize("answer", ["[" * 100_000, '{"slots": {"top": {"html": ["<b>"]}}}'])
def test_json_of_any_shape_renders(answer: str) -> None:
    client = Client("http://127.0.0.1:9", "news", fetch=lambda *_: answer)
    assert isinstance(client.page(["top"])["top"], str)


# ---- settings


def test_all_settings_that_are_wrong_are_named_at_once() -> None:
    with pytest.raises(ValueError, match=r"base_url .*; site .*; timeout_s .*; key ") as refused:
        Client("serve.example", "No Site", timeout_s=0, key="a secret\n")
    assert "a secret" not in str(refused.value)


@pytest.mark.parametrize(
    "base_url",
    [
        None, 5, "", "serve.example", "ftp://x", "http://", "http://u:p@x", "http://x:99999", "http://x?q",
        "http://x\r\n", "http://x y",
    ],
)  # fmt: skip
def test_a_base_url_is_an_address(base_url: object) -> None:
    assert "base_url" in problems_of(base_url, "news")
    assert not problems_of("https://serve.example:8443/a/", "news")


def _away(*_: object) -> str:
    raise ConnectionError


def test_a_refused_port_is_no_error() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
    for form in FORMS:
        assert call(Client(f"http://127.0.0.1:{port}", "news"), form, "top") == '<div data-slot="top"></div>'


def test_the_folder_stands_alone(tmp_path: Path) -> None:
    """Copied into a project without the package, it works."""
    shutil.copytree(Path(connection.__file__).parent, tmp_path / "slots", ignore=shutil.ignore_patterns("__pycache__"))
    code = (
        "import sys; sys.modules['adserve'] = None; from jinja2 import Environment; "
        "from slots.jinja2 import install; import slots.flask, slots.django.settings; "
        "env = Environment(autoescape=True); install(env, base_url='http://127.0.0.1:9', site='news'); "
        "print(env.from_string('{% slot \"top\" %}own{% endslot %}').render())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == '<div data-slot="top"><template>own</template></div>\n', done.stderr
