"""Prices that change, over the real stack."""

from __future__ import annotations

from typing import Any

from tests.conftest import Api, Clock

DAY_S = 86_400
FLAT = {"model": "flat", "amount": "10.00", "currency": "INR"}


async def revenue(api: Api) -> list[tuple[str, str]]:
    rows: list[Any] = (await api.make("GET", "/report?from=2027-01-10&to=2027-01-25&by=day"))["rows"]
    return [(row["day"], row["revenue"]) for row in rows]


async def test_an_edit_of_a_flat_price_leaves_past_days_as_they_were(api: Api, clock: Clock) -> None:
    """PUT, PATCH, new dates and null: what was earned stays. The history is no part of the object."""
    await api.world()
    flight = {"starts": "2027-01-15", "ends": "2027-01-25"}
    body = {"advertiser": "acme", "name": "One", "slots": ["news/*"], "price": FLAT, **flight}
    clock.now = 1_799_971_200  # 2027-01-15
    await api.make("PUT", "/campaigns/one", body)
    clock.now += DAY_S
    shown = await api.make("PATCH", "/campaigns/one", {"price": {"amount": "100.00"}})
    assert "priced" not in shown
    clock.now += DAY_S
    await api.make("PUT", "/campaigns/one", {**body, "ends": "2027-01-20"})
    clock.now += DAY_S
    await api.make("PATCH", "/campaigns/one", {"price": None})
    clock.now += 5 * DAY_S
    assert await revenue(api) == [("2027-01-15", "1.00"), ("2027-01-16", "10.00"), ("2027-01-17", "2.00")]
    await api.make("DELETE", "/campaigns/one")
    assert len(await revenue(api)) == 3
