"""What a delivery request says of its page and reader."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserve.core.context import Context
from adserve.core.languages import fallbacks
from adserve.core.model import DEVICES
from adserve.core.targeting import label_number
from adserve.settings import load
from adserve.web.client import Ask, reader_of
from adserve.web.context import context_of, preferred
from adserve.web.parameters import Query, parameters
from adserve.wiring import running
from tests.conftest import ADMIN, BROWSER, Api, Clock


def context(query: str | bytes, *, languages: bytes = b"", country: str | None = None) -> tuple[Context, int]:
    raw = query if isinstance(query, bytes) else query.encode()
    return context_of(parameters(raw), 1, country, languages)


def numbers(*labels: str) -> frozenset[int]:
    return frozenset(map(label_number, labels))


LONG = "x" * 60
MANY = ",".join(f"l{at}" for at in range(50))


@pytest.mark.parametrize(
    ("sent", "labels", "malformed"),
    [
        ("", (), 0),
        ("world,Asia", ("world", "asia"), 0),
        (" world , ,asia,world", ("asia", "world"), 0),
        (quote("संघर्ष,戰爭"), ("संघर्ष", "戰爭"), 0),
        (quote("E\u0301lections"), ("élections",), 0),
        ("new+delhi,a%20%20b", ("new delhi", "a b"), 0),
        ("a%2Cb", ("a", "b"), 0),
        (LONG, (LONG,), 0),
        (f"{LONG}x,world", ("world",), 1),
        (f"{'y' * 5000},world", ("world",), 1),
        ("%ff,world,%e0%a4", ("world",), 2),
        (MANY, tuple(MANY.split(",")), 0),
        (f"{MANY},l1,l2", tuple(MANY.split(",")), 0),
        (f"{MANY},a,b,c", tuple(MANY.split(",")), 1),
    ],
)
def test_labels_are_read(sent: str, labels: tuple[str, ...], malformed: int) -> None:
    """Up to 50, of up to 60 characters; what is left out spoils no other label."""
    assert context(f"labels={sent}") == (Context(labels=numbers(*labels), device=1), malformed)


@pytest.mark.parametrize(
    ("query", "expected", "malformed"),
    [
        ("url=https%3A%2F%2FNews.example%2Fworld%3Fa%3D1", {"url": "news.example/world/"}, 0),
        ("url=https://news.example/world?a=1&b=2", {"url": "news.example/world/"}, 0),
        (f"url=https://news.example/world?{'q' * 4000}", {"url": "news.example/world/"}, 0),
        ("url=", {}, 0),
        ("url=/world", {}, 1),
        ("url=%ff", {}, 1),
        (f"url=https://news.example/{'q' * 4000}", {}, 1),
        ("lang=zh-Hant-TW", {"languages": ("zh-hant-tw", "zh-hant", "zh")}, 0),
        ("lang=en_GB", {"languages": ("en-gb", "en")}, 0),
        ("lang=", {"languages": ("de",)}, 0),
        ("lang=*", {"languages": ("de",)}, 1),
        ("lang=%ff", {"languages": ("de",)}, 1),
        ("kv.section=Front,front,World+News&kv.a=b", {"kv": (("a", ("b",)), ("section", ("front", "world news")))}, 0),
        ("kv%2Ea=b", {"kv": (("a", ("b",)),)}, 0),
        ("kv.a=&kv.b=,", {}, 0),
        ("kv.=x&kv.a%20b=x&kv.%ff=1", {}, 3),
        ("kv.A=x&kv.a=y&kv.a=z", {"kv": (("A", ("x",)), ("a", ("y", "z")))}, 0),
        ("kva=1&xkv.a=1&referer=https://a.example/", {}, 0),
        ("&".join(f"kv.n{at:02}=v" for at in range(20)), {"kv": tuple((f"n{at:02}", ("v",)) for at in range(20))}, 0),
        ("&".join(f"kv.n{at:02}=v" for at in range(23)), {"kv": tuple((f"n{at:02}", ("v",)) for at in range(20))}, 1),
        (f"kv.a={'x' * 61},b", {"kv": (("a", ("b",)),)}, 1),
    ],
)
def test_the_rest_is_read(query: str, expected: dict[str, Any], malformed: int) -> None:
    """Address, language (else that of the header), key-values; what is malformed is left out and counted."""
    languages = b"de;q=0.5" if query.startswith("lang") else b""
    assert context(query, languages=languages) == (Context(device=1, **expected), malformed)


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("en", ("en",)),
        ("zh-Hant-CN-x-one-two", ("zh-hant-cn-x-one-two", "zh-hant-cn-x-one", "zh-hant-cn", "zh-hant", "zh")),
        ("en-u-ca-gregory", ("en-u-ca-gregory", "en-u-ca", "en")),
        ("a-b", ()),
        ("en-", ()),
        ("e\u0307n", ()),
        ("en-" + "a" * 9, ()),
        ("en" + "-abcdefgh" * 4, ()),
    ],
)  # fmt: skip
def test_a_language_falls_back_along_its_tag(tag: str, expected: tuple[str, ...]) -> None:
    """As in RFC 4647: a single letter goes with the part behind it."""
    assert fallbacks(tag) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"", ()),
        (b"en-GB,en;q=0.9,de;q=0.8", ("en-gb", "en")),
        (b"en;q=0.5, hi-IN ; q=0.9, de", ("de",)),
        (b"en;q=0.5,hi-IN;q=0.5", ("en",)),
        (b"*, ta;q=0.1", ("ta",)),
        (b"en;q=0", ()),
        (b"en;q=1.5,fr;q=x,nl;q=0.001", ("nl",)),
        (b"en;level=1;Q=0.4,de;q=0.3", ("en",)),
        (b"\xff\xfe,;;,=", ()),
        (b"x" * 300 + b",en", ()),
    ],
)
def test_a_header_gives_the_language_that_a_reader_likes_best(header: bytes, expected: tuple[str, ...]) -> None:
    assert preferred(header[:256]) == expected
    assert context(b"", languages=header)[0].languages == expected


@given(
    st.binary(max_size=60),
    st.sampled_from([b"labels", b"url", b"lang", b"kv.a", b"kv.", b"kv.\xff"]),
    st.binary(max_size=40),
)
def test_no_request_breaks_it(value: bytes, name: bytes, header: bytes) -> None:
    """Whatever bytes a caller sends; asked again it is the same."""
    query = Query({name: value, b"other": b"1"})
    found = context_of(query, 2, "IN", header)
    assert found == context_of(Query(query), 2, "IN", header)
    assert (found[0].device, found[0].country) == (2, "IN")
    assert found[1] >= 0


async def test_what_is_malformed_is_counted_for_every_request(api: Api) -> None:
    """Also when the answer is remembered; the slot is filled."""
    await api.world()
    await api.creative()
    asked = {"labels": f"{LONG}x,world", "url": "/a", "lang": "*", "kv.a b": "c", "kv.ok": "d", "other": "e"}
    for calls in (1, 2, 3):
        assert (await api.decide(**asked))["filled"]
        assert api.held.worker.malformed == 4 * calls
    page = await api.http.get("/v1/pages/news", params={**asked, "slots": "top:1,top:2"})
    assert page.json()["slots"]["top:1"]["filled"]
    assert api.held.worker.malformed == 16


async def test_the_same_page_is_read_once(api: Api) -> None:
    """Whoever its readers are, and whatever else their queries say; what is long is not remembered."""
    worker = api.held.worker

    def seen(query: bytes) -> Context:
        asked = Ask("GET", query, {b"user-agent": BROWSER.encode(), b"accept-language": b"en"}, "203.0.113.9")
        return reader_of(worker, asked, parameters(query), clients="browser").context

    first = seen(b"labels=a,b&url=https://news.example/1&pv=aaaaaaaa")
    again = seen(b"pv=bbbbbbbb&labels=a,b&visitor=v&url=https://news.example/1")
    assert again == first
    assert again.labels is first.labels
    assert seen(b"labels=a,c&url=https://news.example/1") != first
    long = b"labels=" + b",".join(b"%0150d" % at for at in range(20))
    assert seen(long) == seen(long)
    assert seen(long).labels is not seen(long).labels
    assert seen(b"") == Context(languages=("en",), device=DEVICES.index("desktop"))


async def test_the_country_is_that_of_the_key_else_of_the_proxy(store_url: str, settings: Any, clock: Clock) -> None:
    """The header counts when a trusted proxy is at the other end, and from nobody else; a key goes first."""
    environment = {
        **settings.environment(),
        "ADSERVE_COUNTRY_HEADER": "CF-IPCountry",
        "ADSERVE_TRUSTED_PROXIES": "10.0.0.0/8",
    }
    named = load({}, environment, settings.data_dir / "none.toml")
    async with running(named, store_url, clock=clock) as held:

        def country(
            query: bytes = b"", *, peer: str = "10.1.2.3", header: bytes | None = b"np", key: bool = False
        ) -> str | None:
            headers = {b"user-agent": BROWSER.encode(), **({} if header is None else {b"cf-ipcountry": header})}
            caller = held.services.accounts.known(ADMIN) if key else None
            assert (caller is not None) is key
            asked = Ask("GET", query, headers, peer, caller)
            return reader_of(held.worker, asked, parameters(query), clients="browser").context.country

        assert country() == country(b"labels=a") == "NP"
        assert country(b"country=IN") == "NP"
        assert country(b"country=IN", key=True) == "IN"
        assert country(b"labels=a", key=True) == "NP"
        assert country(header=None) is None
        assert country(header=b"T1") is None
        assert country(header=b"") is None
        assert country(peer="203.0.113.9") is None
        assert country(peer="") is None
        assert held.worker.malformed == 0
        assert country(b"country=India", key=True) == "NP"
        assert held.worker.malformed == 1
