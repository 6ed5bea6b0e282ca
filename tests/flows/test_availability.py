"""What can still be sold of a slot, by a real store: its learned week, its campaigns, what is counted of them."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from adserve.cli.availability import lines_of
from adserve.core.availability import CAMPAIGN_BEHIND, GOAL_TOO_LARGE, SLOT_OVERBOOKED
from adserve.core.curve import UNIT, WEEK_QUARTERS, Learned
from adserve.store.curves import CurveStore
from adserve.store.keys import tag_of
from adserve.wiring import Running
from tests.conftest import ADMIN, Api

TODAY = "2027-01-15"
"""A Friday; the frozen clock stands at 08:00 UTC."""
A_DAY = 960
MERGE = "application/merge-patch+json"
TEN = Learned(1, (10 * UNIT,) * WEEK_QUARTERS, (4,) * WEEK_QUARTERS)
"""Ten requests each quarter-hour, seen for weeks."""


def serial(held: Running, slot: str = "top") -> int:
    assert held.worker.catalog is not None
    return held.worker.catalog.slots[f"news/{slot}"].slot.serial


async def learn(held: Running, **weeks: Learned) -> None:
    made = {serial(held, slot): week for slot, week in weeks.items()}
    await CurveStore(held.services.client, held.services.keys).write(made, 1)


async def ask(api: Api, slot: str = "news/top", **query: Any) -> Any:
    return await api.make("GET", f"/availability?slot={slot}" + "".join(f"&{k}={v}" for k, v in query.items()))


async def count(api: Api, campaign: str, impressions: int) -> int:
    """As so many were counted on earlier days; the serial of the campaign."""
    assert api.held.worker.catalog is not None
    number = api.held.worker.catalog.things[f"campaign:{campaign}"].serial
    keys: Any = api.held.services.keys
    client: Any = api.held.services.client
    await client.hset(keys.totals(tag_of(number)), f"{number}.i", impressions)
    return number


@pytest.fixture
async def news(api: Api, held: Running) -> Api:
    await api.world(slots=("top", "side"))
    await learn(held, top=TEN, side=TEN)
    return api


async def test_nothing_learned_is_no_forecast(api: Api) -> None:
    """And neither 0 nor a warning; what is booked is told all the same."""
    await api.world()
    await api.creative("one", starts="2027-01-16", ends="2027-01-18", goal={"impressions": 200})
    told = await ask(api)
    assert told["confidence"] == "none"
    assert told["warnings"] == []
    assert [day["forecast"] for day in told["days"]] == [None] * 7
    assert [day["booked"] for day in told["days"]] == [0, 100, 100, 0, 0, 0, 0]
    assert told["totals"] == {"forecast": None, "booked": 200, "available": None}


async def test_a_day_has_its_requests_and_today_what_is_left_of_it(news: Api) -> None:
    told = await ask(news, days=3)
    assert (told["slot"], told["tz"], told["confidence"]) == ("news/top", "UTC", "good")
    assert told["generated_at"] == "2027-01-15T08:00:00+00:00"
    assert [(day["day"], day["forecast"], day["available"]) for day in told["days"]] == [
        (TODAY, 640, 640),
        ("2027-01-16", A_DAY, A_DAY),
        ("2027-01-17", A_DAY, A_DAY),
    ]
    assert told["totals"] == {"forecast": 2_560, "booked": 0, "available": 2_560}


async def test_a_goal_takes_its_part_of_each_slot(news: Api) -> None:
    """Of 1,000 over two days and two slots alike each day of each slot gives 250; what is counted is needed no more."""
    await news.creative("one", starts="2027-01-16", ends="2027-01-18", goal={"impressions": 1_000})
    told = await ask(news, days=4)
    assert [day["booked"] for day in told["days"]] == [0, 250, 250, 0]
    assert told["days"][1]["campaigns"] == [{"campaign": "one", "booked": 250}]
    assert told["days"][1]["available"] == A_DAY - 250
    number = await count(news, "one", 600)
    keys: Any = news.held.services.keys
    client: Any = news.held.services.client
    assert (await ask(news, days=4))["totals"]["booked"] == 200
    await client.hset(keys.grants(tag_of(number), number), mapping={"issued": 100, "confirmed": 80})
    assert (await ask(news, days=4))["totals"]["booked"] == 250


async def test_slots_and_campaigns_that_are_out_of_use_do_not_count(news: Api) -> None:
    """What a slot that is archived gave, the other has to give; a paused campaign needs nothing."""
    await news.make("PUT", "/sites/news/slots/side", {"sizes": ["300x250"], "state": "archived"})
    await news.creative("one", starts="2027-01-16", ends="2027-01-17", goal={"impressions": 400})
    assert (await ask(news))["totals"]["booked"] == 400
    reply = await news.call("PATCH", "/campaigns/one", {"state": "paused"}, **{"Content-Type": MERGE})
    assert reply.status_code == 200, reply.text
    assert (await ask(news))["totals"]["booked"] == 0


async def test_shares_and_sponsors_take_requests(news: Api) -> None:
    await news.creative("part", goal={"share": 25})
    told = await ask(news, days=2)
    assert [day["booked"] for day in told["days"]] == [160, 240]
    await news.creative("big", tier="sponsor", starts="2027-01-16", ends="2027-01-17")
    told = await ask(news, days=3)
    assert [day["taken_by_sponsor"] for day in told["days"]] == [False, True, False]
    assert [day["available"] for day in told["days"]] == [480, 0, 720]


async def test_goals_that_are_more_than_there_is_are_told(news: Api) -> None:
    """Two that fit alone and not together, in the days that they share; the one that lies elsewhere is not named."""
    both: dict[str, Any] = {"slots": ["news/top"], "starts": "2027-01-17", "ends": "2027-01-18"}
    await news.creative("a", goal={"impressions": 700}, **both)
    assert (await ask(news))["warnings"] == []
    await news.creative("b", goal={"impressions": 500}, **both)
    await news.creative("c", slots=["news/top"], starts="2027-01-19", ends="2027-01-20", goal={"impressions": 500})
    (warning,) = (await ask(news))["warnings"]
    assert (warning["code"], warning["campaigns"], warning["missing"]) == (SLOT_OVERBOOKED, ["a", "b"], 240)
    assert "a, b" in warning["detail"]


async def test_a_goal_that_its_traffic_cannot_reach_is_told(news: Api) -> None:
    """By what its slots have while it runs: 640 today, before it begins another word than after."""
    await news.creative("late", starts="2027-01-10", ends="2027-01-16", goal={"impressions": 1_500})
    await count(news, "late", 100)
    found = {one["code"]: one for one in (await ask(news))["warnings"]}
    assert found[CAMPAIGN_BEHIND]["missing"] == 1_400 - 2 * 640
    assert found[CAMPAIGN_BEHIND]["campaigns"] == ["late"]
    await news.creative("new", starts="2027-02-20", ends="2027-02-21", goal={"impressions": 2_000})
    found = {one["code"]: one for one in (await ask(news))["warnings"]}
    assert (found[GOAL_TOO_LARGE]["missing"], found[GOAL_TOO_LARGE]["campaigns"]) == (80, ["new"])


async def test_click_goals_are_named_and_not_counted(news: Api) -> None:
    await news.creative("clicks", ends="2027-01-20", goal={"clicks": 20})
    told = await ask(news)
    assert (told["uncounted"], told["totals"]["booked"]) == (["clicks"], 0)


@pytest.mark.parametrize(
    ("query", "status", "pointers"),
    [
        ("slot=news/none", 404, set()),
        ("", 422, {"/slot"}),
        ("slot=top&days=91&colour=red", 422, {"/slot", "/days", "/colour"}),
        ("slot=news/top&days=0", 422, {"/days"}),
    ],
)
async def test_bad_questions_are_refused(news: Api, query: str, status: int, pointers: set[str]) -> None:
    reply = await news.call("GET", f"/availability?{query}")
    assert reply.status_code == status
    assert {one["pointer"] for one in reply.json().get("errors", ())} == pointers


async def test_the_table_tells_the_days_and_the_warnings(news: Api) -> None:
    await news.creative("big", tier="sponsor", starts="2027-01-16", ends="2027-01-17")
    await news.creative("a", slots=["news/top"], starts="2027-01-16", ends="2027-01-17", goal={"impressions": 300})
    await news.creative("clicks", goal={"clicks": 20})
    lines = lines_of(await ask(news, days=2))
    assert lines[0].startswith("news/top, days of UTC, from 2027-01-15T08:00:00+00:00 on; confidence: good")
    assert [line.split() for line in lines[2:6]] == [
        ["day", "forecast", "booked", "available"],
        [TODAY, "640", "0", "640"],
        ["2027-01-16", "960", "1260", "0", "a", "300,", "big", "960,", "a", "sponsor", "takes", "everything"],
        ["all", "1600", "1260", "640"],
    ]
    assert lines[6].startswith(f"WARNING {SLOT_OVERBOOKED}: ")
    assert "a, big, 300 requests are missing" in lines[6]
    assert lines[7] == "not counted, for their goal is clicks: clicks"


async def test_creatives_that_fit_decide_where_a_campaign_can_serve(news: Api) -> None:
    """A picture of the one slot's size leaves the other to nobody; before it is approved both are booked."""
    await news.make("PUT", "/sites/news/slots/side", {"sizes": ["728x90"]})
    flight = {"starts": "2027-01-16", "ends": "2027-01-17", "goal": {"impressions": 400}}
    body = {"advertiser": "acme", "name": "one", "slots": ["news/*"], **flight}
    await news.make("PUT", "/campaigns/one", body)
    assert (await ask(news))["totals"]["booked"] == 200
    picture = io.BytesIO()
    Image.new("RGB", (728, 90)).save(picture, "PNG")
    form = {"name": "b", "alt": "Tea", "click_url": "https://shop.example/tea"}
    reply = await news.http.post(
        "/api/v1/campaigns/one/creatives?approve=true",
        data=form,
        files={"file": ("b.png", picture.getvalue())},
        headers={"Authorization": f"Bearer {ADMIN}"},
    )
    assert reply.status_code == 201, reply.text
    assert (await ask(news))["totals"]["booked"] == 0
    assert (await ask(news, "news/side"))["totals"]["booked"] == 400
