"""Signing in, guessing, second factors, links and what people do to their own account, on a real store."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from pyotp import TOTP

from adserve.core.second_factor import STEP_S
from adserve.core.users import User
from adserve.errors import Conflict, Invalid, NotFound, TooMany, Unauthenticated
from adserve.flows import own_account as own
from adserve.flows import users as people
from adserve.flows.guesses import BY_NAME, BY_NAME_AND_CLIENT, CODES
from adserve.flows.passwords import HASHER, Hashing
from adserve.flows.services import Services
from adserve.flows.sign_in import (
    Entered,
    Signed,
    accept,
    by_link,
    enter_code,
    find,
    find_pending,
    look,
    sign_in,
    sign_out,
)
from adserve.opening import services_only
from adserve.settings import Settings
from adserve.store.client import REPLY_ERRORS
from adserve.store.embedded import EmbeddedStore
from adserve.wiring import Running, running
from tests.conftest import BROWSER, Api, Clock

PASSWORD, OTHER = "correct horse battery", "Tr0ub4dor & more of it"
AGENT = BROWSER


@pytest.fixture
def services(held: Running) -> Services:
    return held.services


async def person(services: Services, name: str = "ann", password: str = PASSWORD, **body: Any) -> User:
    """A user who accepted the invitation."""
    made, link = await people.invite(services, {"name": name, "role": "admin", **body}, actor="t")
    await accept(services, link, password, AGENT)
    return await people.get_user(services, made.id)


async def come(
    services: Services, name: str = "ann", password: str = PASSWORD, client: str = "c1", device: str | None = None
) -> Entered:
    return await sign_in(services, name, password, client=client, agent=AGENT, device=device)


async def signed(services: Services, secret: str) -> Signed:
    found = await find(services, secret)
    assert found is not None
    return found


async def audit(services: Services) -> list[tuple[str, str]]:
    """Action and actor of every line about users, oldest first."""
    lines = await services.catalog.audit(limit=1000)
    return [(one["action"], one["actor"]) for one in reversed(lines) if one["what"].startswith("user:")]


async def with_codes(services: Services, clock: Clock) -> tuple[User, TOTP, tuple[str, ...]]:
    """A user with a second factor, its device and its recovery codes. The clock has moved on by a code."""
    await person(services)
    secret = (await come(services)).secret
    device = TOTP((await own.begin_second_factor(services, await signed(services, secret))).secret)
    now = await signed(services, secret)
    await come(services)
    done = await own.confirm_second_factor(services, now, PASSWORD, device.at(clock.now), agent=AGENT)
    clock.now += STEP_S
    return (await signed(services, done.secret)).user, device, done.codes


# ---- passwords


async def test_a_name_and_a_password_make_a_session(services: Services) -> None:
    """However the name is written; twice is two sessions with secrets of their own, and both are in the audit."""
    ann = await person(services)
    first, second = await come(services), await come(services, "ANN")
    assert first.secret != second.secret
    assert (first.needs_code, second.needs_code) == (False, False)
    found = await signed(services, first.secret)
    assert (found.user.id, found.account.id, found.account.role) == (ann.id, ann.id, "admin")
    assert (await signed(services, second.secret)).session.csrf != found.session.csrf
    assert [one for one, actor in await audit(services) if actor == ann.id] == ["accept_invitation"] + ["sign_in"] * 2
    await sign_out(services, found)
    assert await find(services, first.secret) is None
    assert await find(services, second.secret) is not None


async def test_wrong_names_and_wrong_passwords_are_told_apart_by_nobody(services: Services) -> None:
    """Same words, same code, as much work; nothing is stored."""
    await person(services)
    invited, _ = await people.invite(services, {"name": "new", "role": "reader"}, actor="t")
    bob = await person(services, "bob")
    await people.disable(services, bob.id, actor="t")
    said = set()
    tries = [("ann", OTHER), ("nobody", OTHER), ("new", ""), ("new", PASSWORD), ("bob", PASSWORD), ("a\0", OTHER)]
    for name, password in tries:
        with pytest.raises(Unauthenticated) as refused:
            await come(services, name, password, client=name)
        said.add((str(refused.value), refused.value.code))
    assert len(said) == 1
    assert await services.sessions.of(invited) == []


async def test_a_name_that_nobody_has_takes_as_much_work(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """One hash is compared either way, by the same parameters."""
    services.hashing = Hashing()
    await person(services)
    compared: list[str] = []
    verify = type(HASHER).verify

    def counting(self: Any, stored: str, password: Any) -> bool:
        compared.append(stored.rpartition("$")[0].rpartition("$")[0])
        return bool(verify(self, stored, password))

    monkeypatch.setattr(type(HASHER), "verify", counting)
    for name in ("ann", "nobody", "x/../y"):
        with pytest.raises(Unauthenticated):
            await come(services, name, OTHER)
    assert len(compared) == 3
    assert set(compared) == {"$argon2id$v=19$m=32768,t=3,p=1"}


async def test_a_name_that_nobody_has_asks_the_store_as_often(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where an attempt has to wait there is no hash beside which a call of the store is nothing."""
    await person(services)
    for _ in range(BY_NAME_AND_CLIENT.burst):
        for name in ("ann", "nobody"):
            with pytest.raises(Unauthenticated):
                await come(services, name, OTHER)
    calls: list[str] = []
    execute: Any = services.client.execute_command

    async def counting(*command: Any, **options: Any) -> Any:
        calls.append(str(command[0]))
        return await execute(*command, **options)

    monkeypatch.setattr(services.client, "execute_command", counting)
    for name in ("ann", "nobody"):
        with pytest.raises(TooMany):
            await come(services, name, OTHER)
    assert calls == ["HGET", "HGET", "EVALSHA"] * 2


async def test_the_stored_hash_is_argon2id_above_what_owasp_asks(services: Services) -> None:
    """19 MiB, two passes, one lane; salted, so that two of one password differ."""
    services.hashing = Hashing()
    ann, bea = await person(services), await person(services, "bea")
    assert ann.password != bea.password
    algorithm, _, parameters = ann.password.split("$")[1:4]
    given = dict(one.split("=") for one in parameters.split(","))
    assert algorithm == "argon2id"
    assert int(given["m"]) >= 19 * 1024
    assert int(given["t"]) >= 2


async def test_passwords_are_whole_and_in_one_form(services: Services) -> None:
    """Beyond byte 72 they still differ; composed and decomposed letters are the same."""
    long = "x" * 72
    await person(services, password=long + "a\u00e9")
    assert await come(services, password=long + "ae\u0301")
    for wrong in (long + "b\u00e9", long, long + "ae"):
        with pytest.raises(Unauthenticated):
            await come(services, password=wrong)


async def test_a_password_of_a_megabyte_is_hashed_by_nobody(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither to sign in nor to set one; the link to set one stays good."""
    await person(services)
    bea, link = await people.invite(services, {"name": "bea", "role": "reader"}, actor="t")
    monkeypatch.setattr(type(HASHER), "hash", None)
    monkeypatch.setattr(type(HASHER), "verify", None)
    with pytest.raises(Unauthenticated):
        await come(services, password="x" * 1_000_000)
    with pytest.raises(Invalid) as refused:
        await accept(services, link, "x" * 1_000_000)
    assert [str(one) for one in refused.value.problems] == ["/password: takes 12 to 256 characters"]
    monkeypatch.undo()
    assert (await signed(services, (await accept(services, link, OTHER)).secret)).user.id == bea.id


async def test_a_hash_of_older_parameters_is_renewed(services: Services) -> None:
    """When its password comes by."""
    ann = await person(services)
    old = type(HASHER)(time_cost=2, memory_cost=19 * 1024, parallelism=1).hash(PASSWORD)
    stored = await services.users.put(people._with(ann, password=old), ann, actor="t", action="x")
    await come(services)
    renewed = (await people.get_user(services, ann.id)).password
    assert renewed not in (old, stored.password)
    assert not services.hashing.is_old(renewed)
    await come(services)


async def test_a_password_that_was_changed_while_it_was_compared_lets_nobody_in(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was right when it was read has to be right when the session begins; so with a user who was disabled."""
    ann = await person(services)
    matches = services.hashing.matches

    async def meanwhile(stored: str, password: str) -> bool:
        right = await matches(stored, password)
        now = await people.get_user(services, ann.id)
        if changed == "password":
            other = people._with(now, password=await services.hashing.hash(OTHER))
            await services.users.put(other, now, actor="t", action="x")
        else:
            await people.disable(services, ann.id, actor="command line")
        return right

    for changed in ("password", "disabled"):
        monkeypatch.setattr(services.hashing, "matches", meanwhile)
        with pytest.raises(Unauthenticated):
            await come(services, client=changed)
        monkeypatch.undo()
        ann = await people.get_user(services, ann.id)
        assert len(await services.sessions.of(ann)) == (1 if changed == "password" else 0)


# ---- guessing


async def test_guessing_is_slowed_down_and_the_owner_is_let_in(services: Services, clock: Clock) -> None:
    """Five hundred guesses from one client, then from as many clients: the owner comes in meanwhile, from a device that
    was there before at once, from a new place within a minute."""
    await person(services)
    device = (await come(services, client="home")).device
    assert device
    guessed, waits_s = 0, set()
    for number in range(1000):
        try:
            await come(services, password=OTHER, client="evil" if number < 500 else f"evil-{number}")
        except TooMany as slowed:
            waits_s.add(slowed.again_s or 0)
        except Unauthenticated:
            guessed += 1
        if number % 100 == 0:
            await come(services, client="home", device=device)
    assert guessed == BY_NAME.burst - 1
    assert 0 < min(waits_s) <= max(waits_s) <= 60
    with pytest.raises(TooMany) as waits:
        await come(services, client="abroad")
    clock.now += waits.value.again_s or 0
    assert (waits.value.again_s or 0) <= 60
    await come(services, client="abroad")


async def test_a_guess_that_has_to_wait_takes_nothing_from_anybody(services: Services, clock: Clock) -> None:
    """Whoever is kept waiting by what others guess at the name has all attempts left, and may then make them."""
    await person(services)
    for number in range(BY_NAME.burst):
        with pytest.raises(Unauthenticated):
            await come(services, password=OTHER, client=f"evil-{number}")
    for _ in range(2 * BY_NAME_AND_CLIENT.burst):
        with pytest.raises(TooMany) as waits:
            await come(services, client="abroad")
        assert waits.value.again_s == 1
    for _ in range(BY_NAME_AND_CLIENT.burst):
        clock.now += 1
        with pytest.raises(Unauthenticated):
            await come(services, password=OTHER, client="abroad")
    clock.now += 1
    with pytest.raises(TooMany) as waits:
        await come(services, client="abroad")
    assert (waits.value.again_s or 0) > 1
    await come(services, client="home")


async def test_one_client_tries_few_names(services: Services) -> None:
    """A spray of one guess at each of many names ends after some."""
    done = []
    for number in range(60):
        try:
            await come(services, f"name-{number}", OTHER, client="evil")
        except (TooMany, Unauthenticated) as refused:
            done.append(type(refused))
    assert done.count(Unauthenticated) == 40
    assert done[-1] is TooMany


async def test_a_device_token_is_an_allowance_and_no_way_in(services: Services) -> None:
    """It is slowed down too, is good for its own user alone, and a made-up one is none."""
    await person(services)
    await person(services, "bea")
    device = (await come(services)).device
    for _ in range(10):
        with pytest.raises(Unauthenticated):
            await come(services, password=OTHER, device=device, client="x")
    with pytest.raises(TooMany):
        await come(services, device=device, client="x")
    for other in (device, "u-0.0.0.0", f"{device}0", ""):
        for _ in range(4):
            with pytest.raises(Unauthenticated):
                await come(services, "bea", OTHER, device=other, client="y" if other == device else f"y{other}")


async def test_guesses_are_written_down_without_name_and_without_end(services: Services, held: Running) -> None:
    """A few lines in the audit of a user who is there, none of others, and nowhere who called."""
    ann = await person(services)
    for name in ["ann"] * 30 + ["nobody"] * 30:
        with pytest.raises((TooMany, Unauthenticated)):
            await come(services, name, OTHER, client="0123456789abcdef")
    failed = [actor for action, actor in await audit(services) if action == "sign_in_failed"]
    assert failed == ["nobody"] * 3
    contents = await Api(held).contents()
    assert ann.id in str(contents)
    rates = [key async for key in services.client.scan_iter(f"{held.settings.key_prefix}*}}:rate*")]
    assert rates
    assert not [one for one in (*map(str, contents), *rates) if "0123456789abcdef" in one or ":ann" in one]


# ---- the second factor


async def test_a_second_factor_comes_after_the_password(services: Services, clock: Clock) -> None:
    """Until then the session is none; then it has another secret, and the first one is nothing."""
    user, device, _ = await with_codes(services, clock)
    entered = await come(services)
    assert (entered.needs_code, entered.device) == (True, None)
    assert await find(services, entered.secret) is None
    assert await find_pending(services, entered.secret) is not None
    done = await enter_code(services, entered.secret, device.at(clock.now), agent=AGENT, device=None)
    assert done.secret != entered.secret
    assert not done.needs_code
    assert (await signed(services, done.secret)).user.id == user.id
    for dead in (entered.secret, "x" * 43, done.secret):
        with pytest.raises(Unauthenticated) as refused:
            await enter_code(services, dead, device.at(clock.now), agent=AGENT, device=None)
        assert refused.value.code == "session_over"


async def test_a_code_is_used_once(services: Services, clock: Clock) -> None:
    """Not by another session either, nor the one before it, also when both come at once."""
    _, device, _ = await with_codes(services, clock)
    code, before = device.at(clock.now), device.at(clock.now - STEP_S)
    first, second = await come(services, client="a"), await come(services, client="b")
    await enter_code(services, first.secret, code, agent=AGENT, device=None)
    for used in (code, before):
        with pytest.raises(Unauthenticated):
            await enter_code(services, second.secret, used, agent=AGENT, device=None)
    clock.now += STEP_S
    await enter_code(services, second.secret, device.at(clock.now), agent=AGENT, device=None)


async def test_five_wrong_codes_end_what_the_password_began(services: Services, clock: Clock) -> None:
    """And ten an hour are all that a right password is good for: the user waits a minute for the next."""
    _, device, _ = await with_codes(services, clock)
    right = {device.at(clock.now + off) for off in (-STEP_S, 0, STEP_S)}
    wrong = next(code for code in ("000000", "111111", "222222", "333333") if code not in right)
    for _ in range(2):
        entered = await come(services)
        said = []
        for _ in range(6):
            with pytest.raises(Unauthenticated) as refused:
                await enter_code(services, entered.secret, wrong, agent=AGENT, device=None)
            said.append(refused.value.code)
        assert said == ["unauthenticated"] * 4 + ["session_over"] * 2
        with pytest.raises(Unauthenticated):
            await enter_code(services, entered.secret, device.at(clock.now), agent=AGENT, device=None)
    entered = await come(services)
    with pytest.raises(TooMany) as waits:
        await enter_code(services, entered.secret, device.at(clock.now), agent=AGENT, device=None)
    assert 0 < (waits.value.again_s or 0) <= 60
    assert ("second_factor_failed", "nobody") in await audit(services)


async def test_a_recovery_code_is_used_once(services: Services, clock: Clock) -> None:
    """Ten of them, stored as digests; one less after each."""
    user, _, codes = await with_codes(services, clock)
    assert len(set(codes)) == len(user.recovery) == 10
    assert not [one for one in codes if one in str(user)]
    entered = await come(services)
    await enter_code(services, entered.secret, codes[3].upper(), agent=AGENT, device=None)
    assert len((await people.get_user(services, user.id)).recovery) == 9
    again = await come(services)
    with pytest.raises(Unauthenticated):
        await enter_code(services, again.secret, codes[3], agent=AGENT, device=None)
    await enter_code(services, again.secret, codes[4], agent=AGENT, device=None)


async def test_no_link_goes_around_the_second_factor(services: Services, clock: Clock) -> None:
    """One for signing in and one for a password lead to the code like the password does."""
    user, device, _ = await with_codes(services, clock)
    _, link = await people.make_link(services, user.id, "sign_in", actor="t")
    entered = await by_link(services, link, AGENT)
    _, link = await people.make_link(services, user.id, "reset", actor="t")
    renewed = await accept(services, link, OTHER, AGENT)
    assert entered.needs_code
    assert renewed.needs_code
    assert await find(services, entered.secret) is await find(services, renewed.secret) is None
    assert await find_pending(services, entered.secret) is None
    await enter_code(services, renewed.secret, device.at(clock.now), agent=AGENT, device=None)


# ---- links


async def test_an_invitation_makes_a_password_once(services: Services) -> None:
    """Its holder is signed in with it; it is no link for signing in, and a bad password leaves it as it was."""
    made, link = await people.invite(services, {"name": "ann", "role": "reviewer"}, actor="t")
    seen, user = await look(services, link)
    assert (seen.purpose, user.name, user.as_json()["state"]) == ("invitation", "ann", "invited")
    with pytest.raises(NotFound):
        await by_link(services, link, AGENT)
    for bad in ("short", "x" * 300, "\0" * 20):
        with pytest.raises(Invalid):
            await accept(services, link, bad, AGENT)
    entered = await accept(services, link, PASSWORD, AGENT)
    assert (await signed(services, entered.secret)).user.id == made.id
    with pytest.raises(NotFound):
        await accept(services, link, OTHER, AGENT)
    await come(services)


async def test_a_new_password_ends_everything_before_it(services: Services) -> None:
    """Other sessions, other links, and the old password; who set it goes on."""
    ann = await person(services)
    before = await come(services)
    _, forgotten = await people.make_link(services, ann.id, "sign_in", actor="t")
    _, link = await people.make_link(services, ann.id, "reset", actor="t")
    entered = await accept(services, link, OTHER, AGENT)
    assert await find(services, before.secret) is None
    with pytest.raises(NotFound):
        await by_link(services, forgotten, AGENT)
    with pytest.raises(Unauthenticated):
        await come(services)
    assert await find(services, entered.secret) is not None
    assert [one for one, actor in await audit(services) if actor == "t"][-2:] == ["link_sign_in", "link_reset"]


async def test_a_link_for_signing_in_works_once_and_for_nobody_disabled(services: Services) -> None:
    """Disabling a user ends it for good."""
    ann = await person(services)
    _, link = await people.make_link(services, ann.id, "sign_in", actor="t")
    with pytest.raises(NotFound):
        await accept(services, link, OTHER, AGENT)
    entered = await by_link(services, link, AGENT)
    assert await find(services, entered.secret) is not None
    with pytest.raises(NotFound):
        await by_link(services, link, AGENT)
    _, link = await people.make_link(services, ann.id, "sign_in", actor="t")
    await people.disable(services, ann.id, actor="command line")
    with pytest.raises(Conflict):
        await people.make_link(services, ann.id, "sign_in", actor="t")
    await people.enable(services, ann.id, actor="t")
    for dead in (link, "", "x" * 43, "../../x", "\ud800" * 43):
        with pytest.raises(NotFound):
            await look(services, dead)


# ---- the own account


async def test_a_changed_password_ends_other_sessions_and_renews_this_one(services: Services) -> None:
    """The old one is asked for, and is none afterwards."""
    await person(services)
    mine, other = await come(services), await come(services)
    me = await signed(services, mine.secret)
    with pytest.raises(Invalid) as refused:
        await own.change_password(services, me, OTHER, OTHER, agent=AGENT)
    assert refused.value.problems[0].pointer == "/old"
    with pytest.raises(Invalid) as refused:
        await own.change_password(services, me, PASSWORD, "ann", agent=AGENT)
    assert refused.value.problems[0].pointer == "/new"
    done = await own.change_password(services, me, PASSWORD, OTHER, agent=AGENT)
    assert [await find(services, one) for one in (mine.secret, other.secret)] == [None, None]
    assert await find(services, done.secret) is not None
    with pytest.raises(Conflict):
        await own.change_password(services, me, PASSWORD, PASSWORD + "!", agent=AGENT)
    await come(services, password=OTHER)


async def test_a_second_factor_is_set_up_and_removed_with_the_password(services: Services, clock: Clock) -> None:
    """It wants a right code first; each change ends other sessions and gives this one another secret."""
    await person(services)
    other = await come(services)
    secret = (await come(services)).secret
    now = await signed(services, secret)
    with pytest.raises(Conflict):
        await own.confirm_second_factor(services, now, PASSWORD, "123456", agent=AGENT)
    setup = await own.begin_second_factor(services, now)
    assert setup.address.startswith("otpauth://totp/adserve:ann?")
    now = await signed(services, secret)
    assert (await own.begin_second_factor(services, now)).secret == setup.secret
    code = TOTP(setup.secret).at(clock.now)
    with pytest.raises(Invalid):
        await own.confirm_second_factor(services, now, OTHER, code, agent=AGENT)
    with pytest.raises(Invalid):
        await own.confirm_second_factor(services, now, PASSWORD, str((int(code) + 1) % 10**6).zfill(6), agent=AGENT)
    done = await own.confirm_second_factor(services, now, PASSWORD, code, agent=AGENT)
    assert await find(services, other.secret) is None
    now = await signed(services, done.secret)
    assert now.session.setup == ""
    with pytest.raises(Conflict):
        await own.begin_second_factor(services, now)
    renewed = await own.new_recovery_codes(services, now, PASSWORD, agent=AGENT)
    assert not {*renewed.codes} & {*done.codes}
    now = await signed(services, renewed.secret)
    with pytest.raises(Invalid):
        await own.remove_second_factor(services, now, OTHER, agent=AGENT)
    gone = await signed(services, (await own.remove_second_factor(services, now, PASSWORD, agent=AGENT)).secret)
    assert gone.user.totp == ""
    assert not (await come(services)).needs_code
    with pytest.raises(Conflict):
        await own.new_recovery_codes(services, gone, PASSWORD, agent=AGENT)
    await sign_out(services, gone)
    with pytest.raises(Conflict, match="has ended"):
        await own.begin_second_factor(services, gone)


async def test_people_see_their_sessions_and_end_one(services: Services) -> None:
    """Their own alone."""
    ann, bea = await person(services), await person(services, "bea")
    first, second = await come(services), await come(services)
    ids = {one.id for one in await own.sessions_of(services, await people.get_user(services, ann.id))}
    mine = (await signed(services, first.secret)).session.id
    assert mine in ids
    with pytest.raises(NotFound):
        await own.revoke_session(services, bea, mine, actor=bea.id)
    await own.revoke_session(services, await people.get_user(services, ann.id), mine, actor=ann.id)
    assert await find(services, first.secret) is None
    assert await find(services, second.secret) is not None


# ---- people


async def test_an_invitation_that_will_not_do_is_told_everything(services: Services, api: Api) -> None:
    """Name, role, advertiser, and what is no member."""
    await api.world()
    await person(services)
    for body, pointers in (
        ({}, {"/name", "/role"}),
        ({"name": "\u0430nn", "role": "owner", "password": "x"}, {"/name", "/role", "/password"}),
        ({"name": "ANN", "role": "reader"}, {"/name"}),
        ({"name": "b", "role": "advertiser"}, {"/advertiser"}),
        ({"name": "b", "role": "advertiser", "advertiser": "none"}, {"/advertiser"}),
        ({"name": "b", "role": "reader", "advertiser": "acme"}, {"/advertiser"}),
    ):
        with pytest.raises(Invalid) as refused:
            await people.invite(services, body, actor="t")
        assert {one.pointer for one in refused.value.problems} == pointers
    made, _ = await people.invite(services, {"name": "b", "role": "advertiser", "advertiser": "acme"}, actor="t")
    assert made.account().advertiser == "acme"


async def test_another_role_ends_all_sessions(services: Services) -> None:
    """The same role again ends nothing; signing out everywhere always does."""
    await person(services, "root")
    ann = await person(services)
    entered = await come(services)
    await people.set_role(services, ann.id, {"role": "admin"}, actor="t")
    assert await find(services, entered.secret) is not None
    await people.set_role(services, ann.id, {"role": "reader"}, actor="t")
    assert await find(services, entered.secret) is None
    entered = await come(services)
    assert (await signed(services, entered.secret)).account.role == "reader"
    await people.sign_out_everywhere(services, ann.id, actor="t")
    assert await find(services, entered.secret) is None
    entered = await come(services)
    await people.delete(services, ann.id, actor="t")
    assert await find(services, entered.secret) is None
    with pytest.raises(NotFound):
        await people.get_user(services, ann.id)


async def test_the_last_admin_stays(services: Services) -> None:
    """Nobody of the console takes the last one out; the operator's command may."""
    ann = await person(services)
    for take in (
        people.disable(services, ann.id, actor="u-x"),
        people.delete(services, ann.id, actor="u-x"),
        people.set_role(services, ann.id, {"role": "reader"}, actor="u-x"),
    ):
        with pytest.raises(Conflict, match="last admin"):
            await take
    invited, _ = await people.invite(services, {"name": "new", "role": "admin"}, actor="t")
    bea, _ = await people.invite(services, {"name": "bea", "role": "admin"}, actor="t")
    _, link = await people.make_link(services, bea.id, "sign_in", actor="t")
    await by_link(services, link, AGENT)
    with pytest.raises(Conflict, match="last admin"):  # the others cannot come in again by themselves
        await people.disable(services, ann.id, actor="u-x")
    for one in (invited, bea):
        await people.delete(services, one.id, actor="u-x")
    assert (await people.set_role(services, ann.id, {"role": "admin"}, actor="u-x")).role == "admin"
    await people.disable(services, ann.id, actor="command line")
    assert (await people.find_user(services, "ANN")).state == "disabled"


async def test_of_two_admins_who_take_each_other_out_one_stays(services: Services) -> None:
    """Whatever they do, at the same moment, fifty times."""
    ann, bea = await person(services), await person(services, "bea")
    for number in range(50):
        ways = [partial(people.disable, services), partial(people.set_role, services, body={"role": "reader"})]
        first, second = ways[number % 2], ways[number // 2 % 2]
        done = await asyncio.gather(
            first(id_=ann.id, actor=bea.id), second(id_=bea.id, actor=ann.id), return_exceptions=True
        )
        assert [type(one) for one in done].count(Conflict) == 1, done
        for one in (ann, bea):
            await people.set_role(services, one.id, {"role": "admin"}, actor="command line")
            await people.enable(services, one.id, actor="command line")


async def test_who_lost_the_device_gets_in_by_the_password_again(services: Services, clock: Clock) -> None:
    """After an admin said so."""
    user, _, _ = await with_codes(services, clock)
    assert (await come(services)).needs_code
    await people.clear_second_factor(services, user.id, actor="t")
    assert not (await come(services)).needs_code


async def test_people_of_an_archived_advertiser_are_out(services: Services, api: Api) -> None:
    """Their sessions, their passwords and their links."""
    await api.world()
    ann = await person(services, role="advertiser", advertiser="acme")
    entered = await come(services)
    _, link = await people.make_link(services, ann.id, "sign_in", actor="t")
    assert (await api.call("DELETE", "/advertisers/acme")).status_code == 200
    assert await find(services, entered.secret) is None
    with pytest.raises(Unauthenticated):
        await come(services)
    with pytest.raises(NotFound):
        await by_link(services, link, AGENT)


# ---- the store


async def test_signing_in_goes_on_where_the_store_is_full(
    tmp_path_factory: pytest.TempPathFactory, settings: Settings, clock: Clock
) -> None:
    """Whoever can make room has to get in: audit and session are written all the same, other changes are not."""
    with EmbeddedStore.start(tmp_path_factory.mktemp("own")) as store:
        async with running(settings, store.url, clock=clock) as held:
            services = held.services
            ann = await person(services)
            await services.client.config_set("maxmemory", "1mb")
            try:
                entered = await come(services)
                assert await find(services, entered.secret) is not None
                _, link = await people.make_link(services, ann.id, "sign_in", actor="u-x")
                assert await find(services, (await by_link(services, link, AGENT)).secret) is not None
                with pytest.raises(Unauthenticated):
                    await come(services, password=OTHER)
                lines = await audit(services)
                assert {("sign_in", ann.id), ("link_sign_in", "u-x"), ("sign_in_failed", "nobody")} <= set(lines)
                api = Api(held)
                assert (await api.call("PUT", "/sites/news", {"name": "News"})).status_code == 503
                await api.http.aclose()
            finally:
                await services.client.config_set("maxmemory", "0")


async def test_guesses_are_slowed_down_where_the_store_is_full(
    tmp_path_factory: pytest.TempPathFactory, settings: Settings, clock: Clock
) -> None:
    """As many as else, of passwords and of codes."""
    with EmbeddedStore.start(tmp_path_factory.mktemp("own")) as store:
        async with running(settings, store.url, clock=clock) as held:
            services = held.services
            await with_codes(services, clock)
            await services.client.config_set("maxmemory", "1mb")
            try:
                refused: list[type[Exception]] = []
                for _ in range(BY_NAME_AND_CLIENT.burst + 2):
                    with pytest.raises((TooMany, Unauthenticated)) as one:
                        await come(services, password=OTHER, client="evil")
                    refused.append(one.type)
                assert refused == [Unauthenticated] * BY_NAME_AND_CLIENT.burst + [TooMany] * 2
                codes = []
                for number in range(CODES.burst + 1):
                    secret = (await come(services, client=f"home-{number}")).secret
                    with pytest.raises((TooMany, Unauthenticated)) as one:
                        await enter_code(services, secret, "wrong", agent=AGENT, device=None)
                    codes.append(one.type)
                assert codes == [Unauthenticated] * CODES.burst + [TooMany]
            finally:
                await services.client.config_set("maxmemory", "0")


async def test_a_guess_that_cannot_be_counted_is_none(services: Services) -> None:
    """Nor is the right password let in: the store is there, and what counts in it cannot be read."""
    await person(services)
    entered = await come(services)
    counted = [key async for key in services.client.scan_iter(f"{services.keys.prefix}*}}:rate*")]
    assert len(counted) == 3
    for name in counted:
        await services.client.delete(name)
        await services.client.hset(name, "spoilt", "1")
    with pytest.raises(REPLY_ERRORS):
        await come(services)
    assert await find(services, entered.secret) is not None


async def test_without_the_store_nobody_is_in(settings: Settings) -> None:
    """It is told as what it is, and not as a wrong password."""
    async with services_only(settings, "redis://127.0.0.1:1") as services:
        for attempt in (come(services), find(services, "x" * 43), look(services, "x" * 43)):
            with pytest.raises(REPLY_ERRORS):
                await attempt
