"""Tokens that are not ours, not yet, no more, or once again: each has one answer, and nothing counts twice."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable, Iterator

import pytest

from adserve.app import create_app
from adserve.core.schedule import LATE_S
from adserve.core.token import KINDS, SKEW_S, Key, Serve, Signer, decision_id
from adserve.wiring import running
from tests.conftest import SECRET, Api, Clock
from tests.wire import request, said, serving, status_of

NAMES = {"i": "impression_url", "v": "view_url", "c": "click_url"}
ROUTES = {"i": "/e/i/", "v": "/e/v/", "c": "/c/"}
KEY = Key.derive(SECRET.encode())
CLOCK = 1_800_000_000
FIGURES = ("impressions", "views", "clicks", "filtered", "late", "duplicates")


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode()


def signed(payload: bytes, kind: str, key: Key = KEY) -> str:
    """A token over any payload, with a MAC that is right for it."""
    mac = hashlib.blake2b(payload, digest_size=27, key=key.secret, person=b"adserve-event1").digest()
    place = KINDS.index(kind) * 9
    return encoded(payload + mac[place : place + 9])


def forgeries(token: str, kind: str) -> Iterator[str]:
    """Made from a good token of `kind`; as they stand in the address, where a character is a byte."""
    raw = base64.urlsafe_b64decode(token)
    payload, mac = raw[:27], raw[27:]
    assert signed(payload, kind) == token
    yield from ("", "A", "A" * 48, "A" * 10_000, "=" * 48, "." * 48, "-" * 48, "null", "0", "%00" * 48, "%", "%zz")
    for version in {*range(16)} - {1}:
        yield signed(bytes([version << 4 | payload[0] & 15]) + payload[1:], kind)
    for bit in range(8):
        yield signed(payload[:1] + bytes([payload[1] ^ 1 << bit]) + payload[2:], kind)
    foreign = Key(KEY.id, hashlib.blake2b(b"another secret with the same id", digest_size=32).digest())
    yield signed(payload, kind, foreign)
    yield from (signed(payload, other) for other in KINDS if other != kind)
    yield from (encoded(payload + wrong) for wrong in (bytes(9), mac[:8], b"", mac[:8] + b"\0", mac + b"\0", mac * 2))
    yield from (encoded(payload)[:36], encoded(mac), encoded(mac + payload), encoded(raw[::-1]))
    yield from (raw.hex(), base64.b32encode(raw).decode(), base64.a85encode(raw).decode("latin-1").replace("?", "%3F"))
    yield from (token.lower(), token.swapcase(), token[::-1], token * 2, token[:-1], token[:-1] + "=", token[:-1] + "+")
    yield from (f"{token}{more}" for more in ("/", "%0a", "%00", "%20", "=", ".", ";v=1", "%2f..%2f", "%3Fx", "\xa0"))
    yield from (f"{more}{token}" for more in ("%20", "%09", "%ef%bb%bf", "/", "./", "..%2f", "v1.", "\xff"))
    yield from ("\xff" * 48, "%ff" * 48, "%c0%ae" * 24, "é" * 48, "%EF%BC%A1" * 48, "%d9%a0" * 48)
    header = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().strip("=")
    yield from (f"{header}.{encoded(payload)}.", f"{header}.{token}.", "%7B%22alg%22:%22none%22%7D")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_forged_token_is_refused_and_reaches_no_store(api: Api, kind: str) -> None:
    """400, nowhere to go, nothing of the token in the answer; the store hears of none and is as it was."""
    await api.world()
    await api.creative()
    one = await api.decide()
    token = one[NAMES[kind]].rpartition("/")[2]
    await api.settle()
    before, scripts = await api.contents(), calls(api)
    async with serving(create_app(api.held)) as port:

        async def refused(method: str, forged: str) -> None:
            answer = await said(port, request(method, ROUTES[kind] + forged, "content-length: 0"))
            assert status_of(answer) == 400, (method, forged)
            assert b"location:" not in answer.lower()
            assert b"Traceback" not in answer
            assert len(forged) < 4 or forged.encode("latin-1") not in answer

        for method in ("GET", "HEAD" if kind == "c" else "POST"):
            await asyncio.gather(*(refused(method, forged) for forged in forgeries(token, kind)))
    assert (await api.contents(), calls(api)) == (before, scripts)
    assert api.spooled() == []
    assert (await api.http.get(one[NAMES[kind]])).status_code in (200, 302), "the good one is not used up"


def calls(api: Api) -> int:
    """How many events went to the store, or to the spool."""
    ledger = api.held.worker.ledger
    return ledger.committed + ledger.failures + ledger.spool.events


def ages(lifetime_s: int) -> dict[int, str]:
    """Age of a serve in seconds, to what becomes of its event."""
    return {
        -SKEW_S - 1: "future", -3600: "future", -SKEW_S: "counted", 0: "counted", lifetime_s: "counted",
        lifetime_s + 1: "late", lifetime_s + LATE_S: "late", lifetime_s + LATE_S + 1: "forgotten",
        CLOCK: "forgotten", CLOCK - 1: "forgotten", CLOCK - 2**31: "future", CLOCK - 2**32 + 1: "future",
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
async def test_the_age_of_a_token_decides_alone(api: Api, clock: Clock, kind: str) -> None:
    """To the second, and for the first and last moments that a token can hold: counted, late, too late to
    count as anything, or of the future and refused. A click goes to its landing page in every case."""
    await api.world()
    await api.creative()
    good = api.held.worker.signer.verify((await api.decide())[NAMES[kind]].rpartition("/")[2], kind)
    lifetime_s = api.held.worker.lifetimes.of(kind)
    outcomes = ages(lifetime_s)
    for ordinal, (age_s, outcome) in enumerate(outcomes.items(), 100):
        serve = good._replace(ordinal=ordinal, issued=CLOCK - age_s)
        token = Signer([KEY]).mint(serve)[KINDS.index(kind)]
        statuses = {(await api.http.get(ROUTES[kind] + token)).status_code for _ in range(2)}
        wanted = {"future": 400, "counted": 200}.get(outcome, 410) if kind != "c" else 302
        assert statuses == {wanted}, (age_s, outcome)
    found = list(outcomes.values())
    totals = await api.totals()
    assert totals[{"i": "impressions", "v": "views", "c": "clicks"}[kind]] == found.count("counted")
    assert totals["late"] == found.count("late")
    assert totals["duplicates"] == found.count("counted") + found.count("late")
    assert api.held.worker.clock_skew == 2 * found.count("future")
    assert await api.keys_for_ever() == []


@pytest.mark.parametrize(("kind", "method"), [("i", "GET"), ("i", "POST"), ("v", "GET"), ("v", "POST"), ("c", "GET")])
async def test_a_thousand_repeats_are_one_event_also_for_the_next_worker(
    api: Api, clock: Clock, store_url: str, kind: str, method: str
) -> None:
    """Each answer is the same to the byte, whoever gives it: nobody can tell the first from the others."""
    await api.world()
    await api.creative()
    one = await api.decide()
    repeats = 1000 if (kind, method) == ("i", "GET") else 50
    answers = [await said_by(api, method, one[NAMES[kind]]) for _ in range(repeats)]
    await api.settle()
    async with running(api.held.settings, store_url, clock=clock) as after:
        other = Api(after)
        answers += [await said_by(other, method, one[NAMES[kind]]) for _ in range(20)]
        assert len(set(answers)) == 1
        totals = await other.totals()
        await other.http.aclose()
    wanted = {"i": [1, 0, 0], "v": [1, 1, 0], "c": [0, 0, 1]}[kind]
    spooled = api.held.worker.ledger.spool.events + after.worker.ledger.spool.events
    assert [totals[name] for name in FIGURES[:5]] == [*wanted, 0, 0]
    # on a busy machine: what may have been counted before it was spooled is no repeat for certain
    assert repeats + 19 - spooled <= totals["duplicates"] <= repeats + 19


async def said_by(api: Api, method: str, url: str) -> tuple[int, bytes, tuple[tuple[str, str], ...]]:
    reply = await api.http.request(method, url)
    return reply.status_code, reply.content, tuple(reply.headers.items())


async def test_tokens_of_an_old_key_count_until_it_is_taken_out(api: Api) -> None:
    """While it stands below the new one; then they are forgeries like any other, and nothing of them is counted."""
    await api.world()
    await api.creative()
    made = [await api.decide() for _ in range(3)]
    worker, old = api.held.worker, api.held.worker.keys
    new = (Key.derive(b"another secret of more than thirty-two bytes"),)
    worker.use_keys((*new, *old))
    made.append(await api.decide())
    for kind, wanted in {"i": 200, "v": 200, "c": 302}.items():
        for one in (made[0], made[3]):
            assert (await api.http.get(one[NAMES[kind]])).status_code == wanted
    worker.use_keys(new)
    for kind, wanted in {"i": 200, "v": 200, "c": 302}.items():
        assert (await api.http.get(made[1][NAMES[kind]])).status_code == 400
        assert (await api.http.get(made[0][NAMES[kind]])).status_code == 400
        assert (await api.http.get(made[3][NAMES[kind]])).status_code == wanted
    totals = await api.totals()
    assert [totals[name] for name in FIGURES] == [2, 2, 2, 0, 0, 3]


def test_the_helper_signs_as_the_product_does() -> None:
    """Or the forgeries above would be refused for another reason than the one they are made for."""
    serve = Serve(1, 2, CLOCK, 3, 4, 0, 5, 1, 1)
    make: Callable[[Serve], tuple[str, str, str]] = Signer([KEY]).mint
    for kind, token in zip(KINDS, make(serve), strict=True):
        payload = base64.urlsafe_b64decode(token)[:27]
        assert signed(payload, kind) == token
        assert decision_id(token) == encoded(payload)
