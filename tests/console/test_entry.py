"""In by password, code and link, and out: what the browser is told to keep, and what a preview uses up."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest
from pyotp import TOTP

from adserve.core.second_factor import STEP_S
from adserve.core.users import User
from adserve.flows import own_account as own
from adserve.flows import sign_in
from adserve.flows import users as people
from adserve.settings import Settings
from adserve.web.console.cookies import DEVICE, SESSION, VISIT
from adserve.wiring import running
from tests.conftest import ADMIN, Api, Clock
from tests.console.conftest import SAME, Person, page

PASSWORD, OTHER = "correct horse battery", "Tr0ub4dor & more of it"
SIGN_IN = "/console/sign-in"


async def person(api: Api, name: str = "ann", **body: Any) -> User:
    """A user with a password."""
    services = api.held.services
    made, link = await people.invite(services, {"name": name, "role": "admin", **body}, actor="t")
    await sign_in.accept(services, link, PASSWORD)
    return await people.get_user(services, made.id)


async def with_code(api: Api, clock: Clock) -> TOTP:
    """A user with a second factor; the clock has moved on by a code."""
    services = api.held.services
    await person(api)
    secret = (await sign_in.sign_in(services, "ann", PASSWORD, client="c", agent="", device=None)).secret
    me = await sign_in.find(services, secret)
    assert me is not None
    device = TOTP((await own.begin_second_factor(services, me)).secret)
    me = await sign_in.find(services, secret)
    assert me is not None
    await own.confirm_second_factor(services, me, PASSWORD, device.at(clock.now), agent="")
    clock.now += STEP_S
    return device


async def send(who: Person, path: str, **data: str) -> httpx2.Response:
    return await who.post(path, data, token=await who.csrf(path))


def told(reply: httpx2.Response) -> dict[str, str]:
    """Name to the attributes of each cookie that is set."""
    pairs = [line.partition("=") for line in reply.headers.get_list("set-cookie")]
    return {name: rest.partition(";")[2] for name, _, rest in pairs}


async def test_a_password_signs_in_and_on_to_what_was_wanted(api: Api) -> None:
    """With a cookie that scripts, other hosts and plain http do not get, new each time."""
    await person(api)
    who = Person(api)
    wanted = "/console/explain?place=news%2Ftop"
    path = (await who.get(wanted)).headers["location"]
    assert path.startswith(f"{SIGN_IN}?next=")
    kept_there = re.search(r'name="next" value="([^"]*)"', (await who.get(path)).text)
    assert kept_there is not None
    reply = await send(who, path, name="Ann", password=PASSWORD, next=kept_there[1])
    assert (reply.status_code, reply.headers["location"]) == (303, wanted)
    kept = told(reply)
    for name in (SESSION, DEVICE):
        assert name.startswith("__Host-")
        for word in ("HttpOnly", "Secure", "Path=/", "SameSite=lax"):
            assert word in kept[name]
        assert "Domain" not in kept[name]
    assert (await who.get("/console/keys")).status_code == 200
    first = who.cookies[SESSION]
    again = Person(api)
    await send(again, SIGN_IN, name="ann", password=PASSWORD)
    assert again.cookies[SESSION] != first


async def test_a_session_that_was_planted_means_nothing(api: Api) -> None:
    """Whatever the browser had before, the one that signs in is another, and the planted one is none."""
    await person(api)
    planted = "p" * 43
    who = Person(api, planted)
    reply = await who.post(SIGN_IN, {"name": "ann", "password": PASSWORD}, token=await who.csrf(SIGN_IN))
    assert reply.status_code == 303
    assert who.cookies[SESSION] != planted
    assert (await Person(api, planted).get("/console/")).status_code == 303


async def test_the_second_of_two_tabs_signs_in_too(api: Api) -> None:
    """Its form was shown before the first one signed in; so with links. What another browser was shown is refused."""
    ann = await person(api)
    made = [await people.make_link(api.held.services, ann.id, one, actor="t") for one in ("sign_in", "reset")]
    link, reset = (f"/console/{path}/{secret}" for path, (_, secret) in zip(("link", "reset"), made, strict=True))
    who, other = Person(api), await Person(api).csrf(SIGN_IN)
    tabs = {path: await who.csrf(path) for path in (SIGN_IN, link, reset)}
    body = {"name": "ann", "password": PASSWORD, "again": PASSWORD}
    await who.post(SIGN_IN, body, token=tabs[SIGN_IN])
    for path in (SIGN_IN, link, reset):
        before = who.cookies[SESSION]
        for at, token in ((path, other), ("/console/users/new", tabs[path])):
            assert (await who.post(at, {**body, "role": "reader"}, token=token)).status_code == 403
        assert who.cookies[SESSION] == before
        reply = await who.post(path, body, token=tabs[path])
        assert (reply.status_code, reply.headers.get("location")) == (303, "/console/"), path
        assert (await who.get("/console/")).status_code == 200


@pytest.mark.parametrize(("name", "password"), [("ann", OTHER), ("nobody", OTHER), ("a\0b", OTHER), ("ann", "")])
async def test_what_is_wrong_sets_no_session_and_is_told_to_nobody(api: Api, name: str, password: str) -> None:
    """One page for a wrong name and a wrong password; the name stands there again, the password does not."""
    await person(api)
    who = Person(api)
    before = [key for key in await api.contents() if "session" in key]
    reply = await send(who, SIGN_IN, name=name, password=password)
    assert reply.status_code == 401
    assert SESSION not in told(reply)
    text = re.sub(r'value="[^"]*"', "", reply.text)
    assert sign_in.WRONG in text
    assert OTHER not in reply.text
    page(reply)
    assert [key for key in await api.contents() if "session" in key] == before


async def test_who_guesses_is_told_to_wait(api: Api) -> None:
    """With the seconds; a browser that signed in before is not."""
    await person(api)
    owner = Person(api)
    reply = await send(owner, SIGN_IN, name="ann", password=PASSWORD)
    device = reply.headers.get_list("set-cookie")[-1].partition(";")[0]
    assert device.startswith(DEVICE)
    who, codes = Person(api), []
    token = await who.csrf(SIGN_IN)
    for _ in range(12):
        reply = await who.post(SIGN_IN, {"name": "ann", "password": OTHER}, token=token)
        codes.append(reply.status_code)
    assert codes[-1] == 429
    assert 0 < int(reply.headers["retry-after"]) <= 60
    assert (await send(Person(api), SIGN_IN, name="ann", password=PASSWORD)).status_code == 429
    back = Person(api)
    back.cookies = dict([device.split("=", 1)])
    visit = await back.get(SIGN_IN)
    assert VISIT in told(visit)
    assert (await send(back, SIGN_IN, name="ann", password=PASSWORD)).status_code == 303


@pytest.mark.parametrize("next_", ["//evil.example", "/\\evil.example", "/%5cevil.example", "https://evil.example"])
async def test_signing_in_leads_nowhere_else(api: Api, next_: str) -> None:
    """The parameter stands in no header and in no body."""
    await person(api)
    who = Person(api)
    form = await who.call("GET", SIGN_IN, params={"next": next_})
    assert "evil" not in form.text
    reply = await who.post(SIGN_IN, {"name": "ann", "password": PASSWORD, "next": next_}, token=await who.csrf(SIGN_IN))
    assert reply.headers["location"] == "/console/"
    assert "evil" not in str(reply.headers) + reply.text


async def test_a_code_is_asked_for_after_the_password(api: Api, clock: Clock) -> None:
    """Until it came no page opens; then the session is another one. The page that was wanted comes after it."""
    device = await with_code(api, clock)
    who = Person(api)
    reply = await send(who, SIGN_IN, name="ann", password=PASSWORD, next="/console/account")
    assert reply.headers["location"] == "/console/code?next=%2Fconsole%2Faccount"
    assert DEVICE not in told(reply)
    waiting = who.cookies[SESSION]
    assert (await who.get("/console/account")).status_code == 303
    page(await who.get("/console/code?next=/console/account"))
    wrong = await send(who, "/console/code", code="000 000", next="/console/account")
    assert (wrong.status_code, sign_in.WRONG_CODE in wrong.text) == (401, True)
    right = await send(who, "/console/code", code=device.at(clock.now), next="/console/account")
    assert (right.status_code, right.headers["location"]) == (303, "/console/account")
    assert who.cookies[SESSION] != waiting
    assert (await who.get("/console/account")).status_code == 200
    assert (await Person(api, waiting).get("/console/code")).headers["location"] == SIGN_IN


async def test_the_second_step_is_none_without_the_first(api: Api, clock: Clock) -> None:
    """Posted directly, with a whole session, or five times wrong: signing in begins anew."""
    device = await with_code(api, clock)
    who = Person(api)
    token = await who.csrf(SIGN_IN)
    reply = await who.post("/console/code", {"code": device.at(clock.now)}, token=token)
    assert (reply.status_code, SESSION in who.cookies and who.cookies[SESSION] != '""') == (401, False)
    await send(who, SIGN_IN, name="ann", password=PASSWORD)
    for _ in range(5):
        reply = await who.post("/console/code", {"code": "000000"}, token=token)
    assert sign_in.OVER in reply.text
    assert "Max-Age=0" in told(reply)[SESSION]
    page(reply)


async def test_a_link_to_sign_in_is_used_up_by_its_button(api: Api) -> None:
    """Looking at it, also by HEAD, uses nothing up; the second press is a page that says so."""
    user = await person(api)
    _, secret = await people.make_link(api.held.services, user.id, "sign_in", actor="t")
    path = f"/console/link/{secret}"
    for method in ("GET", "HEAD", "GET"):
        assert (await Person(api).call(method, path)).status_code == 200
    who = Person(api)
    assert (await send(who, path)).headers["location"] == "/console/"
    assert (await who.get("/console/")).status_code == 200
    other = Person(api)
    again = await send(other, path)
    assert (again.status_code, SESSION in other.cookies) == (404, False)


@pytest.mark.parametrize("purpose", ["invitation", "reset"])
async def test_a_link_to_a_password_shows_whose_and_takes_one(api: Api, purpose: Any) -> None:
    """What will not do is told beside the field, and the link stays good; then its holder is in, and it is none."""
    user = await person(api)
    before = await sign_in.sign_in(api.held.services, "ann", PASSWORD, client="c", agent="", device=None)
    _, secret = await people.make_link(api.held.services, user.id, purpose, actor="t")
    path = f"/console/{purpose}/{secret}"
    who = Person(api)
    shown = await who.get(path)
    page(shown)
    assert "ann" in shown.text
    wrong_kind = "reset" if purpose == "invitation" else "invitation"
    assert (await Person(api).get(f"/console/{wrong_kind}/{secret}")).status_code == 404
    for password, again, words in (
        ("short", "short", "takes 12 to 256 characters"),
        (OTHER, OTHER + "x", "is not the same as above"),
        ("x" * 50_000, "x" * 50_000, "takes 12 to 256 characters"),
    ):
        reply = await send(who, path, password=password, again=again)
        assert (reply.status_code, words in reply.text) == (422, True)
        assert password not in reply.text.replace("short", "") or password == "short"
        page(reply)
    reply = await send(who, path, password=OTHER, again=OTHER)
    assert (reply.status_code, reply.headers["location"]) == (303, "/console/")
    assert (await who.get("/console/account")).status_code == 200
    assert (await Person(api, before.secret).get("/console/")).status_code == 303
    gone = await Person(api).get(path)
    assert (gone.status_code, sign_in.GONE in gone.text) == (404, True)


async def test_signing_out_is_true_everywhere(api: Api) -> None:
    """The cookie is taken back, and is nothing to whoever kept a copy."""
    await person(api)
    who = Person(api)
    await send(who, SIGN_IN, name="ann", password=PASSWORD)
    kept = who.cookies[SESSION]
    reply = await who.post("/console/sign-out")
    assert "Max-Age=0" in told(reply)[SESSION]
    assert (await Person(api, kept).get("/console/")).status_code == 303


async def test_keys_and_sessions_open_each_others_doors_for_nobody(api: Api) -> None:
    """A cookie at the API is no key, a key at the console no session, and no failure leaves a session behind."""
    await person(api)
    who = Person(api)
    await send(who, SIGN_IN, name="ann", password=PASSWORD)
    cookies = {"Cookie": f"{SESSION}={who.cookies[SESSION]}"}
    assert (await api.http.get("/api/v1/sites", headers=cookies)).status_code == 401
    bearer = {"Authorization": f"Bearer {who.cookies[SESSION]}"}
    refused = await api.http.get("/api/v1/sites", headers=bearer)
    assert (refused.status_code, "set-cookie" in refused.headers) == (401, False)
    for headers in ({"Authorization": f"Bearer {ADMIN}"}, {"Cookie": f"{SESSION}={ADMIN}"}):
        reply = await Person(api).call("GET", "/console/keys", headers={**SAME, **headers})
        assert (reply.status_code, reply.headers["location"].partition("?")[0]) == (303, SIGN_IN)


async def test_without_the_store_nobody_is_in_and_it_is_said(settings: Settings, clock: Clock) -> None:
    """The page of sign-in opens; whoever sends it is told of the store, and not of a wrong password."""
    async with running(settings, "redis://127.0.0.1:1", clock=clock) as held:
        api = Api(held)
        who = Person(api)
        asked = await who.get(SIGN_IN)
        assert asked.status_code == 200
        page(asked)
        token = await who.csrf(SIGN_IN)
        for path in (SIGN_IN, "/console/code", f"/console/link/{'x' * 43}", f"/console/reset/{'x' * 43}"):
            who.cookies[SESSION] = "x" * 43 if path == "/console/code" else ""
            reply = await who.post(path, {"name": "ann", "password": PASSWORD, "again": PASSWORD}, token=token)
            assert (reply.status_code, "The store is away" in reply.text) == (503, True), path
            assert sign_in.WRONG not in reply.text
        await api.http.aclose()


async def test_no_address_and_no_secret_of_who_signs_in_is_kept(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """Not in the store, its keys and rates among them, and not in the log; neither are passwords."""
    await person(api)
    who = Person(api)
    for password in (OTHER, PASSWORD):
        await send(who, SIGN_IN, name="ann", password=password)
    client: Any = api.held.services.client
    names = [key async for key in client.scan_iter(f"{api.held.settings.key_prefix}*")]
    kept = [await client.execute_command("DUMP", name, NEVER_DECODE=True) for name in names]
    told = (str(names) + str(kept) + capsys.readouterr().out).encode()
    assert b"sign_in_failed" in told
    for secret in ("203.0.113.9", "203.0.113", PASSWORD, OTHER, who.cookies[SESSION]):
        assert secret.encode() not in told, secret
