"""How often a reader may see a campaign: windows that begin with the first impression."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserve.core.frequency import Shown, Sight, stored
from adserve.core.model import Campaign, Frequency

NOW = 1_800_000_000
DAY = 86_400


def campaign(serial: int = 1, limit: int = 2, window: Literal["hour", "day", "week"] = "day") -> Campaign:
    frequency = Frequency(limit, window) if limit else None
    return Campaign(id=f"c{serial}", serial=serial, version=1, advertiser="a", name="n", frequency=frequency)


@pytest.mark.parametrize(("window", "length_s"), [("hour", 3600), ("day", DAY), ("week", 7 * DAY)])
def test_a_window_lasts_from_its_first_impression(window: Literal["hour", "day", "week"], length_s: int) -> None:
    """Half-open: at its end the next one may begin."""
    one = campaign(limit=1, window=window)
    for age_s, tired in ((0, True), (length_s - 1, True), (length_s, False)):
        found = {1: (Shown(1, NOW - age_s),)}
        assert Sight.of_visitor(("d",), [one], found, NOW).tired == (frozenset({1}) if tired else frozenset())
        device = Sight.of_device({1: Shown(1, NOW - age_s)}, {1: one}.get, NOW, known=True)
        assert device.tired == (frozenset({1}) if tired else frozenset())


def test_what_could_not_be_looked_up_is_out() -> None:
    """Showing one too often is worse than showing another; what has no limit is never looked up."""
    sight = Sight.of_visitor(("d",), [campaign(1), campaign(2), campaign(3, limit=0)], {2: (None,)}, NOW)
    assert sight.tired == frozenset({1})
    assert sight.known
    sight.leave_out([7])
    assert sight.tired == frozenset({1, 7})
    assert Sight.of_visitor(("d",), [], {}, NOW).tired == frozenset(), "nothing had to be looked up"


def test_a_window_goes_on_under_the_digest_that_it_began_under() -> None:
    """Also when both have one, which happens when two serves met the change of the salt: the older one counts on."""
    one = campaign(limit=3)
    cases = [
        ((None, None), "new", False),
        ((Shown(1, NOW - 5), None), "new", False),
        ((None, Shown(2, NOW - 9)), "old", False),
        ((None, Shown(3, NOW - 9)), "old", True),
        ((Shown(1, NOW - 5), Shown(2, NOW - 9)), "old", True),
        ((Shown(1, NOW - 5), Shown(3, NOW - DAY)), "new", False),
    ]
    for found, digest, tired in cases:
        sight = Sight.of_visitor(("new", "old"), [one], {1: found}, NOW)
        assert (sight.counts_on(1), sight.tired) == (digest, frozenset({1}) if tired else frozenset()), found


@given(st.integers(1, 6), st.integers(0, 6), st.integers(1, 8))
def test_a_call_shows_a_campaign_no_more_than_is_left(limit: int, before: int, serves: int) -> None:
    """A page may repeat it in several slots: its own serves count, for visitors and devices alike."""
    one = campaign(limit=limit)
    for sight in (
        Sight.of_visitor(("d",), [one], {1: (Shown(before, NOW - 5),)}, NOW),
        Sight.of_device({1: Shown(before, NOW - 5)}, {1: one}.get, NOW, known=True),
    ):
        made = 0
        for _ in range(serves):
            if 1 not in (sight.tired or ()):
                sight.serve(one, NOW)
                made += 1
        assert made == min(serves, max(0, limit - before))
        assert sight.shown[1][:2] == (before + made, NOW - 5)


def test_a_device_forgets_what_is_over() -> None:
    """Windows that ended, and campaigns without a limit by now. Of campaigns that book none of the slots the window is
    over as it was when it began."""
    seen = {1: Shown(1, NOW - DAY), 2: Shown(1, NOW - 5), 3: Shown(9, NOW - 5)}
    elsewhere = {4: Shown(9, NOW - 5, 3600), 5: Shown(9, NOW - 3600, 3600), 6: Shown(9, NOW - 5)}
    here = {1: campaign(1), 2: campaign(2), 3: campaign(3, limit=0)}
    sight = Sight.of_device(seen | elsewhere, here.get, NOW, known=True)
    assert sight.shown == {2: Shown(1, NOW - 5), 4: Shown(9, NOW - 5, 3600)}
    assert sight.tired == frozenset()


def test_a_new_window_begins_with_a_serve_after_the_end_of_the_last() -> None:
    """Of a page that is open across it."""
    one = campaign(limit=2)
    sight = Sight.of_device({1: Shown(1, NOW - DAY + 1)}, {1: one}.get, NOW, known=True)
    sight.serve(one, NOW + 1)
    assert sight.shown == {1: Shown(1, NOW + 1, DAY)}


def test_a_device_begins_to_remember_when_nothing_is_known() -> None:
    """With the first serve of a campaign that has a limit; a reader who wants privacy is never remembered."""
    sight = Sight()
    sight.serve(campaign(3, limit=0), NOW)
    assert (sight.mode, sight.shown) == ("none", {})
    sight.serve(campaign(1), NOW)
    assert (sight.mode, sight.known, sight.shown) == ("device", False, {1: Shown(1, NOW, DAY)})
    private = Sight(private=True)
    private.serve(campaign(1, limit=1), NOW)
    assert (private.mode, private.shown, private.tired, private.counts_on(1)) == ("none", {}, frozenset(), "")


@pytest.mark.parametrize("text", ["", "1", "1:", ":1", "a:1", "1:b", "-1:2", "1:2:3", " 1:2", "1:2\n", "1.5:2", "९:1"])
def test_what_is_spoilt_is_told(text: str) -> None:
    """It must not pass for a count."""
    with pytest.raises(ValueError, match="COUNT:START"):
        stored(text)


def test_a_store_that_told_nothing_leaves_out_every_campaign_with_a_limit() -> None:
    """None, which the decision takes for that; what is served all the same is without a limit."""
    sight = Sight.of_visitor(("d",), [campaign(1)], {}, NOW)
    assert sight.tired is None
    sight.leave_out([7])
    sight.serve(campaign(1), NOW)
    assert sight.tired is None
    assert sight.known
