"""Serves are counted once, with their flush or with the first event that proves them, whoever dies when."""

from __future__ import annotations

import asyncio
import copy
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from adserve.core.schedule import bucket_of
from adserve.core.token import Serve
from adserve.store.batch import Item
from adserve.store.client import Redis
from adserve.store.keys import HOUR_S, Keys
from adserve.store.ledger import FAILED, Ledger
from adserve.store.spaces import Spaces
from adserve.store.spool import Event, Spool

NOW = 1_800_000_000 - 1_800_000_000 % HOUR_S
TAG = 3


class Worker:
    """A ledger whose tasks a test runs by hand."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        spaces = Spaces()
        self.spool = Spool(Path(tempfile.mkdtemp()), keys.prefix, spaces.incarnation)
        self.ledger = Ledger(client, keys, spaces, self.spool, click_lifetime_s=86_400)

    def serve(self, now: int) -> Serve:
        issued, ordinal = self.ledger.spaces.take(TAG, now)
        serve = Serve(self.ledger.spaces.incarnation, ordinal, issued, 1, 11, 0, TAG, 1, 1)
        self.ledger.counts.served(serve)
        return serve

    async def event(self, serve: Serve, kind: str, verdict: str = "count", *, again: bool = False) -> str:
        return (await self.events([(serve, kind)], verdict, again=again))[0]

    async def events(self, some: list[tuple[Serve, str]], verdict: str = "count", *, again: bool = False) -> list[str]:
        """The outcomes of one batch."""
        loop = asyncio.get_running_loop()
        now = max(serve.issued for serve, _ in some) + 1
        items = [Item(Event(kind, serve, verdict), now, loop.create_future(), 0.0, again) for serve, kind in some]
        return await self.ledger.apply(items, now)


async def figures(client: Any, keys: Keys) -> dict[str, int]:
    """All figures, summed over the quarter-hours."""
    found: dict[str, int] = {}
    for bucket in await client.zrange(keys.buckets(TAG), 0, -1):
        for field, value in (await client.hgetall(keys.counters(TAG, int(bucket)))).items():
            metric = field.rpartition(".")[2]
            found[metric] = found.get(metric, 0) + int(value)
    return found


def fresh_keys() -> Keys:
    return Keys(f"t{os.urandom(6).hex()}:")


async def test_an_event_before_the_flush_counts_its_serve_once(client: Redis) -> None:
    """Repeats change nothing, and the flush brings only the other one."""
    keys = fresh_keys()
    worker = Worker(client, keys)
    shown, unseen = worker.serve(NOW), worker.serve(NOW)
    assert [await worker.event(shown, "i") for _ in range(3)] == ["counted", "duplicate", "duplicate"]
    assert await worker.event(shown, "c") == "counted"
    assert (await figures(client, keys))["s"] == 1
    await worker.ledger.counts.flush()
    assert (await figures(client, keys))["s"] == 2
    assert await worker.event(unseen, "i") == "counted"
    assert await figures(client, keys) == {"s": 2, "i": 2, "c": 1, "d": 2}
    assert not await client.exists(keys.proven(TAG, worker.ledger.spaces.incarnation))


async def test_a_killed_worker_leaves_no_debt(client: Redis) -> None:
    """Ten shown and two unseen serves die with it: ten are counted, and every later one is too."""
    keys = fresh_keys()
    killed = Worker(client, keys)
    shown = [killed.serve(NOW) for _ in range(12)][:10]
    for serve in shown:
        await killed.event(serve, "i")
    after = Worker(client, keys)
    for _ in range(5):
        after.serve(NOW)
    await after.ledger.counts.flush()
    assert await figures(client, keys) == {"s": 15, "i": 10}


@pytest.mark.parametrize("verdict", ["bot", "prefetch", "late"])
async def test_what_is_set_aside_or_late_proves_its_serve_too(client: Redis, verdict: str) -> None:
    keys = fresh_keys()
    worker = Worker(client, keys)
    await worker.event(worker.serve(NOW), "i", verdict)
    assert (await figures(client, keys))["s"] == 1


async def test_a_flush_that_is_sent_again_adds_nothing(client: Redis) -> None:
    """A lost reply makes the worker send the same batch again; the store applies it once, also when
    an event has come in between."""
    keys = fresh_keys()
    worker = Worker(client, keys)
    ledger, serves = worker.ledger, [worker.serve(NOW) for _ in range(3)]
    ledger.counts._gather()
    sent = copy.copy(ledger.counts._pending[TAG][0])
    sent.sent = True
    await ledger.counts.flush()
    await worker.event(serves[0], "i")
    later = worker.serve(NOW)
    await worker.event(later, "i")
    ledger.counts._pending[TAG].append(sent)
    assert await ledger.counts.flush()
    assert (await figures(client, keys))["s"] == 4
    await ledger.counts.flush()
    assert (await figures(client, keys))["s"] == 4


async def saved(client: Any, keys: Keys) -> dict[str, bytes]:
    """Everything of the tag, as a replica has it that gets nothing from now on."""
    names = [name async for name in client.scan_iter(match=f"{keys.prefix}*", count=1000)]
    return {name: await client.execute_command("DUMP", name, NEVER_DECODE=True) for name in names}


async def put_back(client: Any, keys: Keys, held: dict[str, bytes]) -> None:
    """What was saved takes the place of everything that came later."""
    for name in await saved(client, keys):
        await client.delete(name)
    for name, value in held.items():
        await client.restore(name, 0, value)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("serve"), st.sampled_from([0, 0, 1, 700, 1800, -4000])),
        st.tuples(st.sampled_from("ivc"), st.integers(0, 30)),
        st.tuples(st.sampled_from(["flush", "kill", "replicate", "fail over"]), st.just(0)),
    ),
    max_size=30,
)


LOST_FLUSH = [("serve", 0), ("flush", 0), ("fail over", 0), ("serve", 0), ("flush", 0), ("i", 0), ("serve", 0),
              ("flush", 0), ("v", 0), ("c", 1)]  # fmt: skip


@given(steps)
@example(LOST_FLUSH)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_serves_are_those_flushed_or_proven(client: Any, plan: list[tuple[str, int]]) -> None:
    """Any order of serves, events, flushes, kills, and failovers to a replica that is behind, over hours: each
    serve is counted once if it was flushed or had an event since then, else not at all; views <= impressions <=
    serves at every step."""
    keys, now = fresh_keys(), NOW
    workers = [worker := Worker(client, keys)]
    made: list[tuple[Worker, Serve]] = []
    fresh: set[Serve] = set()
    counted: set[Serve] = set()
    replica: tuple[dict[str, bytes], set[Serve]] = ({}, set())
    for what, number in plan:
        if what == "serve":
            now += number
            made.append((worker, worker.serve(now)))
            fresh.add(made[-1][1])
        elif what == "flush":
            await worker.ledger.counts.flush()
            counted |= fresh
            fresh.clear()
        elif what == "kill":
            workers.append(worker := Worker(client, keys))
            fresh.clear()
        elif what == "replicate":
            replica = (await saved(client, keys), set(counted))
        elif what == "fail over":
            await put_back(client, keys, replica[0])
            counted = set(replica[1])
        elif made:
            serve = made[number % len(made)][1]
            await worker.event(serve, what)
            counted.add(serve)
        found = await figures(client, keys)
        assert min(found.values(), default=0) >= 0
        assert found.get("v", 0) <= found.get("i", 0) <= found.get("s", 0) == len(counted)
    index = {int(one) for one in await client.zrange(keys.buckets(TAG), 0, -1)}
    assert index == {bucket_of(serve.issued) for serve in counted}
    for one in workers:
        await one.ledger.hang_up()


@pytest.mark.parametrize("spoilt", ["abc", "9223372036854775807", "1.5", ""])
async def test_a_spoilt_figure_is_put_aside_and_counting_goes_on(client: Any, spoilt: str) -> None:
    """Events and flushes alike; the other figures of the hash are right, the spoilt one is kept."""
    keys = fresh_keys()
    worker = Worker(client, keys)
    for cell in ("1.11.1.1.i", "1.11.1.1.s"):
        await client.hset(keys.counters(TAG, NOW), cell, spoilt)
    serves = [worker.serve(NOW) for _ in range(3)]
    assert [await worker.event(serve, kind) for serve in serves[:2] for kind in "ic"] == ["counted"] * 4
    await worker.ledger.counts.flush()
    assert await client.hgetall(keys.counters(TAG, NOW)) == {
        "?1.11.1.1.i": spoilt, "?1.11.1.1.s": spoilt, "1.11.1.1.i": "2", "1.11.1.1.c": "2", "1.11.1.1.s": "3",
    }  # fmt: skip


async def test_a_spoilt_bitmap_fails_its_own_events_alone(client: Any) -> None:
    """Those beside it in the batch are counted, and it is not answered as if it were."""
    keys = fresh_keys()
    worker = Worker(client, keys)
    serves = [worker.serve(NOW) for _ in range(2)]
    await client.rpush(keys.ledger(TAG, "vv", worker.ledger.spaces.incarnation, NOW // HOUR_S), "x")
    assert await worker.events([(serve, kind) for serve in serves for kind in "iv"]) == ["counted", FAILED] * 2
    assert (await figures(client, keys))["i"] == 2
