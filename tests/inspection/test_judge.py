"""Pages with one defect each: it is found, named with its line, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from adserve.doctor.findings import Finding
from adserve.inspection.fetch import Page
from adserve.inspection.judge import Case, cacheable, judge
from adserve.inspection.page import read
from tests.embed.places import DEMO, URL, place, text

SITES = {"news": {one.name: one for one in DEMO}, "blog": {"side": place("side")}}
UNIT = (
    '<div class="slot-unit" data-decision="d" data-view="https://serve.example/e/v/t"><a href="#">'
    '<img src="https://serve.example/m/a.png"></a></div>'
)
MANY = ",".join(map(str, range(51)))
SCRIPT = f'<script async src="{URL}/slots.js" data-site="news"></script>'
ROOM = '<style>[data-slot="top"]{min-height:108px}</style>'
TOP = '<div data-slot="top" data-size="728x90@728 320x50"></div>'
GOOD = f"{ROOM}\n{TOP}\n{SCRIPT}"


def findings(
    html: str, *, url: str = "https://news.example/", status: int = 200, base: str | None = URL, **headers: str
) -> list[Finding]:
    sent = {name.replace("_", "-"): [value] for name, value in {"content_type": "text/html", **headers}.items()}
    page = Page(url, status, sent, html)
    return judge(Case(page, read(html, url), base, SITES))


@pytest.mark.parametrize(
    "html",
    [
        GOOD,
        text("html"),
        text("noscript"),
        text("frame"),
        text("email", DEMO[1]),
        f"{UNIT}{SCRIPT}",
        f'<template><div data-slot="nowhere"></div></template>{GOOD}',
        f"<!-- <div data-slot='nowhere'></div> -->{GOOD}",
        f'<style>main .x#p{{height:120px}}</style><div class="x" id="p" data-slot="top"></div>{SCRIPT}',
        f'<div style="min-height:108px"><br><b>x</b><div data-slot="top"></div></div>{SCRIPT}',
        f'<style>.place{{min-height:108px}}</style><p class="place"></p><p><div class="place">{TOP}</div>{SCRIPT}',
        f'<div data-slot="top" style="color:red;min-height: 108px"></div>{SCRIPT}',
        f'<base href="{URL}/">{ROOM}{TOP}<script src="slots.js" data-site="news"></script>',
    ],
)  # fmt: skip
def test_what_is_printed_is_right(html: str) -> None:
    assert findings(html) == []


TABLE: list[tuple[str, str, str, str, dict[str, Any]]] = [
    (
        "problem",
        "room",
        "no height is reserved for top",
        f'<style>p{{}}.place{{height:120px}}</style><div class="place"><br></div>{TOP}{SCRIPT}',
        {},
    ),
    ("problem", "include", "line 1: an include was sent", f'<!--# include virtual="/slots/news/top" -->{GOOD}', {}),
    ("problem", "answer", "answers 404", GOOD, {"status": 404}),
    ("problem", "answer", "is application/json and no HTML", GOOD, {"content_type": "application/json"}),
    ("problem", "slots", "the page has no slot", "<p>Words.</p>", {}),
    ("problem", "slots", "line 2: there is no slot news/topp (did you mean top?)", GOOD.replace('="top', '="topp'), {}),
    (
        "problem",
        "slots",
        "line 4: there is no slot news/Top (did you mean top?)",
        f'{GOOD}\n<div data-slot="Top" style="height:9px">',
        {},
    ),
    (
        "problem",
        "slots",
        "line 1: there is no slot news/nowhere",
        f'<iframe src="{URL}/v1/frames/news/nowhere"></iframe>',
        {},
    ),
    (
        "problem",
        "slots",
        "line 1: there is no site new (did you mean news?)",
        f'<iframe src="{URL}/v1/frames/new/top"></iframe>',
        {},
    ),
    ("problem", "slots", "line 1: there is no slot news/tops", f'<img src="{URL}/v1/pairs/news/tops/k">', {}),
    (
        "problem",
        "script",
        "there is no line that loads slots.js: nothing fills",
        GOOD.replace(SCRIPT, ""),
        {"base": None},
    ),
    ("warning", "script", "views are not measured", UNIT, {}),
    ("problem", "script", "line 3: data-site is missing", GOOD.replace(' data-site="news"', ""), {}),
    ("problem", "script", "line 3: there is no site newss (did you mean news?)", GOOD.replace('"news"', '"newss"'), {}),
    (
        "problem",
        "script",
        "line 3: https://other.example/slots.js is not the service",
        GOOD.replace(URL, "https://other.example"),
        {},
    ),
    ("problem", "script", "loaded 2 times, in lines 3, 4", f"{GOOD}\n{SCRIPT}", {}),
    ("problem", "script", "different sites or hosts", f"{GOOD}\n{SCRIPT.replace('news', 'blog')}", {}),
    ("warning", "script", "nothing on the page is a slot", SCRIPT, {}),
    ("problem", "sizes", "line 2: top has no size 300x250", GOOD.replace("728x90@728", "300x250@728"), {}),
    ("problem", "sizes", "data-size holds 728*90, which is no size", GOOD.replace("728x90@728", "728*90"), {}),
    ("problem", "room", "line 2: no height is reserved for top", GOOD.replace(ROOM, ""), {}),
    ("problem", "room", "no height is reserved for top", GOOD.replace('"top"]', '"footer"]'), {}),
    ("warning", "room", "its style sheets may", f'<link rel="stylesheet" href="/a.css">{GOOD.replace(ROOM, "")}', {}),
    ("warning", "room", "90 px are reserved for top, which may take 108", GOOD.replace("108px", "90px"), {}),
    (
        "problem",
        "labels",
        "line 2: data-labels takes at most 50 words",
        GOOD.replace(" data-size", f' data-labels="{MANY}" data-size'),
        {},
    ),
    (
        "problem",
        "labels",
        "data-labels holds [, as no label does",
        GOOD.replace(" data-site", " data-labels='[\"a\"]' data-site"),
        {},
    ),
    (
        "problem",
        "ids",
        "the id a of a slot stands on the page 2 times",
        f"{GOOD.replace('<div', '<div id=a')}<p id=a>",
        {},
    ),
    (
        "problem",
        "https",
        "line 3: http://serve.example/slots.js is plain http",
        GOOD.replace("https://serve", "http://serve"),
        {},
    ),
    (
        "problem",
        "policy",
        "script-src of the page's policy refuses slots.js",
        GOOD,
        {"content_security_policy": "script-src 'self'"},
    ),
    (
        "problem",
        "policy",
        "connect-src of the page's policy lets the tag ask",
        GOOD,
        {"content_security_policy": "connect-src 'self'"},
    ),
    (
        "problem",
        "policy",
        "img-src of the page's policy refuses pictures",
        GOOD,
        {"content_security_policy": "img-src 'self' data:"},
    ),
    (
        "warning",
        "policy",
        "frame-src of the page's policy refuses frames of html",
        GOOD,
        {"content_security_policy": "frame-src 'none'"},
    ),
    (
        "problem",
        "policy",
        "child-src of the page's policy refuses frames",
        text("frame"),
        {"content_security_policy": "child-src 'self'"},
    ),
    (
        "warning",
        "policy",
        "style-src of the page's policy refuses the styles",
        f"{UNIT}{SCRIPT}",
        {"content_security_policy": "style-src 'self'"},
    ),
    (
        "problem",
        "policy",
        "style-src of the page's policy refuses the <style>",
        GOOD,
        {"content_security_policy": "style-src 'self'"},
    ),
    (
        "problem",
        "policy",
        "trusted-types of the page's policy",
        GOOD,
        {"content_security_policy": "require-trusted-types-for 'script'; trusted-types dompurify"},
    ),
    (
        "problem",
        "policy",
        "img-src of the page's policy",
        f'<meta http-equiv="content-security-policy" content="img-src \'self\'">{GOOD}',
        {},
    ),
    ("problem", "cache", "(max-age=60)", f"{UNIT}{SCRIPT}", {"cache_control": "max-age=60"}),
    ("problem", "cache", "(s-maxage=60)", f"{UNIT}{SCRIPT}", {"cache_control": "max-age=0, s-maxage=60"}),
    ("problem", "cache", "(Age: 7)", f"{UNIT}{SCRIPT}", {"age": "7"}),
]


@pytest.mark.parametrize(
    ("status", "check", "says", "html", "more"), TABLE, ids=[f"{row[1]}: {row[2][:50]}" for row in TABLE]
)
def test_a_defect_is_found_and_nothing_else(
    status: str, check: str, says: str, html: str, more: dict[str, Any]
) -> None:
    (found,) = findings(html, **more)
    assert (found.status, found.check) == (status, check)
    assert says in found.detail
    assert found.remedy


def test_the_whole_policy_is_read() -> None:
    """`default-src` stands in for what is not said; two policies must both allow; a nonce lets the script through."""
    found = findings(GOOD, content_security_policy="default-src 'self'")
    assert [one.detail.split()[0] for one in found] == ["default-src"] * 5
    allowed = f"default-src 'self' {URL}; style-src 'unsafe-inline'"
    assert findings(GOOD, content_security_policy=allowed) == []
    assert findings(GOOD, content_security_policy=f"{allowed}, img-src 'none'") != []
    strict = "script-src 'nonce-abc' 'strict-dynamic'; style-src 'nonce-abc'; trusted-types slots"
    signed = GOOD.replace("<script", '<script nonce="abc"').replace("<style", '<style nonce="abc"')
    assert findings(signed, content_security_policy=strict) == []
    (refused,) = findings(GOOD, content_security_policy=f"script-src 'nonce-abc' 'strict-dynamic' {URL}")
    assert "script-src" in refused.detail


@pytest.mark.parametrize(
    ("source", "allows"),
    [
        ("https://serve.example", True),
        ("serve.example", True),
        ("*.example", True),
        ("https:", True),
        ("*", True),
        ("http://serve.example", True),
        ("https://serve.example:443", True),
        ("serve.example:*", True),
        (f"{URL}/slots.js", True),
        ("https://serve.example:8443", False),
        ("other.example", False),
        ("*.serve.example", False),
        ("'none'", False),
        ("'self'", False),
        ("data:", False),
        ("http:", True),
        (f"{URL}/other.js", False),
        (f"{URL}/e/", False),
        ("'unsafe-inline'", False),
        ("evilserve.example", False),
        ("*.ve.example", False),
        ("SERVE.EXAMPLE", True),
    ],
)
def test_sources_match_as_browsers_match_them(source: str, allows: bool) -> None:
    found = findings(GOOD, content_security_policy=f"script-src {source}")
    assert (found == []) is allows, found


@pytest.mark.parametrize(("source", "allows"), [("serve.example", False), ("serve.example:8443", True), ("*:*", True)])
def test_a_source_without_a_port_means_the_usual_one(source: str, allows: bool) -> None:
    at = "https://serve.example:8443"
    found = findings(GOOD.replace(URL, at), base=at, content_security_policy=f"script-src {source}")
    assert (found == []) is allows


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({}, ""),
        ({"cache-control": "private, max-age=60"}, ""),
        ({"cache-control": "no-store, max-age=60"}, ""),
        ({"cache-control": "no-cache, max-age=60"}, ""),
        ({"cache-control": "max-age=0"}, ""),
        ({"cache-control": "public"}, "public"),
        ({"cache-control": 'max-age="60"'}, "max-age=60"),
        ({"expires": "Sun, 29 Nov 2026 02:00:00 GMT", "date": "Sun, 29 Nov 2026 01:00:00 GMT"}, "Expires"),
        ({"expires": "0"}, ""),
        ({"last-modified": "Sun, 29 Nov 2026 01:00:00 GMT"}, "Last-Modified, and no Cache-Control"),
        ({"last-modified": "Sun, 29 Nov 2026 01:00:00 GMT", "cache-control": "no-store"}, ""),
        ({"last-modified": "Sun, 29 Nov 2026 01:00:00 GMT", "expires": "0"}, ""),
        ({"age": "0"}, ""),
    ],
)
def test_what_a_shared_cache_may_keep(headers: dict[str, str], why: str) -> None:
    assert cacheable(Page("https://n.example/", 200, {name: [text] for name, text in headers.items()}, "")) == why


@pytest.mark.parametrize(
    "css",
    [
        "a" * 1_000_000,
        "/*" * 500_000,
        "a{" * 500_000,
        "}" * 1_000_000,
        "a " * 500_000 + "{height:9px}",
        "[" * 1_000_000,
        ";" * 1_000_000,
        "x{" + "height:" * 100_000,
        ".a" * 500_000 + "{height:9px}",
        "".join(f".x{number}{{height:9px}}" for number in range(50_000)),
    ],
    ids=range(10),
)
def test_no_style_sheet_takes_long(css: str) -> None:
    """Each of them would take minutes where every place in it is a place to begin."""
    found = findings(f"<style>{css}</style>{TOP * 100}{SCRIPT}")
    assert [one.check for one in found] == ["room"] * 100


def test_frames_for_readers_without_scripts_are_told_apart() -> None:
    assert [one.noscript for one in read(f"{text('noscript', DEMO[0])}{text('frame', DEMO[1])}", URL).frames] == [
        True,
        False,
    ]


def test_a_page_with_very_many_slots_is_looked_at_in_part() -> None:
    found = findings(GOOD + '<i data-slot="top" style="height:200px"></i>' * 1_000)
    assert [(one.status, one.check) for one in found] == [("warning", "answer")]


def test_a_page_that_is_no_html_breaks_nothing() -> None:
    """Cut tags, wrong nesting, addresses that are none."""
    for html in (
        "<div data-slot=",
        "<![if",
        "<![]]>",
        "<![foo[x]]>",
        "<![ foo",
        "<![9",
        "<div data-slot></div>",
        '<script src="http://[/slots.js">',
        "\0<\0>",
        "</template>" * 9,
    ):
        findings(html)
