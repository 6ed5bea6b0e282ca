"""Tokens on the wire: every way to be almost ours, from every place, and the same one again from everywhere."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest

from tests.conftest import BROWSER
from tests.security.promises import check, promises
from tests.security.world import Answer, Request, World

ROUTES = {"i": "/e/i/", "v": "/e/v/", "c": "/c/"}
URLS = {"i": "impression_url", "v": "view_url", "c": "click_url"}


def almost(token: str) -> Iterator[str]:
    """Each bit flipped, each length, each byte of it given in another spelling."""
    raw = base64.urlsafe_b64decode(token)
    for place in range(len(raw)):
        for bit in range(8):
            yield base64.urlsafe_b64encode(raw[:place] + bytes([raw[place] ^ 1 << bit]) + raw[place + 1 :]).decode()
    for length in range(len(token)):
        yield token[:length]
        yield token[:length] + "%00" + token[length + 1 :]
        yield token[:length] + token[length + 1 :] + token[length]


@pytest.mark.parametrize("kind", ROUTES)
async def test_no_token_that_is_almost_ours_is_taken(world: World, kind: str) -> None:
    """400 or 404, no Location, and the fresh one it was made from is still worth its event."""
    one = await world.api.decide()
    token = one[URLS[kind]].rpartition("/")[2]
    every = [Request(method, ROUTES[kind] + text) for text in almost(token) if text != token
             for method in (("GET", "HEAD") if kind == "c" else ("GET", "POST"))]  # fmt: skip
    counts = {"i": ("impressions",), "v": ("views", "impressions"), "c": ("clicks", "clicks_unseen")}[kind]
    async with promises(world, counts=counts):
        before = await world.api.totals()
        for request, answer in zip(every, await world.walk(every), strict=True):
            check(answer, request)
            assert answer.status in (400, 404), request
            assert answer.header("location") is None, request
        after = await world.api.totals()
        assert {name: after[name] for name in (*counts, "duplicates", "late")} == {
            name: before[name] for name in (*counts, "duplicates", "late")
        }
        good = await world.ask(Request("GET", ROUTES[kind] + token))
        assert good.status == (302 if kind == "c" else 200)
        assert (await world.api.totals())[counts[0]] == before[counts[0]] + 1


async def test_the_same_event_from_everywhere_is_one(world: World) -> None:
    """From other browsers, addresses, pages and methods, with any query or body: one event, and every answer of a
    method is the same to the byte, so that nobody learns whether it counted."""
    one = await world.api.decide()
    ways: list[tuple[str, tuple[tuple[str, str], ...], bytes]] = [
        ("", (), b""), ("?x=1", (), b""), ("?" + "y" * 5000, (), b""), ("", (("User-Agent", BROWSER + " Edg/1"),), b""),
        ("", (("X-Forwarded-For", "198.51.100.7"),), b""), ("", (("Referer", "https://evil.example/"),), b""),
        ("", (("Accept", "application/json"),), b""), ("", (("Cookie", "a=b"),), b""), ("", (("Origin", "null"),), b""),
        ("", (("Range", "bytes=0-0"),), b""),
        ("", (("If-None-Match", "*"), ("If-Match", '"x"')), b""), ("", (("User-Agent", "Googlebot"),), b""),
        ("", (("Sec-Purpose", "prefetch"),), b""), ("?internal=1", (), b""), ("", (), b"x" * 20_000),
    ]  # fmt: skip
    counts = ("impressions", "views", "clicks")
    async with promises(world, counts=counts):
        before = await world.api.totals()
        for kind, url in URLS.items():
            target = ROUTES[kind] + one[url].rpartition("/")[2]
            for method in ("GET",) if kind == "c" else ("GET", "POST"):
                every = [
                    Request(method, f"{target}{query}", headers, body)
                    for query, headers, body in ways
                    for _ in range(5)
                ]
                answers = {(a.status, tuple(a.headers), a.body) for a in await world.walk(every)}
                assert len(answers) == 1, (kind, method, answers)
        after = await world.api.totals()
        assert [after[name] - before[name] for name in counts] == [1, 1, 1]
        # on a busy machine some go by the spool, and what may have been counted before that is no repeat for certain
        assert 0 < after["duplicates"] - before["duplicates"] <= 5 * len(ways) * 5 - 3


async def test_a_token_opens_nothing_else(world: World) -> None:
    """Not the API, not as a key, a cookie, a page view or a visitor; and nothing else passes for one."""
    secrets = [*world.tokens.values(), world.places["/keys/{id}"], world.media.partition(".")[0]]
    every = [Request("GET", "/api/v1/sites", (("Authorization", f"{scheme} {secret}"),))
             for secret in secrets for scheme in ("Bearer", "bearer", "Basic", "Token")]  # fmt: skip
    every += [
        Request("GET", f"/api/v1/sites?{name}={secret}")
        for secret in secrets
        for name in ("key", "token", "access_token")
    ]
    every += [Request("GET", "/api/v1/sites", (("Cookie", f"session={secret}; token={secret}"),)) for secret in secrets]
    async with promises(world):
        for request, answer in zip(every, await world.walk(every), strict=True):
            check(answer, request)
            assert answer.status == 401, request
        for token in world.tokens.values():
            answer = await world.ask(Request("GET", f"/v1/pages/news?pv={token}&visitor={token}"))
            assert answer.status == 200
            assert set(json.loads(answer.body)) == {"page_view", "slots"}


async def test_fifty_clicks_of_one_client_all_lead_on_and_ten_count(world: World) -> None:
    """Each with a token of its own; the others are set aside as `rate`, and together they are what came."""
    made = [await world.api.decide() for _ in range(50)]
    every = [Request("GET", ROUTES["c"] + one["click_url"].rpartition("/")[2]) for one in made]
    async with promises(world, counts=("clicks", "clicks_unseen", "filtered")):
        before = await world.api.totals()
        answers: list[Answer] = await world.walk(every)
        assert {(answer.status, answer.header("location")) for answer in answers} == {(302, "https://shop.example/tea")}
        after = await world.api.totals()
        counted, aside = after["clicks"] - before["clicks"], after["filtered"] - before["filtered"]
        assert (counted, aside) == (10, 40)
