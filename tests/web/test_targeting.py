"""Targets through delivery: what a page says decides what stands on it."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from typing import Any

import pytest

from adserve.core.schedule import parse_moment, zone
from adserve.settings import load
from adserve.wiring import running
from tests.conftest import BROWSER, Api, Clock

NONE: Mapping[str, str] = {}
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1"


async def campaigns(api: Api, **targets: Any) -> None:
    """One sponsor for each name with its target, in one slot, and a house campaign for the rest."""
    await api.world()
    for name, target in targets.items():
        await api.creative(name, tier="sponsor", target=target)
    await api.creative("house", tier="house")


async def chosen(api: Api, headers: Mapping[str, str] = NONE, /, **query: str) -> str:
    """The campaign that a request gets."""
    sent = {"Accept": "application/json", **headers}
    reply = await api.http.get("/v1/slots/news/top", params=query, headers=sent)
    assert reply.status_code == 200
    return str(reply.json()["campaign"])


async def reasons(api: Api) -> dict[str, int]:
    """How often the slot stayed empty, by reason."""
    await api.settle()
    asked = "/report?site=news&by=empty_reason&from=2027-01-01&to=2027-03-01"
    rows = (await api.call("GET", asked)).json()["rows"]
    return {row["empty_reason"]: row["requests"] for row in rows}


CONFLICT = [
    ("conflict", "Conflict"),
    ("conflict", "CONFLICT"),
    ("conflict", "\u3000conflict\u00a0"),
    ("conflict", "con\u200bflict"),
    ("conflict", "con\u0000flict"),
    ("conflict", "con\u0007flict"),
    ("conflict", "conflict\ufe0f"),
    ("conflict", "con\u3164flict"),
    ("Conflict", "conflict"),
    ("संघर्ष", unicodedata.normalize("NFD", "संघर्ष")),
    ("क़त्ल", unicodedata.normalize("NFC", "क़त्ल")),
    ("ÉLECTIONS", "e\u0301lections"),
    ("e\u0301lections", "Élections"),
    ("Straßenkampf", "STRASSENKAMPF"),
    ("ПОЛИТИКА", "политика"),
    ("戰爭", "戰爭"),
    ("전쟁", unicodedata.normalize("NFD", "전쟁")),
    ("armed conflict", "Armed\u3000 Conflict"),
]


@pytest.mark.parametrize(("excluded", "said"), CONFLICT)
async def test_what_a_campaign_excludes_never_stands_beside_it(api: Api, excluded: str, said: str) -> None:
    """In any script, case, composition and spacing, alone and among others, in slot and page calls."""
    await campaigns(api, careful={"labels": {"none": [excluded]}})
    assert await chosen(api, labels="world") == "careful"
    for labels in (said, f"world,{said}", f" {said} ,world", f"{said},{said}"):
        assert await chosen(api, labels=labels) == "house", labels
        page = (await api.http.get("/v1/pages/news", params={"labels": labels})).json()
        assert page["slots"]["top"]["campaign"] == "house"


async def test_the_slots_of_a_page_share_what_the_page_says(api: Api) -> None:
    """Every slot and instance of a page call; and the reason of one that stays empty is reported."""
    await api.world(slots=("top", "side"), repeat="any")
    await api.creative("careful", target={"labels": {"none": ["conflict"]}})
    page = (await api.http.get("/v1/pages/news", params={"labels": "Conflict", "slots": "top,side:1,side:2"})).json()
    assert [one["filled"] for one in page["slots"].values()] == [False] * 3
    page = (await api.http.get("/v1/pages/news", params={"labels": "peace", "slots": "top,side:1,side:2"})).json()
    assert [one["filled"] for one in page["slots"].values()] == [True] * 3
    assert (await reasons(api))["target_labels"] == 3


async def test_labels_are_wanted_by_any_and_by_all(api: Api) -> None:
    await campaigns(api, one={"labels": {"any": ["politics", "world"], "all": ["asia"]}})
    for labels, campaign in (
        ("World,ASIA,x", "one"),
        ("asia,politics,world", "one"),
        ("asia", "house"),
        ("world", "house"),
        ("", "house"),
    ):
        assert await chosen(api, labels=labels) == campaign, labels


@pytest.mark.parametrize("unlabelled", ["serve", "block"])
async def test_a_page_that_says_nothing_is_what_the_site_makes_of_it(api: Api, unlabelled: str) -> None:
    """`block`: what excludes labels or addresses serves only where they are said. It is live within the same call."""
    await campaigns(api, labels={"labels": {"none": ["conflict"]}})
    await api.make("PATCH", "/sites/news", {"unlabelled": unlabelled})
    expected = "labels" if unlabelled == "serve" else "house"
    for query in ({}, {"labels": ""}, {"labels": " , "}, {"labels": "x" * 61}, {"url": "https://news.example/"}):
        assert await chosen(api, NONE, **query) == expected, query
    assert await chosen(api, labels="peace") == "labels"
    await api.make(
        "PATCH", "/campaigns/labels", {"target": {"labels": None, "urls": {"none": ["news.example/live/*"]}}}
    )
    assert await chosen(api) == await chosen(api, url="/live/1") == await chosen(api, labels="peace") == expected
    assert await chosen(api, url="https://news.example/1") == "labels"
    assert await chosen(api, url="https://news.example/live/1") == "house"
    await api.make("PATCH", "/campaigns/labels", {"target": {"urls": None, "languages": {"none": ["fr"]}}})
    assert await chosen(api) == "labels"


async def test_addresses_are_matched_by_host_and_path(api: Api) -> None:
    await campaigns(api, world={"urls": {"any": ["News.example/world/*", "*.example/अ*"], "none": ["*/world/*-live"]}})
    for url, campaign in (
        ("https://news.example/world/1", "world"),
        ("http://NEWS.example:8080/world", "world"),
        ("https://news.example/%77orld/a?x=/live#y", "world"),
        ("https://m.news.example/%E0%A4%85%E0%A4%AC", "world"),
        ("https://news.example/World/1", "house"),
        ("https://news.example/worldly", "house"),
        ("https://news.example/world/match-live", "house"),
        ("https://evil.test/news.example/world/1", "house"),
        ("", "house"),
    ):
        assert await chosen(api, url=url) == campaign, url
    assert await chosen(api, {"Referer": "https://news.example/world/1"}) == "house"


async def test_a_language_takes_what_falls_back_to_it(api: Api) -> None:
    """The parameter goes before the header, of which the language with the highest weight counts."""
    await campaigns(api, english={"languages": {"any": ["en", "zh-Hant"], "none": ["en-IN"]}})
    for lang, campaign in (
        ("en", "english"),
        ("en-GB", "english"),
        ("EN-gb-oed", "english"),
        ("zh-Hant-TW", "english"),
        ("zh", "house"),
        ("en-IN", "house"),
        ("eng", "house"),
        ("hi", "house"),
    ):
        assert await chosen(api, lang=lang) == campaign, lang
    for header, campaign in (
        ("hi;q=0.5,en-GB", "english"),
        ("hi,en;q=0.9", "house"),
        ("en-IN,en;q=0.9", "house"),
        ("*", "house"),
    ):
        assert await chosen(api, {"Accept-Language": header}) == campaign, header
    assert await chosen(api, {"Accept-Language": "en"}, lang="hi") == "house"
    assert await chosen(api, {"Accept-Language": "en"}, lang="!") == "english"


async def test_a_country_is_that_of_a_caller_with_a_key(api: Api) -> None:
    await campaigns(api, nepal={"countries": {"any": ["np"]}})
    made = await api.make("POST", "/keys", {"name": "k", "scopes": ["delivery"]})
    await api.held.services.accounts.refresh()
    keyed = {"Authorization": f"Bearer {made['key']}"}
    assert await chosen(api, keyed, country="NP") == await chosen(api, keyed, country="np") == "nepal"
    assert await chosen(api, keyed, country="IN") == await chosen(api, keyed) == "house"
    assert await chosen(api, country="NP") == "house"
    assert await chosen(api, {"CF-IPCountry": "NP"}) == "house"


@pytest.mark.parametrize(("proxies", "expected"), [("203.0.113.0/24", "nepal"), ("198.51.100.0/24", "house")])
async def test_a_country_is_that_of_a_trusted_proxy(
    store_url: str, settings: Any, clock: Clock, proxies: str, expected: str
) -> None:
    """Every call of the tests comes from 203.0.113.9: the header is believed where this is named."""
    more = {"ADSERVE_COUNTRY_HEADER": "CF-IPCountry", "ADSERVE_TRUSTED_PROXIES": proxies}
    named = load({}, {**settings.environment(), **more}, settings.data_dir / "none.toml")
    async with running(named, store_url, clock=clock) as held:
        api = Api(held)
        await campaigns(api, nepal={"countries": {"any": ["NP"]}})
        assert await chosen(api, {"CF-IPCountry": "np"}) == expected
        assert await chosen(api, {"CF-IPCountry": "IN"}) == await chosen(api) == "house"
        assert await chosen(api, {"CF-IPCountry": "IN"}, country="NP") == "house"
        await api.http.aclose()


async def test_a_device_is_what_the_client_says_or_is(api: Api) -> None:
    """The parameter, else Client Hints, else the user agent; one of which nothing is known passes `none` alone."""
    await campaigns(api, phone={"devices": {"any": ["mobile"]}}, known={"devices": {"none": ["desktop", "mobile"]}})
    assert await chosen(api, {"User-Agent": PHONE}) == "phone"
    assert await chosen(api, {"User-Agent": BROWSER, "Sec-CH-UA-Mobile": "?1"}) == "phone"
    assert await chosen(api, device="mobile") == "phone"
    assert await chosen(api, {"User-Agent": PHONE}, device="desktop") == "house"
    assert await chosen(api) == "house"
    assert await chosen(api, device="tablet") == await chosen(api, {"User-Agent": ""}) == "known"


async def test_key_values_are_those_of_the_page(api: Api) -> None:
    await campaigns(api, front={"kv": {"section": {"any": ["Front Page"]}, "paid": {"none": ["yes"]}}})
    for query, campaign in (
        ({"kv.section": "front page"}, "front"),
        ({"kv.section": "x,FRONT PAGE", "kv.other": "y"}, "front"),
        ({"kv.section": "front page", "kv.paid": "no"}, "front"),
        ({"kv.section": "front page", "kv.paid": "no,Yes"}, "house"),
        ({"kv.section": "sport"}, "house"),
        ({"kv.Section": "front page"}, "house"),
        ({"section": "front page"}, "house"),
        ({}, "house"),
    ):
        assert await chosen(api, NONE, **query) == campaign, query


async def test_hours_are_those_of_the_campaigns_zone(api: Api, clock: Clock) -> None:
    """09:00 in Kathmandu is 03:15 UTC; the minute decides."""
    await api.world()
    await api.creative("day", tier="sponsor", timezone="Asia/Kathmandu", target={"hours": ["mon-fri 9:00-17:00"]})
    await api.creative("night", tier="standard", timezone="Asia/Kathmandu", target={"hours": ["fri 22:00-06:00"]})
    await api.creative("house", tier="house")
    for at, campaign in (
        ("2027-01-15T03:14:59Z", "house"),
        ("2027-01-15T03:15:00Z", "day"),
        ("2027-01-15T11:14:59Z", "day"),
        ("2027-01-15T11:15:00Z", "house"),
        ("2027-01-15T16:15:00Z", "night"),
        ("2027-01-16T00:14:00Z", "night"),
        ("2027-01-16T00:15:00Z", "house"),
        ("2027-01-16T04:00:00Z", "house"),
        ("2027-01-18T04:00:00Z", "day"),
    ):
        clock.now = parse_moment(at, zone("UTC"))
        assert await chosen(api) == campaign, at


@pytest.mark.parametrize(
    ("target", "query", "reason"),
    [
        ({"labels": {"any": ["x"]}}, {}, "target_labels"),
        ({"urls": {"any": ["x.example"]}}, {}, "target_urls"),
        ({"languages": {"any": ["en"]}}, {"lang": "hi"}, "target_languages"),
        ({"countries": {"any": ["IN"]}}, {}, "target_countries"),
        ({"devices": {"any": ["tablet"]}}, {}, "target_devices"),
        ({"kv": {"a": {"all": ["b", "c"]}}}, {"kv.a": "b"}, "target_kv"),
        ({"hours": ["sat"]}, {}, "out_of_hours"),
        ({"labels": {"any": ["x"]}, "urls": {"any": ["x.example"]}}, {"labels": "x"}, "target_urls"),
    ],
)
async def test_an_empty_slot_is_reported_with_the_rule_that_kept_it_so(
    api: Api, target: dict[str, Any], query: dict[str, str], reason: str
) -> None:
    await api.world()
    await api.creative("one", target=target)
    assert not (await api.decide(**query))["filled"]
    assert await reasons(api) == {reason: 1}


async def test_a_change_of_a_target_is_live_at_once(api: Api) -> None:
    """Also for a request that was answered before, and back."""
    await campaigns(api, one={"labels": {"any": ["a"]}})
    for label in ("a", "b", "a", "c"):
        await api.make("PATCH", "/campaigns/one", {"target": {"labels": {"any": [label]}}})
        assert [await chosen(api, labels=said) for said in ("a", "b", "c")] == [
            "one" if said == label else "house" for said in ("a", "b", "c")
        ]
    await api.make("PATCH", "/campaigns/one", {"target": None})
    assert await chosen(api) == "one"


STRANGE = [
    "",
    "x" * 20_000,
    "%" * 5_000,
    "*" * 5_000,
    "javascript:alert(1)",
    "\ue000",
    "\x00",
    "mon" + " " * 9_000 + "!",
    "24:00-24:00",
]


async def test_a_target_that_was_spoilt_in_the_store_fails_no_other(api: Api) -> None:
    """Each member with values that no check would let in: every call is answered, by the campaign that is sound."""
    await campaigns(api, one={"labels": {"none": ["y"]}})
    assert await chosen(api, labels="x") == "one"
    client, keys = api.held.services.client, api.held.services.keys
    text: Any = await client.hget(keys.objects, "campaign:one")
    for value in STRANGE:
        rule = {"any": [value], "none": [value]}
        spoilt: dict[str, Any] = dict.fromkeys(("labels", "urls", "languages", "countries", "devices"), rule)
        for name, bad in {**spoilt, "kv": {value: {"all": [value]}}, "hours": [value]}.items():
            body = json.loads(text)
            body["target"][name] = bad
            await client.hset(keys.objects, "campaign:one", json.dumps(body))
            await client.zadd(keys.changed, {"campaign:one": await client.incr(keys.version)})
            await api.held.services.refresh()
            assert await chosen(api, labels="x", url="https://x.example/", lang="en") == "house", (name, value)
