"""Every error that a store can give, and replies that are none, to every kind of command that a worker sends."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Iterator

import httpx2
import pytest

from adserve.settings import Settings
from adserve.store.client import REPLY_ERRORS
from adserve.store.embedded import EmbeddedStore
from adserve.store.media import digest_of
from adserve.wiring import running
from tests.conftest import Api, Clock
from tests.flows.rest import at_rest, until
from tests.replies import Replies, replies

PART = 9 if os.environ.get("ADSERVE_CHAOS_RUNS", "1") == "1" else 1

KINDS = (
    "GET", "SET", "HSETNX", "HGET", "HGETALL", "HSCAN", "HMGET", "HINCRBY", "HLEN", "ZRANGEBYSCORE",
    "XREVRANGE", "ZREVRANGEBYSCORE", "EVALSHA", "SCRIPT", "CLIENT", "INFO", "EXISTS", "MGET", "HKEYS", "MULTI", "EXEC",
    "DEL",
)  # fmt: skip
"""What a worker sends while the calls below are made; a new kind fails a test until it stands here."""

ERRORS = (
    "ERR", "ERR unknown command 'GET', with args beginning with: ", "ERR wrong number of arguments for 'get' command",
    "ERR syntax error", "ERR value is not an integer or out of range", "ERR increment or decrement would overflow",
    "ERR max number of clients reached", "ERR Protocol error: invalid bulk length", "ERR DB index is out of range",
    "ERR AUTH <password> called without any password configured for the default user", "ERR user_script:12: boom",
    "ERR Error running script (call to f_0): @user_script:12: WRONGTYPE Operation against a key",
    "ERR invalid password",
    "OOM command not allowed when used memory > 'maxmemory'.", "READONLY You can't write against a read only replica.",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    "MISCONF Errors writing to the AOF file: No space left on device", "LOADING Redis is loading the dataset in memory",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "NOAUTH Authentication required.",
    "WRONGPASS invalid username-password pair or user is disabled.",
    "NOPERM this user has no permissions to run the command",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "NOREPLICAS Not enough good replicas to write.", "CLUSTERDOWN The cluster is down",
    "CLUSTERDOWN Hash slot not served",
    "MOVED 3999 127.0.0.1:1", "MOVED", "ASK 3999 127.0.0.1:1",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "CROSSSLOT Keys in request don't hash to the same slot", "NOSCRIPT No matching script. Please use EVAL.",
    "EXECABORT Transaction discarded because of previous errors.", "UNBLOCKED client unblocked via CLIENT UNBLOCK",
    "WRONGTYPE Operation against a key holding the wrong kind of value", "NOPROTO unsupported protocol version",
    "BUSYGROUP Consumer Group name already exists", "INPROG Failover already in progress.", "A NEW KIND of error", "",
)  # fmt: skip

STRANGE = (
    b"+OK\r\n", b"+QUEUED\r\n", b":7\r\n", b":-1\r\n", b"$-1\r\n", b"*-1\r\n", b"*0\r\n", b"$0\r\n\r\n",
    b"$3\r\nabc\r\n",
    b"$2\r\n\xff\xfe\r\n", b"*1\r\n$3\r\nabc\r\n", b"*1\r\n:1\r\n", b"*1\r\n$-1\r\n", b"*2\r\n*1\r\n:1\r\n$-1\r\n",
    b"*3\r\n" + b"$3\r\nabc\r\n" * 3, b"*3\r\n:1\r\n:2\r\n:3\r\n", b"*2\r\n$1\r\na\r\n$1\r\nb\r\n",
    b"*1\r\n-ERR within\r\n",    b"*1\r\n*2\r\n$1\r\na\r\n*0\r\n",
)  # fmt: skip
"""Whole replies of another shape than any command is answered with."""

TORN = (
    b"", b"*", b"$5\r\nab", b"*2\r\n$1\r\na\r\n", b"-ERR no end", b"$536870912\r\nabc", b"*100000\r\n:1\r\n", b":\r\n",
    b"$-2\r\n", b"$99999999999999999999\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\xff\r\n", b"\r\n", b"*-7\r\n",
)  # fmt: skip
"""What ends within a reply, or is none."""


@pytest.fixture
async def told(
    store: EmbeddedStore, settings: Settings, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Api, Replies]]:
    """A worker whose store answers as told, with one creative; keys are read anew for each call."""
    monkeypatch.setattr("adserve.store.accounts.REMEMBER_S", 0)
    async with replies(str(store.socket_path)) as between, running(settings, between.url, clock=clock) as held:
        api = Api(held)
        await api.world()
        await api.creative()
        yield api, between
        between.answers = {}
        await api.http.aclose()


async def everything(api: Api, key: str, number: int) -> dict[str, httpx2.Response]:
    """One call of each sort, at once. A picture is kept as an upload does it."""
    one = await api.decide()
    mine = {"Authorization": f"Bearer {key}"}
    text = {"kind": "text", "name": "t", "title": "Tea", "click_url": "https://shop.example/tea"}
    calls: dict[str, Awaitable[httpx2.Response]] = {
        "slot": api.http.get("/v1/slots/news/top"),
        "impression": api.http.get(one["impression_url"]),
        "view": api.http.post(one["view_url"]),
        "click": api.http.get(one["click_url"]),
        "media": api.http.get(f"/m/{number:040x}.png"),
        "site": api.call("GET", "/sites/news"),
        "list": api.call("GET", "/creatives"),
        "stored key": api.call("GET", "/campaigns", **mine),
        "put": api.call("PUT", f"/advertisers/a{number}", {"name": "A"}),
        "upload": api.call("POST", "/campaigns/one/creatives", text),
        "report": api.call("GET", "/report?site=news&from=2027-01-01&to=2027-03-01"),
        "audit": api.call("GET", "/audit"),
        "new key": api.call("POST", "/keys", {"role": "admin", "name": "n"}),
        "revoke": api.call("DELETE", "/keys/none"),
    }
    found = await asyncio.gather(*calls.values())
    picture = b"GIF89a%d" % number
    with contextlib.suppress(*REPLY_ERRORS):
        await api.held.services.media.put(f"{digest_of(picture)}.gif", picture)
    return dict(zip(calls, found, strict=True))


DONE = {"media": 404, "put": 201, "upload": 201, "new key": 201, "revoke": 404}
"""What the calls answer when nothing is wrong, where that is not 200."""


@pytest.mark.parametrize("place", range(len(KINDS)), ids=KINDS)
async def test_no_reply_of_the_store_is_a_500_or_a_wrong_figure(told: tuple[Api, Replies], place: int) -> None:
    """Delivery and events go on as if nothing were, by the spool; calls that need the store say 503 without a
    word of it. An error is never taken for an answer: what is done is done, and a report is right or absent.
    When the store is well again every event is counted, once, and nobody has asked without end."""
    api, between = told
    key = (await api.make("POST", "/keys", {"role": "admin", "name": "k"}))["key"]
    for _ in range(3):
        await api.http.get((await api.decide())["impression_url"])
    await api.settle()
    kind, counted, made = KINDS[place], 3, 3
    for number, (raw, ends, whole) in enumerate(of_turn(place), 1):
        between.answers, between.ends, between.given = {kind: raw}, ends, 0
        api.held.worker.ledger.breaker.succeeded()  # or it would be open, and the store not asked at all
        replies = await everything(api, key, number)
        between.answers = {}
        made += 2
        for name, reply in replies.items():
            context = (kind, raw, name, reply.status_code, reply.text)
            if name in ("slot", "impression", "view", "click"):
                spoilt = kind in ("EVALSHA", "SCRIPT") and b"WRONGTYPE" in raw
                assert reply.status_code < 400 or (spoilt and reply.status_code == 503), context
            elif whole:  # a lie, which may pass for an answer
                assert reply.status_code in (DONE.get(name, 200), 204, 401, 404, 409, 412, 503), context
            else:
                assert reply.status_code in (DONE.get(name, 200), 503), context
            assert "Traceback" not in reply.text
            assert len(raw) < 12 or raw[1:12].decode("latin-1") not in reply.text, context
        report = replies["report"]
        if report.status_code == 200 and not whole and b"WRONGTYPE" not in raw:
            found = report.json()
            assert (found["totals"]["impressions"] >= 3, found["unreadable"]) == (True, 0), (kind, raw)
        counted += replies["impression"].status_code == 200 or replies["view"].status_code == 204
        assert between.given < 300, (kind, raw)
    await until(lambda: api.held.store_up and api.held.worker.ledger.breaker.state == "closed")
    totals = await at_rest(api)
    assert (totals["impressions"], totals["serves"], totals["duplicates"]) == (counted, made, 0)


def of_turn(place: int) -> Iterator[tuple[bytes, bool, bool]]:
    """`(reply, the connection ends, it is whole)`: a part of all for each kind, everything in `make chaos`."""
    every = [(f"-{text}\r\n".encode(), False, False) for text in ERRORS]
    every += [(raw, False, True) for raw in STRANGE] + [(raw, True, False) for raw in TORN]
    yield from every[place % PART :: PART]


async def test_every_kind_of_command_stands_in_the_list(told: tuple[Api, Replies]) -> None:
    """One that a worker begins to send wants its place among those that are tried."""
    api, between = told
    key = (await api.make("POST", "/keys", {"role": "admin", "name": "k"}))["key"]
    await everything(api, key, 1)
    await api.settle()
    assert between.seen == {*KINDS}
