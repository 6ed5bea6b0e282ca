"""Landing URLs: what is refused, what is stored, and that macros stay in their parameter."""

from __future__ import annotations

import time
from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adserve.core.urls import (
    MAX_LENGTH,
    UrlError,
    check_landing_url,
    check_origin,
    compile_landing_url,
    fill_macros,
)
from tests.bad_urls import BAD_URLS


@pytest.mark.parametrize("text", BAD_URLS)
def test_a_bad_landing_url_is_refused_with_a_sentence(text: str) -> None:
    """Each row of the case list, and its siblings in other encodings."""
    with pytest.raises(UrlError) as refusal:
        check_landing_url(text)
    assert len(refusal.value.detail) > 10
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("https://user:pw@host.example/", "user name or password"),
        ("https://{site}.a.example/", "macros in the query only"),
        ("https://a.example:99999/", "port"),
        ("https://a.example/\u202e", "invisible"),
        ("javascript:alert(1)", "http:// or https://"),
        ("http://127.0.0.1/", "public"),
        ("http://0x7f.1/", "four decimal"),
        ("https://[good.example]/", "no IPv6"),
    ],
)
def test_a_refusal_names_its_own_cause(text: str, words: str) -> None:
    """Another rule may refuse it too, but with advice that does not help."""
    with pytest.raises(UrlError, match=words):
        check_landing_url(text)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("https://a.example", "https://a.example/"),
        ("HTTPS://A.Example:443/P?Q#F", "https://a.example/P?Q#F"),
        ("http://a.example:80", "http://a.example/"),
        ("http://a.example:0443/", "http://a.example:443/"),
        ("http://a.example:65535/", "http://a.example:65535/"),
        ("https://a.example./x", "https://a.example/x"),
        ("https://a.example?x", "https://a.example/?x"),
        ("https://a.example#x?y{site}", "https://a.example/#x?y%7Bsite%7D"),
        ("https://\u0430\u0440\u0440\u04cf\u0435.com/", "https://xn--80ak6aa92e.com/"),
        ("https://xn--80ak6aa92e.com/", "https://xn--80ak6aa92e.com/"),
        ("https://XN--80AK6AA92E.com/", "https://xn--80ak6aa92e.com/"),
        ("https://p\u0430ypal.com/", "https://xn--pypal-4ve.com/"),
        ("https://bücher.example/ä?ö=ü#ß", "https://xn--bcher-kva.example/%C3%A4?%C3%B6=%C3%BC#%C3%9F"),
        ("https://faß.example/", "https://xn--fa-hia.example/"),
        ("https://a。example/", "https://a.example/"),
        ("https://r3---sn-x.my_shop.example/", "https://r3---sn-x.my_shop.example/"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://[2606:4700:0::1111]:8443/", "https://[2606:4700::1111]:8443/"),
        ("https://a.example/%0d%0aSet-Cookie:x", "https://a.example/%0d%0aSet-Cookie:x"),
        ("https://a.example/%E5%98%8A%E5%98%8D", "https://a.example/%E5%98%8A%E5%98%8D"),
        ("https://a.example/क्\u200dष", "https://a.example/%E0%A4%95%E0%A5%8D%E2%80%8D%E0%A4%B7"),
        ("https://a.example/{slot}\"<>`|^", "https://a.example/%7Bslot%7D%22%3C%3E%60%7C%5E"),
        ("https://a.example/?s={slot}&z={zzz}#{slot}", "https://a.example/?s={slot}&z={zzz}#%7Bslot%7D"),
        ("https://a.example/100%?p=5%&q=%zz&r=%4", "https://a.example/100%25?p=5%25&q=%25zz&r=%254"),
        ("https://a.example/?a=%{random}", "https://a.example/?a=%25{random}"),
        ("https://a.example/a@b:c//d?u=https://x@y/", "https://a.example/a@b:c//d?u=https://x@y/"),
    ],
)  # fmt: skip
def test_a_good_landing_url_is_stored_in_one_form(text: str, stored: str) -> None:
    """The stored form, which is also what checking it again gives."""
    assert check_landing_url(text) == stored
    assert check_landing_url(stored) == stored


def test_the_length_limit_is_exact() -> None:
    """2048 characters are taken, 2049 are not."""
    longest = "https://a.example/".ljust(MAX_LENGTH, "x")
    assert check_landing_url(longest) == longest
    with pytest.raises(UrlError, match="longer"):
        check_landing_url(longest + "x")


@pytest.mark.parametrize(
    "char", ["a", "%", "\u00e4", "\u202e", "xn--", ".", "[", "{", "\u0327", "\u0661", "@", "\ufdfa"]
)
def test_the_worst_characters_cost_milliseconds(char: str) -> None:
    """100 KB of one character, and the longest text that is looked at, in host, path and query."""
    for text in (
        char * 100_000,
        *(f"https://{where}{char * 2000}"[:MAX_LENGTH] for where in ("", "a.example/", "a.example/?")),
    ):
        began = time.perf_counter()
        with suppress(UrlError):
            check_landing_url(text)
        assert time.perf_counter() - began < 0.05


# Pieces that parsers disagree about, so that random texts get past the first check.
pieces = st.sampled_from(
    (
        *("http://", "https://", "HTTPS:", "//", "/", "\\", "@", ":", "?", "#", "[", "]", ".", "%", "%2e", "{site}"),
        *("{zzz}", "{", "xn--", "a.example", "b", "127.0.0.1", "0x7f", "1", "::1", "::ffff:", "80", "localhost"),
        *("internal", "\u3002", "\u00fc", "\u202e"),
    )
)  # fmt: skip
texts = st.one_of(
    st.text(),
    st.lists(pieces | st.text(max_size=4), max_size=12).map("".join),
    st.lists(pieces | st.text(max_size=4), max_size=8).map(lambda parts: "https://a.example/" + "".join(parts)),
    st.lists(pieces | st.characters(), max_size=6).map(lambda parts: "http://" + "".join(parts) + ".example/"),
    st.ip_addresses(v=4).map(lambda address: f"http://{address}/"),
    st.ip_addresses(v=6).map(lambda address: f"http://[{address}]/"),
    st.integers(0, 2**33).map(lambda number: f"http://{number:#x}/"),
)


@settings(max_examples=600, deadline=None)
@given(texts)
@example("http\u017f://a.example/")
def test_any_text_is_refused_or_stored_safely(text: str) -> None:
    """Nothing but `UrlError` is raised; a result is stable, ASCII, http(s), public, and Python splits it alike."""
    try:
        url = check_landing_url(text)
    except UrlError:
        return
    assert check_landing_url(url) == url
    assert url.isascii()
    assert url.isprintable()
    assert not set(url) & set(' "<>\\^`|')
    assert len(url) <= MAX_LENGTH
    split = urlsplit(url)
    assert split.scheme in ("http", "https")
    assert split.username is None
    assert split.password is None
    host = split.hostname or ""
    assert "." in host or ":" in host
    assert not f".{host}".endswith((".localhost", ".local", ".internal"))
    assert url.split("/")[2] == split.netloc
    if ":" in host or host.replace(".", "").isdigit():
        assert ip_address(host).is_global


@given(st.text(), st.text(), st.text())
def test_a_macro_value_stays_in_its_parameter(site: str, slot: str, random: str) -> None:
    """No value changes host, path, fragment or another parameter; each comes back as it was."""
    parts = compile_landing_url(check_landing_url("https://a.example/p?s={site}.{slot}&r=%{random}&z={zzz}#f"))
    values = {"site": site, "slot": slot, "random": random}
    filled = fill_macros(parts, values)
    split = urlsplit(filled)
    assert (split.scheme, split.netloc, split.path, split.fragment) == ("https", "a.example", "/p", "f")
    assert parse_qs(split.query, keep_blank_values=True, encoding="utf-8") == {
        "s": [f"{site}.{slot}"], "r": [f"%{random}"], "z": ["{zzz}"],
    }  # fmt: skip
    assert filled.isascii()


def test_titles_that_attack_are_encoded_and_missing_values_are_empty() -> None:
    """The case of the list, byte by byte; and a lone surrogate breaks nothing."""
    parts = compile_landing_url("https://a.example/?s={slot}&r={random}&c={creative}")
    assert parts == ("https://a.example/?s=", "slot", "&r=", "random", "&c=", "creative", "")
    assert (
        fill_macros(parts, {"slot": 'x&next=//evil.example#"><', "random": "/?%\r\n"})
        == "https://a.example/?s=x%26next%3D%2F%2Fevil.example%23%22%3E%3C&r=%2F%3F%25%0D%0A&c="
    )
    assert fill_macros(("a?", "slot", ""), {"slot": "\ud800"}) == "a?%3F"


def test_macros_outside_the_query_are_never_filled() -> None:
    """Even of a URL that was not checked; a URL without macros is one part."""
    for url in ("https://{site}.example/{slot}#{random}", "https://a.example/#?{site}", "https://a.example/"):
        assert compile_landing_url(url) == (url,)
        assert fill_macros((url,), {"site": "x", "slot": "y", "random": "z"}) == url


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://News.example", "https://news.example"),
        ("https://news.example:443", "https://news.example"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://intranet", "http://intranet"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_an_origin_is_stored_as_browsers_send_it(text: str, origin: str) -> None:
    """Loopback and local networks are sites too."""
    assert check_origin(text) == origin


@pytest.mark.parametrize(
    "text",
    [
        *("https://a.example/", "https://a.example/x", "https://a.example?x", "https://a.example#", "null", "*", ""),
        *("https://u@a.example", "a.example", "https://*.a.example", "ftp://a.example", "https://a.example:0"),
        *("https://a.example\n", "http://0x7f.1"),
    ],
)  # fmt: skip
def test_more_or_less_than_an_origin_is_refused(text: str) -> None:
    """Paths, wildcards, credentials, other schemes."""
    with pytest.raises(UrlError):
        check_origin(text)


@given(texts)
def test_an_origin_is_stable_or_refused(text: str) -> None:
    """The same two properties as for landing URLs."""
    try:
        origin = check_origin(text)
    except UrlError:
        return
    assert check_origin(origin) == origin
    assert origin.isascii()
