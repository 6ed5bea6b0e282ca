"""Where a click leads: to the creative's stored landing URL, whatever the request, the upload or the store says."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from tests.bad_urls import BAD_URLS
from tests.conftest import Api
from tests.security.places import everywhere, form_request
from tests.security.promises import check, promises
from tests.security.table import CONTENT, FORM, TEXT
from tests.security.world import Request, World

LANDING = "https://shop.example/tea"
OURS = (None, LANDING, "https://news.example/", "/api/v1/openapi.json", "/api/v1/docs")
ELSEWHERE = [
    "https://evil.example/", "//evil.example", "/\\evil.example", "/%5cevil.example", "https:evil.example",
    "\\\\evil.example", "javascript:alert(1)//evil.example", "https://shop.example@evil.example/",
    "x\r\nLocation: https://evil.example/\r\n\r\n",
    "x\u560d\u560aLocation: https://evil.example/", "data:text/html,evil.example",
]  # fmt: skip
NAMES = (
    "dest", "url", "oadest", "maxdest", "next", "return_url", "redirect", "redirect_uri", "r", "u", "to", "location",
    "host", "click_url", "callback", "ct", "adurl", "landing", "goto", "continue",
)  # fmt: skip


async def test_no_request_says_where_a_click_leads(world: World) -> None:
    """In every place of every request, and under every name that others have taken for it: whoever is sent on is
    sent to the stored page, or to the object just made; nothing of the input is in any header or body of a click."""
    probes = list(everywhere(world, ELSEWHERE[:3], places=("path", "query", "header", "cookie")))
    every = [(str(probe), probe.request) for probe in probes]
    click = f"/c/{world.tokens['c']}"
    for text in ELSEWHERE:
        quoted = "".join(f"%{byte:02x}" for byte in text.encode())
        every += [(f"{name}={text}", Request("GET", f"{click}?{name}={quoted}")) for name in NAMES]
        every.append((text, Request("GET", f"{click}?{quoted}")))
        body = f"dest={text}&url={text}".encode()
        every.append((text, Request("GET", click, (("Content-Type", "application/x-www-form-urlencoded"),), body)))
    async with promises(world):
        for (who, request), answer in zip(every, await world.walk(one for _, one in every), strict=True):
            check(answer, who)
            if str(request.target).partition("?")[0] == click:
                assert (answer.status, answer.header("location"), answer.body) == (302, LANDING, b""), who
            location = answer.header("location")
            assert location in OURS or location.startswith("/api/v1/creatives/"), who
            assert "evil" not in answer.head, who


async def test_no_interface_takes_a_bad_landing_page(world: World) -> None:
    """JSON and forms, new creatives and new content, one member or all: 422 that names the field, nothing stored."""
    campaign, creative = "/api/v1/campaigns/spare/creatives", f"/api/v1/creatives/{world.places['/creatives/{id}']}"
    json_ = (("Content-Type", "application/json"),)
    every = []
    for url in BAD_URLS:
        for method, target, body in (
            ("POST", campaign, TEXT),
            ("PUT", f"{creative}/content", CONTENT),
            ("PATCH", creative, {}),
        ):
            every.append((url, Request(method, target, json_, json.dumps({**body, "click_url": url}).encode())))
        if "\x00" not in url:
            every.append((url, form_request(Request("POST", campaign), {**FORM, "click_url": url}, b"no picture")))
    async with promises(world):
        before = await stored(world.api)
        requests = [request.with_key() for _, request in every]
        for (url, request), answer in zip(every, await world.walk(requests), strict=True):
            check(answer, url)
            assert answer.status in (400, 422), (url, request)
            if answer.status == 422:
                assert "/click_url" in {one["pointer"] for one in json.loads(answer.body)["errors"]}, (url, answer)
        assert await stored(world.api) == before


async def stored(api: Api) -> Any:
    return await api.held.services.client.hgetall(api.held.services.keys.objects)


@pytest.mark.parametrize(
    ("landing", "location"),
    [
        ("https://a.example/%0d%0aSet-Cookie:x=1", "https://a.example/%0d%0aSet-Cookie:x=1"),
        ("https://a.example/%E5%98%8A%E5%98%8DSet-Cookie:x", "https://a.example/%E5%98%8A%E5%98%8DSet-Cookie:x"),
        ("https://a.example/\u560a\u560dSet-Cookie:x", "https://a.example/%E5%98%8A%E5%98%8DSet-Cookie:x"),
        ("https://a.example/?q=\u00e4 b".replace(" ", "%20"), "https://a.example/?q=%C3%A4%20b"),
        ("https://\u0430\u0440\u0440\u04cf\u0435.com/", "https://xn--80ak6aa92e.com/"),
        ("https://a.example/?s={site}.{slot}&c={campaign}&z={zzz}#{slot}", "https://a.example/?s=news.top&c=two&z={zzz}#%7Bslot%7D"),
    ],
)  # fmt: skip
async def test_one_location_line_on_the_wire(world: World, landing: str, location: str) -> None:
    """As it was stored, and that is ASCII: no encoding of a line end ends the line."""
    await world.api.make("PATCH", "/campaigns/one", {"state": "paused"})
    await world.api.make("PUT", "/campaigns/two", {"advertiser": "acme", "name": "Two", "slots": ["news/top"]})
    made = await world.api.make("POST", "/campaigns/two/creatives?approve=true", {**TEXT, "click_url": landing})
    assert (await world.api.make("GET", f"/creatives/{made['id']}"))["click_url"].isascii()
    one = await world.api.decide()
    answer = await world.ask(Request("GET", "/c/" + one["click_url"].rpartition("/")[2]))
    check(answer)
    assert (answer.status, answer.header("location"), answer.header("set-cookie")) == (302, location, None)


AFTERWARDS: dict[str, tuple[list[tuple[str, str, Any]], int]] = {
    "rejected": ([("POST", "/creatives/ID/reject", {"reason": "no"})], 410),
    "deleted": ([("DELETE", "/creatives/ID", None)], 410),
    "rejected, then edited": (
        [("POST", "/creatives/ID/reject", {"reason": "no"}), ("PATCH", "/creatives/ID", {"title": "T"})], 410,
    ),
    "paused": ([("POST", "/creatives/ID/pause", None)], 302),
    "edited, waiting": ([("PATCH", "/creatives/ID", {"click_url": "https://other.example/"})], 302),
    "no weight": ([("PATCH", "/creatives/ID", {"weight": 0})], 302),
    "ended": ([("PATCH", "/creatives/ID", {"ends": "2027-01-02"})], 302),
    "campaign paused": ([("PATCH", "/campaigns/one", {"state": "paused"})], 302),
    "campaign ended": ([("PATCH", "/campaigns/one", {"ends": "2027-01-02"})], 302),
    "campaign booked elsewhere": ([("PATCH", "/campaigns/one", {"slots": ["news/side"]})], 302),
    "slot paused": ([("PATCH", "/sites/news/slots/top", {"state": "paused"})], 302),
    "slot deleted": ([("DELETE", "/sites/news/slots/top", None)], 302),
    "site paused": ([("PATCH", "/sites/news", {"state": "paused"})], 302),
}  # fmt: skip


@pytest.mark.parametrize(("moves", "status"), AFTERWARDS.values(), ids=AFTERWARDS)
async def test_what_became_of_a_creative_decides_about_its_clicks(
    api: Api, moves: list[tuple[str, str, Any]], status: int
) -> None:
    """Rejected or deleted: a page and no way on, and no click. Everything else: its approved page, a normal click."""
    await api.world(slots=("top", "side"))
    creative = await api.creative()
    one = await api.decide()
    for method, path, body in moves:
        await api.make(method, path.replace("ID", creative), body)
    reply = await api.http.get(one["click_url"])
    assert reply.status_code == status
    assert reply.headers.get("location") == (LANDING if status == 302 else None)
    assert (await api.totals())["clicks"] == (status == 302)


STRANGE: list[Any] = [
    None, -1, 2**40, 0.5, True, "", "javascript:alert(1)", "data:text/html,<script>alert(1)</script>", "\ud800",
    '"><img src=x onerror=alert(1)><script>alert(1)</script>', "\ue000\ue001\ue002\ue003", "\r\nSet-Cookie: x=1", [],
    {}, "../../etc/passwd", ["x"], "x" * 20_000,
]  # fmt: skip
"""What a member of a stored object may have become, by a tool, an older version or an intruder."""


async def test_whatever_stands_in_the_store_serves_no_script_and_fails_no_other(world: World) -> None:
    """Each member of each stored object, strange values in turn: slots are answered, the sound creative goes on being
    found, what is served holds no element that is not ours, and nobody is sent elsewhere."""
    api = world.api
    client, names = api.held.services.client, api.held.services.keys
    await api.make("PUT", "/sites/other", {"name": "Other"})
    await api.make("PUT", "/sites/other/slots/top", {"sizes": ["300x250"]})
    await api.make("PUT", "/campaigns/sound", {"advertiser": "acme", "name": "Sound", "slots": ["other/top"]})
    await api.make("POST", "/campaigns/sound/creatives?approve=true", TEXT)
    objects: Any = await client.hgetall(names.objects)
    spoilt = 0
    for name, text in objects.items():
        if "other" in name or "sound" in text:
            continue
        for number, path in enumerate(list(members(json.loads(text)))):
            for value in STRANGE[number % 8 :: 8]:  # two each, the next member others
                body = copy.deepcopy(json.loads(text))
                place = body
                for step in path[:-1]:
                    place = place[step]
                place[path[-1]] = value
                await put(api, name, json.dumps(body))
                spoilt += 1
                await look(world, (name, path, value))
        await put(api, name, text)
    assert spoilt > 200
    await api.held.services.refresh()
    assert (await api.decide())["filled"]


def members(value: Any, path: tuple[Any, ...] = ()) -> Any:
    """The path of every member, inner ones too."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in pairs:
        yield (*path, name)
        yield from members(one, (*path, name))


async def put(api: Api, name: str, text: str) -> None:
    client, keys = api.held.services.client, api.held.services.keys
    await client.hset(keys.objects, name, text)
    await client.zadd(keys.changed, {name: await client.incr(keys.version)})


async def look(world: World, who: object) -> None:
    """The world as readers see it with this in the store."""
    await world.api.held.services.refresh()
    slots = [
        Request("GET", f"/v1/slots/{place}", (("Accept", "text/html"),))
        for place in ("other/top", "news/top", "spare/top")
    ]
    seen = [*slots, Request("GET", "/v1/pages/news"), Request("GET", f"/c/{world.tokens['c']}")]
    kept = [f"/api/v1/{path}" for path in ("campaigns", "creatives", "sites/news/slots", "report?by=slot,creative")]
    sound, *others = await world.walk([*seen, *(Request("GET", path).with_key() for path in kept)])
    assert (sound.status, sound.header("adserve-fill")) == (200, "1"), who
    for answer in others:
        # a click whose campaign is unknown here looks into the store first, which may be too slow for it
        check(answer._replace(status=410) if answer.status == 503 else answer, who)
        assert answer.status in (200, 302, 404, 410, 503), (who, answer)
        assert answer.header("location") in (None, LANDING), (who, answer)
    page = json.loads(others[2].body)["slots"] if others[2].status == 200 else {}
    for html in (*(answer.body.decode() for answer in others[:2]), *(one.get("html", "") for one in page.values())):
        assert "<script" not in html, who
        assert "<img src=x" not in html, who
        assert 'href="javascript' not in html, who
