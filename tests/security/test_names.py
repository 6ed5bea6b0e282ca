"""Ids and texts that look like others, hide something or are no Unicode: refused with the field's name, or kept in
one form that every reader sees alike."""

from __future__ import annotations

import json
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.security.places import form_request, good_request
from tests.security.promises import check, promises
from tests.security.table import BODIES, FORM, V1, Address, addresses
from tests.security.world import Answer, Request, World

IDS = (
    "Admin", "\u0430dmin", "admin\u200b", "admin ", " admin", "admin\0", "a" * 65, "../x", "..", "a/b", "a.b",
    "a_b", "a%2fb", "a:b", "a{b}", "{sK}", "*", "adm\u0131n", "\uff41dmin", "admin\n", "a\r\nb", "caf\u00e9",
    "\u2010", "A" * 64, "\u0661", "__proto__", "\u202eadmin", "a" * 300,
)  # fmt: skip
BAD_TEXTS = {
    "marks": "e" + "\u0301" * 3_000, "few marks": "a" + "\u0301\u0302" * 20, "direction": "x\u202egnp.exe",
    "isolate": "a\u2066b", "zero width": "ad\u200bmin", "word joiner": "a\u2060b", "BOM": "\ufeffa",
    "tag": "a\U000e0041", "soft hyphen": "a\u00adb", "NUL": "a\0b", "escape": "\x1b[31mred",
    "line": "x\n2026-01-01 admin login ok", "CR": "a\rb", "next line": "a\u0085b", "paragraph": "a\u2029b",
    "separator": "a\u2028b", "private": "\ue000", "noncharacter": "\ufffe", "unassigned": "\U000e0fff",
    "mongolian": "a\u180eb", "interlinear": "a\ufff9b", "long": "x" * 20_000, "blank": "\u2003\u00a0 ",
    "joiner": "\u200d\u200c",
}  # fmt: skip
"""What no field of text takes."""
EMPTY = ("blank", "joiner")
MAY_BE_EMPTY = defaultdict(
    lambda: ("body",), {f"{V1}/sites/{{site}}/slots/{{slot}}": ("title", "label"), f"{V1}/keys": ("name",)}
)
"""Fields that may hold nothing, by path."""
TWINS = (
    "Caf\u00e9", "Cafe\u0301", "\u212bngstr\u00f6m", "\u01c4", "\uff21\uff42", "\u0915\u094d\u200d\u0937",
    "\ud55c\uad6d\uc5b4", "\U0001f44d\U0001f3fd",
)  # fmt: skip
"""What is taken: as it is, or in NFC."""
TEXT_FIELDS = ("name", "title", "body", "label", "alt", "reason")


def fields(body: dict[str, Any]) -> list[str]:
    return [name for name in body if name in TEXT_FIELDS]


def writes(world: World) -> Iterator[tuple[Address, Request, dict[str, Any]]]:
    """Every route that takes text: its address, its good request and the body of that."""
    for address in addresses(world.app):
        body = BODIES.get((address.method, address.path))
        if body and fields(body):
            yield address, good_request(world, address), body


def sent(request: Request, body: dict[str, Any]) -> Request:
    return request._replace(body=json.dumps(body).encode()).with_key()


def refused_fields(answer: Answer) -> set[str]:
    assert answer.status == 422, answer
    return {one["pointer"] for one in json.loads(answer.body)["errors"]}


async def test_no_text_that_hides_something_is_taken(world: World) -> None:
    """In every field of every route, as JSON and in a form: the problems name these fields and no others."""
    asked: list[Request] = []
    wanted: list[tuple[str, set[str]]] = []
    for address, request, body in writes(world):
        for why, bad in BAD_TEXTS.items():
            named = {name for name in fields(body) if not (why in EMPTY and name in MAY_BE_EMPTY[address.path])}
            asked.append(sent(request, {**body, **dict.fromkeys(fields(body), bad)}))
            wanted.append((f"{address}: {why}", {f"/{name}" for name in named}))
        if address.path.endswith("/{id}/creatives"):
            for why in ("direction", "zero width", "NUL"):
                asked.append(form_request(request, {**FORM, "alt": BAD_TEXTS[why]}, world.picture).with_key())
                wanted.append((f"{address} as a form: {why}", {"/alt"}))
    async with promises(world):
        for (who, pointers), answer in zip(wanted, await world.walk(asked), strict=True):
            check(answer, who)
            assert (refused_fields(answer) if answer.status == 422 else set()) == pointers, (who, answer)


async def test_half_a_character_is_named_wherever_it_stands(world: World) -> None:
    """As a value, in a list, as a member's name: 422, in no answer again."""
    asked: list[Request] = []
    where: list[str] = []
    for _, request, body in writes(world):
        for name in fields(body):
            for half in ("\\ud800", "a\\udfffb", "\\udc00\\ud800"):
                as_value = json.dumps({**body, name: "HALF"}).replace("HALF", half).encode()
                as_name = json.dumps({**body, "HALF": 1}).replace("HALF", half).encode()
                asked += [request._replace(body=one).with_key() for one in (as_value, as_name)]
                where += [f"/{name}", "/(unprintable)"]
    async with promises(world):
        for pointer, answer in zip(where, await world.walk(asked), strict=True):
            check(answer)
            assert refused_fields(answer) == {pointer}
            answer.body.decode("utf-8")


async def test_twins_are_stored_alike(world: World) -> None:
    """NFC in the store and in every answer, so that two spellings of one name are one; all of it is UTF-8."""
    async with promises(world):
        for address, request, body in writes(world):
            if not address.path.endswith(("/{id}", "/{slot}")):
                continue
            for twin in TWINS:
                answer = await world.ask(sent(request, {**body, "name" if "name" in body else "title": twin}))
                if answer.status in (200, 201):
                    made = json.loads(answer.body)
                    assert made["name" if "name" in body else "title"] == unicodedata.normalize("NFC", twin), address
                    continue
                raise AssertionError((address, twin, answer))
    for value in (await objects(world)).values():
        assert unicodedata.is_normalized("NFC", value.decode("utf-8"))


async def objects(world: World) -> dict[bytes, bytes]:
    client, keys = world.api.held.services.client, world.api.held.services.keys
    execute: Any = client.execute_command
    found: dict[bytes, bytes] = await execute("HGETALL", keys.objects, NEVER_DECODE=True)
    return found


async def test_no_id_but_a_plain_one_is_taken_anywhere(world: World) -> None:
    """In the path of every route, in every member that names something, in every filter: never a new object, never a
    200 that would say that there is such a thing."""
    before = set(await objects(world))
    asked: list[Request] = []
    for address, request, _ in writes(world):
        if address.method == "PUT" and address.path.endswith(("/{id}", "/{slot}")):
            shape = address.path.rpartition("/")[0].replace("{site}", "spare")
            encoded = [quote(id_.encode(), safe="") for id_ in IDS]
            targets = [f"{shape}/{id_}" for id_ in encoded]
            if "{site}" in address.path:
                targets += [address.path.replace("{site}", id_).replace("{slot}", "x") for id_ in encoded]
            asked += [request._replace(target=target).with_key() for target in targets]
    async with promises(world):
        for request, answer in zip(asked, await world.walk(asked), strict=True):
            check(answer, request.target)
            assert answer.status in (404, 422), (request, answer)
        for id_ in IDS:
            named: list[tuple[str, dict[str, Any]]] = [
                ("/campaigns/new", {"advertiser": id_, "name": "x"}),
                ("/sites/spare", {"id": id_, "name": "x"}),
                ("/sites/spare/slots/top", {"name": id_}),
                ("/campaigns/new", {"advertiser": "spare", "name": "x", "slots": [f"spare/{id_}x"]}),
                ("/campaigns/new", {"advertiser": "spare", "name": "x", "slots": [f"{id_}/top"]}),
            ]
            for path, body in named:
                got = await world.api.call("PUT", path, body)
                assert got.status_code == 422, (body, got.text)
    assert set(await objects(world)) == before


@pytest.mark.parametrize("kind", ["text", "passback"])
async def test_only_an_html_creative_has_markup(world: World, kind: str) -> None:
    """Refused by name, with nothing stored: in new creatives, new content and changes."""
    before = await objects(world)
    own = {"title": "T", "click_url": "https://shop.example/"} if kind == "text" else {}
    base = {"kind": kind, "name": "x", **own}
    creative = world.places["/creatives/{id}"]
    for text in MARKUP:
        for method, path, body in (
            ("POST", "/campaigns/spare/creatives", base | {"html": text}),
            ("PUT", f"/creatives/{creative}/content", {"html": text}),
            ("PATCH", f"/creatives/{creative}", {"html": text}),
        ):
            got = await world.api.call(method, path, body)
            assert got.status_code == 422, got.text
            assert {one["pointer"] for one in got.json()["errors"]} == {"/html"}
    assert await objects(world) == before


async def test_markup_is_data_to_everybody_but_its_own_document(world: World) -> None:
    """It comes back as it was sent, stands in no snippet, page or frame of a slot, and only the document under its
    token has it: with a sandbox, as what it is, for nobody to keep."""
    as_json = (("Accept", "application/json"),)
    for text in MARKUP:
        body = {**HTML, "html": text, "width": 300, "height": 250}
        made = await world.api.make("POST", "/campaigns/framed/creatives?approve=true", body)
        assert made["html"] == text
        others = await world.api.make("GET", "/creatives?campaign=framed")
        for one in others["items"]:
            if one["id"] != made["id"] and one["state"] == "approved":
                await world.api.make("POST", f"/creatives/{one['id']}/pause")
        decision = json.loads((await world.ask(Request("GET", "/v1/slots/post/mail", as_json))).body)
        assert decision["creative"] == made["id"]
        for path in ("/v1/slots/post/mail", "/v1/frames/post/mail", "/v1/pages/post"):
            assert text not in (await world.ask(Request("GET", path))).body.decode()
        answer = await world.ask(Request("GET", "/f/" + decision["click_url"].rpartition("/")[2]))
        check(answer, text, tells=text.encode())
        assert answer.body.decode().endswith(text)
        policy = (answer.header("content-security-policy") or "").split("; ")
        assert policy[:2] == ["sandbox allow-scripts allow-popups allow-popups-to-escape-sandbox", "default-src 'none'"]
        assert answer.header("content-type") == "text/html; charset=utf-8"
        assert "no-store" in (answer.header("cache-control") or "")


HIDDEN = ("<b>\x00</b>", "<b>\x1b[31m</b>", "<b>\u202etxt</b>", "<b>\ue000</b>", "<b>\u200b</b>", "<b>\ufeff</b>")


async def test_markup_that_a_reviewer_would_see_otherwise_is_refused(world: World) -> None:
    """Control, direction, private and invisible characters; lines and tabs are none of them."""
    before = await objects(world)
    for text in HIDDEN:
        got = await world.api.call("POST", "/campaigns/spare/creatives", {**HTML, "html": text})
        assert got.status_code == 422, text
        assert {one["pointer"] for one in got.json()["errors"]} == {"/html"}
    assert await objects(world) == before
    fine = "<p>\n\tTea\r\n\u0915\u094d\u200d\u0937</p>"
    assert (await world.api.make("POST", "/campaigns/spare/creatives", {**HTML, "html": fine}))["html"] == fine


HTML = {"kind": "html", "name": "h", "width": 300, "height": 250, "click_url": "https://shop.example/"}
MARKUP = (
    "<script>alert(1)</script>", "<iframe srcdoc='<script>x</script>'>", "<object data=x>", "<embed src=x>",
    "<base href=//evil.example>", "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<link rel=import href=x>", "<form action=//evil.example><input name=p>",
    "<style>@import '//evil.example'</style>", "<svg><script>x</script></svg>",
    "<math><mi xlink:href='javascript:x'>", "<template><script>x</script>",
    "<noscript><p title='</noscript><script>'>", "<plaintext>", "<img src=x onerror=alert(1)>",
    "<!--[if IE]><script>x</script><![endif]-->", "<div style='position:fixed;inset:0;z-index:2147483647'>",
    "<a style='opacity:0' href=/>x</a>", "<p style='width:expression(alert(1))'>",
    "<p id=adslot-top name=getElementById>", "<b>only bold</b>",
)  # fmt: skip
"""What a creative of the kind `html` may bring."""
