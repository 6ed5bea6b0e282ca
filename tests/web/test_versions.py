"""Conditions on versions, on every route that has some, and what becomes of objects that are archived."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from adserve.store.catalog import CatalogStore
from adserve.web.routes import ROUTES, Route
from tests.conftest import Api

TEXT = {"kind": "text", "name": "t", "title": "Tea", "click_url": "https://shop.example/tea"}
OBJECTS = {
    "site": "/sites/news",
    "slot": "/sites/news/slots/top",
    "advertiser": "/advertisers/acme",
    "campaign": "/campaigns/spring",
}
FULL: dict[str, Any] = {
    "/sites/{id}": {"name": "N"},
    "/sites/{site}/slots/{slot}": {"sizes": ["300x250"]},
    "/advertisers/{id}": {"name": "N"},
    "/campaigns/{id}": {"advertiser": "acme", "name": "N", "slots": ["news/top"]},
    "/creatives/{id}": {"name": "N"},
    "/creatives/{id}/content": {"title": "Coffee"},
    "/creatives/{id}/reject": {"reason": "Blurred"},
    "/creatives/{id}/restore": {"revision": 1},
}
CHANGES = [one for one in ROUTES if one.method != "GET" and one.about and one.about != "key" and not one.endpoint.once]
READS = [one for one in ROUTES if one.method == "GET" and one.path.endswith(("{id}", "slot}"))]


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


@pytest.fixture(autouse=True)
async def creative(api: Api) -> str:
    """A creative that waits for review, in an object of every kind."""
    await api.world()
    await api.make("PUT", OBJECTS["campaign"], FULL["/campaigns/{id}"])
    return str((await api.make("POST", "/campaigns/spring/creatives", TEXT))["id"])


def place(route: Route, creative: str) -> str:
    path = route.path.removeprefix("/api/v1")
    return OBJECTS.get(route.about or "", "") or path.replace("{id}", creative)


async def prepare(api: Api, route: Route, path: str) -> str:
    """Brings the object into a state that the route may move it from; its path."""
    one = f"/creatives/{path.split('/')[2]}"
    if path.endswith("/pause") or path.endswith("/resume"):
        await api.make("POST", f"{one}/approve")
    if path.endswith("/resume"):
        await api.make("POST", f"{one}/pause")
    if path.endswith("/restore"):
        await api.make("PUT", f"{one}/content", {"title": "Coffee"})
    if route.method == "DELETE" and route.about in ("site", "advertiser", "campaign"):
        for child in (await api.call("GET", "/creatives")).json()["items"]:
            await api.make("DELETE", f"/creatives/{child['id']}")
        if route.about != "campaign":
            await api.make("DELETE", OBJECTS["campaign"])
            await api.make("DELETE", OBJECTS["slot"])
    return one if route.about == "creative" else path


def test_every_route_that_changes_one_object_looks_at_its_version() -> None:
    """And says so to those who describe it; what makes something takes an Idempotency-Key instead."""
    assert len(CHANGES) == 3 * 4 + 8
    assert [name_of(one) for one in CHANGES if not one.endpoint.if_match] == []
    made = [name_of(one) for one in ROUTES if one.endpoint.once]
    assert made == ["POST /api/v1/campaigns/{id}/creatives", "POST /api/v1/keys"]


@pytest.mark.parametrize("route", CHANGES, ids=name_of)
async def test_a_change_of_another_version_is_refused_and_changes_nothing(
    api: Api, creative: str, route: Route
) -> None:
    """412 for a stale or weak tag and for one that must not be there; then the true one is taken, and its answer has
    the next tag."""
    path = place(route, creative)
    body = None if route.method == "DELETE" else FULL.get(route.path.removeprefix("/api/v1"))
    seen = await prepare(api, route, path)
    before = await api.call("GET", seen)
    tag, contents = before.headers["etag"], await api.contents()
    for wrong in (
        {"If-Match": '"99"'},
        {"If-Match": f"W/{tag}"},
        {"If-Match": "no tag"},
        {"If-None-Match": "*"},
        {"If-None-Match": f'"99", {tag}'},
        {"If-Match": tag, "If-None-Match": tag},
    ):
        refused = await api.call(route.method, path, body, **wrong)
        assert (refused.status_code, refused.json()["code"]) == (412, "stale_version"), wrong
    assert await api.contents() == contents
    done = await api.call(route.method, path, body, **{"If-Match": f'"99", {tag}', "If-None-Match": '"99"'})
    assert done.status_code == 200, done.text
    assert done.json()["version"] == before.json()["version"] + 1
    assert done.headers["etag"] != tag
    assert (await api.call("GET", seen)).headers["etag"] == done.headers["etag"]


@pytest.mark.parametrize("route", READS, ids=name_of)
async def test_a_reader_who_has_it_gets_no_body(api: Api, creative: str, route: Route) -> None:
    """304 with the same ETag, for HEAD too, until it changes."""
    path = place(route, creative)
    first = await api.call("GET", path)
    tag = first.headers["etag"]
    for known in (tag, f'"99", W/{tag}', "*"):
        for method in ("GET", "HEAD"):
            again = await api.call(method, path, **{"If-None-Match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
            assert again.headers["cache-control"] == "no-store"
    await api.make("PATCH", path, {"name" if route.about != "slot" else "title": "Other"})
    assert (await api.call("GET", path, **{"If-None-Match": tag})).status_code == 200


async def test_a_campaign_is_shown_anew_when_what_it_accepts_has_changed(api: Api) -> None:
    """Its version is the same, so a change is taken with the tag of before."""
    path = OBJECTS["campaign"]
    before = await api.call("GET", path)
    await api.make("PATCH", OBJECTS["slot"], {"max_kb": 99})
    tag = before.headers["etag"]
    after = await api.call("GET", path, **{"If-None-Match": tag})
    assert (after.status_code, after.json()["accepts"][0]["max_kb"]) == (200, 99)
    assert after.json()["version"] == before.json()["version"]
    assert (await api.call("PATCH", path, {"name": "Other"}, **{"If-Match": tag})).status_code == 200


async def test_the_lines_of_a_condition_are_one_list(api: Api) -> None:
    """As they are in HTTP."""
    headers = [("Authorization", "Bearer an-admin-key-for-the-tests"), ("If-Match", '"99"'), ("If-Match", '"1"')]
    done = await api.http.patch("/api/v1/sites/news", json={"name": "Other"}, headers=headers)
    assert done.status_code == 200


@pytest.mark.parametrize("kind", OBJECTS)
async def test_what_is_to_be_made_is_not_replaced(api: Api, kind: str) -> None:
    """`If-None-Match: *` on PUT: 201 where there is none, 412 where there is one, in use or archived."""
    path = OBJECTS[kind].rpartition("/")[0]
    body = {"site": FULL["/sites/{id}"], "slot": {}, "advertiser": {"name": "N"}, "campaign": FULL["/campaigns/{id}"]}[
        kind
    ]
    new = {"If-None-Match": "*"}
    assert (await api.call("PUT", f"{path}/new", body, **new)).status_code == 201
    assert (await api.call("PUT", f"{path}/new", body, **new)).status_code == 412
    await api.make("DELETE", f"{path}/new")
    assert (await api.call("PUT", f"{path}/new", body, **new)).status_code == 412
    assert (await api.call("PUT", f"{path}/other", body, **{"If-Match": "*"})).status_code == 412


async def test_of_many_who_make_one_at_once_one_does(api: Api) -> None:
    """The others see that it is there."""
    new = {"If-None-Match": "*"}
    made = await asyncio.gather(*(api.call("PUT", "/sites/new", {"name": f"N{n}"}, **new) for n in range(8)))
    assert sorted(one.status_code for one in made) == [201] + [412] * 7
    (winner,) = [one.json() for one in made if one.status_code == 201]
    assert (await api.call("GET", "/sites/new")).json() == winner


async def test_who_names_no_version_never_loses_a_race(api: Api) -> None:
    """Also with `If-Match: *`, which asks only that it is there."""
    done = await asyncio.gather(
        *(api.call("PATCH", "/sites/news", {"name": f"N{n}"}, **{"If-Match": "*"}) for n in range(8))
    )
    assert {one.status_code for one in done} == {200}


# ------------------------------------------------------------------ archived objects


async def out_of_use(api: Api, creative: str) -> None:
    """Everything, children first."""
    for path in (f"/creatives/{creative}", *reversed(OBJECTS.values())):
        await api.make("DELETE", path)


@pytest.mark.parametrize("kind", OBJECTS)
async def test_what_is_out_of_use_stays_so_when_it_is_deleted_again(api: Api, creative: str, kind: str) -> None:
    """The same answer, no new version, no line in the audit."""
    await out_of_use(api, creative)
    first = await api.call("GET", OBJECTS[kind])
    contents = await api.contents()
    again = await api.call("DELETE", OBJECTS[kind])
    assert (again.status_code, again.json(), again.headers["etag"]) == (200, first.json(), first.headers["etag"])
    assert await api.contents() == contents
    assert (await api.call("DELETE", OBJECTS[kind], **{"If-Match": '"1"'})).status_code == 412


async def test_nothing_comes_back_below_what_is_archived(api: Api, creative: str) -> None:
    """Slots below sites and campaigns below advertisers; with the parent in use they do. Their names may be put
    right meanwhile, for reports."""
    await out_of_use(api, creative)
    for parent, child, name in (("site", "slot", "title"), ("advertiser", "campaign", "name")):
        assert (await api.make("PATCH", OBJECTS[child], {name: "Put right"}))["state"] == "archived"
        for method, body in (
            ("PATCH", {"state": "active"}),
            ("PATCH", {"state": "paused"}),
            ("PUT", {"slot": {}, "campaign": FULL["/campaigns/{id}"]}[child]),
        ):
            refused = await api.call(method, OBJECTS[child], body)
            assert (refused.status_code, refused.json()["code"]) == (409, "conflict"), refused.text
        assert (await api.call("GET", OBJECTS[child])).json()["state"] == "archived"
        await api.make("PATCH", OBJECTS[parent], {"state": "active"})
        assert (await api.make("PATCH", OBJECTS[child], {"state": "active"}))["state"] == "active"


async def test_nothing_is_made_below_what_is_archived(api: Api, creative: str) -> None:
    """Slot, campaign or creative."""
    await out_of_use(api, creative)
    refused = await api.call("PUT", "/sites/news/slots/new", {})
    assert (refused.status_code, refused.json()["detail"]) == (409, "the site is archived: take it into use first")
    new = await api.call("PUT", "/campaigns/new", FULL["/campaigns/{id}"])
    assert (new.status_code, new.json()["errors"][0]["pointer"]) == (422, "/advertiser")
    assert (await api.call("POST", "/campaigns/spring/creatives", TEXT)).status_code == 409


async def test_an_archived_creative_takes_no_move_and_no_content(api: Api, creative: str) -> None:
    """Its name, weight and dates may be put right; it does not come back."""
    await api.make("DELETE", f"/creatives/{creative}")
    for method, rest, body in (
        ("DELETE", "", None),
        ("POST", "/approve", None),
        ("POST", "/reject", {"reason": "No"}),
        ("POST", "/pause", None),
        ("POST", "/resume", None),
        ("PUT", "/content", {"title": "Coffee"}),
        ("PATCH", "", {"title": "Coffee"}),
    ):
        refused = await api.call(method, f"/creatives/{creative}{rest}", body)
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict"), rest
    named = await api.make("PATCH", f"/creatives/{creative}", {"name": "Put right", "weight": 2})
    assert (named["name"], named["state"]) == ("Put right", "archived")


@pytest.mark.parametrize(("parent", "child"), [("site", "slot"), ("advertiser", "campaign"), ("campaign", "creative")])
async def test_a_parent_with_children_in_use_is_not_archived(api: Api, creative: str, parent: str, child: str) -> None:
    """By any call; one whose children are archived is."""
    paths = {**OBJECTS, "creative": f"/creatives/{creative}"}
    for method, body in (("DELETE", None), ("PATCH", {"state": "archived"})):
        refused = await api.call(method, paths[parent], body)
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
        assert paths[child].rpartition("/")[2] in refused.json()["detail"]
    await api.make("DELETE", paths["creative"])
    await api.make("DELETE", paths["campaign"]) if parent != "campaign" else None
    await api.make("DELETE", paths["slot"]) if parent == "site" else None
    assert (await api.make("PATCH", paths[parent], {"state": "archived"}))["state"] == "archived"


MAKE: dict[str, tuple[str, str, Any]] = {
    "site": ("PUT", "/sites/news/slots/new", {}),
    "advertiser": ("PUT", "/campaigns/new", FULL["/campaigns/{id}"]),
    "campaign": ("POST", "/campaigns/spring/creatives", TEXT),
}


async def childless(api: Api, creative: str, kind: str) -> None:
    """An object in use with nothing in use below it."""
    await api.make("DELETE", f"/creatives/{creative}")
    if kind == "advertiser":
        await api.make("DELETE", OBJECTS["campaign"])
    if kind == "site":
        await api.make("DELETE", OBJECTS["slot"])


@pytest.mark.parametrize("kind", MAKE)
async def test_a_child_is_not_made_while_its_parent_is_archived(
    api: Api, creative: str, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The parent was in use when the call looked, and is not when it stores."""
    await childless(api, creative, kind)
    put = CatalogStore.put

    async def archive_first(*given: Any, **named: Any) -> Any:
        monkeypatch.setattr(CatalogStore, "put", put)
        await api.make("DELETE", OBJECTS[kind])
        return await put(*given, **named)

    monkeypatch.setattr(CatalogStore, "put", archive_first)
    refused = await api.call(*MAKE[kind])
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict"), refused.text
    below = [one for one in (await api.held.services.catalog.all()).values() if hasattr(one, kind)]
    assert {one.state for one in below} == {"archived"}


@pytest.mark.parametrize("kind", MAKE)
async def test_a_parent_is_not_archived_while_a_child_is_made(
    api: Api, creative: str, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """It had none when the call looked; by DELETE or as a state."""
    await childless(api, creative, kind)
    put = CatalogStore.put

    async def make_first(*given: Any, **named: Any) -> Any:
        monkeypatch.setattr(CatalogStore, "put", put)
        await api.make(*MAKE[kind])
        return await put(*given, **named)

    monkeypatch.setattr(CatalogStore, "put", make_first)
    refused = await api.call("DELETE", OBJECTS[kind])
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict"), refused.text
    assert (await api.call("GET", OBJECTS[kind])).json()["state"] == "active"


# ------------------------------------------------------------------ lists


async def test_lists_are_narrowed_by_state_and_parent_over_pages(api: Api, creative: str) -> None:
    """The cursor keeps the filters; what is archived is listed like everything else until a state is asked for."""
    made = [(await api.make("POST", "/campaigns/spring/creatives", TEXT))["id"] for _ in range(4)]
    await api.make("DELETE", f"/creatives/{creative}")
    await api.make("POST", f"/creatives/{made[0]}/approve")
    await api.make("PUT", "/campaigns/other", {"advertiser": "acme", "name": "O", "slots": ["news/top"]})
    await api.make("POST", "/campaigns/other/creatives", TEXT)
    assert len((await api.call("GET", "/creatives")).json()["items"]) == 6
    found, path = [], "/creatives?state=pending&campaign=spring&limit=1"
    while path:
        page = await api.call("GET", path)
        found += [one["id"] for one in page.json()["items"]]
        path = page.links["next"]["url"].removeprefix("/api/v1") if "next" in page.links else ""
    assert found == sorted(made[1:])
    assert (await api.call("GET", "/creatives?state=archived")).json()["items"][0]["id"] == creative
    assert (await api.call("GET", "/campaigns?advertiser=acme&state=paused")).json()["items"] == []
