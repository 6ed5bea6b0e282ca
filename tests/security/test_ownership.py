"""Who may do what, said a second time beside the route table, and what is another's: for every route, every method,
every kind of object in every state and every place that an id can stand in."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx2
import pytest
from PIL import Image

from adserve.core.access import ROLES
from adserve.core.model import State
from adserve.settings import Settings
from adserve.web.routes import ROUTES, Route
from tests.conftest import Api
from tests.security.table import BODIES, FORM, FORMS, V1

STAFF, ALL, ADMIN, REVIEW, OWN = "admin reviewer reader", " ".join(ROLES), "admin", "admin reviewer", "admin advertiser"
ANYONE = ""
"""Also without a key: what is the same for everybody."""
MAY = {
    "GET /sites": STAFF, "GET /sites/{id}": STAFF,
    "PUT /sites/{id}": ADMIN, "PATCH /sites/{id}": ADMIN, "DELETE /sites/{id}": ADMIN,
    "GET /sites/{site}/slots": STAFF, "GET /sites/{site}/slots/{slot}": STAFF,
    "PUT /sites/{site}/slots/{slot}": ADMIN, "PATCH /sites/{site}/slots/{slot}": ADMIN,
    "DELETE /sites/{site}/slots/{slot}": ADMIN,
    "GET /advertisers": ALL, "GET /advertisers/{id}": ALL,
    "PUT /advertisers/{id}": ADMIN, "PATCH /advertisers/{id}": ADMIN, "DELETE /advertisers/{id}": ADMIN,
    "GET /campaigns": ALL, "GET /campaigns/{id}": ALL,
    "PUT /campaigns/{id}": ADMIN, "PATCH /campaigns/{id}": ADMIN, "DELETE /campaigns/{id}": ADMIN,
    "GET /campaigns/{id}/limits": ALL, "GET /campaigns/{id}/delivery": ALL,
    "POST /campaigns/{id}/creatives": "admin reviewer advertiser",
    "GET /creatives": ALL, "GET /creatives/{id}": ALL,
    "PATCH /creatives/{id}": OWN, "DELETE /creatives/{id}": OWN, "PUT /creatives/{id}/content": OWN,
    "POST /creatives/{id}/pause": OWN, "POST /creatives/{id}/resume": OWN,
    "POST /creatives/{id}/approve": REVIEW, "POST /creatives/{id}/reject": REVIEW,
    "GET /creatives/{id}/revisions": ALL, "GET /creatives/{id}/revisions/{revision}": ALL,
    "POST /creatives/{id}/restore": OWN,
    "POST /keys": ADMIN, "GET /keys": ADMIN, "DELETE /keys/{id}": ADMIN,
    "POST /keys/{id}/rotate": ADMIN,
    "GET /availability": "admin reviewer reader",
    "GET /explain": ALL, "GET /explain/{decision}": ALL,
    "GET /report": ALL, "GET /audit": ALL, "GET /openapi.json": ANYONE, "GET /docs": ANYONE,
}  # fmt: skip
"""Route to the roles that may, in the words of the contract. A new route wants its line here and in the table."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND")
TEXT = {"kind": "text", "name": "t", "title": "Tea", "click_url": "https://shop.example/tea"}


@dataclass
class Two:
    """Advertiser `acme`, who calls, and `zeta`, whose things it must not learn of."""

    api: Api
    keys: dict[str, str] = field(default_factory=dict)
    """By role; `nobody` has none, `gone` one that was revoked, `delivery` no role."""
    theirs: dict[str, list[str]] = field(default_factory=dict)
    """Ids of zeta by kind; of the publisher's what acme has nothing to do with."""

    async def call(self, who: str, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        sent = {**headers, **({"Authorization": f"Bearer {self.keys[who]}"} if who in self.keys else {})}
        return await self.api.http.request(method, f"{V1}{path}", json=body, headers=sent)


class Aim(NamedTuple):
    """A call about something of another's, and the same about nothing."""

    method: str
    path: str
    missing: str
    body: Any = None
    nothing: Any = None
    headers: tuple[tuple[str, str], ...] = ()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Without a bound on calls: every route with every id is more than one caller may ask at once."""
    return dataclasses.replace(settings, api_rate=0)


@pytest.fixture
async def two(api: Api) -> Two:
    await api.world(slots=("top", "side"))
    await api.make("PUT", "/sites/blog", {"name": "Blog"})
    await api.make("PUT", "/sites/blog/slots/top", {"sizes": ["300x250"]})
    await api.make("PUT", "/advertisers/zeta", {"name": "Zeta"})
    await api.creative("of-acme", slots=["news/top"])
    found = Two(api)
    creatives = [await api.creative("of-zeta", advertiser="zeta", slots=["news/side", "blog/*"])]
    moves: dict[str, tuple[str, ...]] = {
        State.PENDING: (), State.REJECTED: ("reject",), State.PAUSED: ("approve", "pause"), State.ARCHIVED: ("",),
    }  # fmt: skip
    for actions in moves.values():
        made = await api.make("POST", "/campaigns/of-zeta/creatives", TEXT)
        for action in actions:
            body = {"reason": "no"} if action == "reject" else None
            path = f"/creatives/{made['id']}"
            await api.make(*(("POST", f"{path}/{action}", body) if action else ("DELETE", path)))
        creatives.append(made["id"])
    out = io.BytesIO()
    Image.new("RGB", (300, 250), (9, 99, 199)).save(out, "PNG")
    picture = await api.http.post(
        f"{V1}/campaigns/of-zeta/creatives", data=FORM, files={"file": ("p.png", out.getvalue())},
        headers={"Authorization": f"Bearer {api_key(api)}"},
    )  # fmt: skip
    assert picture.status_code == 201, picture.text
    creatives.append(picture.json()["id"])
    for role in (*ROLES, "gone"):
        body = {"role": "reader" if role == "gone" else role, "name": role}
        made = await api.make("POST", "/keys", body | ({"advertiser": "acme"} if role == "advertiser" else {}))
        found.keys[role] = made["key"]
        if role == "gone":
            await api.call("DELETE", f"/keys/{made['id']}")
    found.keys["delivery"] = (await api.make("POST", "/keys", {"scopes": ["delivery"], "name": "site"}))["key"]
    other = await api.make("POST", "/keys", {"role": "advertiser", "advertiser": "zeta", "name": "z"})
    found.theirs = {
        "site": ["blog"], "slot": ["news/side", "blog/top"], "advertiser": ["zeta"], "campaign": ["of-zeta"],
        "creative": creatives, "key": [other["id"]],
    }  # fmt: skip
    return found


def api_key(api: Api) -> str:
    return str(api.held.settings.admin_key)


def named(route: Route) -> str:
    return f"{route.method} {route.path.removeprefix(V1)}"


def test_the_route_table_says_what_stands_here() -> None:
    assert {named(route): set(route.roles) for route in ROUTES} == {line: set(MAY[line].split()) for line in MAY}


async def test_every_route_answers_every_role_as_expected(two: Two) -> None:
    """401 without a key that is one, 403 for a role that may not, and never either for one that may. What may not
    changes nothing."""
    for route in ROUTES:
        path = route.path.removeprefix(V1).replace("{site}", "news").replace("{slot}", "top")
        path = path.replace(
            "{id}", {"advertiser": "acme", "campaign": "of-acme", "site": "news"}.get(route.about or "", "x")
        )
        body = BODIES.get((route.method, route.path))
        before = await two.api.contents()
        allowed = MAY[named(route)].split()
        if not allowed:
            said = {(await two.call(who, route.method, path)).text for who in ("nobody", "gone", "delivery", *ROLES)}
            assert len(said) == 1, named(route)
            continue
        for who in ("nobody", "gone", "delivery", *(role for role in ROLES if role not in allowed)):
            got = await two.call(who, route.method, path, body)
            wanted = 401 if who in ("nobody", "gone") else 403
            assert got.status_code == wanted, (named(route), who, got.text)
            assert "set-cookie" not in got.headers
        assert await two.api.contents() == before, named(route)
        for who in allowed:
            if route.method == "GET":
                asked = {"/explain": "?site=news&slot=top", "/availability": "?slot=news/top"}.get(path, "")
                got = await two.call(who, "GET", path + asked)
                assert got.status_code in (200, 404), (named(route), who, got.text)


# ---- what is another's


def aims(two: Two) -> Iterator[Aim]:
    """Every route and method with an id of zeta's in the path, in each parameter, in each member of the body."""
    taken = {(route.path, route.method) for route in ROUTES}
    for route in ROUTES:
        path = route.path.removeprefix(V1).replace("{revision}", "1")
        body = BODIES.get((route.method, route.path))
        for id_ in two.theirs.get(route.about or "", ()):
            site, _, slot = id_.partition("/")
            real = path.replace("{site}", site).replace("{slot}", slot).replace("{id}", id_)
            none = path.replace("{site}", site if slot else "none").replace("{slot}", "none").replace("{id}", "none")
            for method in METHODS:
                if method == route.method or (route.path, method) not in taken:
                    yield Aim(method, real, none, body, body)
            for header in (("If-Match", '"1"'), ("If-Match", '"99"'), ("If-None-Match", "*")):
                yield Aim(route.method, real, none, body, body, (header,))
            strange: Any
            for strange in (None, {"colour": 1}, [], "x" * 70_000):
                yield Aim(route.method, real, none, strange, strange)
            for name in route.query:
                yield Aim(route.method, f"{real}?{name}=1", f"{none}?{name}=1", body, body)
        for kind, ids in two.theirs.items():
            if route.path.startswith(f"{V1}/{kind}s/"):
                continue
            for id_ in ids:  # an id of another kind is none here
                if "{id}" in path and "/" not in id_ and route.about != kind:
                    yield Aim(route.method, path.replace("{id}", id_), path.replace("{id}", "none"), body, body)
    for parameter, ids in filters(two):
        for id_ in ids:
            for path in (f"/report?by=creative&{parameter}=", f"/report?by=day&format=csv&{parameter}="):
                yield Aim("GET", path + id_, path + "none")
            if parameter in ("campaign", "advertiser"):
                listed = "/creatives" if parameter == "campaign" else "/campaigns"
                yield Aim("GET", f"{listed}?{parameter}={id_}", f"{listed}?{parameter}=none")
    for id_ in two.theirs["slot"]:
        asked = "/explain?site={}&slot={}".format(*id_.split("/"))
        yield Aim("GET", asked, "/explain?site=news&slot=none")
        for kind in ("campaign", "limit", "device"):
            yield Aim("GET", f"{asked}&{kind}=none", f"/explain?site=news&slot=none&{kind}=none")
    for kind, ids in two.theirs.items():
        for id_ in ids:
            yield Aim("GET", f"/audit?what={kind}:{id_}", f"/audit?what={kind}:none")
            yield Aim("GET", f"/audit?actor={id_}", "/audit?actor=none")
    for id_ in two.theirs["campaign"]:
        yield Aim("POST", "/campaigns/of-acme/creatives", "/campaigns/of-acme/creatives", {**TEXT, "campaign": id_},
                  {**TEXT, "campaign": "none"})  # fmt: skip


def filters(two: Two) -> Iterator[tuple[str, list[str]]]:
    for kind in ("site", "slot", "advertiser", "campaign", "creative"):
        yield kind, two.theirs[kind] if kind != "slot" else [*two.theirs["slot"], "side"]


async def test_what_is_another_s_is_not_there(two: Two) -> None:
    """Status, body and headers are those of an id that nobody has, and the store is the same to the bit."""
    before = await two.api.contents()
    seen = 0
    for aim in aims(two):
        headers = dict(aim.headers)
        real = await two.call("advertiser", aim.method, aim.path, aim.body, **headers)
        none = await two.call("advertiser", aim.method, aim.missing, aim.nothing, **headers)
        assert real.status_code < 500, aim
        assert (real.status_code, plain(real)) == (none.status_code, plain(none)), aim
        about = "?" not in aim.path and aim.method not in ("OPTIONS", "PROPFIND")
        assert not about or real.status_code in (403, 404, 405, 422), aim
        seen += real.status_code == 404
    assert seen > 100
    assert await two.api.contents() == before


def plain(answer: httpx2.Response) -> tuple[str, dict[str, str]]:
    """Body and headers, without the id that was asked for and the moment at which a report was made."""
    text = answer.text
    if answer.headers.get("content-type") == "application/json" and "generated_at" in text:
        text = json.dumps({**answer.json(), "generated_at": ""})
    return text, {name: value for name, value in answer.headers.items() if name != "date"}


async def test_what_is_shown_to_an_advertiser_names_nothing_of_another_s(two: Two) -> None:
    """Every reading route, with every split of a report and every page of a list: no id, name or figure of zeta."""
    for token in ("top", "side", "side"):
        got = await two.api.http.get((await two.api.decide(token))["impression_url"])
        assert got.status_code == 200
    await two.api.settle()
    asked = ["/report?by=" + by for by in ("site,slot", "advertiser", "campaign,creative,revision", "tier,device",
             "filter_reason", "empty_reason", "hour", "day", "week", "month")]  # fmt: skip
    asked += [f"{path}?limit=1&after={after}" for path in ("/creatives", "/campaigns", "/advertisers", "/audit")
              for after in ("", "a", *two.theirs["creative"], "of-aaaa") if path != "/audit" or not after]  # fmt: skip
    asked = [path.replace("&after=", "") if path.endswith("=") else path for path in asked]
    asked += ["/advertisers", "/campaigns", "/creatives", "/campaigns/of-acme", "/advertisers/acme", "/audit"]
    words = ("zeta", "blog", "side", *two.theirs["creative"], *two.theirs["key"])
    for path in asked:
        for form in ("", "&format=csv") if path.startswith("/report") else ("",):
            period = "&from=2027-01-01&to=2027-03-01" if path.startswith("/report") else ""
            got = await two.call("advertiser", "GET", path + period + form)
            assert got.status_code == 200, (path, got.text)
            said = (got.text + str(got.headers)).lower()
            assert not [word for word in words if word.lower() in said], (path, got.text)


async def test_no_member_makes_a_thing_another_s(two: Two) -> None:
    """What an advertiser sends never names an owner: not with the creative, not with its content, in no form."""
    mine = (await two.call("advertiser", "GET", "/creatives")).json()["items"][0]["id"]
    before = await two.api.contents()
    for member, value in (
        ("campaign", "of-zeta"), ("advertiser", "zeta"), ("id", two.theirs["creative"][0]), ("state", "approved"),
        ("live_revision", 1), ("serial", 1), ("version", 1), ("live", {}), ("content", {}), ("revision", 9),
        ("revisions", []), ("reason", "x"), ("owner", "zeta"), ("approve", True), ("role", "admin"),
    ):  # fmt: skip
        calls: list[tuple[str, str, dict[str, Any]]] = [
            ("POST", "/campaigns/of-acme/creatives", {**TEXT, member: value}),
            ("PATCH", f"/creatives/{mine}", {member: value}),
            ("PUT", f"/creatives/{mine}/content", {member: value}),
            ("POST", f"/creatives/{mine}/pause", {member: value}),
        ]
        for method, path, body in calls:
            got = await two.call("advertiser", method, path, body)
            assert got.status_code == 422, (method, path, body, got.text)
            assert [one["pointer"] for one in got.json()["errors"]] == [f"/{member}"]
    assert len(FORMS) == 2
    assert await two.api.contents() == before
