"""Questions between workers, on a real store."""

from __future__ import annotations

import asyncio

import pytest

from adserve.errors import StoreUnavailable
from adserve.store.client import Redis
from adserve.store.keys import Keys
from adserve.store.questions import ALIVE_S, ANYONE, AT_ONCE, KEPT_S, LONGEST, WAITING, Questions


async def test_a_question_is_answered_by_the_worker_that_it_is_for(client: Redis, keys: Keys) -> None:
    """And by it alone; one for anyone by whoever looks first, once."""
    asks, here, there = (Questions(client, keys) for _ in range(3))
    assert await here.take(["a1", ANYONE]) == []
    assert await there.take(["b2", ANYONE]) == []
    asked = asyncio.create_task(asks.ask("a1", {"decision": "x"}))
    await _waits(client, keys.questions("a1"))
    assert await there.take(["b2", ANYONE]) == []
    (question,) = await here.take(["a1", ANYONE])
    assert question.what == {"decision": "x"}
    await here.answer(question, b'{"told": "\xc3\xa9"}')
    assert await asked == b'{"told": "\xc3\xa9"}'
    asked = asyncio.create_task(asks.ask(ANYONE, {}))
    await _waits(client, keys.questions(ANYONE))
    (question,) = await there.take(["b2", ANYONE])
    assert await here.take(["a1", ANYONE]) == []
    await there.answer(question, b"1")
    assert await asked == b"1"


async def test_a_worker_that_is_gone_is_said_at_once(client: Redis, keys: Keys) -> None:
    """Nothing waits for it, and nothing is kept."""
    questions = Questions(client, keys)
    assert await questions.ask("a1", {}) is None
    assert await questions.ask("f" * 10, {}) is None
    assert [key async for key in client.scan_iter(f"{keys.prefix}*")] == []


async def test_one_that_does_not_answer_is_waited_for_no_longer_than_that(client: Redis, keys: Keys) -> None:
    questions = Questions(client, keys)
    await questions.take(["a1"])
    with pytest.raises(StoreUnavailable, match="does not answer"):
        await questions.ask("a1", {}, patience_s=0.1)


async def test_everything_is_bounded_and_goes_by_itself(client: Redis, keys: Keys) -> None:
    """How many wait, how long each is, how many are taken at once; and each key has an expiry of seconds."""
    questions = Questions(client, keys)
    await questions.take(["a1"])
    with pytest.raises(StoreUnavailable, match="too long"):
        await questions.ask("a1", {"labels": "x" * LONGEST})
    for _ in range(WAITING):
        with pytest.raises(StoreUnavailable, match="does not answer"):
            await questions.ask("a1", {}, patience_s=0)
    with pytest.raises(StoreUnavailable, match="too many"):
        await questions.ask("a1", {}, patience_s=0)
    taken = await questions.take(["a1", "b2"])
    assert len(taken) == AT_ONCE
    await questions.answer(taken[0], b"x")
    for key in (keys.alive("a1"), keys.alive("b2"), keys.questions("a1"), keys.answer(taken[0].id)):
        assert 0 < await client.ttl(key) <= max(KEPT_S, ALIVE_S)


async def test_what_is_no_question_is_left_out(client: Redis, keys: Keys) -> None:
    """A store may hold anything."""
    questions = Questions(client, keys)
    for text in ("", "no json", "[]", '{"id": 1, "what": {}}', '{"id": "x", "what": {"a": 1}}'):
        await client.rpush(keys.questions("a1"), text)
    await client.rpush(keys.questions("a1"), '{"id": "x", "what": {"a": "b"}}')
    found = [*await questions.take(["a1"]), *await questions.take(["a1"])]
    assert [one.what for one in found] == [{"a": "b"}]


async def _waits(client: Redis, key: str) -> None:
    async with asyncio.timeout(10):
        while not await client.exists(key):  # noqa: ASYNC110 - a state of the store
            await asyncio.sleep(0.01)


async def test_a_worker_that_ends_says_so(client: Redis, keys: Keys) -> None:
    questions = Questions(client, keys)
    await questions.take(["a1", "b2"])
    await questions.leave(["a1"])
    assert await questions.ask("a1", {}) is None
    with pytest.raises(StoreUnavailable):
        await questions.ask("b2", {}, patience_s=0)


async def test_the_workers_that_live_are_known(client: Redis, keys: Keys) -> None:
    """By their own names; those that ended, or were gone for seconds, are forgotten."""
    questions = Questions(client, keys)
    await questions.take(["a1", "a2", ANYONE])
    await questions.take(["b2", ANYONE])
    assert await questions.workers() == ["a1", "a2", "b2"]
    await questions.leave(["a1"])
    await client.delete(keys.alive("b2"))
    assert await questions.workers() == ["a2"]
    assert await client.hkeys(keys.workers) == ["a2"]
    assert 0 < await client.ttl(keys.workers) <= ALIVE_S
