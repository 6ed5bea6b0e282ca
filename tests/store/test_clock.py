"""Time is the store's, whatever the clocks of the hosts say."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserve.settings import Settings
from adserve.store.clock import StoreClock
from adserve.wiring import running
from tests.conftest import Api

OFF_S = [-7200.0, -300.0, 300.0, 86_400.0]


@given(
    st.floats(-1e6, 1e6),
    st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5), st.floats(0, 1)), min_size=1, max_size=20),
)
def test_a_reading_bounds_the_error_by_the_time_it_took(off: float, readings: list[tuple[float, float, float]]) -> None:
    """`off` is how far this host is behind; a reading comes `pause` after the last, takes `took`, and was made at
    some `part` of that."""
    steady = 50.0
    clock = StoreClock(wall=lambda: 1e9 - off, steady=lambda: steady)
    narrowest = float("inf")
    for pause, took, part in readings:
        since = steady + pause
        steady = since + took
        clock.heard(1e9 - 50 + since + part * took, since)
        narrowest = min(narrowest, took)
        assert abs(clock() - (1e9 - 50 + steady)) <= narrowest + 1e-3


async def test_a_clock_that_was_right_is_left_alone() -> None:
    """The network's trembling does not become time's."""
    steady = 0.0
    clock = StoreClock(wall=lambda: 1e9, steady=lambda: steady)
    for n in range(1, 50):
        steady = n * 0.2
        clock.heard(1e9 + steady - 0.003 * (n % 3), since=steady - 0.01)
        assert clock() == pytest.approx(1e9 + steady, abs=1e-6)


@pytest.mark.parametrize("off_s", OFF_S)
async def test_workers_on_hosts_with_other_clocks_agree(store_url: str, settings: Settings, off_s: float) -> None:
    """What one serves the other counts, in time and in the store's quarter-hour."""
    wrong = StoreClock(wall=lambda: time.time() + off_s)
    async with running(settings, store_url) as right, running(settings, store_url, clock=wrong) as skewed:
        one, other = Api(right), Api(skewed)
        await one.world()
        await one.creative()
        await other.make("GET", "/sites/news")
        await skewed.services.refresh()
        assert skewed.worker.clock() == pytest.approx(right.worker.clock(), abs=1.0)
        assert skewed.worker.clock_off_s == pytest.approx(-off_s, abs=1.0)
        for here, there in ((one, other), (other, one)):
            made = await here.decide()
            for url, status in ((made["impression_url"], 200), (made["view_url"], 200), (made["click_url"], 302)):
                assert (await there.http.get(url)).status_code == status
        await one.settle()
        await other.settle()
        reply = await other.make("GET", "/report?site=news&by=day&tz=UTC")
        days = {time.strftime("%Y-%m-%d", time.gmtime(time.time() - ago)) for ago in (0, 30)}
        assert sum(row["impressions"] for row in reply["rows"] if row["day"] in days) == 2
        assert (reply["totals"]["clicks"], reply["totals"]["late"]) == (2, 0)
        await one.http.aclose()
        await other.http.aclose()
