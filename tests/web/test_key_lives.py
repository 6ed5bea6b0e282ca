"""Keys that end, and keys that get another secret, over the API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Api, Clock


async def answer(api: Api, key: str) -> int:
    reply = await api.http.get("/api/v1/sites", headers={"Authorization": f"Bearer {key}"})
    return reply.status_code


@pytest.mark.parametrize(
    ("expires", "shown"),
    [
        ("1d", "2027-01-16T08:00:00Z"),
        ("2027-01-20", "2027-01-20T00:00:00Z"),
        ("2027-01-15T13:30:01+05:30", "2027-01-15T08:00:01Z"),
        (None, None),
    ],
)
async def test_a_key_says_when_it_ends(api: Api, expires: str | None, shown: str | None) -> None:
    """As days, as a date or as a moment; where it is made and in the list."""
    made = await api.make("POST", "/keys", {"role": "reader", "name": "r", "expires": expires})
    assert made["expires"] == shown
    (listed,) = (await api.make("GET", "/keys"))["items"]
    assert listed == {name: value for name, value in made.items() if name != "key"}
    assert made["key"].startswith(made["prefix"])
    assert await answer(api, made["key"]) == 200


@pytest.mark.parametrize("expires", ["0d", "x", "90", 90, "2027-01-15T08:00:00Z", "2020-01-01", "99999d", "1D", "", []])
async def test_an_end_that_is_none_is_refused(api: Api, expires: Any) -> None:
    """Also one that is over, to the second."""
    reply = await api.call("POST", "/keys", {"role": "reader", "name": "r", "expires": expires})
    assert reply.status_code == 422
    assert [one["pointer"] for one in reply.json()["errors"]] == ["/expires"]


async def test_a_key_that_ended_opens_nothing(api: Api, clock: Clock) -> None:
    """From that second on, like one that never was."""
    made = await api.make("POST", "/keys", {"role": "reader", "name": "r", "expires": "1d"})
    clock.now += 86_399
    assert await answer(api, made["key"]) == 200
    clock.now += 1
    assert await answer(api, made["key"]) == 401
    assert (await api.call("POST", f"/keys/{made['id']}/rotate")).status_code == 404


async def test_a_key_gets_another_secret_and_keeps_the_old_one_for_a_while(api: Api, clock: Clock) -> None:
    """A day when nothing is said; the answer is the only place where the secret stands."""
    made = await api.make("POST", "/keys", {"role": "reader", "name": "r"})
    turned = await api.make("POST", f"/keys/{made['id']}/rotate")
    assert (turned["id"], turned["old_until"]) == (made["id"], "2027-01-16T08:00:00Z")
    assert turned["key"] != made["key"]
    assert [await answer(api, one) for one in (made["key"], turned["key"])] == [200, 200]
    clock.now += 86_400
    assert [await answer(api, one) for one in (made["key"], turned["key"])] == [401, 200]
    last = await api.make("POST", f"/keys/{made['id']}/rotate", {"grace_hours": 0})
    assert last["old_until"] is None
    assert [await answer(api, one) for one in (turned["key"], last["key"])] == [401, 200]
    lines = (await api.make("GET", "/audit"))["items"]
    assert [line["action"] for line in lines] == ["rotate", "rotate", "create"]


@pytest.mark.parametrize("body", [{"grace_hours": 169}, {"grace_hours": -1}, {"grace_hours": "1"}, {"hours": 1}, []])
async def test_a_grace_that_is_none_is_refused(api: Api, body: Any) -> None:
    """And the key is as it was."""
    made = await api.make("POST", "/keys", {"role": "reader", "name": "r"})
    assert (await api.call("POST", f"/keys/{made['id']}/rotate", body)).status_code == 422
    assert await answer(api, made["key"]) == 200
    assert (await api.call("POST", "/keys/k-none/rotate")).status_code == 404
