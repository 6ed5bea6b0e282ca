"""The schema number: written once, refused when newer, migrated when older, by whoever is killed when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from adserve.errors import OtherSchema, UnfitStore
from adserve.settings import Settings
from adserve.store import schema
from adserve.store.client import Redis, connect
from adserve.store.embedded import EmbeddedStore
from adserve.store.keys import Keys


@pytest.fixture
def keys(settings: Settings) -> Keys:
    return Keys(settings.key_prefix)


@pytest.fixture
async def client(store: EmbeddedStore) -> AsyncIterator[Redis]:
    found = connect(store.url)
    yield found
    await found.aclose()


class Died(Exception):
    """A migration that was killed."""


class Steps:
    """Migrations that note their runs in the store; `die`: the runs that end in the middle."""

    def __init__(self, *die: int) -> None:
        self.runs: list[int] = []
        self._die = list(die)

    def all(self) -> list[schema.Migration]:
        return [self._step(1), self._step(2)]

    def _step(self, number: int) -> schema.Migration:
        async def step(client: Redis, keys: Keys) -> None:
            assert await client.get(keys.schema) == f"{number}>{number + 1}"
            self.runs.append(number)
            await asyncio.sleep(0)
            if number in self._die:
                self._die.remove(number)
                raise Died

        return step


async def test_a_first_start_writes_the_number_once(client: Redis, keys: Keys) -> None:
    """With the version that wrote it; a second start changes neither."""
    await asyncio.gather(*(schema.check(client, keys, "0.1.0") for _ in range(5)))
    await schema.check(client, keys, "0.2.0")
    assert (await client.get(keys.schema), await client.get(keys.schema_by)) == (str(schema.NEWEST), "0.1.0")
    assert await client.ttl(keys.schema) == -1


@pytest.mark.parametrize("text", [f"{schema.NEWEST + 1}", f"{schema.NEWEST}>{schema.NEWEST + 1}", "17"])
async def test_a_newer_number_is_refused(client: Redis, keys: Keys, text: str) -> None:
    """One that is being migrated too; the message names both versions and changes nothing."""
    await client.mset({keys.schema: text, keys.schema_by: "7.8.9"})
    with pytest.raises(OtherSchema) as refused:
        await schema.check(client, keys, "0.1.0")
    for part in ("adserve 7.8.9", "0.1.0", "schema", "start that version"):
        assert part in str(refused.value)
    assert await client.get(keys.schema) == text


async def test_a_newer_number_without_its_writer_is_refused_too(client: Redis, keys: Keys) -> None:
    await client.set(keys.schema, schema.NEWEST + 1)
    with pytest.raises(OtherSchema, match="did not say"):
        await schema.check(client, keys, "0.1.0")


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "1>", "1>x", "1.5", "\u0661", "9" * 30])
async def test_what_is_no_number_is_refused(client: Redis, keys: Keys, text: str) -> None:
    """A spoilt key is no reason to write over data of unknown form."""
    await client.set(keys.schema, text)
    if text == "1>":  # nothing behind the arrow: at rest
        await schema.check(client, keys, "0.1.0", migrations=())
        return
    with pytest.raises(UnfitStore, match="no schema number"):
        await schema.check(client, keys, "0.1.0")


async def test_a_key_of_another_type_is_refused(client: Redis, keys: Keys) -> None:
    await client.rpush(keys.schema, "1")
    with pytest.raises(UnfitStore, match="no schema number"):
        await schema.check(client, keys, "0.1.0")


async def test_an_older_number_is_migrated_step_by_step(client: Redis, keys: Keys) -> None:
    """In their order, each announced before it runs, and only once."""
    await client.set(keys.schema, "1")
    steps = Steps()
    for _ in range(2):
        await schema.check(client, keys, "3.0.0", migrations=steps.all(), settle_s=0)
    assert (steps.runs, await client.get(keys.schema), await client.get(keys.schema_by)) == ([1, 2], "3", "3.0.0")


async def test_only_a_service_migrates(client: Redis, keys: Keys) -> None:
    """A command would take a running service of the older code down: it refuses. A new store it marks."""
    await client.set(keys.version, 12)
    steps = Steps()
    for _ in range(2):
        with pytest.raises(OtherSchema, match="writes 3: start its service first"):
            await schema.check(client, keys, "3.0.0", migrate=False, migrations=steps.all())
    assert (steps.runs, await client.get(keys.schema)) == ([], "1")
    await client.delete(keys.schema, keys.version)
    await schema.check(client, keys, "3.0.0", migrate=False, migrations=steps.all())
    assert await client.get(keys.schema) == "3"


@pytest.mark.parametrize("killed", [1, 2])
async def test_a_killed_migration_runs_again(client: Redis, keys: Keys, killed: int) -> None:
    """What it left is refused by older code, and finished by the next start from the step that died."""
    await client.set(keys.schema, "1")
    steps = Steps(killed)
    with pytest.raises(Died):
        await schema.check(client, keys, "3.0.0", migrations=steps.all(), settle_s=0)
    assert await client.get(keys.schema) == f"{killed}>{killed + 1}"
    with pytest.raises(OtherSchema):
        await schema.check(client, keys, "1.0.0", migrations=steps.all()[: killed - 1])
    await schema.check(client, keys, "3.0.0", migrations=steps.all(), settle_s=0)
    assert await client.get(keys.schema) == "3"
    assert steps.runs == [1, 1, 2] if killed == 1 else [1, 2, 2]


async def test_two_starts_migrate_beside_each_other(client: Redis, keys: Keys) -> None:
    """Steps may run twice, at once too; the number only rises."""
    await client.set(keys.schema, "1")
    steps = Steps()
    both = [schema.check(client, keys, "3.0.0", migrations=[*_unchecked(steps)], settle_s=0) for _ in range(4)]
    await asyncio.gather(*both)
    assert await client.get(keys.schema) == "3"
    assert set(steps.runs) == {1, 2}


def _unchecked(steps: Steps) -> list[schema.Migration]:
    """The same without looking at the number, which another runner may have raised meanwhile."""

    async def first(*_: object) -> None:
        steps.runs.append(1)

    async def second(*_: object) -> None:
        steps.runs.append(2)

    return [first, second]


@pytest.mark.parametrize("first", ["version", "accounts", "secret"])
async def test_data_from_before_the_number_is_of_the_first_form(client: Redis, keys: Keys, first: str) -> None:
    """A store that was in use before there was a number (by a catalog, a key or a start alone) is migrated like
    one of number 1; an empty one is new."""
    await client.set(getattr(keys, first), 12)
    steps = Steps()
    await schema.check(client, keys, "3.0.0", migrations=steps.all(), settle_s=0)
    assert (steps.runs, await client.get(keys.schema)) == ([1, 2], "3")
    await client.delete(keys.schema, getattr(keys, first))
    await schema.check(client, keys, "3.0.0", migrations=steps.all(), settle_s=0)
    assert (steps.runs, await client.get(keys.schema)) == ([1, 2], "3")


async def test_a_first_start_does_not_write_over_another(
    client: Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later adserve that began in the same moment has its number kept."""

    async def exists(*_: object) -> int:
        await client.set(keys.schema, schema.NEWEST + 1)
        return 0

    monkeypatch.setattr(client, "exists", exists)
    with pytest.raises(OtherSchema):
        await schema.check(client, keys, "0.1.0")
    assert await client.get(keys.schema) == str(schema.NEWEST + 1)


async def test_a_late_migration_does_not_lower_the_number(client: Redis, keys: Keys) -> None:
    """While its step ran, another runner has finished them all."""
    await client.mset({keys.schema: "1", keys.schema_by: "before"})

    async def overtaken(*_: object) -> None:
        await client.mset({keys.schema: "3", keys.schema_by: "other"})

    async def never(*_: object) -> None:
        raise AssertionError

    await schema.check(client, keys, "3.0.0", migrations=[overtaken, never], settle_s=0)
    assert await client.mget(keys.schema, keys.schema_by) == ["3", "other"]
