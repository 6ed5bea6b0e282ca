"""Users, sessions and links, on a real store."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import msgspec
import pytest

from adserve.core.model import Advertiser
from adserve.core.session import LINK_S, digest
from adserve.core.users import User
from adserve.errors import NotFound, Stale
from adserve.store.catalog import CatalogStore
from adserve.store.client import Redis
from adserve.store.keys import Keys
from adserve.store.sessions import ABSOLUTE_S, IDLE_S, MOST, PENDING_S, TOUCH_S, TRIES, Sessions
from adserve.store.users import NameTaken, Users, user_id
from tests.conftest import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def users(client: Redis, keys: Keys, clock: Clock) -> Users:
    return Users(client, keys, clock)


@pytest.fixture
def sessions(client: Redis, keys: Keys, clock: Clock) -> Sessions:
    return Sessions(client, keys, clock)


async def make(users: Users, name: str = "ann", **members: Any) -> User:
    user = User(id=user_id(), **{"name": name, "role": "admin", **members})
    return await users.put(user, None, actor="t", action="invite")


def later(user: User, **members: Any) -> User:
    return msgspec.structs.replace(user, **members)


async def test_a_user_is_found_by_id_and_by_name_however_written(users: Users) -> None:
    """And by no other name."""
    ann = await make(users, "Ann@news.example")
    assert await users.get(ann.id) == ann
    assert await users.by_name("aNN@NEWS.example") == ann
    for other in ("ann", "ann@news.exampl", "", "\u0430nn@news.example"):
        assert await users.by_name(other) is None
    assert await users.list() == [ann]


async def test_a_name_is_taken_once_by_many_at_once(users: Users) -> None:
    """Of twenty that differ in case one is made."""
    names = ["ann", "Ann", "ANN", "aNN"] * 5
    made = await asyncio.gather(*(make(users, name) for name in names), return_exceptions=True)
    assert sum(isinstance(one, User) for one in made) == 1
    assert sum(isinstance(one, NameTaken) for one in made) == 19
    assert len(await users.list()) == 1


async def test_of_two_changes_at_once_one_wins(users: Users) -> None:
    """The other is told, and changes nothing."""
    ann = await make(users)
    changes = [users.put(later(ann, epoch=epoch), ann, actor="t", action="x") for epoch in range(2, 12)]
    done = await asyncio.gather(*changes, return_exceptions=True)
    assert sum(isinstance(one, Stale) for one in done) == 9
    assert (await users.list())[0].version == 2


async def test_a_name_is_free_again_after_a_user_is_gone(users: Users, client: Redis, keys: Keys) -> None:
    """So is the old one of who got another."""
    ann = await make(users)
    renamed = await users.put(later(ann, name="bea"), ann, actor="t", action="rename")
    assert await users.by_name("ann") is None
    other = await make(users, "ann")
    with pytest.raises(NameTaken):
        await users.put(later(renamed, name="ANN"), renamed, actor="t", action="rename")
    await users.remove(other, actor="t")
    await users.remove(renamed, actor="t")
    assert await client.hgetall(keys.user_names) == await client.hgetall(keys.users) == {}
    with pytest.raises(Stale):
        await users.remove(other, actor="t")


async def test_every_change_of_a_user_has_its_line_without_a_secret(users: Users, client: Redis, keys: Keys) -> None:
    """Who, what, and fingerprints of before and after that follow each other."""
    ann = await make(users, password="$argon2id$HASH", totp="SECRET")
    again = await users.put(later(ann, epoch=2), ann, actor="u-x", action="sign_out_everywhere")
    await users.note(ann.id, "sign_in_failed")
    await users.remove(again, actor="k-y")
    stored: Any = await client.xrange(keys.audit)
    lines = [line for _, line in stored]
    assert [(line["what"], line["actor"], line["action"]) for line in lines] == [
        (f"user:{ann.id}", "t", "invite"),
        (f"user:{ann.id}", "u-x", "sign_out_everywhere"),
        (f"user:{ann.id}", "nobody", "sign_in_failed"),
        (f"user:{ann.id}", "k-y", "delete"),
    ]
    made, changed, _, gone = lines
    assert made["before"] == gone["after"] == ""
    assert made["after"] == changed["before"] != changed["after"] == gone["before"]
    assert "HASH" not in str(lines)
    assert "SECRET" not in str(lines)


async def test_without_its_line_in_the_audit_nothing_changes(users: Users, client: Redis, keys: Keys) -> None:
    """A stream that is none any more refuses before anything is written."""
    ann = await make(users)
    await client.delete(keys.audit)
    await client.set(keys.audit, "x")
    with pytest.raises(Exception, match="WRONGTYPE"):
        await users.put(later(ann, role="reader"), ann, actor="t", action="set_role")
    assert await users.get(ann.id) == ann


async def test_a_session_is_found_by_its_secret_and_the_store_does_not_know_it(
    users: Users, sessions: Sessions, client: Redis, keys: Keys
) -> None:
    """Only a digest is stored, and what is listed has ids of its own."""
    ann = await make(users)
    secret = await sessions.start(ann, agent="Firefox on Linux")
    assert len(secret) == 43
    found = await sessions.find(secret)
    assert found is not None
    assert found[0] == ann
    assert (found[1].agent, found[1].user, len(found[1].csrf)) == ("Firefox on Linux", ann.id, 48)
    dump: Any = client.execute_command
    stored = [key async for key in client.scan_iter(f"{keys.prefix}*")]
    told = str([await dump("DUMP", key, NEVER_DECODE=True) for key in stored]) + str(stored)
    assert not [at for at in range(36) if secret[at : at + 8] in told]
    assert found[1].csrf not in told
    (listed,) = await sessions.of(ann)
    assert re.fullmatch("s-[0-9a-f]{16}", listed.id)
    assert (listed.id, listed.csrf) == (found[1].id, "")
    own = digest(secret, "session")
    for wrong in ("", secret[:-1], secret + "x", secret.swapcase(), "\u00e9" * 43, listed.id, own):
        assert await sessions.find(wrong) is None


async def test_a_session_is_found_by_one_call_of_the_store(
    users: Users, sessions: Sessions, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """User and session come together, for every page."""
    secret = await sessions.start(await make(users), agent="a")
    await sessions.find(secret)
    calls: list[str] = []
    execute: Any = client.execute_command

    async def counting(*command: Any, **options: Any) -> Any:
        calls.append(str(command[0]))
        return await execute(*command, **options)

    monkeypatch.setattr(client, "execute_command", counting)
    for _ in range(10):
        assert await sessions.find(secret) is not None
    assert calls == ["EVALSHA"] * 10


@pytest.mark.parametrize("change", [{"epoch": 2}, {"state": "disabled"}, None], ids=["epoch", "disabled", "gone"])
async def test_what_became_of_a_user_is_true_of_all_sessions_at_once(
    users: Users, sessions: Sessions, change: dict[str, Any] | None
) -> None:
    """For whoever asks, on any worker."""
    ann = await make(users)
    secrets = [await sessions.start(ann, agent="a") for _ in range(3)]
    if change is None:
        await users.remove(ann, actor="t")
    else:
        await users.put(later(ann, **change), ann, actor="t", action="x")
    assert [await sessions.find(one) for one in secrets] == [None] * 3


async def test_a_session_of_an_advertiser_ends_with_it(
    users: Users, sessions: Sessions, client: Redis, keys: Keys, clock: Clock
) -> None:
    """An archived one's people are out at once, and back in when it is."""
    catalog = CatalogStore(client, keys, clock)
    new = Advertiser(id="acme", name="Acme", serial=1, version=0)
    acme: Any = await catalog.put("advertiser", new, None, actor="t", action="create")
    ann = await make(users, role="advertiser", advertiser="acme")
    bea = await make(users, "bea", role="advertiser", advertiser="nobodys")
    secret, nobodys = [await sessions.start(one, agent="a") for one in (ann, bea)]
    assert await sessions.find(secret) is not None
    assert await sessions.find(nobodys) is None
    gone: Any = msgspec.structs.replace(acme, state="archived")
    await catalog.put("advertiser", gone, acme, actor="t", action="archive")
    assert await sessions.find(secret) is None


async def test_a_session_ends_when_it_is_not_used_and_after_a_week(
    users: Users, sessions: Sessions, clock: Clock, client: Redis, keys: Keys
) -> None:
    """Its use is written down once a minute, and moves the one end but not the other."""
    ann = await make(users)
    secret = await sessions.start(ann, agent="a")
    key = keys.session(digest(secret, "session"))
    assert 0 < await client.ttl(key) <= IDLE_S
    begun = clock.now
    clock.now += TOUCH_S - 1
    await sessions.find(secret)
    assert await client.hget(key, "seen") == str(int(begun))
    clock.now += 1
    await sessions.find(secret)
    assert await client.hget(key, "seen") == str(int(begun) + TOUCH_S)
    while clock.now < begun + ABSOLUTE_S - IDLE_S:
        clock.now += IDLE_S - 1
        assert await sessions.find(secret) is not None
    assert await client.ttl(key) <= begun + ABSOLUTE_S - clock.now + 1
    clock.now = begun + ABSOLUTE_S - 1
    assert await sessions.find(secret) is not None
    clock.now += 1
    assert await sessions.find(secret) is None
    idle = await sessions.start(ann, agent="a")
    clock.now += IDLE_S
    assert await sessions.find(idle) is None
    assert await sessions.of(ann) == []


async def test_a_session_that_waits_for_its_second_factor_is_none(
    users: Users, sessions: Sessions, clock: Clock
) -> None:
    """It is found where it is asked for, listed nowhere, over after ten minutes, and replaced by another secret."""
    ann = await make(users)
    secret = await sessions.start(ann, agent="a", pending=True)
    assert await sessions.find(secret) is None
    assert await sessions.of(ann) == []
    found = await sessions.find(secret, pending=True)
    assert found is not None
    whole = await sessions.start(ann, agent="a", instead_of=found[1])
    assert whole != secret
    assert await sessions.find(secret, pending=True) is None
    assert await sessions.find(whole) is not None
    assert await sessions.find(whole, pending=True) is None
    waiting = await sessions.start(ann, agent="a", pending=True)
    clock.now += PENDING_S
    assert await sessions.find(waiting, pending=True) is None


async def test_attempts_are_counted_before_they_are_looked_at(users: Users, sessions: Sessions) -> None:
    """A hundred at once are not one more than there are."""
    ann = await make(users)
    secret = await sessions.start(ann, agent="a", pending=True)
    found = await sessions.find(secret, pending=True)
    assert found is not None
    counted = await asyncio.gather(*(sessions.attempt(found[1]) for _ in range(100)))
    assert sorted(one for one in counted if one) == list(range(1, TRIES + 1))
    assert await sessions.find(secret, pending=True) is None
    whole = await sessions.find(await sessions.start(ann, agent="a"))
    assert whole is not None
    assert await sessions.attempt(whole[1]) == 0
    assert await sessions.of(ann) != []


async def test_a_session_that_ended_is_not_made_anew(
    users: Users, sessions: Sessions, client: Redis, keys: Keys
) -> None:
    """By nothing that was still being done in it; one that lives keeps the first secret that two pages set up."""
    ann = await make(users)
    found = await sessions.find(await sessions.start(ann, agent="a"))
    assert found is not None
    kept = await asyncio.gather(*(sessions.set_up(found[1], f"SECRET{number}") for number in range(5)))
    assert len(set(kept)) == 1
    assert (await sessions.of(ann))[0].setup == kept[0]
    await sessions.end(found[1])
    assert await sessions.set_up(found[1], "LATE") is None
    assert await sessions.attempt(found[1]) == 0
    assert not await client.exists(keys.session(found[1].digest))


async def test_a_user_has_so_many_sessions_and_no_more(users: Users, sessions: Sessions, clock: Clock) -> None:
    """The oldest goes for a new one."""
    ann = await make(users)
    secrets = []
    for _ in range(MOST + 2):
        clock.now += 1
        secrets.append(await sessions.start(ann, agent="a"))
    assert [await sessions.find(one) is None for one in secrets] == [True] * 2 + [False] * MOST
    assert len(await sessions.of(ann)) == MOST
    assert (await sessions.of(ann))[0].created == clock.now
    one = (await sessions.of(ann))[0]
    await sessions.end(one)
    assert await sessions.find(secrets[-1]) is None
    assert len(await sessions.of(ann)) == MOST - 1


async def test_a_link_is_looked_at_often_and_used_once(
    users: Users, sessions: Sessions, client: Redis, keys: Keys
) -> None:
    """Of twenty who use it at once, each as of what they saw, one does; a preview uses nothing up."""
    ann = await make(users)
    secret = await sessions.make_link(ann, "reset")
    for _ in range(3):
        seen = await sessions.look(secret)
        assert seen is not None
        assert (seen.purpose, seen.user, seen.epoch) == ("reset", ann.id, ann.epoch)
    link = digest(secret, "link")
    assert await sessions.find(secret) is None
    assert secret not in str([key async for key in client.scan_iter(f"{keys.prefix}*")])

    async def use() -> User:
        for _ in range(40):
            now = await users.get(ann.id)
            assert now is not None
            try:
                return await users.put(later(now, signed_in=1), now, actor="t", action="x", link=link)
            except Stale:
                continue
        raise AssertionError("it was never its turn")

    done = await asyncio.gather(*(use() for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(one, User) for one in done) == 1
    assert sum(isinstance(one, NotFound) for one in done) == 19
    assert await sessions.look(secret) is None


async def test_a_link_ends_in_time_and_with_a_newer_one_of_its_purpose(
    users: Users, sessions: Sessions, clock: Clock, client: Redis, keys: Keys
) -> None:
    """An hour, or a week for an invitation; others' links and other purposes stay."""
    ann, bea = await make(users), await make(users, "bea")
    first = await sessions.make_link(ann, "reset")
    kept = [await sessions.make_link(bea, "reset"), await sessions.make_link(ann, "sign_in")]
    second = await sessions.make_link(ann, "reset")
    assert await sessions.look(first) is None
    assert None not in [await sessions.look(one) for one in (second, *kept)]
    invitation = await sessions.make_link(ann, "invitation")
    assert 0 < await client.ttl(keys.link(digest(second, "link"))) <= 3600
    clock.now += 3600
    assert [await sessions.look(one) for one in (second, *kept)] == [None] * 3
    clock.now += LINK_S["invitation"] - 3601
    assert await sessions.look(invitation) is not None
    clock.now += 1
    assert await sessions.look(invitation) is None


async def test_links_made_at_once_leave_one(users: Users, sessions: Sessions) -> None:
    """Two tokens at once: the last one made works, and no other."""
    ann = await make(users)
    made = await asyncio.gather(*(sessions.make_link(ann, "reset") for _ in range(3)), return_exceptions=True)
    links = [one for one in made if isinstance(one, str)]
    assert sum([await sessions.look(one) is not None for one in links]) == 1


async def test_secrets_are_never_the_same(users: Users, sessions: Sessions) -> None:
    """A thousand links: as many secrets of 256 bits, each letter everywhere."""
    ann = await make(users)
    made = {await sessions.make_link(ann, "reset") for _ in range(1000)}
    assert len(made) == 1000
    for place in range(42):
        assert len({one[place] for one in made}) > 50
