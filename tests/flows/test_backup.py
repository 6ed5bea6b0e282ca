"""A backup that is made while events come, quarter-hours are rolled up and workers start: restored, every figure
agrees with its ledger, and every token counts there exactly once."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest

from adserve.core.access import Account
from adserve.core.schedule import bucket_of
from adserve.core.session import digest
from adserve.core.token import Serve
from adserve.errors import NotFound, OtherSchema
from adserve.flows import sign_in
from adserve.flows import users as people
from adserve.flows.audit import audit
from adserve.flows.move import backup, restore
from adserve.flows.report import roll_up_old
from adserve.flows.share import make_share, open_share, revoke_share
from adserve.store.archive import check
from adserve.store.batch import Item
from adserve.store.client import Redis, connect
from adserve.store.keys import HOUR_S, tag_of
from adserve.store.ledger import retained_s
from adserve.store.read import Found, Reader
from adserve.store.schema import FIRST, NEWEST
from adserve.store.snapshot import Moved
from adserve.store.spool import Event, Flush
from adserve.wiring import running
from tests.conftest import Api, Clock

DAY_S = 86_400
KEEP_S = 35 * DAY_S
Meanwhile = Callable[[Sequence[bytes]], Awaitable[None]]


def silent(what: str, keys: int, size: int) -> None:
    """No terminal here."""


@pytest.fixture
async def raw(store_url: str) -> AsyncIterator[Redis]:
    found = connect(store_url, decode=False)
    yield found
    await found.aclose()


async def saved(
    api: Api, raw: Redis, meanwhile: Meanwhile | None = None, *, keep_s: int = KEEP_S, before: bool = False
) -> io.BytesIO:
    """A backup; after (or before) each reading of it `meanwhile` happens, and is told what was read."""
    file, real, settings = io.BytesIO(), Reader.at_once, api.held.settings

    async def at_once(self: Reader, names: Sequence[bytes]) -> list[Found]:
        if meanwhile is not None and before:
            await meanwhile(names)
        found = await real(self, names)
        if meanwhile is not None and not before:
            await meanwhile(names)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reader, "at_once", at_once)
        await backup(
            raw, settings.key_prefix, api.held.services.clock, file,
            secret=None, retained_s=retained_s(settings.click_lifetime_s), keep_s=keep_s, tell=silent,
        )  # fmt: skip
    return file


@asynccontextmanager
async def restored(api: Api, raw: Redis, store_url: str, clock: Clock, file: io.BytesIO) -> AsyncIterator[Api]:
    """Another service on what the file holds."""
    check(file)
    settings = replace(api.held.settings, key_prefix=f"t{os.urandom(6).hex()}:")
    found = await restore(
        raw, settings.key_prefix, int(time.time()), file, replace=False, prepare=lambda: None, tell=silent
    )
    assert found["agrees"], found
    async with running(settings, store_url, clock=clock) as held:
        other = Api(held)
        yield other
        await other.http.aclose()


async def test_people_are_in_a_backup_and_sessions_and_links_are_not(
    api: Api, raw: Redis, store_url: str, clock: Clock
) -> None:
    """Who is restored signs in as before; what was open then is nothing there."""
    services = api.held.services
    ann, invitation = await people.invite(services, {"name": "ann", "role": "admin"}, actor="t")
    entered = await sign_in.accept(services, invitation, "correct horse battery")
    link = await services.sessions.make_link(ann, "sign_in")
    made = await api.make("POST", "/keys", {"role": "reader", "name": "r", "expires": "9d"})
    file = await saved(api, raw)
    for secret in (entered.secret, link, digest(entered.secret, "session"), digest(link, "link")):
        assert secret.encode() not in gzip.decompress(file.getvalue())
    async with restored(api, raw, store_url, clock, file) as other:
        there = other.held.services
        assert await there.users.by_name("ANN") == await services.users.get(ann.id)
        assert await sign_in.find(there, entered.secret) is None
        assert await there.sessions.look(link) is None
        assert await sign_in.sign_in(there, "ann", "correct horse battery", client="c", agent="", device=None)
        assert [one.expires for one in await there.accounts.list()] == [int(clock.now) + 9 * DAY_S]
        assert (await there.accounts.find(made["key"])) is not None


async def verdict(api: Api) -> dict[str, Any]:
    await api.settle()
    return await audit(api.held.services, api.held.settings.data_dir / "spool")


async def counted(api: Api, url: str) -> bool:
    """Whether an event counts at first and is a duplicate when it comes again."""
    before = await api.totals()
    assert (await api.http.get(url)).status_code in (200, 302)
    after = await api.totals()
    names = ("impressions", "views", "clicks")
    new = sum(after[name] - before[name] for name in names)
    assert after["duplicates"] - before["duplicates"] == (new == 0)
    return bool(new)


async def browse(api: Api, clicks: bool = True) -> list[Any]:
    """A page whose impressions count; what else could count."""
    page = (await api.http.get("/v1/pages/news")).json()["slots"]
    for one in page.values():
        await api.http.get(one["impression_url"])
        if clicks:
            await api.http.get(one["click_url"])
    return list(page.values())


@pytest.fixture
async def world(api: Api) -> Api:
    await api.world(slots=("top", "side", "end"))
    for name in ("one", "two", "three"):
        await api.creative(name)
    return api


async def test_everything_is_there_again(world: Api, raw: Redis, store_url: str, clock: Clock) -> None:
    """Figures, the audit, the keys of the API; what had counted is a duplicate there, what had not counts once."""
    made = await world.make("POST", "/keys", {"role": "admin", "name": "k"})
    for _ in range(5):
        shown = await browse(world)
        clock.now += 1000
    clock.now -= 1000
    await world.settle()
    async with restored(world, raw, store_url, clock, await saved(world, raw)) as other:
        for by in ("campaign", "hour,slot", "day,creative,device"):
            assert await other.totals(by=by) == await world.totals(by=by)
        asked = {"from": "2027-01-01", "to": "2027-03-01", "by": "hour,creative"}
        rows = [(await one.call("GET", "/report?" + "&".join(f"{k}={v}" for k, v in asked.items()))).json()["rows"]
                for one in (world, other)]  # fmt: skip
        assert rows[0] == rows[1] != []
        reply = await other.http.get("/api/v1/sites", headers={"Authorization": f"Bearer {made['key']}"})
        assert reply.status_code == 200
        for one in shown:
            assert not await counted(other, one["impression_url"])
            assert not await counted(other, one["click_url"])
            assert await counted(other, one["view_url"])
            assert not await counted(other, one["view_url"])
        assert (await verdict(other))["agrees"]
        assert (await verdict(other))["events"] == (await verdict(world))["events"] + len(shown)


@pytest.mark.parametrize("before", [True, False])
async def test_events_between_every_two_readings(
    world: Api, raw: Redis, store_url: str, clock: Clock, before: bool
) -> None:
    """New serves and clicks on old ones, over several hours: each is in it or is not, with its ledger. Its token
    counts there in the second case and only then, and no serve is counted twice for it."""
    old: list[Any] = []
    for _ in range(6):
        old += await browse(world, clicks=False)
        clock.now += HOUR_S
    await world.settle()
    shown: list[Any] = []

    async def meanwhile(_: Sequence[bytes]) -> None:
        if len(shown) > 100:
            return
        shown.extend(await browse(world))
        if old:
            await world.http.get(old.pop()["click_url"])
        await world.settle()

    file = await saved(world, raw, meanwhile, before=before)
    async with restored(world, raw, store_url, clock, file) as other:
        found = await verdict(other)
        assert found["agrees"], found["differences"]
        known = 0
        for one in shown:
            await other.http.get(one["click_url"])
            known += not await counted(other, one["impression_url"])
            await other.http.get(one["view_url"])
        assert 0 < known < len(shown)
        assert (await verdict(other))["agrees"]
        totals, served = await other.totals(), 18 + len(shown)
        assert totals["impressions"] == totals["serves"] == served


async def test_a_worker_that_starts_meanwhile(world: Api, raw: Redis, store_url: str, clock: Clock) -> None:
    """Its ledger has names that nobody knew when the reading of the hour began."""
    await browse(world)
    await world.settle()
    shown: list[Any] = []
    async with AsyncExitStack() as stack:

        async def meanwhile(names: Sequence[bytes]) -> None:
            if shown or not any(b":l:" in name for name in names):
                return
            settings = replace(world.held.settings, data_dir=world.held.settings.data_dir / "second")
            other = Api(await stack.enter_async_context(running(settings, store_url, clock=clock)))
            for _ in range(3):
                shown.extend(await browse(other))
            await other.settle()
            await other.http.aclose()

        file = await saved(world, raw, meanwhile, before=True)
    async with restored(world, raw, store_url, clock, file) as other:
        found = await verdict(other)
        assert found["agrees"], found["differences"]
        for one in shown:
            await counted(other, one["impression_url"])
        assert (await other.totals())["impressions"] == (await other.totals())["serves"] == len(shown) + 3


@pytest.mark.parametrize("first", [True, False])
async def test_a_flush_of_older_hours_meanwhile(
    world: Api, raw: Redis, store_url: str, clock: Clock, first: bool
) -> None:
    """A spool that is replayed brings serves of hours ago and how far they reach: both are in it, or neither. Also
    that of a worker that flushes for the first time, up to the present hour."""
    campaign: Any = await world.held.services.catalog.get("campaign", "one")
    tag, counts, keys = tag_of(campaign.serial), world.held.worker.ledger.counts, world.held.services.keys
    then = int(clock()) - 5 * HOUR_S
    field, bucket, hour = "1.1.1.1.s", bucket_of(then), (then // HOUR_S, 0)
    await counts.apply(Flush(77 if first else 78, tag, 1, (-1, 0), hour, {f"{bucket} {field}": 1}))
    await raw.setbit(keys.ledger(tag, "if", 77, then // HOUR_S), 1, 0)  # so the worker is known
    reach = (then // HOUR_S if first else int(clock()) // HOUR_S, 9)
    done: list[bool] = []

    async def meanwhile(names: Sequence[bytes]) -> None:
        flushes = any(b":f:" in name and name.startswith(b"{s%d}" % tag) for name in names)
        if flushes and not done:
            done.append(
                await counts.apply(Flush(77, tag, 2, hour if first else (-1, 0), reach, {f"{bucket} {field}": 9}))
            )

    file = await saved(world, raw, meanwhile)
    assert done == [True]
    async with restored(world, raw, store_url, clock, file) as other:
        client, own = other.held.services.client, other.held.services.keys
        for one in (keys, own):
            assert await client.hget(one.counters(tag, bucket), field) == "10"
            assert await client.hget(one.flushed(tag, 77), "next") == "9"


async def test_serves_that_only_events_prove_meanwhile(world: Api, raw: Redis, store_url: str, clock: Clock) -> None:
    """Of a worker that was killed hours ago, before it flushed: what an event proved is known to be counted."""
    campaign: Any = await world.held.services.catalog.get("campaign", "one")
    tag, ledger, then = tag_of(campaign.serial), world.held.worker.ledger, int(clock()) - 5 * HOUR_S
    todo = [Serve(88, n, then + n % 2 * 2 * HOUR_S, 1, 1, 0, tag, 1, 1) for n in range(40)]

    async def prove(_: Sequence[bytes]) -> None:
        if todo:
            future = asyncio.get_running_loop().create_future()
            await ledger.apply([Item(Event("i", todo.pop(), "count"), then, future, 0, again=False)], then)

    await prove(())
    file = await saved(world, raw, prove)
    assert not todo
    async with restored(world, raw, store_url, clock, file) as other:
        found = await verdict(other)
        assert found["agrees"], found["differences"]
        client, own = other.held.services.client, other.held.services.keys
        proven = await client.hgetall(own.proven(tag, 88))
        cells: list[Any] = [await client.hgetall(own.counters(tag, bucket_of(at))) for at in (then, then + 2 * HOUR_S)]
        assert 0 < len(proven) == sum(int(one.get("1.1.1.1.s", 0)) for one in cells) < 40
        assert len(proven) == sum(int(one.get("1.1.1.1.i", 0)) for one in cells)


async def test_what_is_spoilt_is_kept_as_it_is(world: Api, raw: Redis, store_url: str, clock: Clock) -> None:
    """A key that holds something else than it should is an operator's to look at, not lost in a backup."""
    keys, hour = world.held.services.keys, int(clock()) // HOUR_S
    spoilt = [
        keys.proven(1, 5),
        keys.flushed(1, 5),
        keys.counters(1, hour * HOUR_S),
        keys.counters(1, 900),
        keys.days(1),
    ]
    await raw.setbit(keys.ledger(1, "iv", 5, hour - 4), 1, 1)
    for name in spoilt:
        await raw.set(name, b"\xff")
    async with restored(world, raw, store_url, clock, await saved(world, raw)) as other:
        for name in spoilt:
            assert await raw.get(other.held.settings.key_prefix + name.removeprefix(keys.prefix)) == b"\xff"


@pytest.mark.parametrize(("stored", "kept"), [(str(NEWEST), NEWEST), (None, FIRST)])
async def test_the_file_names_the_schema_of_the_store(world: Api, raw: Redis, stored: str | None, kept: int) -> None:
    """Or the first, when the store is from before there was a number."""
    key: Any = world.held.services.keys.schema
    await (raw.set(key, stored) if stored else raw.delete(key))
    assert check(await saved(world, raw)).schema == kept


async def test_a_store_of_a_newer_schema_is_left_alone(world: Api, raw: Redis) -> None:
    """This code cannot know which of its keys belong together."""
    await raw.set(world.held.services.keys.schema, f"{NEWEST}>{NEWEST + 1}")
    await raw.set(world.held.services.keys.schema_by, "9.9")
    with pytest.raises(OtherSchema, match=r"adserve 9\.9"):
        await saved(world, raw)


async def roll_up(api: Api) -> int:
    things = (await api.held.services.catalog.load_all())[1]
    return await roll_up_old(api.held.services, things)


@pytest.fixture
async def aged(world: Api, raw: Redis, clock: Clock) -> Api:
    """With a day that has quarter-hours of which one was rolled up, one is just over its time and two are not; their
    ledger has expired long before."""
    for _ in range(4):
        await browse(world)
        clock.now += 2 * HOUR_S
    await world.settle()
    clock.now += KEEP_S - 7 * HOUR_S
    prefix = world.held.settings.key_prefix.encode()
    await raw.delete(*[prefix + name async for name in Reader(raw, prefix.decode()).scan() if b"}:l:" in name])
    assert await roll_up(world) == 3
    clock.now += 2 * HOUR_S
    await world.held.services.refresh()
    return world


@pytest.mark.parametrize("at", range(15))
async def test_quarter_hours_that_become_days_meanwhile(
    aged: Api, raw: Redis, store_url: str, clock: Clock, at: int
) -> None:
    """Before or after any of its readings: each is in it once, as a quarter-hour or in its day."""
    steps: list[int] = []

    async def meanwhile(_: Sequence[bytes]) -> None:
        steps.append(await roll_up(aged) if len(steps) == at else 0)

    asked = {"from": "2027-01-15", "to": "2027-01-16", "by": "day"}
    before = await aged.totals(**asked)
    file = await saved(aged, raw, meanwhile)
    assert sum(steps) > 0
    async with restored(aged, raw, store_url, clock, file) as other:
        assert await other.totals(**asked) == before
        await roll_up(other)
        assert await other.totals(**asked) == before
        assert before["impressions"] == 12


async def test_another_keeping_time_than_that_of_the_service_is_told(aged: Api, raw: Redis) -> None:
    """The reading takes quarter-hours for kept that the service rolls up: no file, instead of one that lacks them."""
    real, done = Reader.each, False

    async def each(self: Reader, names: Sequence[bytes]) -> list[Found]:
        nonlocal done
        if not done and any(b"}:c:" in name for name in names):
            done = await roll_up(aged) > 0
        return await real(self, names)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reader, "each", each)
        with pytest.raises(Moved, match="ADSERVE_KEEP_QUARTERS_DAYS"):
            await saved(aged, raw, keep_s=400 * DAY_S)
    assert done


async def test_new_keys_without_end_are_told(world: Api, raw: Redis, clock: Clock) -> None:
    """Instead of reading for ever."""
    await browse(world)
    await world.settle()
    number = 0

    async def meanwhile(names: Sequence[bytes]) -> None:
        nonlocal number
        with suppress(StopIteration):
            tag = next(name.partition(b":")[0] for name in names if b":l:" in name)
            number += 1
            prefix = world.held.settings.key_prefix.encode()
            await raw.setbit(prefix + b"%s:l:iv:%x:%d" % (tag, number, clock() // HOUR_S), 1, 1)

    with pytest.raises(Moved, match="quieter"):
        await saved(world, raw, meanwhile)


async def test_revisions_of_creatives_are_taken_along(api: Api, raw: Redis, store_url: str, clock: Clock) -> None:
    """What a creative was before can be looked at and restored from a restored store, too."""
    await api.world()
    id_ = await api.creative()
    await api.make("PATCH", f"/creatives/{id_}", {"title": "Two"})
    path = f"/creatives/{id_}/revisions"
    before = await api.make("GET", path)
    assert [one["hash"] is None for one in before["items"]] == [False, False]
    async with restored(api, raw, store_url, clock, await saved(api, raw)) as other:
        assert await other.make("GET", path) == before
        assert (await other.make("GET", f"{path}/1"))["content"]["title"] == "Tea"


async def test_share_links_go_on_opening(api: Api, raw: Redis, store_url: str, clock: Clock) -> None:
    """What somebody was given works on the restored store too, and what was revoked does not."""
    await api.world()
    await api.creative("one")
    owner = Account("k", "advertiser", "n", advertiser="acme")
    (_, kept), (gone, ended) = [await make_share(api.held.services, owner, "one") for _ in range(2)]
    await revoke_share(api.held.services, owner, "one", gone.id)
    file = await saved(api, raw)
    async with restored(api, raw, store_url, clock, file) as there:
        assert (await open_share(there.held.services, kept)).campaign.id == "one"
        with pytest.raises(NotFound):
            await open_share(there.held.services, ended)
