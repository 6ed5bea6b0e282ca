"""What people wrote stays what they wrote, wherever it is shown: in a snippet, as JSON, as CSV, on a page."""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from adserve.app import create_app
from adserve.core.model import Content, Media, Slot
from adserve.demo.catalog import SITE
from adserve.demo.pages import render_page, render_picks
from adserve.demo.picks import Group, Row
from adserve.demo.run import pages
from adserve.snippet import compile_snippet, impression_image, templates
from tests.conftest import Api
from tests.security.places import everywhere, good_request
from tests.security.promises import check, promises
from tests.security.table import BODIES, addresses
from tests.security.texts import FORMATS, FORMULAS, MARKUP, OWN_TAG, SCRIPTS, TEMPLATES, TEXTS, read, read_page
from tests.security.world import World

KINDS = sorted(name.partition(".")[0] for name in templates.list_templates())
MAX_SNIPPET_BYTES = 16_384
SLOT = Slot(id="news/top", serial=1, version=1, site="news", name="top", sizes=("300x250",))
WORDS = {"image": "alt", "text": "title"}
"""Kind to the field of its content that is looked at."""


def rendered(kind: str, text: str, *, body: str | None = None, label: str | None = None) -> str:
    """A snippet with this text in every field that is text."""
    media = Media("0" * 40 + ".png", "image/png", 9)
    content = Content(
        revision=1, serial=1, click_url="https://shop.example/", width=300, height=250, media=media,
        title=text, alt=text, body=text if body is None else body, html=text, button=text,
    )  # fmt: skip
    slot = structs.replace(SLOT, label=text if label is None else label)
    made = compile_snippet(kind, content, slot)
    return made.fill("d" * 32, "https://s.example/e/v/t", "https://s.example/c/t", "https://s.example")


def check_snippet(kind: str, text: str) -> None:
    """The template's own elements and attributes, and the text in the place for it."""
    plain, seen = read(rendered(kind, "plain")), read(rendered(kind, text))
    assert seen.tree == plain.tree, text
    assert [word.replace("plain", text) for word in plain.words] == seen.words
    assert {name: value.replace("plain", text) for name, value in plain.values.items()} == seen.values


@pytest.mark.parametrize("kind", KINDS)
def test_a_snippet_holds_its_template_s_elements_and_the_text(kind: str) -> None:
    """Of every template and every text, as a browser parses them."""
    looked_at = {"click_url", "alt", "title", "body", "button", "html"}
    assert text_fields() == looked_at, "a new field of text wants to be looked at here"
    for text in TEXTS:
        check_snippet(kind, text)


def text_fields() -> set[str]:
    return {name for name, kind in Content.__annotations__.items() if kind in (str, "str")}


@settings(max_examples=60, deadline=None)
@given(st.text(st.sampled_from("<>\"'`=&;/!-[]{}%#$\\ abx\u2028\u00a0\u0131\u017f\u212a")), st.sampled_from(KINDS))
def test_no_text_leaves_its_place(text: str, kind: str) -> None:
    """Made of what HTML is made of."""
    check_snippet(kind, text or "x")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("around", ["<div>{}</div>", "<ul><li>{}</ul>", "<table><tr><td>{}</table>", "<article>{}"])
def test_the_page_after_the_slot_is_as_it_was(kind: str, around: str) -> None:
    """Whatever the text opens or closes."""
    for text in MARKUP + SCRIPTS:
        page = f"<!doctype html><title>t</title>{around.replace('{}', '{}<i>')}</i><p id=after><b>words</b></p>"
        plain = read_page(page.replace("{}", rendered(kind, "plain")))
        seen = read_page(page.replace("{}", rendered(kind, text)))
        assert seen.tree == plain.tree, text
        assert seen.words[-1] == "words"


@pytest.mark.parametrize("kind", KINDS)
def test_a_snippet_is_small_and_loads_nothing_of_others(kind: str) -> None:
    """With the longest texts of the most expensive character: one picture at most, of this service, and no script."""
    longest = rendered(kind, '"' * 300 if kind == "image" else '"' * 120, body='"' * 500, label='"' * 60)
    whole = longest + impression_image("https://s.example/e/i/" + "t" * 48)
    assert len(whole.encode()) <= MAX_SNIPPET_BYTES
    for text in ("plain", *MARKUP):
        seen = read(rendered(kind, text))
        names = {line.split(" ")[1] for line in seen.tree}
        assert names <= {"DOCUMENT_FRAGMENT", "div", "a", "img", "iframe", "small", "span", "strong", "br"}
        for attribute in ("src", "href"):
            assert seen.values.get(attribute, "https://s.example/").startswith("https://s.example/")


def test_a_snippet_s_template_is_never_what_was_stored() -> None:
    """No arithmetic is done, and a loop that would never end is text."""
    for kind in KINDS:
        for text in (*TEMPLATES, *FORMATS):
            shown = rendered(kind, text)
            assert html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in shown
            assert "49" not in shown
            assert "__class__" not in shown.replace(html.escape(text).replace("&#x27;", "&#39;"), "")


# ---- through the whole service


def with_text(value: Any, text: str) -> Any:
    """A body with the text in each field that takes any."""
    free = ("name", "title", "label", "body", "reason")
    return {**value, **{name: text for name in free if name in value}, **_listed(value, text)}


def _listed(value: dict[str, Any], text: str) -> dict[str, Any]:
    return {"categories": [text]} if "categories" in value else {}


def strings(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, dict):
        for one in value.values():
            yield from strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)
    elif isinstance(value, str):
        yield value


async def fill(world: World, text: str) -> None:
    """The text in every field of the spare objects that takes any, and in the creative that serves in its slot."""
    for (method, path), body in BODIES.items():
        if path.endswith(("/approve", "/pause", "/resume", "/reject", "/content", "/keys", "/restore", "/rotate")):
            continue
        for address in addresses(world.app):
            if (address.method, address.path) == (method, path):
                request = good_request(world, address)._replace(body=json.dumps(with_text(body, text)).encode())
                answer = await world.ask(request.with_key())
                assert answer.status in (200, 201), (address, answer)
                if method == "POST":
                    made = json.loads(answer.body)
                    await world.api.make("POST", f"/creatives/{made['id']}/approve")
                    world.places["/creatives/{id}"] = made["id"]


SOME = ("\"'><img src=x onerror=XSS1>", "</script><script>XSS1</script>{{7*7}}{%", "=%(secret)s{0.x}<!--")


@pytest.mark.parametrize("text", SOME)
async def test_every_reading_route_shows_a_text_as_it_was_sent(world: World, text: str) -> None:
    """As JSON that says the same, or HTML in which it is text; the marker of a live one stands nowhere."""
    await fill(world, text)
    readers = [one for one in addresses(world.app) if one.method == "GET" and not one.path.startswith(("/c/", "/e/"))]
    seen = 0
    async with promises(world, counts=("requests", "serves")):
        for address in readers:
            targets = [world.target(address), *spare_targets(world, address.path)]
            for target in targets:
                answer = await world.ask(good_request(world, address)._replace(target=target).with_key())
                check(answer, target)
                kind = answer.header("content-type") or ""
                if "json" in kind:
                    found = list(strings(json.loads(answer.body)))
                    seen += found.count(text)
                    assert all(text not in one or one == text or one.startswith("<div") for one in found), target
                elif "html" in kind:
                    assert "XSS1" not in str(read(answer.body.decode()).tree)
                elif "javascript" not in kind and not kind.startswith(("image/", "text/csv")):
                    assert text.encode() not in answer.body, target
    assert seen >= 12
    shown = await world.api.http.get("/v1/slots/spare/top")
    assert text in html.unescape(shown.text)


def spare_targets(world: World, path: str) -> list[str]:
    """The same path about the spare objects."""
    for collection, id_ in world.places.items():
        if collection in path and "/keys/" not in path:
            return [path.replace("{id}", id_)]
    own = path.replace("{site}", "spare").replace("{slot}", "top")
    return [own] if own != path else []


async def test_a_report_s_cells_run_in_no_spreadsheet(api: Api) -> None:
    """Every text as the name of everything that a report names: one cell, guarded where it begins like a formula."""
    columns = ("site_name", "slot_name", "advertiser_name", "campaign_name", "creative_name")
    for at, text in enumerate((*FORMULAS, *SCRIPTS[:3], *MARKUP[:4])):
        await api.make("PUT", "/sites/news", {"name": text})
        await api.make("PUT", "/sites/news/slots/top", {"sizes": ["300x250"], "title": text})
        await api.make("PUT", "/advertisers/acme", {"name": text})
        if at == 0:
            id_ = await api.creative("one")
            await api.decide()
            await api.settle()
        await api.make("PATCH", "/campaigns/one", {"name": text})
        await api.make("PATCH", f"/creatives/{id_}", {"name": text})
        asked = "/report?from=2027-01-01&to=2027-03-01&by=site,slot,advertiser,campaign,creative"
        got = await api.call("GET", f"{asked}&format=csv")
        (row,) = csv.DictReader(io.StringIO(got.text, newline=""), strict=True)
        guarded = "'" + text if text[0] in "=+-@" else text
        assert [row[name] for name in columns] == [guarded] * 5
        (line,) = (await api.call("GET", asked)).json()["rows"]
        assert [line[name] for name in columns] == [text] * 5


@pytest.mark.parametrize("text", SOME)
async def test_the_demo_s_pages_show_names_as_text(api: Api, text: str) -> None:
    """Every page with a template of its own, with the text for every name that it shows."""
    group = Group(text, text, {"x": Row(text, 1, 2)})
    plain = Group("plain", "plain", {"x": Row("plain", 1, 2)})
    for render in (render_picks, lambda picks: render_page({}, picks)):
        seen = read_page(render([group]))
        assert seen.tree == read_page(render([plain])).tree
        assert sum(text in word for word in seen.words) == 3
    await api.make("PUT", f"/sites/{SITE['id']}", {"name": text})
    await api.make("PUT", f"/sites/{SITE['id']}/slots/top", {"title": text, "label": text, "sizes": ["300x250"]})
    await api.make("PUT", "/advertisers/acme", {"name": text})
    id_ = await api.creative("one", slots=[f"{SITE['id']}/*"])
    await api.make("PATCH", "/campaigns/one", {"name": text})
    await api.make("PATCH", f"/creatives/{id_}", {"name": text, "title": text})
    app = create_app(api.held, extra=pages(api.held, "http://127.0.0.1:9"))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://localhost:8000") as http:
        for route in pages(api.held, "http://127.0.0.1:9"):
            path = str(getattr(route, "path", "")).replace("{name}", "article-1.png")
            got = await http.get(path)
            assert got.status_code in ((404,) if "{token}" in path else (200, 307)), path
            if "html" in got.headers.get("content-type", ""):
                assert "XSS1" not in str(read_page(got.text).tree)


# ---- what a request says of itself


ECHOES = ("\"><script>xss</script>'-alert(1)-'", "\\u003cscript\\u003exss\nSet-Cookie: xss=1")


async def test_no_answer_repeats_markup_of_a_request(world: World) -> None:
    """In every place of an address, and in headers: neither a body nor a header holds a tag that was sent."""
    probes = list(everywhere(world, ECHOES, places=("path", "query")))
    together = ("cookie", "header of any name", "header Host", "header Content-Type")
    probes += (one for one in everywhere(world, ECHOES[:1], places=("header", "cookie")) if one.place in together)
    async with promises(world):
        for probe, answer in zip(probes, await world.walk(probe.request for probe in probes), strict=True):
            check(answer, probe)
            body = OWN_TAG.sub(b"", answer.body)
            assert b"<script" not in body, probe
            said = answer.head.encode() + (b"" if "json" in (answer.header("content-type") or "") else body)
            for part in (b"<script", b"alert(1)", b"u003cscript", b"xss"):
                assert part not in said, probe
