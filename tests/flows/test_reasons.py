"""Every code of an explanation, produced through the API: by the one thing that it names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from adserve.core.reasons import Reason
from tests.conftest import ADMIN, Api, Clock
from tests.figures import samples
from tests.flows.rest import until

Case = Callable[[Api, Clock], Awaitable[dict[str, str]]]
"""Makes campaign `one` what its code says, and gives the parameters of the question."""
CASES: dict[Reason, list[Case]] = {}


def case(reason: Reason) -> Callable[[Case], Case]:
    def keep(made: Case) -> Case:
        CASES.setdefault(reason, []).append(made)
        return made

    return keep


async def change(api: Api, **fields: Any) -> dict[str, str]:
    """Campaign `one`, which would serve without this."""
    await api.make("PATCH", "/campaigns/one", fields)
    return {}


async def mine(api: Api) -> str:
    """The id of its creative."""
    return str((await api.make("GET", "/creatives?campaign=one"))["items"][0]["id"])


@case(Reason.PAUSED)
async def a_campaign_is_paused(api: Api, clock: Clock) -> dict[str, str]:
    return await change(api, state="paused")


@case(Reason.PAUSED)
async def a_creative_is_paused(api: Api, clock: Clock) -> dict[str, str]:
    await api.make("POST", f"/creatives/{await mine(api)}/pause", {})
    return {}


@case(Reason.PAUSED)
async def a_site_is_paused(api: Api, clock: Clock) -> dict[str, str]:
    await api.make("PATCH", "/sites/news", {"state": "paused"})
    return {}


@case(Reason.PAUSED)
async def a_slot_is_paused(api: Api, clock: Clock) -> dict[str, str]:
    await api.make("PATCH", "/sites/news/slots/top", {"state": "paused"})
    return {}


@case(Reason.NOT_STARTED)
async def a_campaign_begins_later(api: Api, clock: Clock) -> dict[str, str]:
    return await change(api, starts="2027-01-15T09:00:00Z")


@case(Reason.NOT_STARTED)
async def a_creative_begins_later(api: Api, clock: Clock) -> dict[str, str]:
    await api.make("PATCH", f"/creatives/{await mine(api)}", {"starts": "2027-01-15T09:00:00Z"})
    return {}


@case(Reason.ENDED)
async def a_campaign_is_over(api: Api, clock: Clock) -> dict[str, str]:
    return await change(api, starts="2026-01-01", ends="2027-01-15T08:00:00Z")


@case(Reason.ENDED)
async def a_creative_is_over(api: Api, clock: Clock) -> dict[str, str]:
    await api.make("PATCH", f"/creatives/{await mine(api)}", {"ends": "2027-01-15T08:00:00Z"})
    return {}


@case(Reason.OUT_OF_HOURS)
async def its_hours_are_closed(api: Api, clock: Clock) -> dict[str, str]:
    return await change(api, target={"hours": ["sat-sun 09:00-17:00"]})  # it is a Friday


@case(Reason.NOT_APPROVED)
async def it_waits_for_review(api: Api, clock: Clock) -> dict[str, str]:
    id_ = await mine(api)
    await api.make("POST", f"/creatives/{id_}/reject", {"reason": "no"})
    await api.make("PATCH", f"/creatives/{id_}", {"title": "Coffee"})
    return {}


@case(Reason.NOT_APPROVED)
async def it_was_rejected(api: Api, clock: Clock) -> dict[str, str]:
    await api.make("POST", f"/creatives/{await mine(api)}/reject", {"reason": "no"})
    return {}


@case(Reason.SIZE)
async def it_has_none_of_the_slot_s_sizes(api: Api, clock: Clock) -> dict[str, str]:
    await api.make("DELETE", f"/creatives/{await mine(api)}")
    await api.make("POST", "/campaigns/one/creatives?approve=true",
                   {"kind": "passback", "name": "p", "width": 300, "height": 250})  # fmt: skip
    await api.make("PATCH", "/sites/news/slots/top", {"sizes": ["728x90"]})
    return {}


@case(Reason.SIZE)
async def it_is_wider_than_the_box(api: Api, clock: Clock) -> dict[str, str]:
    await api.make("DELETE", f"/creatives/{await mine(api)}")
    await api.make("POST", "/campaigns/one/creatives?approve=true",
                   {"kind": "passback", "name": "p", "width": 300, "height": 250})  # fmt: skip
    return {"width": "299"}


@case(Reason.WEIGHT_ZERO)
async def a_campaign_weighs_nothing(api: Api, clock: Clock) -> dict[str, str]:
    return await change(api, weight=0)


@case(Reason.WEIGHT_ZERO)
async def a_creative_weighs_nothing(api: Api, clock: Clock) -> dict[str, str]:
    await api.make("PATCH", f"/creatives/{await mine(api)}", {"weight": 0})
    return {}


@case(Reason.TARGET_LABELS)
async def the_page_is_about_what_it_excludes(api: Api, clock: Clock) -> dict[str, str]:
    await change(api, target={"labels": {"any": ["world"], "none": ["conflict"]}})
    return {"labels": "World,CONFLICT"}


@case(Reason.TARGET_URLS)
async def it_is_for_other_pages(api: Api, clock: Clock) -> dict[str, str]:
    await change(api, target={"urls": {"any": ["news.example/sport/*"]}})
    return {"url": "https://news.example/world/1?x=1"}


@case(Reason.TARGET_LANGUAGES)
async def it_is_for_another_language(api: Api, clock: Clock) -> dict[str, str]:
    await change(api, target={"languages": {"any": ["hi"]}})
    return {"lang": "en-IN"}


@case(Reason.TARGET_KV)
async def it_is_for_another_section(api: Api, clock: Clock) -> dict[str, str]:
    await change(api, target={"kv": {"section": {"any": ["front"]}}})
    return {"kv.section": "sport,Arts"}


@case(Reason.TARGET_COUNTRIES)
async def it_is_for_another_country(api: Api, clock: Clock) -> dict[str, str]:
    await change(api, target={"countries": {"any": ["IN"]}})
    return {"country": "np"}


@case(Reason.TARGET_DEVICES)
async def it_is_for_another_device(api: Api, clock: Clock) -> dict[str, str]:
    await change(api, target={"devices": {"any": ["desktop"]}})
    return {"device": "tablet"}


async def spend(api: Api, clock: Clock, **fields: Any) -> dict[str, str]:
    """Campaign `one` with a limit of one impression or click, which is reached."""
    standing, serial = api.held.worker.standing, 1
    await change(api, **fields)
    await until(lambda: standing.why_closed(serial) is None)
    decision = await api.decide()
    for name in ("impression_url", "click_url"):
        assert (await api.http.get(decision[name])).status_code in (200, 302)
    await api.settle()
    clock.now += 2
    await until(lambda: standing.why_closed(serial) not in (None, Reason.PACING))
    return {}


@case(Reason.CAP_TOTAL)
async def it_had_all_its_impressions(api: Api, clock: Clock) -> dict[str, str]:
    return await spend(api, clock, caps={"total": {"impressions": 1}})


@case(Reason.CAP_TOTAL)
async def it_had_all_its_clicks(api: Api, clock: Clock) -> dict[str, str]:
    return await spend(api, clock, caps={"total": {"clicks": 1}})


@case(Reason.CAP_DAILY)
async def it_had_those_of_today(api: Api, clock: Clock) -> dict[str, str]:
    return await spend(api, clock, caps={"daily": {"impressions": 1}})


@case(Reason.GOAL_REACHED)
async def it_has_what_was_booked(api: Api, clock: Clock) -> dict[str, str]:
    return await spend(api, clock, goal={"impressions": 1})


@case(Reason.PACING)
async def it_is_ahead_of_its_plan(api: Api, clock: Clock) -> dict[str, str]:
    return await change(api, goal={"impressions": 1}, starts="2027-01-15T07:59:00Z", ends="2028-01-01")


@case(Reason.COMPANIONS)
async def the_other_of_its_set_has_no_slot(api: Api, clock: Clock) -> dict[str, str]:
    id_ = await mine(api)
    await api.make("PATCH", f"/creatives/{id_}", {"companions": "pair"})
    text = {"kind": "text", "name": "u", "title": "U", "click_url": "https://shop.example/", "companions": "pair"}
    await api.make("POST", "/campaigns/one/creatives?approve=true", text)
    return {}


@case(Reason.FREQUENCY)
async def nothing_is_known_of_the_reader(api: Api, clock: Clock) -> dict[str, str]:
    return await change(api, frequency={"limit": 1, "window": "day", "unknown": "skip"})


async def ask(api: Api, query: dict[str, str]) -> Any:
    asked = {"site": "news", "slot": "top", **query}
    reply = await api.http.get("/api/v1/explain", params=asked, headers={"Authorization": f"Bearer {ADMIN}"})
    assert reply.status_code == 200, reply.text
    return reply.json()


EMPTY = [(reason, made) for reason, cases in CASES.items() for made in cases]


@pytest.mark.parametrize(("reason", "made"), EMPTY, ids=lambda one: getattr(one, "__name__", str(one)))
async def test_a_code_is_that_of_its_cause(api: Api, clock: Clock, reason: Reason, made: Case) -> None:
    """Before it the creative serves; after it nothing does, the code says why, of the creative and of the slot, and the
    report counts the empty decision under it."""
    await api.world()
    await api.creative()
    before = await ask(api, {"device": "desktop"})
    assert [one["eligible"] for one in before["candidates"]] == [True]
    query = await made(api, clock)
    told = await ask(api, query)
    assert {one["rejected"] for one in told["candidates"]} == {reason}
    assert (told["outcome"], told["reason"], told["empty_share"]) == (None, reason, 1)
    decision = await api.decide(**query)
    if "country" in query:  # delivery believes it of callers with a key
        return
    assert not decision["filled"]
    again = await api.make("GET", f"/explain/{decision['decision']}")
    assert (again["reason"], again["same"]) == (reason, True)
    await api.settle()
    report = await api.make("GET", "/report?from=2027-01-01&to=2027-03-01&by=slot,empty_reason")
    assert {row["empty_reason"]: row["empty"] for row in report["rows"] if row["empty"]} == {reason: 1}
    line = f'adserve_empty_decisions_total{{reason="{reason}"}}'
    assert samples((await api.http.get("/metrics")).text)[line] == 1


# ---- what another campaign, or the page, is the reason of

OTHERS: dict[Reason, Case] = {}
"""Makes campaign `one` lose to another, which stands on the page or comes first; its creative is asked about."""


def beside(reason: Reason) -> Callable[[Case], Case]:
    def keep(made: Case) -> Case:
        assert reason not in OTHERS
        OTHERS[reason] = made
        return made

    return keep


@beside(Reason.ALREADY_ON_PAGE)
async def it_stands_there_already(api: Api, clock: Clock) -> dict[str, str]:
    return {}


@beside(Reason.EXCLUDED)
async def it_may_not_stand_beside_the_other(api: Api, clock: Clock) -> dict[str, str]:
    await change(api, excludes=["category:cars"])
    await api.creative("two", tier="sponsor", slots=["news/top"], categories=["cars"])
    return {}


@beside(Reason.LOWER_TIER)
async def another_tier_comes_first(api: Api, clock: Clock) -> dict[str, str]:
    await api.creative("two", tier="sponsor", slots=["news/side"])
    await change(api, slots=["news/side"])
    return {}


@pytest.mark.parametrize(("reason", "made"), OTHERS.items(), ids=lambda one: getattr(one, "__name__", str(one)))
async def test_a_code_names_what_stands_beside(api: Api, clock: Clock, reason: Reason, made: Case) -> None:
    """Of the second slot of a page, as the decision about it is explained."""
    await api.world(slots=("top", "side"))
    await api.creative()
    own = await mine(api)
    await made(api, clock)
    page = (await api.http.get("/v1/pages/news", params={"slots": "top,side"})).json()["slots"]
    told = await api.make("GET", f"/explain/{page['side']['decision']}")
    assert told["same"]
    assert {one["creative"]: one["rejected"] for one in told["candidates"]}[own] == reason
    if not page["side"]["filled"]:
        assert told["reason"] == reason


async def test_a_slot_that_nothing_books_says_so(api: Api) -> None:
    await api.world()
    told = await ask(api, {})
    assert (told["reason"], told["candidates"]) == (Reason.NO_CANDIDATES, [])


def test_every_code_has_its_case() -> None:
    """A rule that is added is explained, and somebody has looked at what is said of it."""
    assert {*CASES, *OTHERS, Reason.NO_CANDIDATES} == {*Reason}
