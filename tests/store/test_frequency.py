"""What visitors have seen is read together, in time or not at all, and kept under salts that change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from adserve.core.frequency import MAX_CAMPAIGNS, Shown
from adserve.store import frequency
from adserve.store.client import Redis, connect
from adserve.store.embedded import EmbeddedStore
from adserve.store.frequency import Frequencies
from adserve.store.keys import HOUR_S, TAGS, Keys, tag_of
from adserve.store.line import Call, Line
from adserve.store.read import Found as Seen
from adserve.store.read import Reader
from adserve.store.salts import AHEAD_S, BEYOND_S, PERIOD_S, Salts
from adserve.store.snapshot import Snapshot
from tests.faults import Fault, Proxy, proxy

NOW = 1_800_000_000
WEEK = NOW // PERIOD_S
ONE, TWO = "a" * 24, "b" * 24


@pytest.fixture
async def reading(client: Redis, keys: Keys) -> AsyncIterator[Frequencies]:
    """With all the time that a busy machine takes."""
    found = Frequencies(client, keys, lambda: False)
    found.patience_s = 20
    found.start()
    yield found
    await found.close()


async def put(client: Redis, keys: Keys, digest: str, serial: int, text: str) -> None:
    await client.hset(keys.reader(tag_of(serial), digest), str(serial), text)


async def test_each_reader_has_an_answer_for_each_campaign(client: Redis, keys: Keys, reading: Frequencies) -> None:
    """Under each digest, over all tags; of one who was never seen it says that."""
    for serial in range(40):
        await put(client, keys, ONE, serial, f"{serial}:{NOW}")
    await put(client, keys, TWO, 3, f"7:{NOW - 9}")
    found = await reading.read((ONE, TWO), range(50))
    expected = {serial: (Shown(serial, NOW) if serial < 40 else None, None) for serial in range(50)}
    assert found == {**expected, 3: (Shown(3, NOW), Shown(7, NOW - 9))}
    assert await reading.read(("c" * 24,), [5]) == {5: (None,)}
    assert reading.unanswered == 0


async def test_the_requests_of_a_turn_share_one_call(
    client: Redis, keys: Keys, reading: Frequencies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that come while it is on its way share the next."""
    sent: list[int] = []
    send = Line.send

    async def counted(self: Line, calls: list[Call]) -> list[object]:
        sent.append(len(calls))
        return await send(self, calls)

    await reading.read((ONE,), [1])
    monkeypatch.setattr(Line, "send", counted)
    for serial in range(200):
        await put(client, keys, f"{serial:024}", serial, f"1:{NOW + serial}")
    asked = [reading.read((f"{serial:024}",), [serial]) for serial in range(200)]
    assert [await one for one in asked] == [{serial: (Shown(1, NOW + serial),)} for serial in range(200)]
    per_call = TAGS if reading._line.is_cluster else 1
    assert sent == [per_call]


async def test_no_request_asks_for_more_than_its_share(keys: Keys, reading: Frequencies) -> None:
    """What was not asked for is missing, and so out. A call is bounded, and the rest goes with the next."""
    found = await asyncio.gather(*(reading.read((ONE, TWO), range(1_200)) for _ in range(12)))
    assert [len(one) for one in found] == [MAX_CAMPAIGNS] * 12


async def test_what_is_spoilt_leaves_out_its_own_campaigns(client: Redis, keys: Keys, reading: Frequencies) -> None:
    """A key of another type those of its tag, a field that is no count its campaign."""
    await client.set(keys.reader(1, ONE), "x")
    await put(client, keys, ONE, 2, "many")
    await put(client, keys, ONE, 3, f"1:{NOW}")
    found = await reading.read((ONE,), [1, 17, 2, 18, 3])
    assert found == {18: (None,), 3: (Shown(1, NOW),)}


async def test_a_request_that_goes_away_harms_nobody(client: Redis, keys: Keys, reading: Frequencies) -> None:
    """Its answer is dropped."""
    await put(client, keys, ONE, 1, f"1:{NOW}")
    gone, stays = reading.read((ONE,), [1]), reading.read((ONE,), [1])
    gone.cancel()
    assert await stays == {1: (Shown(1, NOW),)}


@pytest.fixture
async def faulty(store: EmbeddedStore, keys: Keys) -> AsyncIterator[tuple[Frequencies, Proxy]]:
    async with proxy(str(store.socket_path)) as between:
        client = connect(between.url, timeout_s=0.25)
        found = Frequencies(client, keys, lambda: False)
        found.patience_s = 20
        found.start()
        assert await found.read((ONE,), [1]) == {1: (None,)}
        yield found, between
        between.set("pass")
        await found.close()
        await client.aclose()


@pytest.mark.parametrize("fault", ["black_hole", "refuse", "reset", "delay"])
async def test_a_store_that_does_not_answer_in_time_is_not_waited_for(
    faulty: tuple[Frequencies, Proxy], fault: Fault
) -> None:
    """The request goes on with nothing, however the store fails; when it is back, so are answers."""
    reading, between = faulty
    between.delay_s = 0.1
    between.set(fault)
    reading.patience_s = frequency.PATIENCE_S
    async with asyncio.timeout(20):
        assert await reading.read((ONE,), [1]) == {}
        assert reading.unanswered == 1
        between.set("pass")
        reading.patience_s = 20
        assert await reading.read((ONE,), [1]) == {1: (None,)}


async def test_a_store_that_is_known_to_be_away_is_not_asked(client: Redis, keys: Keys) -> None:
    """The answer is there at once; nor is a salt made in a store that must not be used."""
    away = True
    reading = Frequencies(client, keys, lambda: away, lambda: NOW)
    reading.start()
    await reading.refresh()
    future = reading.read((ONE,), [1])
    assert future.done()
    assert future.result() == {}
    assert await client.exists(keys.salt(WEEK)) == 0
    away = False
    await reading.refresh()
    assert len(reading.salts.alive(NOW)) == 1
    await reading.close()


async def test_who_waits_at_the_end_is_answered(faulty: tuple[Frequencies, Proxy]) -> None:
    """A worker that drains leaves nobody waiting."""
    reading, between = faulty
    between.set("black_hole")
    asked = [reading.read((ONE,), [1]) for _ in range(3)]
    await asyncio.sleep(0)
    more = reading.read((ONE,), [1])
    await reading.close()
    async with asyncio.timeout(5):
        assert [await one for one in (*asked, more)] == [{}] * 4
    assert reading.read((ONE,), [1]).result() == {}


async def test_all_workers_have_the_salt_that_came_first(client: Redis, keys: Keys) -> None:
    """Started at the same moment."""
    several = [Salts(client, keys) for _ in range(8)]
    await asyncio.gather(*(one.refresh(NOW) for one in several))
    assert len({one.alive(NOW) for one in several}) == 1
    assert [len(salt) for salt in several[0].alive(NOW)] == [16]


async def test_salts_change_by_the_week_and_two_are_alive(client: Redis, keys: Keys) -> None:
    """The newest first. The next one is there before its week begins, also in workers that the store has left since."""
    salts, other = Salts(client, keys), Salts(client, keys)
    begin = WEEK * PERIOD_S
    await salts.refresh(begin + 5)
    (first,) = salts.alive(begin + 5)
    assert await client.exists(keys.salt(WEEK - 1), keys.salt(WEEK + 1)) == 0, "none is made of what is over"
    await salts.refresh(begin + PERIOD_S - AHEAD_S)
    await other.refresh(begin + PERIOD_S - AHEAD_S)
    assert salts.alive(begin + PERIOD_S - 1) == (first,)
    second, before = salts.alive(begin + PERIOD_S)
    assert before == first != second
    assert other.alive(begin + PERIOD_S) == (second, first)
    await salts.refresh(begin + 2 * PERIOD_S)
    third, before = salts.alive(begin + 2 * PERIOD_S)
    assert before == second
    assert len({first, second, third}) == 3
    assert salts.alive(begin + 4 * PERIOD_S) == ()


async def test_a_salt_is_gone_after_the_week_that_follows_its_own(client: Redis, keys: Keys) -> None:
    """So that what was kept under it can be told of nobody."""
    await Salts(client, keys).refresh(NOW)
    left_s = await client.ttl(keys.salt(WEEK))
    over = (WEEK + 2) * PERIOD_S - NOW
    assert over < left_s <= over + BEYOND_S


async def test_a_salt_that_is_spoilt_or_gone_is_not_used(client: Redis, keys: Keys) -> None:
    """What the store has is what all take, after a failover too."""
    salts = Salts(client, keys)
    await client.set(keys.salt(WEEK), "nonsense")
    await salts.refresh(NOW)
    assert salts.alive(NOW) == ()
    await client.delete(keys.salt(WEEK))
    await salts.refresh(NOW)
    before = salts.alive(NOW)
    await client.delete(keys.salt(WEEK))
    await salts.refresh(NOW)
    assert salts.alive(NOW) not in {before, ()}


async def test_a_backup_has_nothing_of_visitors(client: Redis, keys: Keys, store_url: str) -> None:
    """Neither digests nor salts: what is gone is gone. Nor do readers who come meanwhile hold it up."""
    await Salts(client, keys).refresh(NOW)
    await client.set(keys.version, 1)
    raw = connect(store_url, decode=False)
    snapshot = Snapshot(Reader(raw, keys.prefix), lambda: NOW, retained_s=HOUR_S, keep_s=35 * 86_400)
    number, found = 0, []
    real = Reader.at_once

    async def at_once(self: Reader, names: Sequence[bytes]) -> list[Seen]:
        nonlocal number
        number += 1
        for serial in range(TAGS):
            await put(client, keys, f"{number:024}", serial, f"1:{NOW}")
        return await real(self, names)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reader, "at_once", at_once)
        found = [record.key async for record in snapshot.records()]
    await raw.aclose()
    assert found == [b"{cat}:version"]
    assert number > TAGS
