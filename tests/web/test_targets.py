"""A campaign's target through the management API."""

from __future__ import annotations

from typing import Any

from adserve.core.model import Campaign, Rule
from tests.conftest import Api

TARGET: dict[str, Any] = {
    "labels": {"any": ["Politics"], "none": ["Conflict", "संघर्ष"]},
    "urls": {"none": ["News.example/live/*"]},
    "languages": {"any": ["en-GB"]},
    "kv": {"section": {"all": ["Front"]}},
    "hours": ["Mon-Fri 9:00-17:00"],
}
SHOWN: dict[str, Any] = {
    "labels": {"any": ["politics"], "none": ["conflict", "संघर्ष"]},
    "urls": {"none": ["news.example/live/*"]},
    "languages": {"any": ["en-gb"]},
    "kv": {"section": {"all": ["front"]}},
    "hours": ["mon-fri 09:00-17:00"],
}


async def test_a_target_is_kept_shown_and_sent_back(api: Api) -> None:
    """In the form in which it is compared; what was shown is taken as it is."""
    await api.world()
    body = {"advertiser": "acme", "name": "Spring", "slots": ["news/top"], "target": TARGET}
    made = await api.make("PUT", "/campaigns/spring", body)
    assert made["target"] == SHOWN
    again = await api.make("PUT", "/campaigns/spring", made)
    assert {**again, "version": 0} == {**made, "version": 0}
    stored = await api.held.services.catalog.get("campaign", "spring")
    assert isinstance(stored, Campaign)
    assert stored.target is not None
    assert stored.target.labels == Rule(any=("politics",), none=("conflict", "संघर्ष"))


async def test_a_patch_changes_one_rule_of_a_target(api: Api) -> None:
    """`null` takes a rule away, or all of them; a target without a rule is none."""
    await api.world()
    await api.creative("spring", target=TARGET)
    for patch, expected in (
        ({"labels": {"none": ["war"]}}, {**SHOWN, "labels": {"any": ["politics"], "none": ["war"]}}),
        (
            {"labels": {"any": None}, "kv": None},
            {"labels": {"none": ["war"]}, **{n: SHOWN[n] for n in ("urls", "languages", "hours")}},
        ),
        ({"labels": None, "urls": None, "languages": {"any": []}}, {"hours": ["mon-fri 09:00-17:00"]}),
        ({"hours": []}, None),
    ):
        assert (await api.make("PATCH", "/campaigns/spring", {"target": patch}))["target"] == expected
    await api.make("PATCH", "/campaigns/spring", {"target": TARGET})
    assert (await api.make("PATCH", "/campaigns/spring", {"target": None}))["target"] is None
    stored = await api.held.services.catalog.get("campaign", "spring")
    assert isinstance(stored, Campaign)
    assert stored.target is None


async def test_a_target_is_refused_with_everything_that_is_wrong(api: Api) -> None:
    """Beside what is wrong elsewhere; nothing is stored."""
    await api.world()
    body = {
        "advertiser": "acme",
        "name": "",
        "slots": ["news/top"],
        "target": {"labels": {"any": ["x"] * 201}, "countrys": {}, "hours": ["9 to 5"], "kv": {"a/b": {}}},
    }
    refused = await api.call("PUT", "/campaigns/spring", body)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid")
    assert {one["pointer"]: one["detail"] for one in refused.json()["errors"]} == {
        "/name": "must not be empty",
        "/target/countrys": "is no member: takes labels, urls, languages, countries, devices, kv, hours"
        " (did you mean countries?)",
        "/target/hours/0": 'takes hours like "mon-fri 09:00-17:00", "sat,sun 10:00-14:00", "22:00-06:00" or "sat-sun"',
        "/target/kv/a~1b": "takes names of 1 to 64 of A-Z, a-z, 0-9 and _ . -",
        "/target/labels/any": "takes a list of at most 200",
    }
    assert (await api.call("GET", "/campaigns/spring")).status_code == 404


async def test_the_largest_target_that_a_body_holds_is_taken(api: Api) -> None:
    """200 values in each of several lists."""
    await api.world()
    many = [f"label {at}" for at in range(200)]
    target = {
        "labels": {"any": many, "none": [f"x{at}" for at in range(200)]},
        "kv": {f"n{n}": {"any": many} for n in range(8)},
    }
    made = await api.make(
        "PUT", "/campaigns/spring", {"advertiser": "acme", "name": "S", "slots": ["news/top"], "target": target}
    )
    assert made["target"] == target
