"""Days as readers have them, and clocks that step: each event in its own quarter-hour, each window to the second."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from adserve.core.schedule import utc_label
from tests.conftest import Api, Clock

DAYS = [
    ("Europe/Berlin", "2027-03-28", "2027-03-27T23:00", 23),
    ("Europe/Berlin", "2027-10-31", "2027-10-30T22:00", 25),
    ("America/Havana", "2027-03-14", "2027-03-14T05:00", 23),
    ("America/Havana", "2027-11-07", "2027-11-07T04:00", 25),
    ("Australia/Lord_Howe", "2027-04-04", "2027-04-03T13:00", 24.5),
    ("Asia/Kolkata", "2028-02-29", "2028-02-28T18:30", 24),
    ("Asia/Kathmandu", "2027-01-31", "2027-01-30T18:15", 24),
    ("Pacific/Kiritimati", "2027-12-31", "2027-12-30T10:00", 24),
    ("UTC", "2028-12-31", "2028-12-31T00:00", 24),
]
"""Zone, day, its first moment in UTC, its hours: clocks that change at night and at midnight, by an hour and by
half of one; the leap day; the ends of a month and a year, first and last of the world."""


@pytest.mark.parametrize(("tz", "day", "begins", "hours"), DAYS)
async def test_a_campaign_of_one_local_day_serves_that_day_and_is_reported_in_it(
    api: Api, clock: Clock, tz: str, day: str, begins: str, hours: float
) -> None:
    """Not the second before and not the one after, whatever its length; its hours, the day, the month and the same
    time in UTC add up to the same figures."""
    after = str(date.fromisoformat(day) + timedelta(days=1))
    start = int(datetime.fromisoformat(begins + "+00:00").timestamp())
    end = start + int(hours * 3600)
    await api.world(timezone=tz)
    await api.creative(starts=day, ends=after)
    clock.now = start - 1
    assert not (await api.decide())["filled"]
    moments = [*range(start, end, 1800), end - 1]
    for clock.now in moments:
        one = await api.decide()
        assert one["filled"], clock.now
        assert (await api.http.get(one["impression_url"])).status_code == 200
    clock.now = end
    assert not (await api.decide())["filled"]
    await api.settle()
    for query, rows in (
        (f"from={day}&to={after}&tz={tz}&by=day", 1),
        (f"from={day}&to={after}&tz={tz}&by=month", 1),
        (f"from={day}&to={after}&tz={tz}&by=hour", None),
        (f"from={begins}:00Z&to={utc_label(end)}&tz=UTC&by=hour", None),
    ):
        report = await api.make("GET", f"/report?site=news&{query}".replace("+", "%2B"))
        assert report["totals"]["impressions"] == report["totals"]["serves"] == len(moments), query
        assert sum(row["impressions"] for row in report["rows"]) == len(moments), query
        assert rows is None or len(report["rows"]) == rows
    for other in (f"to={day}&from={date.fromisoformat(day) - timedelta(days=3)}", f"from={after}"):
        report = await api.make("GET", f"/report?site=news&tz={tz}&{other}")
        assert report["totals"]["impressions"] == 0, other


@pytest.mark.parametrize(
    "steps",
    [
        (3600, 86_400, 900),
        (-30, 30, -59),
        (3600, -59, 59, -30),
        (-1, 1, -1, 1),
        (7200, -7200, 86_400, -86_400),
        (-7200,),
    ],
    ids=str,
)
async def test_a_clock_that_steps_loses_and_doubles_nothing(api: Api, clock: Clock, steps: tuple[int, ...]) -> None:
    """Forward and back by any time, also over hours: each serve has its event, once, and no key gets an expiry that
    has passed."""
    await api.world()
    await api.creative()
    clock.now += 3600 - clock.now % 3600 + 5
    made = 0
    for step in (0, *steps):
        clock.now += step
        for _ in range(3):
            one = await api.decide()
            for url in (one["impression_url"], one["impression_url"]):
                assert (await api.http.get(url)).status_code == 200
            assert (await api.http.post(one["view_url"])).status_code == 204
            made += 1
        await api.settle()
    totals = await api.totals()
    names = ("serves", "impressions", "views", "duplicates", "late", "filtered")
    assert [totals[name] for name in names] == [made, made, made, made, 0, 0]
    assert await api.keys_for_ever() == []
