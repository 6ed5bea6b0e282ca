"""The management API through the real ASGI stack, on a real store."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import re
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image
from starlette.applications import Starlette

from adserve.flows import manage, revisions, submit
from adserve.flows.services import Services
from adserve.store.accounts import Accounts
from adserve.store.catalog import CatalogStore
from adserve.store.client import connect
from adserve.store.keys import Keys
from adserve.store.media import MediaStore
from adserve.web.routes import JSON_LIMIT, ROUTES, build_api

ADMIN = "bootstrap-key-of-the-tests"
V1 = "/api/v1"
MOMENT = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"
DOCUMENTED = Path(__file__).resolve().parents[2] / "docs" / "api.md"


@dataclass
class Api:
    """A caller with a key, and what stands behind the API."""

    services: Services
    http: httpx2.AsyncClient
    refreshed: list[int] = field(default_factory=list)

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is None:
            return await self.http.request(method, V1 + path, headers=named)
        named = {"Content-Type": "application/json", **named}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.http.request(method, V1 + path, content=content, headers=named)

    async def ok(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The JSON of a call that must work."""
        got = await self.call(method, path, body, **headers)
        assert got.status_code in (200, 201), got.text
        return got.json()

    async def world(self, **campaign: Any) -> str:
        """A campaign with one slot of 300x250 at `news/top`."""
        await self.ok("PUT", "/sites/news", {"name": "News", "timezone": "Asia/Kolkata"})
        await self.ok("PUT", "/sites/news/slots/top", {"sizes": ["300x250"], "max_kb": 20})
        await self.ok("PUT", "/advertisers/acme", {"name": "Acme"})
        body = {"advertiser": "acme", "name": "Spring", "slots": ["news/top"], **campaign}
        return str((await self.ok("PUT", "/campaigns/spring", body))["id"])

    async def upload(self, data: bytes, campaign: str = "spring", query: str = "", **fields: str) -> httpx2.Response:
        given = {"name": "One", "alt": "A shoe", "click_url": "https://shop.example/1", **fields}
        return await self.http.post(
            f"{V1}/campaigns/{campaign}/creatives{query}", data=given, files={"file": ("../a.png", data, "text/html")}
        )

    async def text(self, **fields: Any) -> httpx2.Response:
        body = {"kind": "text", "name": "T", "title": "Shoes", "click_url": "https://shop.example/t", **fields}
        return await self.call("POST", "/campaigns/spring/creatives", body)


@pytest.fixture
async def api(store_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    """An API of its own: another prefix in the store, an empty cache."""
    client, keys = connect(store_url), Keys(f"t{secrets.token_hex(4)}:")
    refreshed: list[int] = []

    async def refresh() -> None:
        refreshed.append(1)

    services = Services(
        client,
        keys,
        CatalogStore(client, keys),
        Accounts(client, keys, ADMIN),
        MediaStore(client, keys, tmp_path),
        time.time,
        refresh,
        max_upload_bytes=300_000,
    )
    app = Starlette(routes=build_api(services))
    transport = httpx2.ASGITransport(app=app)
    headers = {"Authorization": f"Bearer {ADMIN}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://t", headers=headers) as http:
        yield Api(services, http, refreshed)
    await client.aclose()


def picture(width: int = 300, height: int = 250, kind: str = "PNG", noise: bool = False) -> bytes:
    out = io.BytesIO()
    image = Image.effect_noise((width, height), 100) if noise else Image.new("RGB", (width, height), (9, 99, 199))
    image.convert("RGB").save(out, kind)
    return out.getvalue()


def pointers(got: httpx2.Response, status: int = 422) -> dict[str, str]:
    """Pointer to code of a problem reply."""
    assert got.status_code == status, got.text
    assert got.headers["content-type"] == "application/problem+json"
    body = got.json()
    assert set(body) >= {"type", "title", "status", "code", "detail"}
    assert body["status"] == status
    return {one["pointer"]: one["code"] for one in body.get("errors", [])}


def filled(path: str) -> str:
    return path.replace("{id}", "x").replace("{site}", "x").replace("{slot}", "x")


# ------------------------------------------------------------------ who may

KEYED = [route for route in ROUTES if route.roles]


def test_only_the_description_needs_no_key() -> None:
    """A route without roles is one for everybody, so each is named here."""
    opened = {f"{route.method} {route.path}" for route in ROUTES if not route.roles}
    assert opened == {f"GET {V1}/openapi.json", f"GET {V1}/docs"}


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic abc",
        f"Bearer {ADMIN}x",
        f"Basic {ADMIN}",
        "Bearer \xe9",
        f"Bearer {'x' * 9000}",
    ],
)
async def test_no_route_answers_without_a_good_key(api: Api, header: str | None) -> None:
    """Every route of the table, every bad key: 401 with a challenge, and nothing else."""
    del api.http.headers["Authorization"]
    headers = {} if header is None else {b"Authorization": header.encode("latin-1")}
    for route in KEYED:
        got = await api.http.request(route.method, filled(route.path), headers=headers)
        assert got.status_code == 401, (route, got.text)
        assert got.headers["www-authenticate"] == "Bearer"
        pointers(got, 401)


async def test_two_keys_in_one_request_are_no_key(api: Api) -> None:
    """Two Authorization lines are refused; the scheme may be written in any case."""
    one = ("Authorization", f"Bearer {ADMIN}")
    del api.http.headers["Authorization"]
    assert (await api.http.get(f"{V1}/sites", headers=[one, one])).status_code == 401
    assert (await api.http.get(f"{V1}/sites", headers={"Authorization": f"bearer {ADMIN}"})).status_code == 200
    assert (await api.http.get(f"{V1}/sites?key={ADMIN}")).status_code == 401


async def test_a_role_that_a_route_does_not_name_is_refused(api: Api) -> None:
    """The roles of the table are what counts: a stored key of another role may nothing."""
    digest = hashlib.blake2b(b"s" * 30, digest_size=32).hexdigest()
    await api.services.client.hset(
        api.services.keys.accounts, "k-x", json.dumps({"id": "k-x", "role": "owner", "name": "", "digest": digest})
    )
    for route in KEYED:
        got = await api.http.request(route.method, filled(route.path), headers={"Authorization": f"Bearer {'s' * 30}"})
        pointers(got, 403)


async def test_a_key_is_shown_once_and_dies_when_revoked(api: Api) -> None:
    """Only a digest is stored; the list shows no secret; a revoked key is dead at once here."""
    made = await api.ok("POST", "/keys", {"role": "admin", "name": "CI"})
    mine = {"Authorization": f"Bearer {made['key']}"}
    assert (await api.call("GET", "/sites", **mine)).status_code == 200
    listed = await api.call("GET", "/keys")
    assert [one["id"] for one in listed.json()["items"]] == [made["id"]]
    assert re.fullmatch(MOMENT, listed.json()["items"][0]["created"])
    stored = str(await api.services.client.hgetall(api.services.keys.accounts))
    secret = made["key"].removeprefix("adserve_")
    for at in range(len(secret) - 8):
        assert secret[at : at + 8] not in stored + listed.text
    assert (await api.call("DELETE", f"/keys/{made['id']}")).status_code == 204
    assert (await api.call("GET", "/sites", **mine)).status_code == 401
    pointers(await api.call("DELETE", f"/keys/{made['id']}"), 404)


# ------------------------------------------------------------------ the form of requests and replies


async def test_every_reply_is_private_and_inert(api: Api) -> None:
    """Good and bad replies carry the headers that keep them out of caches and frames."""
    await api.world()
    for path in ("/sites", "/sites/news", "/sites/none", "/nowhere", "/audit"):
        got = await api.call("GET", path)
        assert got.headers["cache-control"] == "no-store"
        assert got.headers["x-content-type-options"] == "nosniff"
        assert got.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert "access-control-allow-origin" not in got.headers


async def test_unknown_paths_and_methods_are_problems(api: Api) -> None:
    """404, or 405 with what the address takes; unknown methods run nothing."""
    pointers(await api.call("GET", "/nowhere"), 404)
    pointers(await api.call("POST", "/sites/"), 404)
    for method in ("DELETE", "OPTIONS", "TRACE", "DISPATCH"):
        got = await api.call(method, "/sites")
        pointers(got, 405)
        assert got.headers["allow"] == "GET, HEAD"
    assert (await api.call("HEAD", "/creatives/x/approve")).headers["allow"] == "POST"


async def test_head_answers_like_get(api: Api) -> None:
    """Status and ETag are the same."""
    await api.world()
    get, head = await api.call("GET", "/sites/news"), await api.call("HEAD", "/sites/news")
    assert (head.status_code, head.headers["etag"]) == (200, get.headers["etag"])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{]",
        b"NaN",
        b'{"name": Infinity}',
        b'{"name":"a","name":"b"}',
        b"[" * 60_000,
        b"\xff\xfe",
        b'"\\ud8',
    ],
)
async def test_what_is_no_json_is_a_400(api: Api, body: bytes) -> None:
    """Cut off, nested too deeply, not UTF-8, not in the grammar, a member twice."""
    got = await api.http.put(f"{V1}/sites/a", content=body, headers={"Content-Type": "application/json"})
    assert pointers(got, 400) == {}
    assert got.json()["code"] == "bad_body"


async def test_deep_json_and_half_characters_are_refused(api: Api) -> None:
    """Depth has a limit; a lone surrogate is named by its pointer, also as a member's name."""
    deep = ('{"a":' * 60 + "1" + "}" * 60).encode()
    pointers(await api.call("PUT", "/sites/a", deep), 400)
    got = await api.call("PUT", "/sites/a", b'{"name":"\\ud800","origins":["\\udfff"],"\\ud800":1}')
    assert set(pointers(got)) == {"/name", "/origins/0", "/(unprintable)"}


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_another_media_type_is_a_415(api: Api, kind: str) -> None:
    """Forms of other sites cannot write: they cannot send JSON."""
    pointers(await api.call("PUT", "/sites/a", {"name": "A"}, Content_Type=kind), 415)
    pointers(await api.call("PUT", "/sites/a", {"name": "A"}, Content_Encoding="gzip"), 415)


async def test_a_body_over_its_limit_is_a_413(api: Api) -> None:
    """With and without Content-Length; a stream is not read to its end."""
    await api.world()
    pointers(await api.call("PUT", "/sites/a", b" " * (JSON_LIMIT + 1)), 413)
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65_536
            assert sent < 5_000_000, "the whole body was read"
            yield b"x" * 65_536

    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    pointers(await api.http.post(f"{V1}/campaigns/spring/creatives", content=endless(), headers=kind), 413)
    pointers(await api.http.put(f"{V1}/sites/a", content=endless(), headers={"Content-Type": "application/json"}), 413)


async def test_without_the_store_every_route_says_503(api: Api) -> None:
    """With when to come back, and nothing of what went wrong inside."""
    await api.services.client.aclose()
    away = connect("redis://127.0.0.1:1")
    keys = api.services.keys
    services = Services(
        away, keys, CatalogStore(away, keys), Accounts(away, keys, ADMIN), MediaStore(away, keys, None), time.time,
        api.services.refresh,
    )  # fmt: skip
    transport = httpx2.ASGITransport(app=Starlette(routes=build_api(services)))
    async with httpx2.AsyncClient(transport=transport, base_url="http://t", headers=dict(api.http.headers)) as http:
        for path in ("/sites", "/sites/a", "/creatives/x", "/keys", "/audit"):
            got = await http.get(V1 + path)
            pointers(got, 503)
            assert got.headers["retry-after"]
            assert "127.0.0.1" not in got.text
        assert (await http.get(f"{V1}/sites", headers={"Authorization": "Bearer other"})).status_code == 503
    await away.aclose()


# ------------------------------------------------------------------ sites, slots, advertisers, campaigns


async def test_put_creates_then_replaces_and_resets_what_it_omits(api: Api) -> None:
    """201 then 200; the version and the ETag rise."""
    first = await api.call("PUT", "/sites/news", {"name": "News", "timezone": "Asia/Kolkata"})
    assert (first.status_code, first.headers["etag"]) == (201, '"1"')
    second = await api.call("PUT", "/sites/news", {"name": "Café  "})
    assert (second.status_code, second.headers["etag"]) == (200, '"2"')
    got = second.json()
    assert (got["name"], got["timezone"], got["version"]) == ("Café", "UTC", 2)
    assert (await api.call("GET", "/sites/news")).json() == got
    assert api.refreshed


async def test_what_get_shows_put_takes(api: Api) -> None:
    """A round trip changes nothing but the version, for every kind."""
    await api.world(price={"model": "cpm", "amount": "2.50", "currency": "INR"}, starts="2026-11-24", weight=7)
    for path in ("/sites/news", "/sites/news/slots/top", "/advertisers/acme", "/campaigns/spring"):
        before = await api.ok("GET", path)
        after = await api.ok("PUT", path, before)
        assert {**after, "version": before["version"]} == before


async def test_a_campaign_says_what_it_accepts(api: Api) -> None:
    """For designers: sizes and weights of the slots it books, also by `site/*`."""
    await api.world(slots=["news/*"])
    got = await api.ok("GET", "/campaigns/spring")
    assert got["accepts"] == [{"slot": "news/top", "sizes": ["300x250"], "max_kb": 20}]
    assert (await api.ok("GET", "/campaigns"))["items"] == [got]


async def test_patch_is_a_merge_patch(api: Api) -> None:
    """Members replace, null resets, the rest stays; a slot too."""
    await api.world(weight=5, price={"model": "cpc", "amount": "0.10", "currency": "EUR"})
    got = await api.ok("PATCH", "/campaigns/spring", {"weight": None, "price": {"amount": "0.20"}})
    assert (got["weight"], got["price"]["amount"], got["price"]["model"]) == (1, "0.20", "cpc")
    slot = await api.ok("PATCH", "/sites/news/slots/top", {"title": "Top"})
    assert (slot["title"], slot["sizes"], slot["rank"]) == ("Top", ["300x250"], 1)
    pointers(await api.call("PATCH", "/campaigns/none", {"weight": 1}), 404)
    assert pointers(await api.call("PATCH", "/campaigns/spring", [1])) == {"": "invalid"}


async def test_a_bad_body_gets_every_problem_at_once(api: Api) -> None:
    """Each with its pointer."""
    await api.world()
    body = {
        "id": "other", "advertiser": "none", "name": "", "tier": "gold", "weight": "10", "colour": "red",
        "slots": ["news/top", "news/nowhere", "nosite/*"], "starts": "2026-11-24", "ends": "2026-11-23",
        "price": {"model": "cpm", "amount": 2.5, "currency": "INR"},
    }  # fmt: skip
    expected = {"/id", "/advertiser", "/name", "/tier", "/weight", "/colour", "/slots/1", "/slots/2", "/ends", "/price"}
    assert set(pointers(await api.call("PUT", "/campaigns/new", body))) == expected
    assert (await api.call("GET", "/campaigns/new")).status_code == 404


@pytest.mark.parametrize("digits", [19, 99, 100, 101, 4_300, 4_301, 30_000])
async def test_a_number_of_any_length_is_told_at_its_field(api: Api, digits: int) -> None:
    """With what else is wrong, below and above what Python reads."""
    await api.world()
    for sign in ("", "-"):
        body = f'{{"weight": {sign}{"9" * digits}, "goal": {{"impressions": {sign}1{"0" * digits}}}, "colour": 1}}'
        found = set(pointers(await api.call("PATCH", "/campaigns/spring", body.encode())))
        assert found == {"/weight", "/goal", "/colour"}


@pytest.mark.parametrize("body", [[], "x", 7, None])
async def test_of_a_body_that_is_no_object_only_that_is_said(api: Api, body: Any) -> None:
    """No field of it is missing, because it has none; and the detail begins with no pointer."""
    await api.world()
    creative = f"/creatives/{(await api.text()).json()['id']}"
    for method, path in (
        ("PUT", "/sites/other"),
        ("PUT", "/campaigns/spring"),
        ("PATCH", "/advertisers/acme"),
        ("POST", "/campaigns/spring/creatives"),
        ("PATCH", creative),
        ("PUT", f"{creative}/content"),
        ("POST", f"{creative}/reject"),
        ("POST", "/keys"),
    ):
        got = await api.call(method, path, json.dumps(body).encode())
        assert pointers(got) == {"": "invalid"}, path
        assert got.json()["detail"] == "the body must be a JSON object"


async def test_parents_never_change(api: Api) -> None:
    """Neither a campaign's advertiser nor a slot's site."""
    await api.world()
    await api.ok("PUT", "/advertisers/other", {"name": "Other"})
    for id_ in ("other", "none"):
        got = await api.call("PATCH", "/campaigns/spring", {"advertiser": id_})
        assert [one["detail"] for one in got.json()["errors"]] == ["never changes: make another campaign"]
    body = {"site": "other", "name": "top", "id": "news/side"}
    assert set(pointers(await api.call("PUT", "/sites/news/slots/top", body))) == {"/site", "/id"}
    pointers(await api.call("PUT", "/sites/none/slots/top", {}), 404)


async def test_a_time_zone_is_asked_for_when_sites_differ(api: Api) -> None:
    """Local dates would be ambiguous; with its own zone the campaign is fine."""
    await api.world()
    await api.ok("PUT", "/sites/berlin", {"name": "B", "timezone": "Europe/Berlin"})
    both = {"slots": ["news/*", "berlin/*"], "starts": "2026-11-24"}
    assert pointers(await api.call("PATCH", "/campaigns/spring", both)) == {"/timezone": "required"}
    await api.ok("PATCH", "/campaigns/spring", {**both, "timezone": "Europe/Berlin"})
    stored = await api.services.catalog.get("campaign", "spring")
    assert getattr(stored, "starts_at", None) == 1795474800


async def test_dates_of_a_creative_are_days_of_its_campaign(api: Api) -> None:
    """Those of the zone that the campaign has, also when its site has gone to another and the creative is renamed."""
    await api.world()
    await api.ok("PATCH", "/campaigns/spring", {"starts": "2026-11-24"})
    id_ = (await api.text()).json()["id"]
    path = f"/creatives/{id_}"
    await api.ok("PATCH", path, {"starts": "2026-11-24"})
    await api.ok("PATCH", "/sites/news", {"timezone": "America/New_York"})
    await api.ok("PATCH", path, {"name": "Another"})
    found = [await api.services.catalog.get("campaign", "spring"), await api.services.catalog.get("creative", id_)]
    assert [getattr(one, "starts_at", None) for one in found] == [1795458600, 1795458600]
    await api.ok("PATCH", "/campaigns/spring", {"weight": 2})
    await api.ok("PATCH", path, {"name": "A third"})
    moved = await api.services.catalog.get("creative", id_)
    assert getattr(moved, "starts_at", None) == 1795496400


async def test_versions_guard_against_lost_updates(api: Api) -> None:
    """A stale If-Match is 412 and changes nothing; `*` asks only that it exists."""
    await api.world()
    old = (await api.call("GET", "/campaigns/spring")).headers["etag"]
    await api.ok("PATCH", "/campaigns/spring", {"weight": 3}, If_Match=old)
    for method, body in (("PATCH", {"weight": 4}), ("PUT", {"name": "x", "advertiser": "acme"}), ("DELETE", None)):
        pointers(await api.call(method, "/campaigns/spring", body, If_Match=old), 412)
    pointers(await api.call("PUT", "/sites/new", {"name": "New"}, If_Match="*"), 412)
    await api.ok("PATCH", "/campaigns/spring", {"name": "Two"}, If_Match='"7", "2"')
    assert (await api.ok("GET", "/campaigns/spring"))["weight"] == 3


async def test_racing_patches_lose_nothing(api: Api) -> None:
    """Each without If-Match is made again on what the other stored."""
    await api.world()
    fields: list[dict[str, Any]] = [{"weight": 9}, {"name": "N"}, {"tier": "house"}, {"starts": "2026-01-01"}]
    done = await asyncio.gather(*(api.call("PATCH", "/campaigns/spring", one) for one in fields))
    assert [one.status_code for one in done] == [200] * 4
    got = await api.ok("GET", "/campaigns/spring")
    assert {name: got[name] for one in fields for name in one} == {n: x for one in fields for n, x in one.items()}
    assert got["version"] == 5


async def test_a_crowd_of_writers_of_one_object_all_succeed(api: Api) -> None:
    """32 at once, each on what the others stored: none is told to try again."""
    await api.world()
    done = await asyncio.gather(*(api.call("PATCH", "/campaigns/spring", {"weight": n}) for n in range(32)))
    assert [one.status_code for one in done] == [200] * 32
    assert (await api.ok("GET", "/campaigns/spring"))["version"] == 33


async def test_a_parent_in_use_is_not_deleted(api: Api) -> None:
    """By DELETE or by its state; an archived object keeps its name and can come back."""
    await api.world()
    made = (await api.text()).json()
    for path in ("/sites/news", "/advertisers/acme", "/campaigns/spring"):
        pointers(await api.call("DELETE", path), 409)
        pointers(await api.call("PATCH", path, {"state": "archived"}), 409)
    for path in (f"/creatives/{made['id']}", "/campaigns/spring", "/advertisers/acme", "/sites/news/slots/top"):
        assert (await api.ok("DELETE", path))["state"] == "archived"
    assert (await api.ok("DELETE", "/sites/news"))["name"] == "News"
    pointers(await api.call("PUT", "/sites/news/slots/side", {}), 409)
    pointers(await api.text(), 409)
    assert pointers(await api.call("PUT", "/campaigns/b", {"name": "b", "advertiser": "acme"})) == {
        "/advertiser": "unknown"
    }
    assert (await api.ok("PATCH", "/sites/news", {"state": "active"}))["state"] == "active"


async def test_lists_page_by_cursor(api: Api) -> None:
    """Sorted by id; the link leads through all of it, with its filters."""
    for at in range(5):
        await api.ok("PUT", f"/sites/s{at}", {"name": "S", "state": "paused" if at == 2 else "active"})
    path: str | None = "/sites?limit=2&state=active"
    seen: list[str] = []
    while path:
        got = await api.call("GET", path)
        seen += [one["id"] for one in got.json()["items"]]
        link = re.fullmatch(rf'<{V1}(.*)>; rel="next"', got.headers.get("link", ""))
        path = link[1] if link else None
    assert seen == ["s0", "s1", "s3", "s4"]
    for bad in ("0", "-1", "x", "1.5", "\uff11"):
        assert pointers(await api.call("GET", f"/sites?limit={bad}")) == {"/limit": "invalid"}
    assert len((await api.ok("GET", "/sites?limit=1000000000000"))["items"]) == 5


async def test_ids_are_checked_before_anything_is_stored(api: Api) -> None:
    """Nothing odd becomes a key or a field."""
    for id_ in ("A", "a_b", "x" * 65, "%7Bcat%7D", "a%00", "%D0%B0"):
        assert pointers(await api.call("PUT", f"/sites/{id_}", {"name": "x"})) == {"/id": "invalid"}
    assert await api.services.catalog.version() == 0


async def test_every_change_leaves_a_line_in_the_audit(api: Api) -> None:
    """Who, what and hashes of before and after; never text that was sent. Keys too."""
    await api.world()
    await api.ok("PATCH", "/sites/news", {"name": "Line\u2003two"})
    made = await api.ok("POST", "/keys", {"role": "admin", "name": "CI"})
    items = (await api.ok("GET", "/audit"))["items"]
    assert [(one["what"], one["action"]) for one in items[:2]] == [
        (f"key:{made['id']}", "create"),
        ("site:news", "replace"),
    ]
    assert items[1]["actor"] == "bootstrap"
    assert all(re.fullmatch(MOMENT, one["at"]) for one in items)
    assert items[1]["before"] != items[1]["after"]
    first = await api.call("GET", "/audit?limit=4")
    rest = await api.ok("GET", f"/audit?after={first.json()['items'][-1]['id']}")
    assert first.json()["items"] + rest["items"] == items
    assert 'rel="next"' in first.headers["link"]
    for bad in ("x", "1-", "1-1-1", "-", "(1-0"):
        assert pointers(await api.call("GET", f"/audit?after={bad}")) == {"/after": "invalid"}


# ------------------------------------------------------------------ creatives


async def test_an_upload_waits_for_review(api: Api) -> None:
    """201 with where it is; the picture is kept under its hash, under no name of the sender."""
    await api.world()
    got = await api.upload(picture(), weight="3")
    assert got.status_code == 201, got.text
    one = got.json()
    assert got.headers["location"] == f"{V1}/creatives/{one['id']}"
    assert re.fullmatch(r"cr-[a-z0-9]{12}", one["id"])
    assert (one["state"], one["kind"], one["width"], one["height"], one["weight"]) == ("pending", "image", 300, 250, 3)
    assert (one["revision"], one["live_revision"], one["campaign"]) == (1, None, "spring")
    assert re.fullmatch(r"/m/[0-9a-f]{40}\.png", one["file"])
    assert await api.services.media.get(one["file"].removeprefix("/m/")) is not None
    assert (await api.upload(picture(), query="?approve=true")).json()["state"] == "approved"


async def test_a_text_creative_is_sent_as_json(api: Api) -> None:
    """Text stays text; kinds and members that are not built are named."""
    await api.world()
    nasty = "{{7*7}} <script>alert(1)</script>"
    assert (await api.text(title=nasty)).json()["title"] == nasty
    assert pointers(await api.text(html="<b>")) == {"/html": "invalid"}
    assert pointers(await api.text(state="approved")) == {"/state": "unknown_field"}
    assert "/title" in pointers(
        await api.call("POST", "/campaigns/spring/creatives", {"name": "x", "click_url": "https://a.example/"})
    )
    pointers(await api.call("POST", "/campaigns/none/creatives", {"kind": "text"}), 404)


async def test_a_passback_is_sent_as_json(api: Api) -> None:
    """A name is enough; weight, dates and a size are its own, and the size is one of a slot's."""
    await api.world()
    path = "/campaigns/spring/creatives"
    base = {"kind": "passback", "name": "Own"}
    made = await api.ok("POST", path, base)
    shown = ("kind", "state", "weight", "width", "height", "click_url", "file", "revision", "live_revision")
    assert [made[name] for name in shown] == ["passback", "pending", 1, 0, 0, "", None, 1, None]
    sized = {**base, "weight": 3, "starts": "2027-01-01", "ends": "2027-02-01", "width": 300, "height": 250}
    assert sized.items() <= (await api.ok("POST", path, sized)).items()
    form = {name: (None, str(text)) for name, text in sized.items()}
    assert sized.items() <= (await api.http.post(V1 + path, files=form)).json().items()
    for fields, found in (
        ({"width": 728, "height": 90}, {"/width": "invalid"}),
        ({"width": "300", "height": 0}, {"/width": "invalid", "/height": "invalid"}),
        ({"height": 250}, {"/width": "required"}),
        ({"file": "a.png", "html": "<b>"}, {"/file": "invalid", "/html": "invalid"}),
    ):
        assert pointers(await api.call("POST", path, base | fields)) == found
    assert pointers(await api.upload(picture(), kind="passback")) == {
        "/file": "invalid", "/alt": "invalid", "/click_url": "invalid",
    }  # fmt: skip


async def test_a_picture_must_fit_a_slot_of_its_campaign(api: Api) -> None:
    """The problem names the sizes, or the limit in kB."""
    await api.world()
    got = await api.upload(picture(301))
    assert pointers(got) == {"/file": "invalid"}
    assert "300x250" in got.text
    got = await api.upload(picture(noise=True))
    assert pointers(got) == {"/file": "invalid"}
    assert "20 kB" in got.text


async def test_an_upload_with_many_mistakes_gets_them_all(api: Api) -> None:
    """Fields and file together."""
    await api.world()
    got = await api.upload(
        picture(728, 90), name="", alt="", click_url="javascript:alert(1)", weight="-1", colour="red"
    )
    assert set(pointers(got)) == {"/name", "/alt", "/click_url", "/weight", "/file", "/colour"}
    got = await api.upload(picture(), weight="9" * 5000)
    assert pointers(got) == {"/weight": "invalid"}


async def test_a_creative_is_told_what_its_kind_lacks_and_what_belongs_to_the_other(api: Api) -> None:
    """The kind is guessed from what was sent, and each field is named once."""
    await api.world()
    path, base = "/campaigns/spring/creatives", {"name": "x", "click_url": "https://a.example/"}
    for fields, found in (
        ({"kind": "text", "title": "T", "alt": "A"}, {"/alt": "belongs to images"}),
        ({"alt": "A"}, {"/file": "is required"}),
        ({"title": "T", "alt": "A"}, {"/alt": "belongs to images"}),
        ({"kind": "image", "alt": "A", "body": "B"}, {"/file": "is required", "/body": "belongs to text"}),
        ({"alt": "A", "file": "banner.png"}, {"/file": "curl: -F file=@banner.png"}),
        ({}, {"/title": "is required"}),
        ({"title": "T", "width": 300}, {"/width": "takes the room of its slot"}),
        ({"kind": "image", "alt": "A", "height": 250}, {"/file": "is required", "/height": "of the picture itself"}),
        ({"kind": "passback", "alt": "A"}, {"/alt": "leaves the slot", "/click_url": "leaves the slot"}),
        (
            {"kind": "passback", "title": "T", "body": "B", "width": 300},
            {
                "/click_url": "leaves the slot",
                "/title": "leaves the slot",
                "/body": "leaves the slot",
                "/height": "is required beside width",
            },
        ),
    ):
        for got in (
            await api.call("POST", path, base | fields),
            await api.http.post(V1 + path, files={name: (None, str(text)) for name, text in (base | fields).items()}),
        ):
            assert set(pointers(got)) == set(found), got.text
            assert all(found[one["pointer"]] in one["detail"] for one in got.json()["errors"])


@pytest.mark.parametrize(
    ("data", "statuses"),
    [
        (b"", {415, 422}),
        (b"no picture", {415}),
        (b"<svg/>", {415}),
        (picture()[:200], {422}),
        (b"%!PS-Adobe-3.0", {415}),
    ],
)
async def test_what_is_no_picture_is_refused(api: Api, data: bytes, statuses: set[int]) -> None:
    """By its bytes, whatever its name and type say."""
    await api.world()
    assert (await api.upload(data)).status_code in statuses


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x",
        b"--x\r\nfoo",
        b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\ny',
        b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\ny\r\n--x',
        b"--x\r\n\r\nno header\r\n--x--\r\n",
        b"garbage",
        b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--",
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"y" * 70_000 + b"\r\n--x--\r\n",
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\ny\r\n' * 50 + b"--x--\r\n",
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\ny\r\n' * 2 + b"--x--\r\n",
        b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\ny\r\n' * 2 + b"--x--\r\n",
        b'--x\r\nContent-Disposition: form-data; name="doc"; filename="a"\r\n\r\ny\r\n--x--\r\n',
    ],
)
async def test_a_bad_form_is_refused(api: Api, body: bytes) -> None:
    """Broken, too many parts, too long a text, two files, a field twice: never a 500."""
    await api.world()
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    got = await api.http.post(f"{V1}/campaigns/spring/creatives", content=body, headers=headers)
    assert got.status_code in (400, 422), got.text


@pytest.mark.parametrize("body", [b"--x\r\nfoo", b'--x\r\nContent-Disposition: form-data; name="alt"\r\n\r\ny\r\n'])
async def test_a_torn_form_changes_nothing(api: Api, body: bytes) -> None:
    """Without its last boundary it is no form, not an empty one."""
    await api.world()
    path = f"{V1}/creatives/{(await api.text()).json()['id']}/content"
    pointers(await api.http.put(path, content=body, headers={"Content-Type": "multipart/form-data; boundary=x"}), 400)


async def test_form_fields_that_are_no_utf_8_are_named(api: Api) -> None:
    """All of them, and none is read as another alphabet; what is UTF-8 is taken as it is."""
    await api.world()
    parts = {"name": "Größe".encode(), "title": "Größe".encode("latin-1"), "body": b"\xff\xfe"}
    field = '--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n'
    body = b"".join((field % name).encode() + text + b"\r\n" for name, text in parts.items()) + b"--x--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    got = await api.http.post(f"{V1}/campaigns/spring/creatives", content=body, headers=headers)
    assert pointers(got) == {"/title": "invalid", "/body": "invalid"}
    assert (await api.upload(picture(), name="Größe")).json()["name"] == "Größe"


@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=x"]
)
async def test_a_form_needs_a_boundary(api: Api, kind: str) -> None:
    """415, and nothing is parsed."""
    await api.world()
    got = await api.http.post(f"{V1}/campaigns/spring/creatives", content=b"--x--", headers={"Content-Type": kind})
    pointers(got, 415)


async def test_review_moves_a_creative(api: Api) -> None:
    """Approve, pause, resume, reject with a reason; what the state does not allow is 409."""
    await api.world()
    path = f"/creatives/{(await api.text()).json()['id']}"
    pointers(await api.call("POST", f"{path}/pause", {}), 409)
    assert (await api.ok("POST", f"{path}/approve"))["live_revision"] == 1
    assert (await api.ok("POST", f"{path}/pause", {}))["state"] == "paused"
    assert (await api.ok("POST", f"{path}/resume", {}))["state"] == "approved"
    assert pointers(await api.call("POST", f"{path}/reject", {})) == {"/reason": "required"}
    got = await api.ok("POST", f"{path}/reject", {"reason": "Blurred"})
    assert (got["state"], got["reason"], got["live_revision"]) == ("rejected", "Blurred", None)
    pointers(await api.call("POST", f"{path}/pause", {}), 409)
    assert pointers(await api.call("POST", f"{path}/approve", {"state": "x"})) == {"/state": "unknown_field"}
    pointers(await api.call("POST", "/creatives/none/approve", {}), 404)


async def test_new_content_waits_and_the_rest_does_not(api: Api) -> None:
    """Weight, name and dates change at once; text, picture and address make a new revision."""
    await api.world()
    path = f"/creatives/{(await api.upload(picture(), query='?approve=true')).json()['id']}"
    got = await api.ok("PATCH", path, {"weight": 9, "name": "Two", "starts": "2026-11-24"})
    assert (got["state"], got["revision"], got["weight"], got["starts"]) == ("approved", 1, 9, "2026-11-24")
    got = await api.ok("PATCH", path, {"click_url": "https://shop.example/2"})
    assert (got["state"], got["revision"], got["live_revision"]) == ("pending", 2, 1)
    got = await api.ok("POST", f"{path}/approve")
    assert got["live_revision"] == 2
    sent = await api.http.put(V1 + path + "/content", files={"file": ("b.jpg", picture(kind="JPEG"), "image/jpeg")})
    assert sent.status_code == 200, sent.text
    assert (sent.json()["revision"], sent.json()["state"], sent.json()["alt"]) == (3, "pending", "A shoe")
    assert sent.json()["file"].endswith(".jpg")
    stored = await api.services.catalog.get("creative", got["id"])
    serials = [one.serial for one in getattr(stored, "revisions", ())]
    assert len(set(serials)) == 3


@pytest.mark.parametrize("kind", ["image", "text", "passback"])
async def test_put_content_makes_a_revision_of_every_kind(api: Api, kind: str) -> None:
    """It waits while the approved one is live, and keeps what it omits; the same content again is none."""
    await api.world()
    contents: dict[str, dict[str, Any]] = {
        "image": {"alt": "Red", "click_url": "https://shop.example/1"},
        "text": {"title": "Red", "body": "Now", "click_url": "https://shop.example/1"},
        "passback": {"width": 300, "height": 250},
    }
    first = contents[kind]
    if kind == "image":
        made = (await api.upload(picture(), **first)).json()
    else:
        made = await api.ok("POST", "/campaigns/spring/creatives", {"kind": kind, "name": "One", **first})
    path = f"/creatives/{made['id']}"
    live = await api.ok("POST", f"{path}/approve")
    assert await api.ok("PUT", f"{path}/content", first) == {**live, "version": live["version"] + 1}
    edit: dict[str, Any] = (
        {"width": None, "height": None} if kind == "passback" else {"click_url": "https://b.example/"}
    )
    got = await api.ok("PUT", f"{path}/content", edit)
    assert (got["state"], got["revision"], got["live_revision"]) == ("pending", 2, 1)
    assert {name: got[name] for name in first} == {**first, **edit} | dict.fromkeys(set(edit) & {"width", "height"}, 0)
    assert (got["file"], got["weight"], got["name"]) == (live["file"], live["weight"], live["name"])
    assert (await api.ok("POST", f"{path}/approve"))["live_revision"] == 2
    if kind not in ("image", "text"):
        sent = await api.http.put(f"{V1}{path}/content", files={"file": ("a.png", picture(), "image/png")})
        assert "/file" in pointers(sent)


async def test_what_a_patch_may_not_touch(api: Api) -> None:
    """Neither state nor campaign nor kind, and a picture keeps its alternative text."""
    await api.world()
    path = f"/creatives/{(await api.upload(picture())).json()['id']}"
    body = {"state": "approved", "campaign": "x", "live_revision": 1, "alt": None, "html": "<b>"}
    assert pointers(await api.call("PATCH", path, body)) == {
        "/state": "unknown_field",
        "/campaign": "unknown_field",
        "/live_revision": "unknown_field",
        "/alt": "required",
        "/html": "invalid",
    }
    assert pointers(await api.call("PUT", f"{path}/content", {"weight": 2})) == {"/weight": "unknown_field"}
    pointers(await api.call("PATCH", path, {"weight": 2}, If_Match='"9"'), 412)


async def test_an_approval_does_not_race_past_new_content(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content that comes in between looking and storing is not approved with the rest."""
    await api.world()
    id_ = (await api.text()).json()["id"]
    real = api.services.catalog.put

    async def late(*args: Any, **named: Any) -> Any:
        monkeypatch.setattr(api.services.catalog, "put", real)
        await submit.patch_creative(api.services, id_, {"title": "Other"}, actor="advertiser")
        return await real(*args, **named)

    monkeypatch.setattr(api.services.catalog, "put", late)
    pointers(await api.call("POST", f"/creatives/{id_}/approve"), 409)
    assert (await api.ok("GET", f"/creatives/{id_}"))["state"] == "pending"


async def test_an_upload_is_approved_as_it_was_sent(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content that comes in between storing and approving waits for review; the type of a form is told in any case."""
    await api.world()
    place, real = "adserve.flows.review.get_creative", revisions.get_creative

    async def late(services: Services, id_: str) -> Any:
        monkeypatch.setattr(place, real)
        await submit.patch_creative(services, id_, {"title": "Other"}, actor="advertiser")
        return await real(services, id_)

    monkeypatch.setattr(place, late)
    body = {"kind": "text", "name": "T", "title": "Shoes", "click_url": "https://shop.example/t"}
    pointers(await api.call("POST", "/campaigns/spring/creatives?approve=true", body), 412)
    (found,) = (await api.ok("GET", "/creatives"))["items"]
    assert (found["title"], found["state"], found["live_revision"]) == ("Other", "pending", None)
    form = {"name": (None, "T"), "title": (None, "Shoes"), "click_url": (None, "https://shop.example/t")}
    sent = api.http.build_request("POST", f"{V1}/campaigns/spring/creatives", files=form)
    sent.headers["Content-Type"] = sent.headers["Content-Type"].replace("multipart/form-data", "Multipart/Form-Data")
    assert (await api.http.send(sent)).status_code == 201


async def test_creatives_are_found_by_state_and_campaign(api: Api) -> None:
    """What a reviewer asks for."""
    await api.world()
    one, two = (await api.text()).json(), (await api.text()).json()
    await api.ok("POST", f"/creatives/{two['id']}/approve")
    found = await api.ok("GET", "/creatives?state=pending&campaign=spring")
    assert [item["id"] for item in found["items"]] == [one["id"]]
    assert (await api.ok("GET", "/creatives?campaign=other"))["items"] == []


async def test_a_stored_thing_that_cannot_be_read_hides_alone(api: Api) -> None:
    """Tampered data: that object is skipped and can be replaced, the others are shown."""
    await api.world()
    await api.services.client.hset(api.services.keys.objects, "site:bad", "{")
    await api.services.client.zadd(api.services.keys.changed, {"site:bad": 99})
    assert [one["id"] for one in (await api.ok("GET", "/sites"))["items"]] == ["news"]
    pointers(await api.call("GET", "/sites/bad"), 404)
    assert (await api.call("PUT", "/sites/bad", {"name": "Good"})).status_code == 201


async def test_the_report_is_json_or_a_file(api: Api) -> None:
    """CSV comes as an attachment; a bad question is a problem."""
    await api.world()
    assert "totals" in await api.ok("GET", "/report?by=slot")
    got = await api.call("GET", "/report?by=slot&format=csv")
    assert got.headers["content-type"] == "text/csv; charset=utf-8"
    assert got.headers["content-disposition"].startswith("attachment")
    assert (await api.call("GET", "/report?by=colour")).status_code == 422


def test_the_merge_follows_its_rfc() -> None:
    """The cases of RFC 7396, appendix A."""
    cases: list[tuple[Any, Any, Any]] = [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ]
    for target, patch, result in cases:
        assert manage.merge(target, patch) == result


def test_the_documentation_names_every_route_and_code() -> None:
    """A reader of docs/api.md finds each line of the table and each code of a problem."""
    text = DOCUMENTED.read_text(encoding="utf-8")
    for route in ROUTES:
        assert f"`{route.method} {route.path}`" in text, route
    package = DOCUMENTED.parents[1] / "adserve"
    codes = set(re.findall(r'^ +code = "([a-z_]+)"', (package / "errors.py").read_text(encoding="utf-8"), re.MULTILINE))
    assert {code for code in codes if f"`{code}`" not in text} == set()
