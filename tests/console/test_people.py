"""Pages of people, of the own account and of API keys: what is shown once is shown once, and nothing typed is lost."""

from __future__ import annotations

import base64
import re
from typing import Any

import httpx2
import pytest
from pyotp import TOTP

from adserve.core.second_factor import STEP_S
from adserve.flows import sign_in
from adserve.flows import users as people
from adserve.web.console.cookies import SESSION
from tests.conftest import Api, Clock
from tests.console.conftest import Enter, Person, page
from tests.console.reading import Reading
from tests.console.test_entry import OTHER, PASSWORD, person, send

LINK = re.compile(r"http://localhost:8000/console/(invitation|reset|link)/([\w-]{43})")
KEY = re.compile(r"adserve_[\w-]{43}")


async def signed_in(api: Api, name: str = "ann", **body: Any) -> Person:
    """Somebody with a password, by it."""
    await person(api, name, **body)
    who = Person(api)
    await send(who, "/console/sign-in", name=name, password=PASSWORD)
    return who


def link_of(reply: httpx2.Response) -> tuple[str, str]:
    found = LINK.search(reply.text)
    assert found is not None, reply.text
    return found[1], found[2]


# ---- people


async def test_somebody_is_invited_by_a_link_that_is_shown_once(api: Api, enter: Enter) -> None:
    """The link leads to a password; the page of the user does not show it again."""
    await api.world()
    admin = await enter()
    reply = await send(admin, "/console/users/new", name="bea@news.example", role="advertiser", advertiser="acme")
    page(reply)
    purpose, secret = link_of(reply)
    assert purpose == "invitation"
    user = await api.held.services.users.by_name("bea@news.example")
    assert user is not None
    assert (user.role, user.advertiser) == ("advertiser", "acme")
    shown = await admin.get(f"/console/users/{user.id}")
    page(shown)
    assert not LINK.search(shown.text)
    listed = await admin.get("/console/users")
    assert "bea@news.example" in listed.text
    assert "invited" in listed.text
    assert "bea@news.example,advertiser,acme" in (await admin.get("/console/users?format=csv")).text
    bea = Person(api)
    assert (await send(bea, f"/console/invitation/{secret}", password=OTHER, again=OTHER)).status_code == 303
    assert (await bea.get("/console/users")).status_code == 403
    assert (await bea.get("/console/keys")).status_code == 403


async def test_an_invitation_that_will_not_do_keeps_what_was_typed(api: Api, enter: Enter) -> None:
    """Each field says what is wrong with it."""
    admin = await enter()
    await person(api)
    for name, role, words in (
        ("\u0430dmin", "reader", "takes a name or an e-mail address"),
        ("ANN", "reader", "another user has this name"),
        ("bob", "advertiser", "is required"),
        ("bob", "owner", "takes one of"),
    ):
        reply = await send(admin, "/console/users/new", name=name, role=role)
        assert (reply.status_code, words in reply.text) == (422, True), name
        assert f'value="{name}"' in reply.text
        page(reply)
    assert [one.name for one in await api.held.services.users.list()].count("bob") == 0


@pytest.mark.parametrize(("kind", "path"), [("invitation", "invitation"), ("reset", "reset"), ("sign-in", "link")])
async def test_an_admin_makes_links(api: Api, enter: Enter, kind: str, path: str) -> None:
    """Of each kind, under this origin; not of another kind."""
    admin, ann = await enter(), await person(api)
    reply = await admin.post(f"/console/users/{ann.id}/link", {"for": kind})
    assert link_of(reply)[0] == path
    assert (await admin.post(f"/console/users/{ann.id}/link", {"for": "x"})).status_code == 404
    assert (await admin.post("/console/users/u-000000000000/link", {"for": kind})).status_code == 404


async def test_a_link_of_ours_never_leads_to_a_host_that_was_made_up(api: Api, enter: Enter) -> None:
    """The Host of the request is believed on this machine alone."""
    admin, ann = await enter(), await person(api)
    token = await admin.csrf()
    reply = await admin.post(
        f"/console/users/{ann.id}/link", {"for": "reset"}, token=token, Host="evil.example", Origin="http://evil.example"
    )
    assert reply.status_code == 200
    assert "http://127.0.0.1:8000/console/reset/" in reply.text
    assert "evil.example" not in reply.text


async def test_what_an_admin_takes_back_is_true_at_once(api: Api) -> None:
    """Another role, out everywhere, disabled, deleted: each ends the session of who it is about."""
    admin, who = await signed_in(api, "root"), await signed_in(api)
    ann = await api.held.services.users.by_name("ann")
    assert ann is not None
    here = f"/console/users/{ann.id}"
    for action, data in (("role", {"role": "reader"}), ("sign-out", {}), ("disable", {})):
        assert (await who.get("/console/")).status_code == 200, action
        reply = await admin.post(f"{here}/{action}", data)
        assert (reply.status_code, reply.headers["location"].partition("?")[0]) == (303, here)
        page(await admin.get(reply.headers["location"]))
        assert (await who.get("/console/")).status_code == 303, action
        if action != "disable":
            await send(who, "/console/sign-in", name="ann", password=PASSWORD)
    assert (await send(who, "/console/sign-in", name="ann", password=PASSWORD)).status_code == 401
    refused = await admin.post(f"{here}/link", {"for": "reset"})
    assert (refused.status_code, "is disabled" in refused.text) == (422, True)
    await admin.post(f"{here}/enable")
    assert (await send(who, "/console/sign-in", name="ann", password=PASSWORD)).status_code == 303
    await admin.post(f"{here}/delete")
    assert (await who.get("/console/")).status_code == 303
    assert (await admin.get(here)).status_code == 404


async def test_a_refusal_leaves_the_other_forms_of_its_page_alone(api: Api, enter: Enter) -> None:
    """Role and advertiser are shown as they are, so that saving them gives nobody another role."""
    await api.world()
    admin, ann = await enter(), await person(api, role="advertiser", advertiser="acme")
    here = f"/console/users/{ann.id}"
    await admin.post(f"{here}/disable")
    refused = await admin.post(f"{here}/link", {"for": "reset"})
    shown = Reading(refused)
    assert (refused.status_code, shown.field("role"), shown.field("advertiser")) == (422, "advertiser", "acme")


async def test_the_last_admin_is_told_so(api: Api) -> None:
    """On the page, and nothing changes."""
    who = await signed_in(api)
    ann = await api.held.services.users.by_name("ann")
    assert ann is not None
    for action, data in (("role", {"role": "reader"}), ("disable", {}), ("delete", {})):
        reply = await who.post(f"/console/users/{ann.id}/{action}", data)
        assert (reply.status_code, "is the last admin" in reply.text) == (422, True)
        page(reply)
    assert (await who.get("/console/users")).status_code == 200


async def test_every_change_of_people_names_who_made_it(api: Api) -> None:
    """In the audit, by the id of the user who was signed in."""
    who = await signed_in(api)
    ann = await api.held.services.users.by_name("ann")
    assert ann is not None
    await send(who, "/console/users/new", name="bob", role="reader")
    bob = await api.held.services.users.by_name("bob")
    assert bob is not None
    for action in ("disable", "enable", "sign-out", "clear-second-factor", "delete"):
        await who.post(f"/console/users/{bob.id}/{action}")
    lines = [line for line in await api.held.services.catalog.audit(limit=50) if line["what"] == f"user:{bob.id}"]
    assert {line["actor"] for line in lines} == {ann.id}
    actions = [line["action"] for line in reversed(lines)]
    assert actions == ["invite", "disable", "enable", "sign_out_everywhere", "delete"]


# ---- the own account


async def test_people_change_their_password(api: Api) -> None:
    """What is wrong stands beside its field and no password is shown; then other sessions end, and this one goes on."""
    who = await signed_in(api)
    other = Person(api)
    await send(other, "/console/sign-in", name="ann", password=PASSWORD)
    path = "/console/account/password"
    wrong = ((OTHER, OTHER, OTHER, "old"), (PASSWORD, "x", "x", "new"), (PASSWORD, OTHER, "x", "again"))
    for old, new, again, field in wrong:
        reply = await who.post(path, {"old": old, "new": new, "again": again})
        assert (reply.status_code, f'id="wrong-{field}"' in reply.text) == (422, True), field
        assert OTHER not in reply.text
        assert PASSWORD not in reply.text
        page(reply)
    before = who.cookies[SESSION]
    reply = await who.post(path, {"old": PASSWORD, "new": OTHER, "again": OTHER})
    assert reply.headers["location"].startswith("/console/account?done=")
    assert who.cookies[SESSION] != before
    assert "is another" in (await who.get(reply.headers["location"])).text
    assert (await other.get("/console/")).status_code == 303


async def test_who_came_by_a_link_sets_a_first_password(api: Api) -> None:
    """Without one from before, which there is none of."""
    made, _ = await people.invite(api.held.services, {"name": "demo", "role": "admin"}, actor="t")
    _, secret = await people.make_link(api.held.services, made.id, "sign_in", actor="t")
    who = Person(api)
    await send(who, f"/console/link/{secret}")
    assert "no password yet" in (await who.get("/console/account")).text
    reply = await who.post("/console/account/password", {"new": OTHER, "again": OTHER})
    assert reply.status_code == 303
    assert (await who.post("/console/account/password", {"new": PASSWORD, "again": PASSWORD})).status_code == 422


async def test_a_second_factor_is_set_up_by_its_picture(api: Api, clock: Clock) -> None:
    """The picture is of our own making, holds no script, and says what stands beside it; the codes are shown once."""
    who = await signed_in(api)
    path = "/console/account/second-factor"
    shown = await who.get(path)
    page(shown)
    secret = re.search(r'<code id="secret">([A-Z2-7 ]+)</code>', shown.text)
    assert secret is not None
    (source,) = re.findall(r'<img src="data:image/svg\+xml;base64,([^"]+)"', shown.text)
    picture = base64.b64decode(source).decode()
    assert "<svg" in picture
    assert "script" not in picture
    device = TOTP(secret[1].replace(" ", ""))
    again = await who.get(path)
    assert secret[1] in again.text
    for code, password, field in (("000000", PASSWORD, "code"), (device.at(clock.now), OTHER, "password")):
        reply = await who.post(path, {"code": code, "password": password})
        assert (reply.status_code, f'id="wrong-{field}"' in reply.text) == (422, True)
        assert OTHER not in reply.text
    done = await who.post(path, {"code": device.at(clock.now), "password": PASSWORD})
    page(done)
    codes = re.findall(r"^(?:<pre id=\"codes\">)?((?:[a-z0-9]{4}-){3}[a-z0-9]{4})$", done.text, re.MULTILINE)
    assert len(codes) == 10
    account = await who.get("/console/account")
    assert "10 recovery codes are left" in account.text
    assert codes[0] not in account.text
    clock.now += STEP_S
    back = Person(api)
    await send(back, "/console/sign-in", name="ann", password=PASSWORD)
    assert (await send(back, "/console/code", code=codes[0])).status_code == 303
    renewed = await back.post(f"{path}/codes", {"password": PASSWORD})
    assert codes[1] not in renewed.text
    assert (await back.post(f"{path}/remove", {"password": OTHER})).status_code == 422
    gone = await back.post(f"{path}/remove", {"password": PASSWORD})
    assert "done=factor-removed" in gone.headers["location"]


async def test_people_end_their_sessions(api: Api) -> None:
    """One by one, all the others, and their own; nobody else's."""
    who = await signed_in(api)
    others = []
    for _ in range(3):
        others.append(Person(api))
        await send(others[-1], "/console/sign-in", name="ann", password=PASSWORD)
    bea = await signed_in(api, "bea")
    page(await who.get("/console/account"))
    first = await sign_in.find(api.held.services, others[0].cookies[SESSION])
    assert first is not None
    path = f"/console/account/sessions/{first.session.id}/end"
    assert (await bea.post(path)).status_code == 404
    assert (await others[0].get("/console/")).status_code == 200
    assert (await who.post(path)).status_code == 303
    assert (await others[0].get("/console/")).status_code == 303
    await who.post("/console/account/sessions/others")
    assert [(await one.get("/console/")).status_code for one in (*others, who, bea)] == [303, 303, 303, 200, 200]
    mine = await sign_in.find(api.held.services, who.cookies[SESSION])
    assert mine is not None
    reply = await who.post(f"/console/account/sessions/{mine.session.id}/end")
    assert reply.headers["location"].startswith("/console/sign-in")


# ---- keys


async def test_a_key_is_made_and_its_secret_shown_once(api: Api, enter: Enter) -> None:
    """With a line to copy that works; afterwards only how it begins."""
    await api.world()
    admin = await enter()
    form = {"name": "Portal", "role": "advertiser", "advertiser": "acme", "delivery": "1", "expires": "30d"}
    reply = await send(admin, "/console/keys/new", **form)
    page(reply)
    (secret,) = set(KEY.findall(reply.text))
    line = re.search(r'<pre id="line">([^<]+)</pre>', reply.text)
    assert line is not None
    path = line[1].replace("&#39;", "'").partition("http://localhost:8000")[2].rstrip("'")
    got = await api.http.get(path, headers={"Authorization": f"Bearer {secret}"})
    assert got.status_code == 200
    (key,) = await api.held.services.accounts.list()
    assert (key.role, key.advertiser, key.scopes) == ("advertiser", "acme", ("delivery",))
    for shown in (await admin.get("/console/keys"), await admin.get(f"/console/keys/{key.id}")):
        page(shown)
        assert not KEY.search(shown.text)
        assert key.prefix in shown.text
    table = (await admin.get("/console/keys?format=csv")).text
    assert f"Portal,{key.prefix},advertiser,acme,delivery,active,2027-02-14T08:00:00Z," in table


async def test_a_key_that_cannot_be_made_keeps_what_was_typed(api: Api, enter: Enter) -> None:
    """All that is wrong at once."""
    admin = await enter()
    reply = await send(admin, "/console/keys/new", name="x" * 101, role="advertiser", until="yesterday")
    page(reply)
    assert reply.status_code == 422
    for words in ("takes at most 100 characters", "is required", "takes days like 90d"):
        assert words in reply.text
    assert "x" * 101 in reply.text
    assert 'value="yesterday"' in reply.text
    assert await api.held.services.accounts.list() == []


async def test_a_reload_of_a_secret_makes_no_other(api: Api, enter: Enter) -> None:
    """The secret from before works on; a form that was refused can be mended and sent; so can the one that is shown
    then."""
    admin = await enter()
    first = KEY.findall((await send(admin, "/console/keys/new", name="CI", role="reader")).text)[0]
    (key,) = await api.held.services.accounts.list()
    here = f"/console/keys/{key.id}"
    form = {"grace_hours": "24", "once": Reading(await admin.get(here)).field("once")}
    assert (await admin.post(f"{here}/rotate", form | {"grace_hours": "x"})).status_code == 422
    second = KEY.findall((await admin.post(f"{here}/rotate", form)).text)[0]
    again = await admin.post(f"{here}/rotate", form)
    shown = Reading(again)
    assert (shown.status, "this form was sent before" in shown.words, KEY.findall(again.text)) == (422, True, [])
    for secret in (first, second):
        reply = await api.http.get("/api/v1/sites", headers={"Authorization": f"Bearer {secret}"})
        assert reply.status_code == 200
    assert (await admin.post(f"{here}/rotate", form | {"once": shown.field("once")})).status_code == 200


async def test_a_key_gets_another_secret_and_is_revoked(api: Api, enter: Enter, clock: Clock) -> None:
    """Both work as long as was said; then it is revoked at once, by a button."""
    admin = await enter()
    first = KEY.findall((await send(admin, "/console/keys/new", name="CI", role="reader")).text)[0]
    (key,) = await api.held.services.accounts.list()
    here = f"/console/keys/{key.id}"
    for wrong in ("169", "x", "", "9" * 99):
        refused = await admin.post(f"{here}/rotate", {"grace_hours": wrong})
        assert (refused.status_code, 'id="wrong-grace_hours"' in refused.text) == (422, True), wrong
    turned = await admin.post(f"{here}/rotate", {"grace_hours": "1"})
    page(turned)
    second = KEY.findall(turned.text)[0]

    async def answers() -> list[int]:
        keys = [{"Authorization": f"Bearer {one}"} for one in (first, second)]
        return [(await api.http.get("/api/v1/sites", headers=one)).status_code for one in keys]

    assert await answers() == [200, 200]
    page(await admin.get(here))
    clock.now += 3600
    assert await answers() == [401, 200]
    assert (await admin.post(f"{here}/revoke")).headers["location"] == "/console/keys?done=revoked"
    assert await answers() == [401, 401]
    assert (await admin.get(here)).status_code == 404
    assert base64.b64encode(second.encode()).decode() not in (await admin.get("/console/keys")).text
