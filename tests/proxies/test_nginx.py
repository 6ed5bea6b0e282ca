"""The example in front of the real service: pages with includes, and what is let through."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Iterator

import pytest

from tests.needs import need
from tests.proxies.proxy import AGENT, EXAMPLE, Proxy, nginx
from tests.service import Service, fetch, free_port, service, until

PAGE = EXAMPLE.with_name("page.html")
UNIT = re.compile(r'data-decision="([^"]+)"')


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Proxy]]:
    """A service with two campaigns in two slots, a third that is for politics alone, and nginx before it."""
    need("nginx", "/usr/sbin/nginx", package="nginx")
    folder, url = tmp_path_factory.mktemp("nginx"), "https://serve.example"
    with service(folder, ADSERVE_TRUSTED_PROXIES="127.0.0.1", ADSERVE_PUBLIC_URL=url) as running:
        running.world(1, 1)
        running.call("PUT", "/sites/news/slots/footer", {"sizes": ["300x250"]})
        target = {"labels": {"any": ["politics"]}}
        body = {"advertiser": "acme", "name": "P", "slots": ["news/*"], "tier": "sponsor", "target": target}
        running.call("PUT", "/campaigns/politics", body)
        text = {"kind": "text", "name": "t", "title": "Vote", "click_url": "https://vote.example/"}
        running.call("POST", "/campaigns/politics/creatives?approve=true", text)
        until(lambda: b"Vote" in fetch(f"{running.origin}/v1/slots/news/footer?labels=politics")[1])
        with nginx(running.port, patient=True) as proxy:
            (proxy.root / "index.html").write_text(PAGE.read_text("utf-8"))
            yield running, proxy


def page(proxy: Proxy, path: str = "/index.html", **more: str) -> str:
    answer, body = proxy.get("news.example", path, **more)
    assert answer.status == 200
    assert answer.getheader("cache-control") == "private, no-store"
    return body


def test_a_page_with_includes_is_filled_and_each_slot_is_counted_once(served: tuple[Service, Proxy]) -> None:
    """Both slots from one rendering: no campaign twice, one serve and, when its picture loads, one impression each."""
    running, proxy = served
    before = running.totals("slot")
    body = page(proxy)
    assert "<!--#" not in body
    assert len(UNIT.findall(body)) == 2
    pictures = re.findall(r'<img src="https://serve\.example(/e/i/[^"]+)"', body)
    assert len(pictures) == 2
    for picture in pictures * 2:
        answer, _ = proxy.get("serve.example", picture)
        assert answer.status == 200
    until(lambda: running.totals("slot")["impressions"] == before["impressions"] + 2)
    after = running.at_rest()
    assert after["serves"] == before["serves"] + 2
    assert after["duplicates"] == before["duplicates"] + 2


def test_no_campaign_stands_twice_on_a_page(served: tuple[Service, Proxy]) -> None:
    """The includes know nothing of each other: the id of the page's request is what makes them one page view."""
    running, proxy = served
    for _ in range(8):
        shown = [running.call("GET", f"/explain/{decision}")["outcome"] for decision in UNIT.findall(page(proxy))]
        assert len({*shown}) == 2


def test_labels_go_along(served: tuple[Service, Proxy]) -> None:
    _, proxy = served
    include = '<!--# include virtual="/slots/news/top?pv=$request_id&labels=politics" -->'
    (proxy.root / "politics.html").write_text(f"<p>before</p>{include}<p>after</p>")
    assert "Vote" in page(proxy, "/politics.html")


def test_an_unknown_slot_leaves_the_page_whole(served: tuple[Service, Proxy]) -> None:
    _, proxy = served
    (proxy.root / "unknown.html").write_text('<p>before</p><!--# include virtual="/slots/news/nowhere" --><p>after</p>')
    assert page(proxy, "/unknown.html") == "<p>before</p><p>after</p>"


def test_readers_do_not_reach_the_address_of_includes(served: tuple[Service, Proxy]) -> None:
    """It would be a second way to the service, with the limits of a page's own call."""
    answer, _ = served[1].get("news.example", "/slots/news/top")
    assert answer.status == 404


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/report", "/api/v1/sites", "/docs", "/openapi.json"])
def test_figures_and_management_are_for_machines_that_are_named(served: tuple[Service, Proxy], path: str) -> None:
    _, proxy = served
    assert proxy.get("serve.example", path, source="127.0.0.2")[0].status == 403
    assert proxy.get("serve.example", path)[0].status != 403


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/slots.js", "/v1/slots/news/top", "/v1/pages/news"])
def test_everybody_reaches_delivery(served: tuple[Service, Proxy], path: str) -> None:
    assert served[1].get("serve.example", path, source="127.0.0.2")[0].status == 200


def test_the_tag_is_compressed_and_comes_by_http_2(served: tuple[Service, Proxy]) -> None:
    _, proxy = served
    command = [
        need("curl", package="curl"), "-sS", "--noproxy", "*", "--cacert", str(proxy.folder / "certificate.pem"),
        "--connect-to", f"serve.example:443:127.0.0.1:{proxy.port}", "-H", "Accept-Encoding: gzip", "-o", "/dev/null",
        "-w", "%{http_version} %{http_code} %header{content-encoding}", "https://serve.example/slots.js",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "2 200 gzip"


def test_people_sign_in_through_it(served: tuple[Service, Proxy]) -> None:
    """The console's cookies go along there and back, its form is believed, and its pages come uncompressed."""
    _, proxy = served
    answer, body = proxy.get("serve.example", "/console/sign-in", **{"Accept-Encoding": "gzip"})
    cookie = (answer.getheader("set-cookie") or "").partition(";")[0]
    token = re.search(r'name="csrf" value="([^"]+)"', body)
    assert (answer.status, answer.getheader("content-encoding"), bool(cookie)) == (200, None, True)
    assert token is not None
    form = f"csrf={token[1]}&name=nobody&password=wrong"
    lines = (
        "POST /console/sign-in HTTP/1.1", "Host: serve.example", f"Cookie: {cookie}", "Origin: https://serve.example",
        "Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(form)}", "Connection: close",
    )  # fmt: skip
    with proxy.connect("serve.example") as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n" + form).encode())
        head = connection.makefile("rb").readline()
    assert head == b"HTTP/1.1 401 Unauthorized\r\n"  # and not 403, as without the cookie


def test_plain_http_says_where_to_go(served: tuple[Service, Proxy]) -> None:
    _, proxy = served
    with socket.create_connection(("127.0.0.1", proxy.plain), 10) as connection:
        connection.sendall(b"GET /slots.js?a=1 HTTP/1.1\r\nHost: serve.example\r\nConnection: close\r\n\r\n")
        head = connection.makefile("rb").read().decode()
    assert head.startswith("HTTP/1.1 301 ")
    assert "Location: https://serve.example/slots.js?a=1\r\n" in head


def test_readers_are_told_apart_by_the_address_that_nginx_saw(served: tuple[Service, Proxy]) -> None:
    """Twelve clicks of twelve readers count; twelve of one do not, whatever it sends as X-Forwarded-For, through nginx
    or around it."""
    running, proxy = served

    def clicks(count: int) -> list[str]:
        found: list[str] = []
        while len(found) < count:
            body = fetch(f"{running.origin}/v1/slots/news/top?labels=politics")[1].decode()
            found += re.findall(r'href="https://serve\.example(/c/[^"]+)"', body)
        return found

    def filtered() -> int:
        found: int = running.at_rest()["filtered"]
        return found

    before = filtered()
    for number, path in enumerate(clicks(12)):
        assert proxy.get("serve.example", path, source=f"127.0.1.{number + 1}")[0].status == 302
    assert filtered() == before
    for number, path in enumerate(clicks(12)):
        proxy.get("serve.example", path, source="127.0.2.1", X_Forwarded_For=f"198.51.100.{number}")
    assert filtered() == before + 2
    for number, path in enumerate(clicks(12)):
        _around(running.port, path, f"198.51.100.{number}")
    assert filtered() == before + 4


def _around(port: int, path: str, claimed: str) -> None:
    """A call of the service from an address that is no trusted proxy."""
    with socket.create_connection(("127.0.0.1", port), 10, source_address=("127.0.3.1", 0)) as connection:
        head = f"GET {path} HTTP/1.1\r\nHost: serve.example\r\nUser-Agent: {AGENT}\r\nX-Forwarded-For: {claimed}\r\n"
        connection.sendall(f"{head}Connection: close\r\n\r\n".encode())
        assert connection.makefile("rb").readline().startswith(b"HTTP/1.1 302")


def test_a_page_is_whole_when_nobody_answers() -> None:
    """Nothing listens at the service's port: the words come, the places stay empty."""
    with nginx(free_port()) as proxy:
        (proxy.root / "index.html").write_text(PAGE.read_text("utf-8"))
        body = page(proxy)
    assert '<div data-place="top"></div>' in body
    assert '<div data-place="footer"></div>' in body
    assert body.rstrip().endswith("</html>")
