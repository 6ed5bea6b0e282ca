"""Who may do what to whose things: generated over the route table, through the whole application."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from adserve.core.access import ROLES
from adserve.web.routes import ROUTES, Route
from tests.conftest import Api

TEXT = {"kind": "text", "name": "t", "title": "Tea", "click_url": "https://shop.example/tea"}
KEYED = [route for route in ROUTES if route.roles]
ROUTE_IDS = [f"{route.method} {route.path}" for route in KEYED]
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/api/v1/creatives/{id}/restore"): {"revision": 1},
    ("POST", "/api/v1/campaigns/{id}/creatives"): TEXT,
    ("PUT", "/api/v1/creatives/{id}/content"): {"title": "Coffee"},
    ("PATCH", "/api/v1/creatives/{id}"): {"weight": 2},
    ("POST", "/api/v1/creatives/{id}/reject"): {"reason": "Blurred"},
    ("POST", "/api/v1/keys"): {"role": "reader", "name": "k"},
}
"""What each call needs so that only the caller stands in its way; elsewhere a name."""


@dataclass
class World:
    """Two advertisers, each with a campaign and a creative, and a key of every role; `acme` has a key of its own."""

    api: Api
    keys: dict[str, str] = field(default_factory=dict)
    creatives: dict[str, str] = field(default_factory=dict)

    async def call(self, who: str, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        """A call with the key of a role."""
        return await self.api.call(method, path, body, Authorization=f"Bearer {self.keys[who]}", **headers)

    def ids(self, route: Route, owner: str | None) -> str:
        """The path of a route that names things of `owner` (None: what is not there), without its prefix."""
        slot = {"acme": "top", "zeta": "side"}.get(owner or "", "none")
        names = {
            None: "",
            "site": "news" if owner else "none",
            "slot": "",
            "advertiser": owner or "none",
            "campaign": f"of-{owner or 'none'}",
            "creative": self.creatives.get(owner or "", "cr-none"),
            "key": "k-none",
        }
        path = route.path.removeprefix("/api/v1").replace("{slot}", slot).replace("{revision}", "1")
        return path.replace("{site}", "news" if owner else "none").replace("{id}", names[route.about])


@pytest.fixture
async def world(api: Api) -> World:
    await api.world(slots=("top", "side"))
    await api.make("PUT", "/advertisers/zeta", {"name": "Zeta"})
    made = World(api)
    made.creatives["acme"] = await api.creative("of-acme", slots=["news/top"])
    made.creatives["zeta"] = await api.creative("of-zeta", advertiser="zeta", slots=["news/side"])
    for role in ROLES:
        body = {"role": role, "name": role} | ({"advertiser": "acme"} if role == "advertiser" else {})
        made.keys[role] = (await api.make("POST", "/keys", body))["key"]
    made.keys["delivery"] = (await api.make("POST", "/keys", {"scopes": ["delivery"], "name": "site"}))["key"]
    return made


def body_of(route: Route) -> Any:
    """A good body for a route that takes one."""
    return BODIES.get((route.method, route.path), {"name": "N"} if route.method in ("PUT", "PATCH") else None)


@pytest.mark.parametrize("route", KEYED, ids=ROUTE_IDS)
async def test_a_role_that_a_route_does_not_name_is_refused_before_anything_is_looked_up(
    world: World, route: Route
) -> None:
    """403 whether the thing is there or not, and nothing changes; a key for delivery alone may nothing here."""
    before = await world.api.contents()
    for who in world.keys:
        if who in route.roles:
            continue
        for owner in ("acme", "zeta", None):
            got = await world.call(who, route.method, world.ids(route, owner), body_of(route))
            assert (got.status_code, got.json()["code"]) == (403, "forbidden"), (who, owner)
    assert await world.api.contents() == before


@pytest.mark.parametrize("route", KEYED, ids=ROUTE_IDS)
async def test_a_role_that_a_route_names_gets_an_answer_of_the_route(world: World, route: Route) -> None:
    """Never 401 or 403, whatever else is wrong with the call."""
    for who in route.roles:
        got = await world.call(who, route.method, world.ids(route, "acme"), body_of(route))
        assert got.status_code in (200, 201, 204, 404, 409, 422), (who, got.text)


@pytest.mark.parametrize(
    "route", [one for one in ROUTES if "advertiser" in one.roles and one.about], ids=lambda r: f"{r.method} {r.path}"
)
async def test_what_is_anothers_answers_like_what_is_nobodys(world: World, route: Route) -> None:
    """Same status, body and headers, also where the rest of the call is bad; what is there is not touched."""
    before = await world.api.contents()
    bodies = [body_of(route)] if route.method == "GET" else [body_of(route), {"colour": "red"}, None]
    for body in bodies:
        theirs, missing = [
            await world.call("advertiser", route.method, world.ids(route, owner), body) for owner in ("zeta", None)
        ]
        assert theirs.status_code == 404, theirs.text
        assert (theirs.content, dict(theirs.headers)) == (missing.content, dict(missing.headers))
    assert await world.api.contents() == before
    mine = await world.call("advertiser", route.method, world.ids(route, "acme"), body_of(route))
    assert mine.status_code != 404, mine.text


def test_every_path_that_names_an_object_says_which() -> None:
    """A route with an id in its path and no kind for it would be a hole in the one check."""
    for route in ROUTES:
        of_a_decision = route.path.endswith("{decision}")  # which says itself which slot it is about
        assert ("{" in route.path and not of_a_decision) == (route.about is not None), route
        assert route.roles <= set(ROLES), route


async def test_lists_show_an_advertiser_its_own(world: World) -> None:
    """Whatever the filters name; staff see everything."""
    for path, mine, every in (
        ("/advertisers", ["acme"], ["acme", "zeta"]),
        ("/campaigns", ["of-acme"], ["of-acme", "of-zeta"]),
        ("/creatives", [world.creatives["acme"]], sorted(world.creatives.values())),
    ):
        for who, found in (("advertiser", mine), ("reader", every), ("reviewer", every), ("admin", every)):
            got = (await world.call(who, "GET", path)).json()["items"]
            assert [one["id"] for one in got] == found, who
    for path in ("/campaigns?advertiser=zeta", "/creatives?campaign=of-zeta"):
        assert (await world.call("advertiser", "GET", path)).json()["items"] == []
    assert (await world.call("advertiser", "GET", "/campaigns/of-acme")).json()["accepts"][0]["slot"] == "news/top"


async def test_an_advertiser_looks_after_its_creatives_and_approves_none(world: World) -> None:
    """Upload, edit, pause, resume, archive; what it uploads waits for review."""
    wished = await world.call("advertiser", "POST", "/campaigns/of-acme/creatives?approve=true", TEXT)
    assert wished.status_code == 403
    made = await world.call("advertiser", "POST", "/campaigns/of-acme/creatives?approve=false", TEXT)
    assert (made.status_code, made.json()["state"]) == (201, "pending")
    path = f"/creatives/{made.json()['id']}"
    for action in ("approve", "reject"):
        assert (await world.call("advertiser", "POST", f"{path}/{action}", {"reason": "x"})).status_code == 403
    assert (await world.call("advertiser", "PATCH", path, {"state": "approved"})).status_code == 422
    assert (await world.call("reviewer", "POST", f"{path}/approve")).status_code == 200
    assert (await world.call("advertiser", "POST", f"{path}/pause")).json()["state"] == "paused"
    assert (await world.call("advertiser", "POST", f"{path}/resume")).json()["state"] == "approved"
    content = await world.call("advertiser", "PUT", f"{path}/content", {"title": "Coffee"})
    assert (content.json()["state"], content.json()["live_revision"]) == ("pending", 1)
    assert (await world.call("advertiser", "DELETE", path)).json()["state"] == "archived"


async def test_who_reviews_may_approve_an_upload_at_once(world: World) -> None:
    """A reviewer and an admin."""
    for who in ("reviewer", "admin"):
        made = await world.call(who, "POST", "/campaigns/of-acme/creatives?approve=true", TEXT)
        assert (made.status_code, made.json()["state"]) == (201, "approved")


async def count(api: Api, slot: str) -> None:
    """An impression of the slot."""
    got = await api.http.get((await api.decide(slot))["impression_url"])
    assert got.status_code == 200


async def test_a_report_shows_an_advertiser_its_own_figures(world: World) -> None:
    """Without asking for it, in rows and totals; requests and fill rate are the publisher's."""
    for slot in ("top", "side", "side"):
        await count(world.api, slot)
    await world.api.settle()
    asked = "/report?from=2027-01-01&to=2027-03-01"
    every = (await world.call("reader", "GET", f"{asked}&by=campaign")).json()
    assert every["totals"]["impressions"] == 3
    for by in ("slot", "campaign", "creative", "advertiser", "day", "empty_reason", "site", ""):
        for more in ("", "&advertiser=acme", "&advertiser=", "&slot=news/top", "&site=news"):
            mine = (await world.call("advertiser", "GET", f"{asked}&by={by}{more}")).json()
            assert mine["totals"]["impressions"] == 1
            for row in (*mine["rows"], mine["totals"]):
                assert row["requests"] is row["empty"] is row["fill_rate"] is None
            assert "zeta" not in json.dumps(mine).lower()
            assert "side" not in json.dumps(mine)
    got = await world.call("advertiser", "GET", f"{asked}&by=campaign&format=csv")
    assert "of-acme" in got.text
    assert "zeta" not in got.text


@pytest.mark.parametrize(
    ("theirs", "missing"),
    [
        ("advertiser=zeta", "advertiser=none"),
        ("campaign=of-zeta", "campaign=none"),
        ("creative={zeta}", "creative=none"),
        ("slot=news/side", "slot=news/none"),
        ("slot=side", "slot=none"),
        ("site=blog", "site=none"),
        ("advertiser=zeta&campaign=of-acme", "advertiser=none&campaign=of-acme"),
        ("site=news&campaign=of-zeta", "site=news&campaign=none"),
    ],
)
async def test_a_filter_of_anothers_is_one_that_is_not_there(world: World, theirs: str, missing: str) -> None:
    """An advertiser may ask about the slots and sites that its campaigns book, and learns of no others."""
    await world.api.make("PUT", "/sites/blog", {"name": "Blog"})
    asked = theirs.replace("{zeta}", world.creatives["zeta"])
    one, other = [await world.call("advertiser", "GET", f"/report?{query}") for query in (asked, missing)]
    assert (one.status_code, one.content) == (404, other.content)
    assert (await world.call("reader", "GET", f"/report?{asked}")).status_code in (200, 404)


async def test_the_audit_shows_an_advertiser_what_became_of_its_own(world: World) -> None:
    """Nothing of others, of the publisher's or of keys; pages go on where the last one ended."""
    every = (await world.call("reader", "GET", "/audit")).json()["items"]
    kinds = {line["what"].partition(":")[0] for line in every}
    assert kinds == {"site", "slot", "advertiser", "campaign", "creative", "key"}
    own = {"advertiser:acme", "campaign:of-acme", f"creative:{world.creatives['acme']}"}
    mine = (await world.call("advertiser", "GET", "/audit")).json()["items"]
    assert mine == [line for line in every if line["what"] in own]
    assert len(mine) == 4
    paged, path = [], "/audit?limit=1"
    while path:
        got = await world.call("advertiser", "GET", path)
        paged += got.json()["items"]
        path = got.links["next"]["url"].removeprefix("/api/v1") if "next" in got.links else ""
    assert paged == mine


async def test_the_audit_is_asked_by_actor_and_by_object(world: World) -> None:
    """One object or a whole kind; of others an advertiser finds nothing."""

    async def found(who: str, query: str) -> list[str]:
        got = await world.call(who, "GET", f"/audit?{query}")
        assert got.status_code == 200, got.text
        return [line["what"] for line in got.json()["items"]]

    made = (await world.call("advertiser", "POST", "/campaigns/of-acme/creatives", TEXT)).json()["id"]
    actor = (await world.call("reader", "GET", "/audit?limit=1")).json()["items"][0]["actor"]
    assert await found("reader", f"actor={actor}") == [f"creative:{made}"]
    assert await found("reader", "what=campaign:of-zeta") == ["campaign:of-zeta"]
    assert await found("admin", "what=key") == await found("reader", "actor=bootstrap&what=key")
    assert await found("advertiser", "what=campaign:of-zeta") == await found("advertiser", "what=key") == []


async def test_an_audit_that_is_not_the_callers_is_not_read_to_its_end(world: World, monkeypatch: Any) -> None:
    """A page may be empty and still go on: one call looks at so many lines and no more."""
    monkeypatch.setattr("adserve.flows.access.AT_ONCE", 1)
    monkeypatch.setattr("adserve.flows.access.LOOKS", 2)
    got = await world.call("advertiser", "GET", "/audit")
    assert got.json()["items"] == []
    assert "next" in got.links


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({}, {"/role": "required"}),
        ({"scopes": []}, {"/role": "required"}),
        ({"role": "owner"}, {"/role": "invalid"}),
        ({"role": "advertiser"}, {"/advertiser": "required"}),
        ({"role": "advertiser", "advertiser": "none"}, {"/advertiser": "unknown"}),
        ({"role": "advertiser", "advertiser": "No"}, {"/advertiser": "invalid"}),
        ({"role": "reader", "advertiser": "acme"}, {"/advertiser": "invalid"}),
        ({"scopes": ["delivery"], "advertiser": "acme"}, {"/advertiser": "invalid"}),
        ({"scopes": ["all"]}, {"/scopes": "invalid"}),
        ({"scopes": "delivery"}, {"/scopes": "invalid"}),
        ({"role": "admin", "scopes": ["all"], "id": "k-1", "name": 7}, {"/scopes": "", "/id": "", "/name": ""}),
    ],
)
async def test_a_key_that_cannot_be_made_is_told_everything(
    world: World, body: dict[str, Any], problems: dict[str, str]
) -> None:
    """Never one with fewer rights than asked, nor with more."""
    got = await world.call("admin", "POST", "/keys", body)
    assert got.status_code == 422, got.text
    found = {one["pointer"]: one["code"] for one in got.json()["errors"]}
    assert set(found) == set(problems)
    assert all(found[pointer] == code for pointer, code in problems.items() if code)
    assert len((await world.call("admin", "GET", "/keys")).json()["items"]) == len(world.keys)


async def test_a_key_says_what_it_is_for(world: World) -> None:
    """Role, advertiser and scopes, in the answer that makes it and in the list."""
    body = {"role": "advertiser", "advertiser": "acme", "scopes": ["delivery", "delivery"], "name": "Portal"}
    made = (await world.call("admin", "POST", "/keys", body)).json()
    assert set(made) == {
        "id", "role", "advertiser", "scopes", "name", "created", "key", "prefix", "expires", "last_used", "old_until",
    }  # fmt: skip
    assert {name: made[name] for name in body} == {**body, "scopes": ["delivery"]}
    (listed,) = [one for one in (await world.call("admin", "GET", "/keys")).json()["items"] if one["id"] == made["id"]]
    assert listed == {name: value for name, value in made.items() if name != "key"}
    sites = [one["role"] for one in (await world.call("admin", "GET", "/keys")).json()["items"] if one["scopes"]]
    assert sorted(sites, key=str) == [None, "advertiser"]


async def test_a_key_is_known_to_delivery_without_waiting(world: World) -> None:
    """The worker follows the keys by itself."""
    accounts = world.api.held.services.accounts
    await accounts.refresh()
    known = accounts.known(world.keys["delivery"])
    assert known is not None
    assert (known.role, known.scopes) == (None, ("delivery",))
    assert accounts.known("other") is None


def test_the_documentation_says_who_may_what() -> None:
    """The column of docs/api.md is the table's, and every role has its line."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    for route in ROUTES:
        roles = "all" if route.roles == set(ROLES) else ", ".join(role for role in ROLES if role in route.roles)
        roles = roles or "anyone"
        assert f"| `{route.method} {route.path}` | {roles} |" in text, route
    assert [role for role in ROLES if f"| `{role}` |" not in text] == []
