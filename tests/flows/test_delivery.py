"""Delivery beside its plan, over counters in the real store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adserve.core.access import OPERATOR, Account
from adserve.core.delivery import Delivery
from adserve.core.model import Campaign, Creative, Slot
from adserve.errors import NotFound
from adserve.flows.delivery import delivery
from adserve.flows.report import roll_up_old
from adserve.store.keys import tag_of
from tests.conftest import Api, Clock
from tests.store.counters import count

DAY = 86_400
TODAY = 1_799_971_200
"""Midnight, UTC, of the day on which the frozen clock begins, at 08:00."""


def day(at: int) -> str:
    return f"{datetime.fromtimestamp(TODAY, UTC) + timedelta(days=at):%Y-%m-%d}"


async def put(api: Api, when: int, impressions: int, *, clicks: int = 0, campaign: str = "one") -> None:
    """Events of a campaign in a quarter-hour, in its counters and in its totals."""
    services = api.held.services
    things = await services.catalog.all()
    found, slot = things[f"campaign:{campaign}"], things["slot:news/top"]
    assert isinstance(found, Campaign)
    assert isinstance(slot, Slot)
    (creative,) = (one for one in things.values() if isinstance(one, Creative) and one.campaign == campaign)
    tag, where = tag_of(found.serial), f"{slot.serial}.{creative.revisions[-1].serial}.1.1"
    await count(services.client, services.keys, when, {f"{where}.i": impressions, f"{where}.c": clicks}, tag)
    client: Any = services.client
    for kind, number in (("i", impressions), ("c", clicks)):
        await client.hincrby(services.keys.totals(tag), f"{found.serial}.{kind}", number)


async def ask(api: Api, campaign: str = "one", account: Account = OPERATOR) -> Delivery:
    return await delivery(api.held.services, account, campaign)


@pytest.fixture
async def flight(api: Api) -> Api:
    """Ten days from four days ago on, 10,000 impressions."""
    await api.world()
    await api.creative("one", starts=day(-4), ends=day(6), goal={"impressions": 10_000})
    return api


async def test_the_plan_begins_at_nothing_and_ends_at_the_goal(flight: Api) -> None:
    """By local hours, never falling, each midnight about a tenth further."""
    found = await ask(flight)
    planned = [point.planned for point in found.points]
    assert (planned[0], planned[-1], found.goal, found.window.step) == (0, 10_000, 10_000, "hour")
    assert len(planned) == 241
    assert planned == sorted(planned, key=lambda one: one or 0)
    midnights = [point.planned or 0 for point in found.points[::24]]
    assert midnights == pytest.approx([1_000 * n for n in range(11)], abs=20)


async def test_what_was_delivered_is_added_up_and_the_future_is_open(flight: Api) -> None:
    """A step that has begun has a figure, also 0; one that has not has none."""
    await put(flight, TODAY - 4 * DAY + 900, 700)
    await put(flight, TODAY - 3 * DAY + 7 * 3600, 500)
    await put(flight, TODAY + 7 * 3600 + 2700, 60)
    found = await ask(flight)
    delivered = {point.at: point.delivered for point in found.points}
    assert delivered[TODAY - 4 * DAY + 3600] == 700
    assert delivered[TODAY - 3 * DAY + 7 * 3600] == 700
    assert delivered[TODAY - 3 * DAY + 8 * 3600] == 1_200
    assert delivered[TODAY + 8 * 3600] == 1_260 == found.total
    assert delivered[TODAY + 9 * 3600] == 1_260
    assert delivered[TODAY + 10 * 3600] is None
    assert sum(point.each or 0 for point in found.points) == 1_260
    assert (found.approximate, found.unreadable) == (False, 0)


@pytest.mark.parametrize(
    ("delivered", "standing", "part"),
    [
        (1_000, "behind", "behind plan"),
        (4_100, "on_plan", "On plan: 4,100 of the "),
        (6_000, "ahead", "ahead of plan"),
        (10_000, "reached", "The goal of 10,000 impressions is reached."),
    ],
)
async def test_it_stands_in_words(flight: Api, delivered: int, standing: str, part: str) -> None:
    """Four days and eight hours of ten are over: some 4,150 are planned by now."""
    await put(flight, TODAY - 3 * DAY, delivered)
    found = await ask(flight)
    assert found.standing == standing
    assert part in found.words
    assert found.expected == pytest.approx(4_150, abs=150)


async def test_by_now_lies_between_the_points_around_it(flight: Api, clock: Clock) -> None:
    """Also within a step, and at its edge."""
    for moment in (TODAY + 8 * 3600, TODAY + 8 * 3600 + 1_234, TODAY + 9 * 3600 - 1):
        clock.now = moment
        found = await ask(flight)
        planned = {point.at: point.planned or 0 for point in found.points}
        assert found.expected is not None
        assert planned[TODAY + 8 * 3600] <= found.expected <= planned[TODAY + 9 * 3600]


@pytest.mark.parametrize(
    ("from_", "to", "standing", "words"),
    [
        (2, 9, "not_started", "It has not started."),
        (-9, -2, "short", "It ended 9,400 impressions short of 10,000: 6.0% delivered."),
    ],
)
async def test_before_and_after_the_flight(api: Api, from_: int, to: int, standing: str, words: str) -> None:
    """What is over is told as such, with what is missing."""
    await api.world()
    await api.creative("one", starts=day(from_), ends=day(to), goal={"impressions": 10_000})
    if from_ < 0:
        await put(api, TODAY + from_ * DAY, 600)
    found = await ask(api)
    assert (found.standing, found.words) == (standing, words)


async def test_a_click_goal_counts_clicks(api: Api) -> None:
    """Impressions are not mixed in."""
    await api.world()
    await api.creative("one", starts=day(-1), ends=day(1), goal={"clicks": 200})
    await put(api, TODAY - 3600, 900, clicks=7)
    found = await ask(api)
    assert (found.counts, found.total, found.window.step) == ("clicks", 7, "quarter")
    assert found.points[-1].planned == 200


async def test_without_a_goal_there_are_days_and_no_plan(api: Api) -> None:
    """The last thirty, today among them; what was before them is in the total."""
    await api.world()
    await api.creative("one")
    await put(api, TODAY - 60 * DAY, 40)
    await put(api, TODAY - DAY + 3600, 5)
    found = await ask(api)
    assert (found.window.step, len(found.points), found.standing) == ("day", 31, "no_plan")
    assert found.points[0].delivered == 40
    assert found.points[-2].each == 5
    assert found.total == 45
    assert all(point.planned is None for point in found.points)
    assert found.words == "45 impressions so far; it has no goal."


async def test_days_are_those_of_the_campaign(api: Api) -> None:
    """A quarter-hour before midnight in Kolkata is the day before there."""
    await api.world(timezone="Asia/Kolkata")
    await api.creative("one")
    midnight = TODAY - 19_800
    await put(api, midnight - 900, 3)
    await put(api, midnight, 4)
    found = await ask(api)
    assert [point.each for point in found.points[-2:]] == [3, 4]
    assert found.window.tz.key == "Asia/Kolkata"
    assert found.points[-1].at == midnight + DAY


async def test_rolled_up_days_are_read_too(api: Api) -> None:
    """A flight that reaches back beyond the quarter-hours is shown by days, and nothing is lost or twice."""
    await api.world()
    await api.creative("one", starts=day(-60), ends=day(5), goal={"impressions": 6_500})
    await put(api, TODAY - 50 * DAY + 3600, 30)
    await put(api, TODAY - 2 * DAY, 20)
    before = await ask(api)
    assert await roll_up_old(api.held.services, await api.held.services.catalog.all()) == 1
    after = await ask(api)
    assert before.points == after.points
    assert after.window.step == "day"
    assert [point.each for point in after.points if point.each] == [30, 20]


async def test_real_events_show_within_the_answer(api: Api) -> None:
    """What a browser has caused is delivered, and once."""
    await api.world()
    await api.creative("one", goal={"impressions": 100}, starts=day(-1), ends=day(2))
    for _ in range(3):
        decision = await api.decide()
        for _ in range(2):
            assert (await api.http.get(decision["impression_url"])).status_code == 200
    await api.settle()
    found = await ask(api)
    assert found.total == 3
    assert sum(point.each or 0 for point in found.points) == 3


async def test_another_advertiser_sees_nothing_of_it(flight: Api) -> None:
    """Not even that it is there; its own owner does."""
    await flight.make("PUT", "/advertisers/other", {"name": "Other"})
    assert (await ask(flight, account=Account("k", "advertiser", "n", advertiser="acme"))).goal == 10_000
    for campaign in ("one", "none"):
        with pytest.raises(NotFound, match="there is no campaign with this id"):
            await ask(flight, campaign, Account("k", "advertiser", "n", advertiser="other"))
    with pytest.raises(NotFound):
        await ask(flight, "none")


async def test_it_is_json_with_local_moments(flight: Api) -> None:
    """For programs."""
    found = (await ask(flight)).as_json()
    assert (found["tz"], found["step"], found["standing"]) == ("UTC", "hour", "behind")
    points: Any = found["points"]
    assert points[-1] == {"at": f"{day(6)}T00:00:00+00:00", "delivered": None, "each": None, "planned": 10_000}


async def test_the_api_answers_it_for_its_owner(flight: Api) -> None:
    """As described; another's campaign is not there."""
    await flight.make("PUT", "/advertisers/other", {"name": "Other"})
    found = await flight.make("GET", "/campaigns/one/delivery")
    assert (found["campaign"], found["goal"], found["standing"], len(found["points"])) == ("one", 10_000, "behind", 241)
    keys = [
        (await flight.make("POST", "/keys", {"role": "advertiser", "advertiser": one, "name": one}))["key"]
        for one in ("acme", "other")
    ]
    answers = [await flight.call("GET", "/campaigns/one/delivery", Authorization=f"Bearer {key}") for key in keys]
    assert [reply.status_code for reply in answers] == [200, 404]
