"""The service within another application: below a path, with a lifespan and without one."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx2
import pytest
import structlog
from jinja2 import Environment
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

import adserve
from adserve.contrib.jinja2 import install
from adserve.errors import SettingsError
from adserve.mounted import Mounted
from tests.conftest import ADMIN, BROWSER, SECRET

PUBLIC = "https://news.example/s"
KEY = {"Authorization": f"Bearer {ADMIN}"}


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """A service that is mounted sets up the log where its host has not."""
    yield
    structlog.reset_defaults()


async def own(_: Request) -> PlainTextResponse:
    return PlainTextResponse("the site's own")


def host_of(service: Mounted, **options: Any) -> Starlette:
    """A site with the service below `/s`."""
    return Starlette(routes=[Mount("/s", service), Route("/{rest:path}", own)], **options)


def http_of(host: Starlette) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=host, client=("203.0.113.9", 1))
    return httpx2.AsyncClient(transport=transport, base_url="https://news.example", headers={"User-Agent": BROWSER})


async def fill(http: httpx2.AsyncClient, mount: str = "/s") -> None:
    """A site with one slot and a text for it, made through the mount."""
    for path, body in (
        ("sites/news", {"name": "News", "timezone": "UTC"}),
        ("sites/news/slots/top", {"sizes": ["300x250"]}),
        ("advertisers/acme", {"name": "Acme"}),
        ("campaigns/one", {"advertiser": "acme", "name": "One", "slots": ["news/*"]}),
    ):
        reply = await http.put(f"{mount}/api/v1/{path}", json=body, headers=KEY)
        assert reply.status_code == 201, reply.text
    text = {"kind": "text", "name": "t", "title": "Tea", "click_url": "https://shop.example/tea"}
    made = await http.post(f"{mount}/api/v1/campaigns/one/creatives?approve=true", json=text, headers=KEY)
    assert made.headers["Location"] == f"{mount}/api/v1/creatives/{made.json()['id']}"


@pytest.fixture
def service(store_url: str, tmp_path: Path) -> Mounted:
    made: Mounted = adserve.create_app(
        data_dir=tmp_path / "data",
        redis_url=store_url,
        public_url=PUBLIC,
        admin_key=ADMIN,
        secret=SECRET,
        key_prefix=f"t{os.urandom(6).hex()}:",
    )
    return made


@pytest.fixture
async def site(service: Mounted) -> AsyncIterator[httpx2.AsyncClient]:
    """The site, open."""
    async with service.lifespan(), http_of(host_of(service)) as http:
        yield http


async def report(http: httpx2.AsyncClient) -> dict[str, int]:
    reply = await http.get("/s/api/v1/report?site=news&period=today&tz=UTC&by=site", headers=KEY)
    assert reply.status_code == 200, reply.text
    totals: dict[str, int] = reply.json()["totals"]
    return totals


def test_importing_the_package_costs_nothing() -> None:
    """Its version is read by setup tools; the application comes with its name."""
    code = (
        "import sys, adserve; adserve.__version__; "
        "ours = {n for n in sys.modules if n.startswith('adserve')}; assert ours == {'adserve'}, ours; "
        "assert 'starlette' not in sys.modules and 'asyncio' not in sys.modules; assert callable(adserve.create_app)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    with pytest.raises(AttributeError, match="create_ap"):
        adserve.create_ap  # noqa: B018


async def test_every_kind_of_route_answers_below_the_mount(site: httpx2.AsyncClient) -> None:
    """Slots, pages, events, clicks, media, the tag, health, figures, management; and links lead there."""
    await fill(site)
    html = (await site.get("/s/v1/slots/news/top")).text
    assert f'href="{PUBLIC}/c/' in html
    assert f'src="{PUBLIC}/e/i/' in html
    page = (await site.get("/s/v1/pages/news?slots=top")).json()["slots"]["top"]
    for name, purpose in (("impression_url", "e/i"), ("view_url", "e/v"), ("click_url", "c")):
        assert page[name].startswith(f"{PUBLIC}/{purpose}/")
        reply = await site.get(page[name].removeprefix("https://news.example"))
        assert reply.status_code == (302 if purpose == "c" else 200)
    assert reply.headers["Location"] == "https://shop.example/tea"
    for path, text in (("slots.js", "data-slot"), ("metrics", "adserve_"), ("readyz", "ready"), ("version", "0.")):
        reply = await site.get(f"/s/{path}")
        assert reply.status_code == 200
        assert text in reply.text
        assert "Strict-Transport-Security" not in reply.headers  # the host is not ours
    assert (await site.get(f"/s/m/{'0' * 40}.png")).status_code == 404
    assert (await site.get("/s/docs")).headers["Location"] == "/s/api/v1/docs"
    assert (await site.get("/s/api/v1/openapi.json")).json()["servers"] == [{"url": "/s"}]
    await site.put("/s/api/v1/sites/other", json={"name": "Other", "timezone": "UTC"}, headers=KEY)
    link = (await site.get("/s/api/v1/sites?limit=1", headers=KEY)).headers["Link"]
    assert link.startswith("</s/api/v1/sites?")
    counted = await report(site)
    assert {name: counted[name] for name in ("impressions", "views", "clicks")} == dict.fromkeys(
        ("impressions", "views", "clicks"), 1
    )


async def test_what_lies_outside_is_the_hosts(site: httpx2.AsyncClient) -> None:
    """Also paths of the service without the mount's, and paths that only begin like the mount."""
    for path in ("/", "/v1/slots/news/top", "/sv1/slots/news/top", "/e/i/x"):
        assert (await site.get(path)).text == "the site's own"


async def test_it_answers_at_the_root_and_at_a_root_path_too(service: Mounted) -> None:
    """As an application of its own, by its own lifespan, also where a proxy has taken a prefix away."""
    for root, prefix in (("", ""), ("/deep/s", "/deep/s"), ("/taken", "")):
        transport = httpx2.ASGITransport(app=service, client=("203.0.113.9", 1), root_path=root)
        async with service.lifespan(), httpx2.AsyncClient(transport=transport, base_url="https://x.example") as http:
            assert (await http.get(f"{prefix}/v1/slots/news/nosuch")).headers["Adserve-Reason"] == "unknown-slot"
            assert (await http.get(f"{prefix}/healthz")).json() == {"status": "alive"}


async def test_the_service_is_a_lifespan_protocol_too(service: Mounted) -> None:
    """A server that runs it alone opens and drains it."""
    came: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    said: asyncio.Queue[Any] = asyncio.Queue()
    running = asyncio.create_task(service({"type": "lifespan", "state": {}}, came.get, said.put))
    await came.put({"type": "lifespan.startup"})
    assert (await said.get())["type"] == "lifespan.startup.complete"
    await came.put({"type": "lifespan.shutdown"})
    assert (await said.get())["type"] == "lifespan.shutdown.complete"
    await running


async def test_everything_is_counted_when_the_lifespan_ends(service: Mounted) -> None:
    """Serves are counted a moment later than they are answered: the end waits for them. After it nothing is open,
    and another lifespan begins anew."""
    host = host_of(service)
    async with service.lifespan(), http_of(host) as http:
        await fill(http)
        for _ in range(20):
            assert "slot-unit" in (await http.get("/s/v1/slots/news/top")).text
    async with http_of(host) as http:
        refused = await http.get("/s/v1/slots/news/top")
        assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)
        assert (await http.get("/")).text == "the site's own"
    async with service.lifespan(), http_of(host) as http:
        assert (await report(http))["serves"] == 20


async def test_without_a_lifespan_the_first_request_opens_it(service: Mounted) -> None:
    """Many at once open it once."""
    async with http_of(host_of(service)) as http:
        replies = await asyncio.gather(*(http.get("/s/readyz") for _ in range(10)))
        assert {reply.status_code for reply in replies} == {200}
        await fill(http)
        assert "slot-unit" in (await http.get("/s/v1/slots/news/top")).text
    await service._close()


def test_a_loop_that_ends_flushes_what_was_answered(service: Mounted) -> None:
    """Without a lifespan the loop's own end is all there is: it ends the task that holds everything open, which
    drains. The next loop opens it anew."""

    async def first() -> None:
        async with http_of(host_of(service)) as http:
            await fill(http)
            for _ in range(20):
                await http.get("/s/v1/slots/news/top")

    async def second() -> dict[str, int]:
        async with http_of(host_of(service)) as http:
            return await report(http)

    asyncio.run(first())
    assert asyncio.run(second())["serves"] == 20


async def test_it_is_open_in_one_loop_at_a_time(service: Mounted, site: httpx2.AsyncClient) -> None:
    """Connections and tasks belong to a loop. Another one hears that, and the first goes on."""

    async def elsewhere() -> int:
        async with http_of(host_of(service)) as http:
            return (await http.get("/s/readyz")).status_code

    assert await asyncio.to_thread(asyncio.run, elsewhere()) == 503
    assert (await site.get("/s/readyz")).status_code == 200


async def test_a_host_hears_at_its_start_what_is_wrong(tmp_path: Path) -> None:
    """A data dir that cannot be used stops a lifespan, and costs a host without one its slots alone."""
    service = adserve.create_app(data_dir=tmp_path / "data", public_url=PUBLIC)
    (tmp_path / "data").write_text("no directory")
    with pytest.raises(SettingsError, match="DATA_DIR"):
        async with service.lifespan():
            pass
    service = Mounted(service.settings)
    async with http_of(host_of(service)) as http:
        assert (await http.get("/s/v1/slots/news/top")).status_code == 503
        assert (await http.get("/")).text == "the site's own"
        (tmp_path / "data").unlink()
        assert (await http.get("/s/healthz")).status_code == 200  # the next request tries again
    await service._close()


def test_all_settings_that_are_wrong_are_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no setting, what is the host's, what is missing and what has a bad value."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError) as refused:
        adserve.create_app(admin_ky="x", port=80, admin_key="short", trusted_proxies=["10.0.0.1", "x"])
    said = refused.value.problems
    assert len(said) == 5
    for part in ("admin_ky is no setting", "admin_key?", "port belongs to", "ADSERVE_ADMIN_KEY (argument)"):
        assert any(part in one for one in said), part
    assert any("ADSERVE_TRUSTED_PROXIES" in one for one in said)
    assert any("public_url is missing" in one for one in said)


def test_settings_come_as_python_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And go before the environment."""
    monkeypatch.setenv("ADSERVE_PUBLIC_URL", "https://other.example")
    monkeypatch.setenv("ADSERVE_ALLOWANCE_S", "30")
    made = adserve.create_app(data_dir=tmp_path, public_url=PUBLIC, unsafe_store=True, trusted_proxies=("10.0.0.1",))
    found = made.settings
    assert (found.public_url, found.allowance_s, found.unsafe_store) == (PUBLIC, 30, 1)
    assert str(found.trusted_proxies[0]) == "10.0.0.1/32"


async def test_templates_of_the_host_ask_without_http(service: Mounted, site: httpx2.AsyncClient) -> None:
    """By the client, and by the Jinja2 helper; the reader is judged as over HTTP."""
    await fill(site)
    client = service.client("news", timeout_s=5)
    assert "slot-unit" in await client.aslot("top", headers={"User-Agent": BROWSER}, address="203.0.113.9")
    assert await client.aslot("nosuch", fallback="<b>") == "&lt;b&gt;"
    filled = await client.apage(["top"], visitor="somebody", pv="an-id-of-a-page", headers={"User-Agent": BROWSER})
    assert filled["top"].count(f'src="{PUBLIC}/e/i/') == 1
    env = Environment(autoescape=True, enable_async=True)
    install(env, base_url=PUBLIC, site="news", afetch=service.fetch, timeout_s=5)
    shown = await env.from_string('{% slot "top" %}own{% endslot %}{% slot "nosuch" %}own{% endslot %}').render_async()
    assert "slot-unit" in shown
    assert shown.endswith("own")
    for path in ("/metrics", "/e/i/x", "/c/x", "/api/v1/sites", "//v1/slots/news/top"):
        with pytest.raises(LookupError):
            await service.fetch(f"{PUBLIC}{path}", {})


@pytest.mark.parametrize("address", ["203.0.113.9", "10.1.2.3"])
async def test_the_address_that_the_host_says_is_believed(
    service: Mounted, site: httpx2.AsyncClient, address: str
) -> None:
    """It decides whether a serve that counts at once is the publisher's own."""
    await fill(site)
    await site.put("/s/api/v1/sites/news/slots/mail", json={"count_on": "serve", "sizes": ["300x250"]}, headers=KEY)
    assert service._delivery is not None
    service._delivery.worker.rules.internal = (ip_network("10.0.0.0/8"),)
    client = service.client("news", timeout_s=5)
    assert "slot-unit" in await client.aslot("mail", headers={"User-Agent": BROWSER}, address=address)
    ledger = service._delivery.worker.ledger
    async with asyncio.timeout(20):
        while not (await ledger.counts.flush() and ledger.counts.settled and not ledger._waiting):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    found = await report(site)
    assert (found["impressions"], found["filtered"]) == ((0, 1) if address.startswith("10.") else (1, 0))
