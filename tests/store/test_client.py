"""What the store's client adds to the library: calls that are shared, replies that are understood."""

from __future__ import annotations

import asyncio
import secrets

import pytest

from adserve.errors import BadToken, StoreUnavailable
from adserve.store import client as clients
from adserve.store.client import REPLY_ERRORS, Redis, Script, Together, connect, primaries, understood


async def test_who_asks_during_a_call_shares_the_next_one() -> None:
    """The one that runs may have read what has changed since: it is good for those who asked before it began."""
    begun, going_on = 0, asyncio.Event()

    async def call() -> None:
        nonlocal begun
        begun += 1
        await going_on.wait()

    together = Together(call)
    first = [asyncio.create_task(together()) for _ in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert begun == 1
    second = [asyncio.create_task(together()) for _ in range(5)]
    for task in (first[0], second[0]):  # who gives up takes nothing from the others
        await asyncio.sleep(0)
        task.cancel()
    going_on.set()
    await asyncio.gather(*first[1:], *second[1:])
    assert begun == 2
    await together()
    assert begun == 3
    await together.close()


async def test_all_who_share_a_call_hear_of_its_failure_and_the_next_is_made() -> None:
    """A failure is no answer that could be kept."""
    failing = True

    async def call() -> None:
        if failing:
            raise ConnectionError("gone")

    together = Together(call)
    found = await asyncio.gather(*(together() for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in found] == [ConnectionError] * 3
    failing = False
    await together()


@pytest.mark.parametrize("raised", [TypeError, ValueError, KeyError, IndexError, AttributeError])
async def test_a_reply_of_another_shape_is_a_store_that_does_not_answer(raised: type[Exception]) -> None:
    """What was refused on purpose stays what it is."""

    @understood
    async def read(problem: Exception) -> None:
        raise problem

    with pytest.raises(StoreUnavailable, match=raised.__name__):
        await read(raised("x"))
    with pytest.raises(BadToken):
        await read(BadToken())
    with pytest.raises(ConnectionError):
        await read(ConnectionError())


@pytest.mark.parametrize("known", [True, False])
async def test_an_urgent_script_runs_on_a_store_that_knows_no_urgency(
    client: Redis, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """Stores before 7.0 refuse its first line; it is loaded without."""
    if not known:
        monkeypatch.setattr(clients, "URGENT", "#!lua flags=unheard-of\n")
    script = Script("version", urgent=True)
    sha = await script.load(client)
    plain = await Script("version").load(client)
    assert (sha == plain) is not known


async def test_a_client_that_is_closed_after_a_failure_leaves_no_connection(store_url: str) -> None:
    """Whatever the last call came to: a Cluster's client would take itself for closed after a timeout."""
    name = f"t{secrets.token_hex(6)}"
    watcher = connect(store_url)
    client = connect(store_url, timeout_s=0.2)

    async def connections() -> int:
        servers = (await primaries(watcher)).values()
        return sum([str(await server.execute_command("CLIENT", "LIST")).count(f"name={name} ") for server in servers])

    try:
        for server in (await primaries(client)).values():
            await server.execute_command("CLIENT", "SETNAME", name)
        assert await connections() > 0
        with pytest.raises(REPLY_ERRORS):
            await client.blpop([f"{name}:list"], timeout=5)
        await client.aclose()
        for _ in range(200):  # the server hears of it in its own time
            if not await connections():
                break
            await asyncio.sleep(0.01)
        assert await connections() == 0
    finally:
        await client.aclose()
        await watcher.aclose()
