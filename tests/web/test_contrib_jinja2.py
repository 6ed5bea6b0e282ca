"""Templates get snippets from a server, and the tag's element when there is none in time."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from adserve.contrib.jinja2 import Slots, install
from tests.contrib.site import LAZY, SNIPPET, Handler, Site, served


@pytest.fixture
def server() -> Iterator[Site]:
    with served() as site:
        yield site


@pytest.fixture
def env() -> Environment:
    return Environment(autoescape=True, undefined=StrictUndefined)


def slots_of(env: Environment, site: Site, *, timeout_s: float = 5) -> Slots:
    return install(env, base_url=site.url, site="news", timeout_s=timeout_s)


def test_a_template_gets_the_snippet_unescaped(server: Site, env: Environment) -> None:
    """`{{ slot("top") }}` is the server's HTML as it stands."""
    slots_of(env, server)
    assert env.from_string('<p>{{ slot("top") }}</p>').render() == f"<p>{SNIPPET}</p>"
    assert server.asked[0][0] == "/v1/slots/news/top"
    assert server.asked[0][1]["Accept"] == "text/html"


def test_a_slot_with_nothing_to_show_stays_empty(server: Site, env: Environment) -> None:
    """The server's word is final: no tag that would ask a second time."""
    assert slots_of(env, server).slot("empty") == ""


OWN = Markup('<a href="/letter">R&amp;D</a>')
"""A page's own fallback."""


def test_the_page_s_own_fallback_stands_where_the_server_shows_nothing(server: Site, env: Environment) -> None:
    """Alone and for a page, escaped unless it is markup; a snippet takes its place."""
    slots = slots_of(env, server)
    assert slots.slot("empty", fallback=OWN) == OWN
    assert slots.slot("empty", fallback="<b>") == "&lt;b&gt;"
    assert slots.slot("top", fallback=OWN) == SNIPPET
    asked = slots.page(["top", "footer", "nosuch"], fallbacks={"top": OWN, "footer": OWN, "nosuch": "<b>"})
    assert (asked["top"].startswith(SNIPPET), asked["footer"], asked["nosuch"]) == (True, OWN, "&lt;b&gt;")
    assert "fallback" not in server.asked[-1][0]
    block = "{% set own %}<i>{{ '<' }}</i>{% endset %}{{ slot('empty', fallback=own) }}"
    assert env.from_string(block).render() == "<i>&lt;</i>"


def test_a_fallback_goes_into_the_tag_s_element_when_the_server_is_away(server: Site, env: Environment) -> None:
    """There the tag shows it, should the slot stay empty."""
    server.broken = True
    slots = slots_of(env, server)
    assert slots.slot("top", fallback=OWN) == f'<div data-slot="top"><template>{OWN}</template></div>'
    assert slots.page(["top:2"], fallbacks={"top": "<b>"}, sizes={"top": "728x90"}) == {
        "top:2": '<div data-slot="top" data-size="728x90" style="min-height:108px"><template>&lt;b&gt;</template></div>'
    }


def test_a_thread_keeps_its_connection(server: Site, env: Environment) -> None:
    """Ten calls, one connection."""
    slots = slots_of(env, server)
    assert {slots.slot("top") for _ in range(10)} == {Markup(SNIPPET)}
    assert len(server.peers) == 1


def test_a_connection_that_the_server_closed_is_made_anew(env: Environment) -> None:
    """Servers close idle connections: the next call must not fail for it."""

    class ClosesAfterEach(Handler):
        def _reply(self, text: str) -> None:
            super()._reply(text)
            self.close_connection = True  # without having announced it

    with served(ClosesAfterEach) as site:
        slots = slots_of(env, site)
        assert [slots.slot("top") for _ in range(5)] == [SNIPPET] * 5
        assert len(site.asked) == len(site.peers) == 5


@pytest.mark.parametrize("name", ["silent", "drip"])
def test_a_slow_server_costs_no_more_than_the_timeout(server: Site, env: Environment, name: str) -> None:
    """Silent, or one byte at a time: the page goes on with the tag's element."""
    slots = slots_of(env, server, timeout_s=0.08)
    began = time.monotonic()
    filled = slots.slot(name, size="728x90")
    took_s = time.monotonic() - began
    assert filled == f'<div data-slot="{name}" data-size="728x90" style="min-height:108px"></div>'
    assert 0.07 <= took_s < 1


def test_without_a_server_the_page_has_the_tags_elements(env: Environment) -> None:
    """A refused port is no error of the page, alone or for several slots."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
    slots = install(env, base_url=f"http://127.0.0.1:{port}", site="news")
    assert slots.slot("top") == '<div data-slot="top"></div>'
    assert slots.page(["top", "below-post:2"], sizes={"top": "728x90"}) == {
        "top": '<div data-slot="top" data-size="728x90" style="min-height:108px"></div>',
        "below-post:2": '<div data-slot="below-post"></div>',
    }
    assert slots.page() == {}


def test_an_error_answer_is_never_shown(server: Site, env: Environment) -> None:
    """The body of a 500 is not a snippet."""
    server.broken = True
    slots = slots_of(env, server)
    assert slots.slot("top") == '<div data-slot="top"></div>'
    assert slots.page(["top"]) == {"top": '<div data-slot="top"></div>'}


@pytest.mark.parametrize(
    "name",
    [
        '"><script>alert(1)</script>',
        "../../api/v1/keys",
        "top?x=1",
        "top\r\nX: 1",
        "",
        "TOP",
        "\ud800",
        None,
        [],
        "x" * 65,
    ],
)
def test_what_cannot_be_a_slot_prints_nothing_and_is_logged(
    server: Site, env: Environment, name: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither asked for nor handed to the tag, which would ask for it; the log has the name, escaped and cut."""
    slots = slots_of(env, server)
    assert slots.slot(name, size='"><b>') == ""
    assert slots.page([name]) == ({name: ""} if isinstance(name, str) else {})
    assert not server.asked
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert all(repr(name)[:80] in line and "\r" not in line for line in caplog.messages)


def test_a_bad_name_costs_the_others_of_a_page_nothing(server: Site, env: Environment) -> None:
    filled = slots_of(env, server).page(["top", "../x"])
    assert (filled["top"].startswith(SNIPPET), filled["../x"]) == (True, "")
    assert server.query() == {"slots": ["top"], "plan": ["top"]}


def test_a_size_cannot_leave_its_attribute(server: Site, env: Environment) -> None:
    server.broken = True
    shown = slots_of(env, server).slot("top", size='"><b>')
    assert shown == '<div data-slot="top" data-size="&#34;&gt;&lt;b&gt;"></div>'


def test_context_becomes_encoded_parameters(server: Site, env: Environment) -> None:
    """Any text arrives as the server's one value of it; nothing breaks out of its parameter."""
    slots = slots_of(env, server)
    slots.slot(
        "top",
        labels=["राजनीति", "a&country=IN", "x#y"],
        url="https://news.example/?q=1&r=2",
        width=728,
        lang=None,
        kv={"section": "a b&c", "n=1": "2"},
        size="728x90",
    )
    assert server.query() == {
        "labels": ["राजनीति,a&country=IN,x#y"],
        "url": ["https://news.example/?q=1&r=2"],
        "width": ["728"],
        "kv.section": ["a b&c"],
        "kv.n=1": ["2"],
    }


@pytest.mark.parametrize(("lang", "kept"), [("text", "kept"), ("number", None), ("none", None)])
def test_a_page_gets_what_the_device_is_to_keep(server: Site, env: Environment, lang: str, kept: str | None) -> None:
    """Beside the snippets, if the server hands something out; what the device has kept is sent."""
    filled = slots_of(env, server).page(["top"], seen="before", lang=lang)
    assert (filled.seen, "slot-unit" in filled["top"]) == (kept, True)
    assert server.query()["seen"] == ["before"]


def test_only_what_the_server_judges_by_is_forwarded(server: Site, env: Environment) -> None:
    """A reader's cookies and credentials stay with the page's own server."""
    headers = {"User-Agent": "Moz", "sec-ch-ua-mobile": "?1", "Cookie": "s=1", "Authorization": "Basic x", "Host": "h"}
    slots_of(env, server).slot("top", headers=headers | {"X-Forwarded-For": "6.6.6.6"}, address="203.0.113.9")
    got = server.asked[0][1]
    assert (got["User-Agent"], got["sec-ch-ua-mobile"], got["X-Forwarded-For"]) == ("Moz", "?1", "203.0.113.9")
    assert not {"Cookie", "Authorization"} & set(got)
    assert got["Host"] == urlsplit(server.url).netloc


def test_a_header_cannot_end_its_line(server: Site, env: Environment) -> None:
    """A control character in a header sends nothing."""
    shown = slots_of(env, server).slot("top", headers={"User-Agent": "a\r\nX-Evil: 1"})
    assert shown == '<div data-slot="top"></div>'
    assert not server.asked


def test_a_page_is_one_call(server: Site, env: Environment) -> None:
    """Each snippet has its impression image, lazy exactly when its picture is; the URL cannot leave its attribute."""
    slots_of(env, server)
    asked = '{% set got = page(["top", "sidebar", "footer", "nosuch"]) %}'
    template = env.from_string(asked + "{{ got.top }}|{{ got.sidebar }}|{{ got.footer }}")
    top, sidebar, footer = template.render().split("|")
    style = 'style="position:absolute;width:1px;height:1px;border:0">'
    assert top == (f'{SNIPPET}<img src="http://s/e/i/T&#34;&gt;&lt;b&gt;&amp;x" width="1" height="1" alt="" {style}')
    assert sidebar == f'{LAZY}<img src="http://s/e/i/U" width="1" height="1" alt="" loading="lazy" {style}'
    assert footer == ""
    assert len(server.asked) == 1
    assert server.asked[0][0] == "/v1/pages/news?slots=top,sidebar,footer,nosuch&plan=top,sidebar,footer,nosuch"
    assert server.asked[0][1]["Accept"] == "application/json"


@pytest.mark.parametrize("answer", ["", "null", "[]", '{"slots": [1]}', '{"slots": {"top": 5}}', "<p>", '{"slots"'])
def test_nonsense_instead_of_a_page_is_no_answer(env: Environment, answer: str) -> None:
    """Whatever JSON says, a page renders."""
    slots = install(env, base_url="http://serve.example", site="news", fetch=lambda *_: answer)
    assert slots.page(["top"]) == {"top": '<div data-slot="top"></div>'}


async def test_async_templates_get_the_same(server: Site) -> None:
    """`aslot` and `apage` answer the same without holding up the loop."""
    env = Environment(autoescape=True, enable_async=True)
    slots = slots_of(env, server)
    assert await env.from_string('{{ aslot("top") }}').render_async() == SNIPPET
    assert set(await slots.apage(["top"])) == {"top", "sidebar", "footer", "nosuch"}


@pytest.mark.parametrize("base_url", ["", "serve.example", "ftp://serve.example", "http://"])
def test_a_wrong_origin_fails_at_start(env: Environment, base_url: str) -> None:
    """A slip in the configuration shows when it is made, not as pages without snippets."""
    with pytest.raises(ValueError, match="base_url"):
        install(env, base_url=base_url, site="news")


def test_the_server_may_have_a_path_of_its_own(env: Environment) -> None:
    """As behind a proxy, or mounted in another application."""
    urls: list[str] = []

    def fetch(url: str, _: Mapping[str, str]) -> str:
        urls.append(url)
        return ""

    install(env, base_url="https://serve.example/a/", site="news", fetch=fetch).slot("top")
    assert urls == ["https://serve.example/a/v1/slots/news/top"]
