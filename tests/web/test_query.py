"""Query parameters of the management API: what a route does not take is refused, never ignored."""

from __future__ import annotations

import pytest

from adserve.web.routes import ROUTES, Route
from tests.conftest import Api


def filled(route: Route) -> str:
    path = route.path.removeprefix("/api/v1")
    return path.replace("{id}", "x").replace("{site}", "x").replace("{slot}", "x")


async def refused(api: Api, path: str, method: str = "GET") -> dict[str, str]:
    """Pointer to detail of a call that must be `422 invalid`."""
    reply = await api.call(method, path)
    assert reply.status_code == 422, (path, reply.text)
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["code"] == "invalid"
    return {one["pointer"]: one["detail"] for one in reply.json()["errors"]}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_every_route_refuses_unknown_and_repeated_parameters(api: Api, route: Route) -> None:
    """All at once, before anything is looked up; without a key the answer is still 401, where one is needed."""
    names = [f"{name}x" if name.endswith(".") else name for name in route.query]  # `kv.` stands for any `kv.NAME`
    query = "?" + "&".join(["colour=red", *(f"{name}=&{name}=" for name in names)])
    found = await refused(api, filled(route) + query, route.method)
    assert set(found) == {"/colour", *(f"/{name}" for name in names)}
    assert all(name in found["/colour"] for name in route.query)
    assert all("once" in found[f"/{name}"] for name in names)
    reply = await api.http.request(route.method, route.path + query)
    assert reply.status_code == (401 if route.roles else 422)


@pytest.mark.parametrize(
    ("path", "pointer", "said"),
    [
        ("/report?sites=nope", "/sites", "did you mean site?"),
        ("/report?limit=1", "/limit", "which takes from, to"),
        ("/report?by=day&by=slot", "/by", "more than once"),
        ("/creatives?state=nope", "/state", "one of pending, approved, rejected, paused, archived"),
        ("/advertisers?state=paused", "/state", "one of active, archived"),
        ("/creatives?campaign=No%20pe", "/campaign", "1 to 64 of a-z"),
        ("/campaigns?advertiser=%00", "/advertiser", "1 to 64 of a-z"),
        ("/sites?campaign=spring", "/campaign", "which takes state, limit, after"),
        ("/sites/news?state=active", "/state", "which takes none"),
        ("/keys?limit=0", "/limit", "whole number from 1"),
        ("/sites?%07=1", "/(unprintable)", "no parameter"),
    ],
)
async def test_a_refusal_says_what_the_address_takes(api: Api, path: str, pointer: str, said: str) -> None:
    assert said in (await refused(api, path))[pointer]


async def test_an_upload_is_approved_by_true_alone(api: Api) -> None:
    """A misspelt wish to approve must not look granted, nor an upload be made beside it."""
    assert "true, false" in (await refused(api, "/campaigns/one/creatives?approve=maybe", "POST"))["/approve"]


async def test_a_filter_may_name_what_is_not_there(api: Api) -> None:
    """An empty list, because a list of nothing is an answer."""
    for path in ("/creatives?campaign=none", "/campaigns?advertiser=none", "/creatives?state=rejected"):
        assert (await api.make("GET", path))["items"] == []


async def test_thousands_of_parameters_get_a_short_answer(api: Api) -> None:
    """Finding fault must stay cheaper than asking."""
    assert len(await refused(api, "/sites?" + "&".join(f"x{n}" for n in range(5000)))) == 50
