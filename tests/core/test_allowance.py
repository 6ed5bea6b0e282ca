"""What workers hold of a campaign with goals and caps: enough to serve, never too much, nothing that others lack."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adserve.core.allowance import Allowances
from adserve.core.grants import Ceilings, Quota
from adserve.core.hands import Taken, Taking
from adserve.core.model import Campaign, Caps, Goal, Limit
from adserve.core.reasons import Reason
from adserve.core.standing import Standing

NOW = 1_800_000_000
SERIAL = 19


def campaign(**more: Any) -> Campaign:
    return Campaign(id="c", serial=SERIAL, version=1, advertiser="a", name="C", **more)


def capped(total: int | None, daily: int | None = None, **more: Any) -> Campaign:
    return campaign(caps=Caps(Limit(impressions=total), Limit(impressions=daily)), **more)


class World:
    """Workers over one quota, which is the store."""

    def __init__(self, its: Campaign, workers: int = 1, lifetime_s: int = 600) -> None:
        self.quota, self.campaign, self.now = Quota(), its, float(NOW)
        self.clicks = self.clicks_today = 0
        self.standings = [Standing() for _ in range(workers)]
        self.workers = [
            Allowances(one, lambda n=n: f"{n:x}", lambda *_: None, workers=workers, lifetime_s=lifetime_s)  # type: ignore[misc]
            for n, one in enumerate(self.standings, 1)
        ]
        self.asked: list[Taking] = []
        self.served: list[tuple[str, int]] = []
        """Grant and local day of what was served and not confirmed."""
        for worker in range(workers):
            self.meet(worker, its)

    def meet(self, worker: int, *campaigns: Campaign) -> None:
        for _ in self.workers[worker].meet(campaigns, self.now):
            pass

    @property
    def ceilings(self) -> Ceilings:
        return Ceilings(self.campaign.ceiling.impressions, self.campaign.daily.impressions)

    def day(self) -> int:
        return int(self.now) // 86_400

    def answer(self, taking: Taking) -> Taken:
        return Taken(self.quota.take(taking.ask, int(self.now), taking.returned), self.clicks, self.clicks_today)

    def upkeep(self, worker: int) -> None:
        """Until nothing more is due at this moment; a worker that asks without end fails here."""
        for _ in range(10):
            takings = self.workers[worker].due(self.now)
            if not takings:
                return
            self.asked += takings
            for taking in takings:
                self.workers[worker].took(taking, self.answer(taking), self.now)
        raise AssertionError("it asks without end")

    def is_open(self, worker: int = 0) -> bool:
        return self.standings[worker].why_closed(SERIAL) is None

    def serve(self, worker: int = 0) -> bool:
        if not self.is_open(worker):
            return False
        number = self.workers[worker].use(self.campaign, int(self.now))
        self.served.append((f"{worker + 1:x}:{number}", DAY0 + self.day()))
        return True

    def confirm(self, which: int) -> bool:
        grant, day = self.served.pop(which)
        return self.quota.confirm(grant, day, int(self.now), self.ceilings)

    def wait(self, seconds: float, step: float = 0.5) -> None:
        for _ in range(round(seconds / step)):
            self.now += step
            for worker in range(len(self.workers)):
                self.upkeep(worker)


DAY0 = 719_163
"""The ordinal of 1970-01-01."""


def test_a_new_campaign_is_closed_until_the_store_has_said_how_it_stands() -> None:
    world = World(capped(100))
    assert world.standings[0].why_closed(SERIAL) is Reason.PACING
    world.upkeep(0)
    assert world.is_open()
    assert [one.ask.asked for one in world.asked] == [32]


def test_an_unlimited_campaign_takes_nothing() -> None:
    world = World(campaign())
    assert world.is_open()
    assert (world.workers[0].due(world.now), world.workers[0].use(world.campaign, NOW)) == ([], 0)


def test_a_hand_is_renewed_when_half_of_it_is_used() -> None:
    """At once and not by the clock; and closed with the last serve of it while no answer comes."""
    world = World(capped(10_000))
    woken: list[None] = []
    world.workers[0].wake = lambda: woken.append(None)
    world.upkeep(0)
    for _ in range(15):
        assert world.serve()
    assert (woken, world.workers[0].due(world.now)) == ([], [])
    assert world.serve()
    assert woken == [None]
    (taking,) = world.workers[0].due(world.now)
    for _ in range(16):
        assert world.serve()
    assert not world.is_open()
    world.workers[0].took(taking, world.answer(taking), world.now)
    assert world.is_open()
    assert all(grant != "1:0" for grant, _ in world.served)
    assert len({grant for grant, _ in world.served}) == 1


def test_traffic_asks_for_seconds_of_itself() -> None:
    world = World(capped(1_000_000))
    for _ in range(40):
        world.upkeep(0)
        for _ in range(100):
            world.serve()
            world.upkeep(0)
        world.now += 0.5
    assert 400 <= world.asked[-1].ask.asked <= 1_100  # 200 a second, less what is still in hand


def test_all_of_a_cap_is_delivered_and_no_more() -> None:
    """To the last: every impression comes."""
    for total in (1, 2, 25, 333):
        world = World(capped(total), workers=4)
        for step in range(4_000):
            world.wait(0.5)
            if world.serve(step % 4):
                assert world.confirm(0)
        assert world.quota.total == total
        assert all(one.why_closed(SERIAL) is Reason.CAP_TOTAL for one in world.standings)


def test_the_last_of_a_cap_goes_to_whoever_has_traffic() -> None:
    """One worker of four gets all the requests, after nobody asked for anything for a long time."""
    world = World(capped(25), workers=4)
    world.wait(300)
    delivered = 0
    for _ in range(2_000):
        world.wait(0.5)
        if world.serve(2):
            delivered += world.confirm(0)
    assert delivered == 25


def test_a_lone_worker_without_traffic_stays_ready() -> None:
    """A cap with few left is held or asked for again: its next request is never far from being served."""
    world = World(capped(5))
    for _ in range(60):
        world.wait(1)
        if not world.is_open():
            world.wait(1.5)
            assert world.is_open()


def test_what_was_not_confirmed_is_served_again() -> None:
    """When the grants have closed, which is the lifetime of an impression and two minutes later."""
    world = World(capped(40), lifetime_s=10)
    for _ in range(40):
        world.wait(0.5)
        while world.serve():
            pass
    assert len(world.served) >= 40
    world.served.clear()
    world.wait(200)
    delivered = 0
    for _ in range(600):
        world.wait(0.5)
        if world.serve():
            delivered += world.confirm(0)
    assert delivered == 40


@pytest.mark.parametrize(
    ("its", "reason"),
    [
        (capped(3), Reason.CAP_TOTAL),
        (capped(None, 3), Reason.CAP_DAILY),
        (campaign(goal=Goal(impressions=3)), Reason.GOAL_REACHED),
        (campaign(goal=Goal(impressions=5), caps=Caps(Limit(impressions=3))), Reason.CAP_TOTAL),
    ],
)
def test_why_it_is_closed(its: Campaign, reason: Reason) -> None:
    world = World(its)
    for _ in range(100):
        world.wait(0.5)
        if world.serve():
            assert world.confirm(0)
    assert world.quota.total == 3
    assert world.standings[0].why_closed(SERIAL) is reason


def test_a_day_has_its_cap_anew() -> None:
    """Nothing is carried over, and no hand serves in the day after."""
    world = World(capped(None, 10))
    world.now = float((NOW // 86_400 + 1) * 86_400 - 100)
    world.wait(1)
    for _ in range(10):
        while world.serve():
            world.confirm(0)
        world.wait(1)
    assert world.standings[0].why_closed(SERIAL) is Reason.CAP_DAILY
    world.wait(100)
    assert world.is_open()
    for _ in range(20):
        while world.serve():
            world.confirm(0)
        world.wait(1)
    assert sorted(world.quota.days.values()) == [10, 10]


@pytest.mark.parametrize("step_s", [-7_200, 7_200, -86_400])
def test_a_clock_that_steps_neither_passes_a_cap_nor_stops_it(step_s: int) -> None:
    world = World(capped(200, 150), workers=2)
    for turn in range(400):
        if turn == 40:
            world.now += step_s
        world.wait(0.5)
        for worker in (0, 1):
            if world.serve(worker):
                world.confirm(0)
        if turn == 60:
            assert world.quota.total > 30 + 10
    assert max(world.quota.days.values()) <= 150
    assert world.quota.total <= 200
    assert world.quota.total >= 140


def test_a_clicks_cap_closes_and_holds_nothing() -> None:
    """Within a second of the store's knowing."""
    world = World(campaign(caps=Caps(Limit(clicks=3), Limit(clicks=2))))
    world.upkeep(0)
    assert world.is_open()
    assert not world.quota.grants
    world.clicks = world.clicks_today = 2
    world.wait(1)
    assert world.standings[0].why_closed(SERIAL) is Reason.CAP_DAILY
    world.clicks, world.clicks_today = 2, 0
    world.wait(1)
    assert world.is_open()
    world.clicks = 3
    world.wait(1)
    assert world.standings[0].why_closed(SERIAL) is Reason.CAP_TOTAL


def test_a_paced_campaign_serves_at_once_and_holds_back() -> None:
    """No more than its plan: after a tenth of its flight about a tenth of its goal."""
    its = campaign(goal=Goal(impressions=6_000), starts_at=NOW, ends_at=NOW + 36_000)
    world = World(its, workers=2)
    for worker in (0, 1):
        world.upkeep(worker)
    assert world.is_open(0)
    for _ in range(3_600):
        world.wait(1, 1)
        for worker in (0, 1):
            for _ in range(20):
                if world.serve(worker):
                    world.confirm(0)
    assert 500 <= world.quota.total <= 1_100
    world.workers[0].renew_needs()
    assert 4_900 <= world.standings[0].needs[SERIAL] <= 5_600


def test_an_answer_that_was_lost_is_asked_for_again_as_it_was() -> None:
    """So that nothing is taken twice; what is in hand serves meanwhile."""
    world = World(capped(100))
    (first,) = world.workers[0].due(world.now)
    world.answer(first)
    world.workers[0].lost([first], world.now)
    world.now += 1
    (again,) = world.workers[0].due(world.now)
    assert again is first
    world.workers[0].took(again, world.answer(again), world.now)
    assert sum(one.size for one in world.quota.grants.values()) == 32
    while world.serve():
        pass
    assert len(world.served) == 32


def test_a_campaign_that_goes_gives_back_what_it_holds() -> None:
    """Also what was on its way when it went."""
    for on_its_way in (False, True):
        world = World(capped(100))
        if on_its_way:
            (taking,) = world.workers[0].due(world.now)
            answer = world.answer(taking)
            world.meet(0)
            world.workers[0].took(taking, answer, world.now)
        else:
            world.upkeep(0)
            world.serve()
            world.meet(0)
        world.wait(2)
        assert len(world.workers[0]) == 0
        assert sum(one.size - one.used for one in world.quota.grants.values()) == (not on_its_way)


def test_a_worker_that_ends_gives_everything_back() -> None:
    world = World(capped(100))
    world.upkeep(0)
    for _ in range(5):
        world.serve()
    (back,) = world.workers[0].all_back(int(world.now))
    assert not world.is_open()
    world.answer(back)
    assert [one.size for one in world.quota.grants.values()] == [5]


def test_a_worker_that_ends_gives_back_what_was_on_its_way() -> None:
    world = World(capped(100))
    (taking,) = world.workers[0].due(world.now)
    world.answer(taking)
    (back,) = world.workers[0].all_back(int(world.now))
    world.answer(back)
    assert not world.quota.grants


def test_a_cap_that_is_raised_opens_again_and_one_that_is_taken_away_too() -> None:
    world = World(capped(1))
    world.upkeep(0)
    assert world.serve()
    assert world.confirm(0)
    world.wait(1)
    assert not world.is_open()
    world.campaign = capped(50)
    world.meet(0, world.campaign)
    world.upkeep(0)
    assert world.is_open()
    world.meet(0, campaign())
    world.upkeep(0)
    assert world.is_open()
    assert world.workers[0].use(campaign(), NOW) == 0


def test_another_incarnation_serves_from_hands_of_its_own() -> None:
    """The token of a serve names its grant by incarnation and number."""
    owner = ["1"]
    quota = Quota()
    allowances = Allowances(Standing(), lambda: owner[0], lambda *_: None)
    its = capped(100)
    for _ in allowances.meet([its], NOW):
        pass
    for turn in range(4):
        for taking in allowances.due(NOW + turn):
            allowances.took(taking, Taken(quota.take(taking.ask, NOW + turn, taking.returned), 0, 0), NOW + turn)
        if turn == 0:
            first = allowances.use(its, NOW)
            owner[0] = "2"
            assert allowances.use(its, NOW) == 0
    number = allowances.use(its, NOW + 4)
    assert f"1:{first}" in quota.grants
    assert quota.grants["1:1"].size == 1
    assert f"2:{number}" in quota.grants


STEPS = st.lists(st.tuples(st.sampled_from("sswwckj"), st.integers(0, 3), st.integers(0, 900)), max_size=250)


@settings(max_examples=150, deadline=None)
@given(total=st.none() | st.integers(1, 60), daily=st.none() | st.integers(1, 40), steps=STEPS)
def test_no_cap_is_ever_passed(total: int | None, daily: int | None, steps: list[tuple[str, int, int]]) -> None:
    """Workers that die, answers that are lost, clocks that step, beacons that come in any order or never; whatever was
    served under an open grant is counted."""
    world = World(capped(total, daily), workers=3, lifetime_s=60)
    chance = random.Random(1)
    for what, worker, amount in steps:
        match what:
            case "s":
                world.serve(worker % 3)
            case "w":
                world.wait(amount % 8)
            case "c" if world.served:
                world.confirm(amount % len(world.served))
            case "k":
                dead = Standing()
                world.standings[worker % 3] = dead
                name = f"{worker % 3 + 1:x}"
                world.workers[worker % 3] = Allowances(dead, lambda name=name: name, lambda *_: None)  # type: ignore[misc]
                world.workers[worker % 3]._number = chance.randrange(1 << 30)
                world.meet(worker % 3, world.campaign)
            case "j":
                world.now += amount - 450
        assert total is None or world.quota.total <= total
        assert daily is None or max(world.quota.days.values(), default=0) <= daily
