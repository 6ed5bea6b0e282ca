"""Slots in a real Flask application."""

from __future__ import annotations

import pytest
from flask import Flask, render_template_string

from adserve.contrib.flask import Slots
from tests.contrib.site import SNIPPET, Site

BLOCK = '{% slot "top" size="728x90" %}<i>{{ own }}</i>{% endslot %}'


def app_of(site: Site, template: str = BLOCK, **config: object) -> Flask:
    app = Flask(__name__)
    settings = {"ADSERVE_BASE_URL": site.url, "ADSERVE_SITE": "news", "ADSERVE_TIMEOUT_S": 5}
    app.config.update(settings | config)
    Slots(app)

    @app.get("/")
    def front() -> str:
        return render_template_string(template, own="<")

    return app


def test_a_template_is_filled_with_the_request_s_headers_and_address(server: Site) -> None:
    """Nobody has to pass them; cookies and what a reader says of its address stay behind."""
    client = app_of(server).test_client()
    sent = {"User-Agent": "Moz", "Cookie": "s=1", "X-Forwarded-For": "6.6.6.6", "Sec-CH-UA-Mobile": "?1"}
    assert client.get("/", headers=sent, environ_base={"REMOTE_ADDR": "203.0.113.9"}).text == SNIPPET
    got = server.asked[0][1]
    assert (got["User-Agent"], got["Sec-Ch-Ua-Mobile"], got["X-Forwarded-For"]) == ("Moz", "?1", "203.0.113.9")
    assert "Cookie" not in got
    assert "Authorization" not in got


def test_a_key_and_the_globals(server: Site) -> None:
    app = app_of(server, '{{ slot("top") }}{{ page(["footer"]).footer }}', ADSERVE_KEY="adserve_k")
    assert app.test_client().get("/").text == SNIPPET
    assert {headers["Authorization"] for _, headers in server.asked} == {"Bearer adserve_k"}


def test_without_the_server_the_page_stands(server: Site) -> None:
    server.broken = True
    reply = app_of(server).test_client().get("/")
    assert reply.text == (
        '<div data-slot="top" data-size="728x90" style="min-height:108px"><template><i>&lt;</i></template></div>'
    )


def test_views_may_call_it_and_so_may_code_without_a_request(server: Site) -> None:
    """One extension serves several applications, each by its own configuration."""
    slots = Slots()
    app = Flask(__name__)
    app.config.update(ADSERVE_BASE_URL=server.url, ADSERVE_SITE="news", ADSERVE_TIMEOUT_S=5)
    slots.init_app(app)
    assert slots.of(app).slot("top") == SNIPPET
    with app.app_context():
        assert slots.of().page(["top"])["top"].startswith(SNIPPET)


def test_async_views_have_async_calls(server: Site) -> None:
    """Flask gives each an event loop of its own; they share the connection all the same."""
    app = app_of(server)

    @app.get("/later")
    async def later() -> str:
        slots = app.extensions["slots"]
        return str(await slots.aslot("top") + (await slots.apage(["footer"], fallbacks={"footer": "<"}))["footer"])

    client = app.test_client()
    assert [client.get("/later", headers={"User-Agent": "Moz"}).text for _ in range(2)] == [f"{SNIPPET}&lt;"] * 2
    assert [headers["User-Agent"] for _, headers in server.asked] == ["Moz"] * 4
    assert len(server.peers) == 1


def test_all_that_is_wrong_with_the_configuration_is_named(server: Site) -> None:
    with pytest.raises(ValueError, match=r"ADSERVE_BASE_URL .*; ADSERVE_SITE .*; ADSERVE_TIMEOUT_S "):
        app_of(server, ADSERVE_BASE_URL="x", ADSERVE_SITE="", ADSERVE_TIMEOUT_S="fast")
    with pytest.raises(ValueError, match="ADSERVE_BASE_URL"):
        Slots(Flask(__name__))
