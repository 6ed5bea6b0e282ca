"""Delivery with an API key: what it is told more, whom it may speak for, and what nobody else learns."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from adserve.app import create_app
from adserve.web.client import Ask, client_of, reader_of
from adserve.web.parameters import parameters
from tests.conftest import ADMIN, Api, Clock
from tests.wire import request, said, serving, status_of

READER = "198.51.100.7"


async def key(api: Api, **body: Any) -> str:
    """The secret of a new key, which the worker has heard of."""
    made = await api.make("POST", "/keys", {"name": "k", **body})
    await api.held.services.accounts.refresh()
    return str(made["key"])


async def event(api: Api, url: str, secret: str | None = ADMIN, method: str = "GET", **headers: str) -> httpx2.Response:
    given = {} if secret is None else {"Authorization": f"Bearer {secret}"}
    return await api.http.request(method, url, headers={**given, **headers})


@pytest.fixture(autouse=True)
async def world(api: Api) -> None:
    await api.world()
    await api.creative()


@pytest.mark.parametrize("url", ["impression_url", "view_url", "click_url"])
async def test_a_caller_with_a_key_is_told_what_became_of_an_event(api: Api, url: str) -> None:
    """Counted, a duplicate, or set aside for its reason; a key of any role is told, and one for delivery alone."""
    one, two = await api.decide(), await api.decide()
    secrets = [await key(api, role="reader"), await key(api, scopes=["delivery"])]
    assert (await event(api, one[url], secrets[0])).headers["adserve-counted"] == "counted"
    assert (await event(api, one[url], secrets[1])).headers["adserve-counted"] == "duplicate"
    robot = await event(api, two[url], **{"User-Agent": "curl/8"})
    assert robot.headers["adserve-counted"] == "filtered; reason=bot"


async def test_a_late_event_says_so_and_what_is_not_counted_says_nothing(api: Api, clock: Clock) -> None:
    """Late once, then a duplicate; without the header are `HEAD`, what came days too late, and what is no token."""
    one = await api.decide()
    clock.now += 700
    assert (await event(api, one["impression_url"])).headers["adserve-counted"] == "late"
    again = await event(api, one["impression_url"], method="POST")
    assert (again.status_code, again.headers["adserve-counted"]) == (410, "duplicate")
    assert "adserve-counted" not in (await event(api, one["click_url"], method="HEAD")).headers
    assert "adserve-counted" not in (await event(api, "/e/i/none")).headers
    clock.now += 4 * 86_400
    assert "adserve-counted" not in (await event(api, one["impression_url"])).headers


async def test_an_event_that_waits_in_the_spool_says_so(api: Api) -> None:
    """What it counts as is not known yet; a click is sent on and told too."""
    one = await api.decide()
    api.held.admission.withdraw()
    click, image = await event(api, one["click_url"]), await event(api, one["impression_url"])
    assert (click.status_code, click.headers["adserve-counted"]) == (302, "spooled")
    assert (image.status_code, image.headers["adserve-counted"]) == (200, "spooled")


async def test_an_impression_that_the_serve_made_is_a_duplicate(api: Api) -> None:
    """Of a slot that counts on serve."""
    await api.make("PATCH", "/sites/news/slots/top", {"count_on": "serve"})
    one = await api.decide()
    assert (await event(api, one["impression_url"])).headers["adserve-counted"] == "duplicate"


@pytest.mark.parametrize("url", ["impression_url", "view_url", "click_url"])
async def test_what_is_no_key_is_answered_byte_for_byte_like_no_key(api: Api, url: str) -> None:
    """Over sockets: none, made up, revoked, two of them, of another scheme; also for a token that is not ours."""
    secret = await key(api, role="reader")
    revoked = await api.make("POST", "/keys", {"role": "reader", "name": "gone"})
    assert (await api.call("DELETE", f"/keys/{revoked['id']}")).status_code == 204
    await api.held.services.accounts.refresh()
    strangers = [
        [],
        ["authorization: Bearer adserve_none"],
        [f"authorization: Bearer {revoked['key']}"],
        [f"authorization: Bearer {secret}", f"authorization: Bearer {secret}"],
        [f"authorization: Basic {secret}"],
        [f"authorization: Bearer {secret}{'x' * 256}"],
        ["authorization: Bearer \xe9\xff"],
        ["authorization:"],
    ]
    async with serving(create_app(api.held)) as port:
        target = (await api.decide())[url].removeprefix("http://localhost:8000")
        for path in (target, f"{target[:3]}x"):
            answers = {await said(port, request("GET", path, *lines)) for lines in strangers}
            assert len(answers) == 1, answers
        with_key = await said(port, request("GET", target, f"authorization: Bearer {secret}"))
        assert b"\r\nadserve-counted: duplicate\r\n" in with_key
        assert b"adserve-counted" not in answers.pop()
        assert status_of(await said(port, request("GET", "/v1/slots/news/top", *strangers[1]))) == 200


async def test_clients_that_a_key_for_delivery_forwards_are_each_their_own(api: Api) -> None:
    """Eleven readers of one server click: none is too many. Without the scope, or the key, they are one."""
    delivery = await key(api, scopes=["delivery"])
    for number in range(11):
        one = await api.decide()
        forwarded = {"X-Forwarded-For": f"198.51.100.{number}"}
        told = await event(api, one["click_url"], delivery, **forwarded)
        assert told.headers["adserve-counted"] == "counted"
    for number in range(11):
        one = await api.decide()
        forwarded = {"X-Forwarded-For": f"198.51.100.{number}"}
        told = await event(api, one["click_url"], ADMIN, **forwarded)
    assert told.headers["adserve-counted"] == "filtered; reason=rate"


def ask(
    api: Api, secret: str | None, forwarded: str | None = None, query: bytes = b"", peer: str = "203.0.113.9"
) -> Ask:
    lines = {"x-forwarded-for": forwarded, "authorization": f"Bearer {secret}" if secret else None}
    raw = [(name.encode(), value.encode()) for name, value in lines.items() if value is not None]
    scope = {"method": "GET", "query_string": query, "headers": raw, "client": (peer, 1) if peer else None}
    return Ask.of(scope, api.held.services.accounts.known)


async def test_a_forwarded_address_is_believed_as_that_of_a_trusted_proxy(api: Api) -> None:
    """The rightmost one; garbage is nobody's, and a peer without an address may forward too."""
    secret, worker = await key(api, role="reader", scopes=["delivery"]), api.held.worker
    assert str(client_of(worker, ask(api, secret, READER))) == "198.51.100.7"
    assert str(client_of(worker, ask(api, secret, "10.1.1.1, 198.51.100.7"))) == "198.51.100.7"
    assert str(client_of(worker, ask(api, secret, "unknown"))) == "203.0.113.9"
    assert str(client_of(worker, ask(api, secret))) == "203.0.113.9"
    assert str(client_of(worker, ask(api, secret, READER, peer=""))) == "198.51.100.7"
    assert str(client_of(worker, ask(api, ADMIN, READER))) == "203.0.113.9"
    assert str(client_of(worker, ask(api, "adserve_none", READER))) == "203.0.113.9"


async def test_a_country_is_taken_from_callers_with_a_key_only(api: Api) -> None:
    """In either case; one that can be none is malformed, and from others it is an unknown parameter."""
    secret, worker = await key(api, role="reader"), api.held.worker

    def country(who: str | None, query: bytes) -> str | None:
        asked = ask(api, who, query=query)
        return reader_of(worker, asked, parameters(query), clients="browser").context.country

    assert country(secret, b"country=in") == "IN"
    assert country(None, b"country=IN") is None
    assert worker.malformed == 0
    assert country(secret, b"country=India") is None
    assert worker.malformed == 1
