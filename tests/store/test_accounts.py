"""API keys, on a real store."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise

import pytest

from adserve.core.access import Account
from adserve.errors import NotFound
from adserve.store.accounts import REMEMBER_S, USED_S, Accounts
from adserve.store.catalog import CatalogStore
from adserve.store.client import Redis, connect
from adserve.store.keys import Keys
from tests.conftest import Clock


@pytest.fixture
def accounts(client: Redis, keys: Keys) -> Accounts:
    return Accounts(client, keys, None)


async def test_a_secret_finds_its_account_and_only_a_digest_is_stored(
    client: Redis, keys: Keys, accounts: Accounts, clock: Clock
) -> None:
    """Found by this worker at once, and by another; made at the time of the clock that counts."""
    here = Accounts(client, keys, None, clock)
    made, secret = await here.create("advertiser", "Portal", actor="t", advertiser="acme", scopes=("delivery",))
    assert made.created == int(clock())
    for one in (here, accounts):
        assert await one.find(secret) == made
    assert secret not in str(await client.hgetall(keys.accounts))
    for wrong in ("", secret[:-1], secret + "x", secret.upper(), "é", "\udcff", made.id):
        assert await here.find(wrong) is None


async def test_a_key_works_on_every_worker_at_once_and_is_dead_within_a_second(client: Redis, keys: Keys) -> None:
    """What a worker knows is trusted for half a second; the clock of this test stands still until moved."""
    clock = Clock()
    here, there = (Accounts(client, keys, None, steady=clock) for _ in range(2))
    assert await there.find("other") is None
    made, secret = await here.create("admin", "CI", actor="t")
    assert await there.find(secret) == made
    await here.revoke(made.id, actor="t")
    assert await here.find(secret) is None
    assert await there.find(secret) == made
    clock.now += REMEMBER_S + 0.1
    assert await there.find(secret) is None
    with pytest.raises(NotFound):
        await here.revoke(made.id, actor="t")


async def test_a_key_that_took_the_place_of_another_is_known(client: Redis, keys: Keys, accounts: Accounts) -> None:
    """As many keys as before are not the same keys."""
    first, secret = await accounts.create("admin", "CI", actor="t")
    there = Accounts(client, keys, None)
    assert await there.find(secret) == first
    await accounts.revoke(first.id, actor="t")
    second, other = await accounts.create("admin", "CI", actor="t")
    await there.refresh()
    assert (there.known(secret), there.known(other)) == (None, second)


async def test_a_crowd_of_strangers_costs_the_store_few_looks(
    client: Redis, keys: Keys, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks while a look runs shares the next one, which still finds a key that was made meanwhile elsewhere."""
    looks = 0
    real = client.hlen

    async def counted(name: str) -> int:
        nonlocal looks
        looks += 1
        return int(await real(name))

    made, secret = await Accounts(client, keys, None).create("admin", "CI", actor="t")
    monkeypatch.setattr(client, "hlen", counted)
    found = await asyncio.gather(*(accounts.find(f"wrong-{at}") for at in range(300)), accounts.find(secret))
    assert found == [None] * 300 + [made]
    assert looks <= 2
    await accounts.close()


async def test_what_is_known_is_asked_without_waiting(client: Redis, keys: Keys, accounts: Accounts) -> None:
    """As of the last refresh, which costs one look where nothing has changed; a follower makes them."""
    made, secret = await Accounts(client, keys, None).create("reader", "R", actor="t")
    assert accounts.known(secret) is None
    await accounts.refresh()
    assert accounts.known(secret) == made
    following = asyncio.create_task(accounts.follow())
    await client.hdel(keys.accounts, made.id)  # by hand
    async with asyncio.timeout(10):
        while accounts.known(secret) is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    following.cancel()


async def test_the_bootstrap_key_needs_no_store(keys: Keys) -> None:
    """An operator gets in while the store is away. An unset or empty one opens nothing."""
    away = connect("redis://127.0.0.1:1")
    found = await Accounts(away, keys, "k" * 24).find("k" * 24)
    assert found is not None
    assert (found.role, found.scopes) == ("admin", ())
    await away.aclose()


@pytest.mark.parametrize("unset", [None, ""])
async def test_without_a_bootstrap_key_nothing_is_one(client: Redis, keys: Keys, unset: str | None) -> None:
    """Not the empty secret either."""
    assert await Accounts(client, keys, unset).find("") is None


@pytest.mark.parametrize(
    "spoilt",
    [
        "{",
        '{"id": "k-bad", "role": "advertiser", "name": ""}',
        '{"id": "k-bad", "role": "advertiser", "name": "", "advertiser": ""}',
        '{"id": "k-bad", "role": "admin", "name": "", "advertiser": "acme"}',
    ],
)
async def test_a_key_that_cannot_be_read_opens_nothing_and_closes_nothing(
    client: Redis, keys: Keys, accounts: Accounts, spoilt: str
) -> None:
    """The others still work. One of an advertiser without one must not see everything."""
    made, secret = await accounts.create("admin", "CI", actor="t")
    await client.hset(keys.accounts, "k-bad", spoilt)
    assert await Accounts(client, keys, None).find(secret) == made
    assert await accounts.list() == [made]


async def test_a_key_from_before_roles_is_an_admin(client: Redis, keys: Keys, accounts: Accounts) -> None:
    """Keys of an earlier version go on, without a member that they do not have."""
    before = {"id": "k-old", "role": "admin", "name": "CI", "digest": "d", "created": 1}
    await client.hset(keys.accounts, "k-old", json.dumps(before))
    assert await accounts.list() == [Account("k-old", "admin", "CI", "d", 1)]


async def test_every_change_of_a_key_has_one_line_in_the_audit(client: Redis, keys: Keys, accounts: Accounts) -> None:
    """Who, what, when, and hashes of before and after that fit together; what failed has none."""
    made, secret = await accounts.create("admin", "CI", actor="one")
    await accounts.revoke(made.id, actor="two")
    with pytest.raises(NotFound):
        await accounts.revoke(made.id, actor="three")
    revoked, created = await CatalogStore(client, keys).audit()
    mark = created["after"]
    assert len(mark) == 16
    for line, told in ((created, ("one", "create", "", mark)), (revoked, ("two", "revoke", mark, ""))):
        assert line["what"] == f"key:{made.id}"
        assert tuple(line[name] for name in ("actor", "action", "before", "after")) == told
    assert secret not in str((revoked, created))


async def test_a_key_is_not_made_when_the_audit_cannot_be_written(
    client: Redis, keys: Keys, accounts: Accounts
) -> None:
    """Nor revoked: a change that nobody could look up is none."""
    made, _ = await accounts.create("admin", "CI", actor="t")
    await client.delete(keys.audit)
    await client.set(keys.audit, "no stream")
    with pytest.raises(Exception, match="WRONGTYPE"):
        await accounts.create("admin", "CI", actor="t")
    with pytest.raises(Exception, match="WRONGTYPE"):
        await accounts.revoke(made.id, actor="t")
    assert await accounts.list() == [made]


async def test_a_key_ends_at_its_time_everywhere(client: Redis, keys: Keys, clock: Clock) -> None:
    """Also on a worker that has read it before, and without a look at the store."""
    here, there = (Accounts(client, keys, None, clock) for _ in range(2))
    made, secret = await here.create("admin", "CI", actor="t", expires=int(clock.now) + 60)
    assert await here.find(secret) == await there.find(secret) == made
    clock.now += 59
    assert there.known(secret) == made
    clock.now += 1
    assert here.known(secret) is there.known(secret) is None
    assert await there.find(secret) is None
    with pytest.raises(NotFound):
        await here.rotate(made.id, 60, actor="t")


async def test_a_rotated_key_has_two_secrets_until_the_grace_is_over(client: Redis, keys: Keys, clock: Clock) -> None:
    """Then one. What the first one was is over at once when it is rotated again; both are the same account."""
    here, there = (Accounts(client, keys, None, clock) for _ in range(2))
    made, first = await here.create("reader", "CI", actor="t")
    turned, second = await here.rotate(made.id, 3600, actor="t")
    assert (turned.id, turned.role, turned.old_until) == (made.id, "reader", int(clock.now) + 3600)
    assert await there.find(first) == await there.find(second) == turned
    again, third = await here.rotate(made.id, 3600, actor="t")
    await there.refresh()
    assert [there.known(one) for one in (first, second, third)] == [None, again, again]
    clock.now += 3600
    assert [there.known(one) for one in (second, third)] == [None, again]
    last, fourth = await here.rotate(made.id, 0, actor="t")
    assert [here.known(third), await here.find(fourth)] == [None, last]
    assert (last.old_digest, last.old_until) == ("", 0)
    await here.revoke(made.id, actor="t")
    assert await here.find(fourth) is None


async def test_a_key_that_expires_soon_lends_its_old_secret_no_time(client: Redis, keys: Keys, clock: Clock) -> None:
    """The grace ends with the key."""
    here = Accounts(client, keys, None, clock)
    made, _ = await here.create("reader", "CI", actor="t", expires=int(clock.now) + 60)
    turned, _ = await here.rotate(made.id, 3600, actor="t")
    assert turned.old_until == turned.expires == int(clock.now) + 60


async def test_rotations_at_once_leave_the_two_last_secrets(client: Redis, keys: Keys, clock: Clock) -> None:
    """None of them is lost: each is a line of the audit, and each follows the one before."""
    here = Accounts(client, keys, None, clock)
    made, _ = await here.create("reader", "CI", actor="t")
    done = await asyncio.gather(*(here.rotate(made.id, 60, actor="t") for _ in range(4)), return_exceptions=True)
    secrets = [one[1] for one in done if isinstance(one, tuple)]
    await here.refresh()
    assert sum(here.known(one) is not None for one in secrets) == min(2, len(secrets))
    lines = [line for line in await CatalogStore(client, keys).audit() if line["action"] == "rotate"]
    assert len(lines) == len(secrets)
    assert all(newer["before"] == older["after"] for newer, older in pairwise(lines))


async def test_only_a_digest_and_four_letters_are_stored(client: Redis, keys: Keys, accounts: Accounts) -> None:
    """The letters are what people know a key by."""
    made, first = await accounts.create("admin", "CI", actor="t")
    turned, second = await accounts.rotate(made.id, 60, actor="t")
    assert (made.prefix, turned.prefix) == (first[:12], second[:12])
    stored = str(await client.hgetall(keys.accounts)) + str(await client.xrange(keys.audit))
    for secret in (first, second):
        assert not [at for at in range(len("adserve_"), 43) if secret[at : at + 5] in stored]


async def test_when_a_key_was_used_is_written_once_a_minute(client: Redis, keys: Keys, clock: Clock) -> None:
    """By whoever follows the keys, and not by the calls; of a key that nobody used nothing is known."""
    steady = Clock()
    here = Accounts(client, keys, None, clock, steady)
    made, secret = await here.create("admin", "CI", actor="t")
    idle, _ = await here.create("admin", "idle", actor="t")
    await here.find(secret)
    assert await here.used() == {}
    steady.now += USED_S
    await here.note_use()
    begun = int(clock.now)
    assert await here.used() == {made.id: begun}
    clock.now, steady.now = clock.now + 30, steady.now + 30
    await here.find(secret)
    await here.note_use()
    assert await here.used() == {made.id: begun}
    clock.now, steady.now = clock.now + 30, steady.now + 30
    await here.note_use()
    assert await here.used() == {made.id: begun + 60}
    await here.revoke(made.id, actor="t")
    assert await here.used() == {}
    assert idle.id not in await here.used()
