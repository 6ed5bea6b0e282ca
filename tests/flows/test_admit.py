"""Whether a worker counts on its store: at its start, when the store comes back, and under way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adserve import __version__
from adserve.errors import OtherSchema, SettingsError, UnfitStore
from adserve.flows import admit
from adserve.opening import services_only
from adserve.settings import Settings, load
from adserve.store.keys import Keys
from adserve.store.schema import NEWEST
from adserve.store.spool import Flush
from adserve.wiring import Running, running
from tests.conftest import ADMIN, Api, Clock
from tests.faults import proxy
from tests.servers import SAFE, client, server

SECRET = "0123456789abcdef" * 2 + "own"


@pytest.fixture
def url() -> Iterator[str]:
    """A store that keeps what it answers."""
    with server(*SAFE) as found:
        yield found


def given(folder: Path, url: str, **more: str) -> Settings:
    environment = {
        "ADSERVE_DATA_DIR": str(folder),
        "ADSERVE_REDIS_URL": url,
        "ADSERVE_SECRET": SECRET,
        "ADSERVE_ADMIN_KEY": ADMIN,
    }
    return load({}, environment | more, folder / "none.toml")


@asynccontextmanager
async def worker(settings: Settings, url: str | None = None) -> AsyncIterator[Api]:
    """A worker; `url`: where it finds its store, if not where the settings say."""
    async with running(settings, url or str(settings.redis_url), clock=Clock()) as held:
        api = Api(held)
        yield api
        await api.http.aclose()


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - what is waited for is in another task, which tells nobody
            await asyncio.sleep(0.01)


async def ready(api: Api) -> Any:
    return (await api.http.get("/readyz")).json()


async def report(api: Api) -> Any:
    """The figures as they stand, without waiting for the spool."""
    asked = {"from": "2027-01-01", "to": "2027-03-01", "site": "news", "by": "site"}
    reply = await api.http.get("/api/v1/report", params=asked, headers={"Authorization": f"Bearer {ADMIN}"})
    return reply.json()["totals"]


async def one_impression(api: Api) -> None:
    await api.world()
    await api.creative()
    assert (await api.http.get((await api.decide())["impression_url"])).status_code == 200
    await api.settle()


def lines(folder: Path) -> int:
    """Records that wait in the spool."""
    return sum(len(path.read_bytes().splitlines()) for path in (folder / "spool").glob("*-*.*"))


# ---- what a store can lose


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        (("--appendonly", "no"), "set appendonly to yes"),
        ((*SAFE, "--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru"), "set maxmemory-policy to noeviction"),
    ],
)
async def test_a_start_on_a_store_that_can_lose_what_it_answered_is_refused(
    tmp_path: Path, options: tuple[str, ...], remedy: str
) -> None:
    """With 78 and the setting to change; nothing was written to it."""
    with server(*options) as url:
        with pytest.raises(UnfitStore) as refused:
            async with worker(given(tmp_path, url)):
                pass
        with client(url) as asked:
            assert asked.dbsize() == 0
    assert refused.value.exit_code == 78
    assert remedy in str(refused.value)
    assert "ADSERVE_UNSAFE_STORE=1" in str(refused.value)


async def test_an_operator_may_accept_such_a_store(tmp_path: Path) -> None:
    """It counts then, and `/readyz` goes on saying so."""
    with server("--appendonly", "no") as url:
        async with worker(given(tmp_path, url, ADSERVE_UNSAFE_STORE="1")) as api:
            said = await ready(api)
            assert said["status"] == "ready"
            assert any("appendonly is no" in one and "accepted" in one for one in said["warnings"])
            await one_impression(api)
            assert (await api.totals())["impressions"] == 1


@pytest.mark.parametrize(
    ("options", "warning"),
    [
        (("--appendonly", "yes", "--appendfsync", "everysec"), "appendfsync is everysec"),
        ((*SAFE, "--rename-command", "CONFIG", ""), "CONFIG GET is refused"),
        ((*SAFE, "--rename-command", "CONFIG", "", "--rename-command", "INFO", ""), "could not be checked"),
    ],
    ids=["everysec", "no CONFIG", "no INFO"],
)
async def test_a_start_goes_on_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], warning: str
) -> None:
    """In `/readyz` and in the log; also of what a managed store does not tell."""
    with server(*options) as url:
        async with worker(given(tmp_path, url)) as api:
            said = await ready(api)
            await one_impression(api)
            assert (await api.totals())["impressions"] == 1
    assert said["status"] == "ready"
    assert any(warning in one for one in said["warnings"])
    assert "store_warning" in "".join(capsys.readouterr())


async def test_a_store_that_turns_unfit_is_waited_for(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pages fill and events are answered, from the spool and not from the store; it is said once in the log
    and in `/readyz`. When it is mended everything is counted, once, without a restart."""
    monkeypatch.setattr(admit, "LOOK_S", 0.0)
    async with worker(given(tmp_path, url)) as api:
        await one_impression(api)
        with client(url) as asked:
            asked.config_set("appendonly", "no")
            await until(lambda: not api.held.admission.given)
            served = await api.decide()
            assert (await api.http.get(served["impression_url"])).status_code == 200
            assert (await api.http.get(served["click_url"])).status_code == 302
            await until(lambda: lines(tmp_path) >= 2)
            said = await ready(api)
            assert said["status"] == "degraded"
            assert "appendonly is no" in said["warnings"][0]
            await asyncio.sleep(0.7)  # time enough for a replay that should not be
            counted = await report(api)
            assert (counted["impressions"], counted["clicks"]) == (1, 0)
            asked.config_set("appendonly", "yes")
        await until(lambda: api.held.admission.given)
        totals = await api.totals()
        assert (totals["impressions"], totals["clicks"], totals["duplicates"]) == (2, 1, 0)
        assert (await ready(api))["status"] == "ready"
    assert "".join(capsys.readouterr()).count("not_counting_on_this_store") == 1


async def test_a_store_that_comes_later_is_looked_at_before_it_is_counted_on(tmp_path: Path) -> None:
    """The start goes on without it; when it comes and is unfit, nothing is written to it."""
    with server("--appendonly", "no") as url:
        async with proxy(url.removeprefix("unix://")) as between:
            between.set("refuse")
            async with worker(given(tmp_path, url), between.url) as api:
                assert (await ready(api))["status"] == "starting"
                assert not api.held.admission.given
                between.set("pass")
                await until(lambda: "appendonly is no" in "".join(api.held.admission.warnings))
                await until(lambda: api.held.store_up)
                assert (await ready(api))["status"] == "degraded"
                with client(url) as asked:
                    assert asked.dbsize() == 0
                    asked.config_set("appendonly", "yes")
                await until(lambda: api.held.admission.given)
                assert (await ready(api))["status"] == "ready"


@pytest.mark.parametrize(
    "absent", ["unix:///nowhere/s", "redis+cluster://127.0.0.1:1", "redis+sentinel://127.0.0.1:1/x"]
)
async def test_nothing_reaches_an_absent_store_before_it_was_looked_at(tmp_path: Path, absent: str) -> None:
    """From the first moment on, not only since somebody noticed."""
    async with worker(given(tmp_path, absent)) as api:
        assert api.held.worker.ledger.breaker.barred


async def test_a_store_that_comes_back_is_looked_at_before_it_is_counted_on(tmp_path: Path, url: str) -> None:
    """It was away and has lost its log meanwhile."""
    async with proxy(url.removeprefix("unix://")) as between, worker(given(tmp_path, url), between.url) as api:
        await one_impression(api)
        served = await api.decide()
        await api.settle()
        between.set("refuse")
        await until(lambda: not api.held.store_up)
        with client(url) as asked:
            asked.config_set("appendonly", "no")
            assert (await api.http.get(served["impression_url"])).status_code == 200
            between.set("pass")
            await until(lambda: api.held.store_up)
            await asyncio.sleep(2)  # longer than the breaker waits and the spool is left alone
            assert (await report(api))["impressions"] == 1
            asked.config_set("appendonly", "yes")
        await until(lambda: api.held.admission.given)
        assert (await api.totals())["impressions"] == 2


async def test_a_replay_stops_where_the_store_turns_unfit(tmp_path: Path, url: str) -> None:
    """Between two of its calls; what is left stays in the spool, with a mark that it may have been taken."""
    async with worker(given(tmp_path, url)) as api:
        ledger = api.held.worker.ledger
        for sequence in (1, 2):
            ledger.spool.put_flush(
                Flush(77, 0, sequence, (500_000, sequence - 1), (500_000, sequence), {"1800000000 1.1.1.0.s": 1})
            )
        admission = api.held.admission
        real, taken = ledger.counts.apply, list[int]()

        async def apply(flush: Flush) -> bool:
            taken.append(flush.sequence)
            admission.withdraw()
            return await real(flush)

        ledger.counts.apply = apply  # type: ignore[method-assign]
        await until(lambda: taken)
        await asyncio.sleep(0.1)
        assert taken == [1]
        assert list((tmp_path / "spool").glob("*.replay"))
        ledger.counts.apply = real  # type: ignore[method-assign]
        await until(lambda: not api.spooled())
        with client(url) as asked:
            assert asked.hget(Keys().flushed(0, 77), "seq") == "2"


# ---- schema and secret


async def test_a_first_start_marks_the_store(tmp_path: Path, url: str) -> None:
    async with worker(given(tmp_path, url)):
        pass
    with client(url) as asked:
        assert asked.get(Keys().schema) == str(NEWEST)


async def test_data_of_a_version_without_a_schema_is_gone_on_with(tmp_path: Path, url: str) -> None:
    """It is marked at the start, and everything is there."""
    async with worker(given(tmp_path, url)) as api:
        await one_impression(api)
    with client(url) as asked:
        asked.delete(Keys().schema, Keys().schema_by)
        async with worker(given(tmp_path, url)) as first, worker(given(tmp_path, url)) as second:
            assert (await first.decide())["filled"]
            assert (await second.totals())["impressions"] == 1
        assert asked.mget(Keys().schema, Keys().schema_by) == [str(NEWEST), __version__]


async def test_a_start_on_a_newer_store_is_refused(tmp_path: Path, url: str) -> None:
    """Nothing accepts that, and commands refuse it too."""
    with client(url) as asked:
        asked.mset({Keys().schema: NEWEST + 1, Keys().schema_by: "7.8.9"})
    for more in ({}, {"ADSERVE_UNSAFE_STORE": "1"}):
        with pytest.raises(OtherSchema, match="7\\.8\\.9"):
            async with worker(given(tmp_path, url, **more)):
                pass
    with pytest.raises(OtherSchema):
        async with services_only(given(tmp_path, url), url):
            pass


async def test_a_worker_that_is_overtaken_leaves_its_counts_to_the_newer_one(tmp_path: Path, url: str) -> None:
    """From the moment it knows, nothing of it reaches the store; what it answers lies in the spool, and the
    next worker that may counts it."""
    async with worker(given(tmp_path, url)) as api:
        await one_impression(api)
        with client(url) as asked:
            asked.set(Keys().schema, f"{NEWEST}>{NEWEST + 1}")
            await asyncio.wait_for(api.held.failed.wait(), 2)
            before = asked.info("commandstats")["cmdstat_evalsha"]["calls"]
            served = await api.decide()
            assert (await api.http.get(served["impression_url"])).status_code == 200
            await until(lambda: lines(tmp_path) >= 2)
            assert asked.info("commandstats")["cmdstat_evalsha"]["calls"] == before
            assert isinstance(api.held.failure, OtherSchema)
    assert lines(tmp_path) >= 2
    with client(url) as asked:
        asked.set(Keys().schema, NEWEST)
    async with worker(given(tmp_path, url)) as api:
        await until(lambda: not api.spooled())
        totals = await api.totals()
        assert (totals["impressions"], totals["serves"], totals["duplicates"]) == (2, 2, 0)


@pytest.mark.parametrize("fault", ["schema", "secret"])
async def test_a_store_that_comes_later_and_is_another_ends_the_worker(tmp_path: Path, url: str, fault: str) -> None:
    """A newer schema or another secret, found when the store comes: the same end as at the start."""
    async with proxy(url.removeprefix("unix://")) as between:
        between.set("refuse")
        async with worker(given(tmp_path, url), between.url) as api:
            with client(url) as asked:
                asked.set(Keys().schema if fault == "schema" else Keys().secret, NEWEST + 1)
                between.set("pass")
                await asyncio.wait_for(api.held.failed.wait(), 10)
            assert isinstance(api.held.failure, OtherSchema if fault == "schema" else SettingsError)
            assert api.held.failure.exit_code == 78
            assert api.held.worker.ledger.breaker.barred


async def test_a_full_store_is_counted_on_again_when_it_has_room(tmp_path: Path, url: str) -> None:
    """It refuses even the schema number: its catalog still fills pages, and nothing stops."""
    async with worker(given(tmp_path, url)) as api:
        await one_impression(api)
    with client(url) as asked:
        asked.delete(Keys().schema)
        asked.config_set("maxmemory", "1")
        async with worker(given(tmp_path, url)) as api:
            assert (await api.decide())["filled"]
            assert not api.held.admission.given
            assert "refuses" in (await ready(api))["warnings"][0]
            asked.config_set("maxmemory", "0")
            await until(lambda: api.held.admission.given)
            assert (await api.totals())["serves"] == 2


def test_a_fit_store_is_admitted(held: Running) -> None:
    """The breaker of a worker is closed because its store was looked at."""
    assert held.admission.given
    assert not held.worker.ledger.breaker.barred
