"""Addresses of pages and the patterns that name them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adserve.core.globs import Glob, Globs, page_address, pattern


@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("https://news.example/world/a?x=1#y", "news.example/world/a/"),
        ("HTTP://User:pw@News.Example:8080/World/", "news.example/World/"),
        ("//news.example", "news.example/"),
        ("news.example.:443/a//b/./c/../d", "news.example/a/b/d/"),
        ("https://news.example/%61%2fb%3F%e0%A4%ac%20%zz%ff", "news.example/a%2Fb%3Fब%20%25zz%FF/"),
        ("https://news.example/e\u0301/%C3%A9", "news.example/é/é/"),
        ("https://news.example/%e%39", "news.example/%25e9/"),
        ("https://news.example/a*b", "news.example/a%2Ab/"),
        ("https://XN--BCHER-KVA.example/", "bücher.example/"),
        ("https://BÜCHER.example/", "bücher.example/"),
        ("http://[::1]:8000/a", "[::1]/a/"),
        ("https://news.example/../../x", "news.example/x/"),
        ("https://news.example\\a", "news.example/a/"),
        ("/world/a", None),
        ("", None),
        ("javascript:alert(1)", None),
        ("about:blank", None),
        ("https://a b/", None),
        ("https://*.example/", None),
        ("https://news.example/" + "a" * 2048, None),
    ],
)
def test_an_address_is_brought_to_one_form(url: str, form: str | None) -> None:
    assert page_address(url) == form
    assert form is None or page_address(form) in (form, form.replace("*", "%2A"))


MATCHES = [
    ("news.example/world/*", "https://news.example/world/", True),
    ("news.example/world/*", "https://news.example/world", True),
    ("news.example/world/*", "https://news.example/world/a/b?c", True),
    ("news.example/world/*", "https://news.example/worldly", False),
    ("news.example/world/*", "https://news.example/World/a", False),
    ("NEWS.example/world/*", "https://news.EXAMPLE/world/a", True),
    ("news.example/world", "https://news.example/world/", True),
    ("news.example/world", "https://news.example/world/a", False),
    ("news.example", "https://news.example/any/page", True),
    ("news.example", "https://m.news.example/", False),
    ("*.example/*", "https://news.example/", True),
    ("*.example/*", "https://a.b.example/x", True),
    ("*.news.example/*", "https://news.example/", False),
    ("*.example/*", "https://.example/x", False),
    ("news.example/*ab*ba*", "https://news.example/xabay", False),
    ("news.example/*ab*ba*", "https://news.example/xabbay", True),
    ("*.example/*", "https://evil.test/news.example/x", False),
    ("*.example", "https://news.example/x", True),
    ("*", "https://news.example/x", True),
    ("*/world/*", "https://news.example/en/world/x", True),
    ("*conflict*", "https://news.example/a-conflict-b/c", True),
    ("news.example/*.html", "https://news.example/a/b.html", True),
    ("news.example/a.c", "https://news.example/abc", False),
    ("news.example/(a|b)+", "https://news.example/a", False),
    ("news.example/[ab]", "https://news.example/a", False),
    ("news.example/a%2Ab", "https://news.example/a*b", True),
    ("news.example/a%2Ab", "https://news.example/axb", False),
    ("bücher.example/ä", "https://xn--bcher-kva.example/%C3%A4", True),
    ("xn--bcher-kva.example", "https://BÜCHER.example/x", True),
    ("https://news.example:8443/world/*", "http://news.example/world/a", True),
    ("समाचार.example/दुनिया/*", "https://समाचार.example/%E0%A4%A6%E0%A5%81%E0%A4%A8%E0%A4%BF%E0%A4%AF%E0%A4%BE/a", True),
]


@pytest.mark.parametrize(("text", "url", "expected"), MATCHES)
def test_a_pattern_matches_host_and_path(text: str, url: str, expected: bool) -> None:
    """A look-up among many patterns, and the pattern alone."""
    form, address = pattern(text), page_address(url)
    assert address is not None
    assert Glob(form).matches(address) is expected
    many = Globs(map(pattern, dict.fromkeys([text, "x.example/*", "*.y.example/*", "*/z/*"])))
    assert (form in set(many.matching(address))) is expected


@pytest.mark.parametrize("text", ["", "  ", "/world/*", "news.example/?q", "news.example/#a", "a b/*", "a" * 2049])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="takes"):
        pattern(text)


letters = st.text(alphabet="ab/.*", max_size=12)


@settings(max_examples=600)
@given(st.lists(letters, max_size=5), st.text(alphabet="ab/.", min_size=1, max_size=20))
def test_matching_is_that_of_a_regular_expression(texts: list[str], url: str) -> None:
    """With `*` for any text, and the host's star within the host; among several patterns and alone."""
    address = page_address(f"a.{url}")
    if address is None:
        return
    forms = set()
    for text in texts:
        try:
            forms.add(pattern(f"a.{text}" if text[:1] != "*" else text))
        except ValueError:
            continue
    wanted = set()
    for form in forms:
        assert pattern(form) == form
        within = form.startswith("*.") and "*" not in form[2:].partition("/")[0]
        body = re.escape(form[1:] if within else form).replace(r"\*", ".*")
        if re.fullmatch(f"[^/]+{body}" if within else body, address, re.DOTALL):
            wanted.add(form)
    assert set(Globs(forms).matching(address)) == wanted == {one for one in forms if Glob(one).matches(address)}


def test_no_pattern_makes_matching_slow() -> None:
    """`*a*a*...*b` against a long address of `a`: a backtracking matcher would not end before the suite does."""
    address = page_address("https://a.example/" + "a" * 2000)
    assert address is not None
    assert not Glob(pattern("a.example/" + "*a" * 500 + "*b")).matches(address)
