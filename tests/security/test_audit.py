"""The audit: a line for each change and for nothing else, that cannot be forged, left out or taken back."""

from __future__ import annotations

import io
import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from redis.exceptions import ResponseError

from adserve.flows import users as people
from adserve.flows.audit import audit as prove
from adserve.flows.move import backup
from adserve.flows.report import roll_up_old
from adserve.flows.services import Services
from adserve.flows.sign_in import accept, find, sign_in, sign_out
from adserve.settings import Settings
from adserve.store.catalog import fingerprint
from adserve.store.client import connect
from adserve.store.ledger import retained_s
from adserve.store.sessions import MOST
from adserve.web.routes import ROUTES, Route
from adserve.wiring import running
from tests.conftest import ADMIN, Api, Clock
from tests.needs import lacks
from tests.security.table import BODIES, FORM, V1

OPERATIONS = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
CHANGING = [route for route in ROUTES if route.method != "GET"]
MEMBERS = {"id", "what", "actor", "action", "before", "after", "at"}
LINE = {
    "id": r"[0-9]+-[0-9]+", "what": r"(site|slot|advertiser|campaign|creative|key):[a-z0-9/-]+", "action": r"[a-z]+",
    "actor": r"k-[0-9a-f]{12}", "before": r"([0-9a-f]{16})?", "after": r"([0-9a-f]{16})?",
    "at": r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ",
}  # fmt: skip


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (300, 250), (9, 99, 199)).save(out, "PNG")
    return out.getvalue()


class Office:
    """An admin with a key of its own, and an object of each kind to work on."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.actor, self.key = "", ADMIN

    async def furnish(self) -> None:
        api = self.api
        await api.world(slots=("top",))
        made = await api.make("POST", "/keys", {"role": "admin", "name": "office"})
        self.actor, self.key = made["id"], made["key"]

    async def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.key}", **options.pop("headers", {})}
        return await self.api.http.request(method, f"{V1}{path}", json=body, headers=headers, **options)

    async def fresh(self, route: Route) -> str:
        """The path of a route with objects in it that it may work on; what it archives has no children."""
        await self.api.make("PUT", "/sites/spare", {"name": "Spare"})
        await self.api.make("PUT", "/sites/spare/slots/top", {"sizes": ["300x250"]})
        await self.api.make("PUT", "/advertisers/spare", {"name": "Spare"})
        await self.api.make("PUT", "/campaigns/spare", {"advertiser": "spare", "name": "Spare", "slots": ["spare/top"]})
        path = route.path.removeprefix(V1)
        if route.method == "DELETE" and route.about in ("site", "advertiser", "campaign"):
            path = path.replace("{id}", "lone")
            owner = {"advertiser": "spare"} if route.about == "campaign" else {}
            await self.api.make("PUT", path, {"name": "Lone", **owner})
        if path.startswith("/keys/"):
            made = await self.api.make("POST", "/keys", {"role": "reader", "name": "spare"})
            return path.replace("{id}", made["id"])
        if path.startswith("/creatives/"):
            made = await self.api.make(
                "POST", "/campaigns/spare/creatives", BODIES["POST", f"{V1}/campaigns/{{id}}/creatives"]
            )
            id_ = made["id"]
            for action in {"pause": ("approve",), "resume": ("approve", "pause")}.get(path.rpartition("/")[2], ()):
                await self.api.make("POST", f"/creatives/{id_}/{action}")
            if path.endswith("/restore"):  # what has no other revision has nothing to restore
                await self.api.make("PUT", f"/creatives/{id_}/content", {"title": "Another"})
            return path.replace("{id}", id_)
        return path.replace("{site}", "spare").replace("{slot}", "top").replace("{id}", "spare")

    async def lines(self) -> list[dict[str, str]]:
        """The whole audit, oldest first."""
        found: list[dict[str, str]] = []
        path = "/audit?limit=100"
        while path:
            got = await self.api.call("GET", path)
            assert got.status_code == 200, got.text
            found += got.json()["items"]
            path = got.links["next"]["url"].removeprefix(V1) if "next" in got.links else ""
        return found[::-1]

    async def state(self) -> dict[str, Any]:
        """All that a change of the management could change, save the audit."""
        client, keys = self.api.held.services.client, self.api.held.services.keys
        return {
            "objects": await client.hgetall(keys.objects), "keys": await client.hgetall(keys.accounts),
            "version": await client.get(keys.version), "keys:version": await client.get(keys.accounts_version),
            "changed": await client.zrange(keys.changed, 0, -1, withscores=True),
        }  # fmt: skip


@pytest.fixture
async def office(api: Api) -> Office:
    found = Office(api)
    await found.furnish()
    return found


async def test_every_change_has_its_line_and_nothing_else_has_one(office: Office) -> None:
    """Of every route that changes something: who, what, when, and what it was before and after, once. A call that was
    refused has none."""
    for route in CHANGING:
        path = await office.fresh(route)
        body = BODIES.get((route.method, route.path))
        before = await office.lines()
        for wrong in ({"headers": {"Authorization": "Bearer none"}}, {"params": {"x": "1"}}):
            got = await office.ask(route.method, path, body, **wrong)
            assert got.status_code in (401, 422), (route, got.text)
        if body is not None:
            assert (await office.ask(route.method, path, {"colour": 1})).status_code == 422, route
        assert await office.lines() == before, route
        state = await office.state()
        got = await office.ask(route.method, path, body)
        assert got.status_code in (200, 201, 204), (route, got.text)
        (line,) = (await office.lines())[len(before) :]
        assert set(line) == MEMBERS
        for member, shape in LINE.items():
            assert re.fullmatch(shape, line[member]), (route, member, line)
        assert line["actor"] == office.actor
        assert (line["before"], line["after"]) == changed(state, await office.state(), line["what"]), route


def changed(before: dict[str, Any], after: dict[str, Any], what: str) -> tuple[str, str]:
    """The fingerprints of one object in two states."""
    where, name = ("keys", what.removeprefix("key:")) if what.startswith("key:") else ("objects", what)
    texts = [state[where].get(name) for state in (before, after)]
    assert texts[0] != texts[1], what
    one, two = (fingerprint(text) if text else "" for text in texts)
    return one, two


async def test_the_lines_of_an_object_are_a_chain(office: Office) -> None:
    """From nothing to what is stored now: whoever wrote past the audit would leave a gap."""
    for _ in range(2):
        for route in CHANGING:
            path = await office.fresh(route)
            await office.ask(route.method, path, BODIES.get((route.method, route.path)))
    last: dict[str, str] = defaultdict(str)
    for line in await office.lines():
        assert line["before"] == last[line["what"]], line
        last[line["what"]] = line["after"]
    state = await office.state()
    stored = {f"key:{id_}": text for id_, text in state["keys"].items()} | state["objects"]
    assert {what: mark for what, mark in last.items() if mark} == {n: fingerprint(text) for n, text in stored.items()}


TEXTS = ("x 2026-01-01 admin login ok", "{0.__class__}", "%(secret)s", "</script>", "=1+1")


async def test_nobody_writes_a_line_of_his_own(office: Office) -> None:
    """Names and reasons stand in no line; one that would begin a line, or colour it, is refused."""
    for text in TEXTS:
        for route in CHANGING:
            body = BODIES.get((route.method, route.path))
            if body:
                path = await office.fresh(route)
                names = [name for name in ("name", "title", "reason", "label", "body") if name in body]
                await office.ask(route.method, path, {**body, **dict.fromkeys(names, text[:60])})
    for text in ("x\n2026-01-01 admin login ok", "\x1b[2J", "a\u2028b"):
        got = await office.ask("POST", "/keys", {"role": "admin", "name": text})
        assert got.status_code == 422
    for line in await office.lines():
        said = json.dumps(line)
        assert not [text for text in TEXTS if text in said]
        assert all(value.isascii() and value.isprintable() for value in line.values())


async def test_without_the_audit_nothing_is_changed(
    office: Office, settings: Settings, store_url: str, clock: Clock
) -> None:
    """Of every route, where it cannot be written to and where it may not: 503, and all as it was."""
    client: Any = office.api.held.services.client
    audit = office.api.held.services.keys.audit
    calls = [(route.method, await office.fresh(route), BODIES.get((route.method, route.path))) for route in CHANGING]
    before = await office.state()
    await client.rename(audit, f"{audit}:kept")
    await client.set(audit, "x")
    await refuses(office, calls)
    await client.rename(f"{audit}:kept", audit)
    async with as_user(settings, store_url, clock, ["~*", "&*", "+@all", "-xadd"]) as other:
        other.key = office.key
        await refuses(other, calls)
    assert await office.state() == before


async def refuses(office: Office, calls: list[tuple[str, str, Any]]) -> None:
    answers = [await office.ask(*call) for call in calls]
    files = {"file": ("p.png", picture())}
    answers.append(await office.ask("POST", "/campaigns/spare/creatives", data=FORM, files=files))
    for got in answers:
        assert (got.status_code, got.json()["code"]) == (503, "store_unavailable"), (got.request, got.text)


@asynccontextmanager
async def as_user(settings: Settings, store_url: str, clock: Clock, rules: list[str]) -> AsyncIterator[Office]:
    """A service of the same data whose store knows it as a user with these rules."""
    plain = connect(store_url)
    client: Any = plain
    try:
        await client.execute_command("ACL", "SETUSER", "service", "reset", "on", ">service-password", *rules)
    except ResponseError:
        lacks("needs a store that knows selectors: Valkey, or Redis from 7 on")
    await client.execute_command("ACL", "LOG", "RESET")
    try:
        apart = replace(settings, data_dir=settings.data_dir / "other")
        async with running(apart, as_service(store_url), clock=clock) as held:
            found = Office(Api(held))
            yield found
            await found.api.http.aclose()
    finally:
        await client.execute_command("ACL", "DELUSER", "service")
        await plain.aclose()


def documented_rules(prefix: str) -> list[str]:
    """The rules of docs/operations.md for the user of the service, with another prefix."""
    text = OPERATIONS.read_text(encoding="utf-8")
    (block,) = re.findall(r"```\nACL SETUSER adserve on >PASSWORD\n(.*?)```", text, re.DOTALL)
    return re.split(r"\s+(?![^(]*\))", block.strip().replace("adserve:", prefix))


async def save(settings: Settings, store_url: str) -> None:
    """A backup, made as the service's user."""

    def tell(what: str, keys: int, size: int) -> None:
        """Nobody waits for it."""

    raw = connect(as_service(store_url), decode=False)
    await backup(
        raw, settings.key_prefix, Clock(), io.BytesIO(), secret=None,
        retained_s=retained_s(settings.click_lifetime_s), keep_s=35 * 86_400, tell=tell,
    )  # fmt: skip
    await raw.aclose()


def as_service(store_url: str) -> str:
    return store_url.replace("unix://", "unix://service:service-password@")


FORBIDDEN = [
    line.split(" ") for line in (
        "XTRIM AUDIT MAXLEN 0", "DEL AUDIT", "UNLINK AUDIT", "RENAME AUDIT AUDIT", "SET AUDIT x", "EXPIRE AUDIT 1",
        "PEXPIREAT AUDIT 1", "GETDEL AUDIT", "COPY AUDIT AUDIT", "RESTORE AUDIT 0 x REPLACE", "XSETID AUDIT 0-1",
        "MOVE AUDIT 1", "SORT AUDIT STORE AUDIT", "XGROUP CREATE AUDIT g 0", "GET other:key", "SET other:key x",
        "KEYS *", "EVAL return(redis.call('DEL',KEYS[1])) 1 AUDIT", "FLUSHDB", "FLUSHALL", "SWAPDB 0 1", "SHUTDOWN",
        "MONITOR", "SAVE", "CONFIG SET appendonly no", "ACL SETUSER service +@all", "REPLICAOF 127.0.0.1 1",
        "CLIENT KILL 127.0.0.1:1",
    )
]  # fmt: skip


async def test_the_service_s_own_user_cannot_take_a_line_back(settings: Settings, store_url: str, clock: Clock) -> None:
    """With the rules of the documents everything works that the service does; the audit can be written and read, and
    neither deleted nor cut, renamed, overwritten or made to expire."""
    async with as_user(settings, store_url, clock, documented_rules(settings.key_prefix)) as office:
        await office.furnish()
        api = office.api
        for route in CHANGING:
            path = await office.fresh(route)
            got = await office.ask(route.method, path, BODIES.get((route.method, route.path)))
            assert got.status_code in (200, 201, 204), (route, got.text)
        await api.creative()
        decision = await api.decide()
        for name in ("impression_url", "view_url", "click_url"):
            assert (await api.http.get(decision[name])).status_code in (200, 302)
        assert (await api.totals())["clicks"] == 1
        await people_come_and_go(api.held.services)
        assert (await prove(api.held.services, api.held.settings.data_dir / "spool"))["differences"] == []
        await save(settings, store_url)
        clock.now += 40 * 86_400
        assert await roll_up_old(api.held.services, await api.held.services.catalog.all()) == 1
        client: Any = api.held.services.client
        log = [entry for entry in await connected(store_url, "ACL", "LOG") if b"service" in str(entry).encode()]
        assert log == []
        audit = api.held.services.keys.audit
        lines = await office.lines()
        newest = lines[-1]["id"]
        for command in FORBIDDEN:
            with pytest.raises(ResponseError, match="permission"):
                await client.execute_command(*(audit if word == "AUDIT" else word for word in command))
        with pytest.raises(ResponseError, match="permission"):
            await client.xdel(audit, newest)
        assert await office.lines() == lines


async def people_come_and_go(services: Services) -> None:
    """Everything that is written when somebody is invited, signs in with one session too many, and leaves."""
    user, link = await people.invite(services, {"name": "ann", "role": "reader"}, actor="t")
    entered = await accept(services, link, "correct horse battery")
    signed = await find(services, entered.secret)
    assert signed is not None
    for _ in range(MOST):
        await services.sessions.start(signed.user, agent="")
    entered = await sign_in(services, "ann", "correct horse battery", client="c", agent="", device=None)
    signed = await find(services, entered.secret)
    assert signed is not None
    await people.make_link(services, user.id, "reset", actor="t")
    await people.make_link(services, user.id, "reset", actor="t")
    await sign_out(services, signed)
    await people.delete(services, user.id, actor="t")


async def connected(store_url: str, *command: str) -> Any:
    client: Any = connect(store_url)
    found = await client.execute_command(*command)
    await client.aclose()
    return found
