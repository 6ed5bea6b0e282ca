"""`adserve embed` and `adserve check-page` beside a running service."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.e2e.test_process import run
from tests.embed.places import URL
from tests.service import Service, service

CREATIVE = "/creatives?campaign=c0"


@pytest.fixture(scope="module")
def news(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The small catalog, with a second slot that nothing may fill."""
    with service(tmp_path_factory.mktemp("embed")) as running:
        running.world()
        running.call("PUT", "/sites/news/slots/side", {"sizes": ["300x600"], "state": "paused", "label": ""})
        yield running


@pytest.fixture
def page() -> Iterator[Any]:
    """`page(html)`: its address, where it is answered."""
    html: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(html[-1].encode())

        def log_message(self, *_: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def put(text: str) -> str:
            html.append(text)
            return f"http://127.0.0.1:{server.server_port}/a"

        yield put
        server.shutdown()


def told(news: Service, *arguments: str) -> tuple[int, str, str]:
    done = run(*arguments, ADSERVE_DATA_DIR=str(news.data), ADSERVE_ADMIN_KEY="")
    return done.returncode, done.stdout, done.stderr


def test_what_is_printed_is_of_the_running_catalog_and_changes_nothing(news: Service) -> None:
    version = news.call("GET", "/sites/news")["version"]
    code, printed, noted = told(news, "embed", "--site", "news", "--slot", "top", "--for", "html", "--url", URL)
    assert (code, noted) == (0, "")
    assert '<div data-slot="top" data-size="300x250"></div>' in printed
    assert f'<script async="async" src="{URL}/slots.js" data-site="news"></script>' in printed
    assert "min-height:268px" in printed
    assert news.call("GET", "/sites/news")["version"] == version


def test_without_a_slot_all_of_the_site_are_printed(news: Service) -> None:
    found = json.loads(told(news, "embed", "--site", "news", "--for", "html", "--url", URL, "--json")[1])
    assert [one["slot"] for one in found["slots"]] == ["top", "side"]
    assert found["slots"][1] == {"slot": "side", "data_size": "300x600", "reserved": [{"from": 0, "px": 600}]}
    assert [one["name"] for one in found["parts"]] == ["html"]


def test_an_address_that_is_not_said_is_that_of_this_machine_and_that_is_told(news: Service) -> None:
    _, printed, noted = told(news, "embed", "--site", "news", "--for", "frame")
    assert 'src="http://127.0.0.1:8000/v1/frames/news/top"' in printed
    assert "ADSERVE_PUBLIC_URL is not set" in noted
    told_programs = told(news, "embed", "--site", "news", "--for", "frame", "--json")
    assert told_programs[2] == ""
    assert "ADSERVE_PUBLIC_URL is not set" in json.loads(told_programs[1])["notes"][0]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--site", "new", "--for", "html"), "not_found", "there is no site new (did you mean news?); sites: news"),
        (("--site", "news", "--slot", "topp", "--for", "html"), "not_found", "no slot news/topp (did you mean top?)"),
        (("--site", "news", "--for", "htlm"), "invalid", "(did you mean html?)"),
        (("--site", "news", "--for", "email", "--key", "a b"), "invalid", "takes 1 to 64 of"),
        (("--site", "news", "--for", "html", "--url", "serve.example"), "bad_settings", "ADSERVE_PUBLIC_URL (flag)"),
        (("--site", "news", "--for", "html", "--url", URL, "--part", "x"), "not_found", "no part x; parts: html"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_remedy(
    news: Service, arguments: tuple[str, ...], code: str, says: str
) -> None:
    status, printed, failed = told(news, "embed", *arguments, "--json")
    error = json.loads(failed.splitlines()[-1])["error"]
    assert status != 0
    assert printed == ""
    assert error["code"] == code
    assert says in error["detail"]


def test_one_part_of_several_can_be_asked_for(news: Service) -> None:
    ask = ("embed", "--site", "news", "--for", "blogger", "--url", URL)
    whole = told(news, *ask)[1]
    assert "== theme, before </head> (theme-style)" in whole
    part = told(news, *ask, "--part", "theme-style")[1]
    assert part.startswith("<style>")
    assert part.strip() in whole


def test_a_page_is_told_what_it_has_and_what_would_fill_it(news: Service, page: Any) -> None:
    """Nothing is served or counted for that."""
    before = news.at_rest()
    html = told(news, "embed", "--site", "news", "--for", "html", "--url", URL)[1]
    status, printed, _ = told(news, "check-page", page(html), "--url", URL, "--json")
    found = json.loads(printed)
    assert (status, found["healthy"], found["findings"]) == (0, True, [])
    (creative,) = news.call("GET", CREATIVE)["items"]
    assert [(one["kind"], one["slot"], one["fills"], one["reason"]) for one in found["slots"]] == [
        ("tag", "top", creative["id"], None),
        ("tag", "side", None, "paused"),
    ]
    assert news.at_rest() == before


def test_a_page_with_a_defect_ends_with_1_and_says_where(news: Service, page: Any) -> None:
    html = f'<div data-slot="topp" style="height:268px"></div>\n<script src="{URL}/slots.js" data-site="news"></script>'
    status, printed, _ = told(news, "check-page", page(html), "--url", URL)
    assert status == 1
    assert "problem  slots    line 1: there is no slot news/topp (did you mean top?)" in printed
    assert printed.endswith("1 problem, 0 warnings\n")


def test_a_page_that_does_not_come_is_an_error_of_its_own(news: Service) -> None:
    status, printed, failed = told(news, "check-page", "file:///etc/passwd", "--json")
    assert (status, printed) == (1, "")
    assert json.loads(failed)["error"]["code"] == "no_page"
