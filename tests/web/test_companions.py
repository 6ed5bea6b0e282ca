"""Companion sets, through the whole application: together on a page view, or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from adserve.core.companions import matched
from tests.conftest import Api
from tests.web.test_page_views import SLOTS, campaigns, page


async def duo(api: Api, *, members: int = 2, weight: int = 1, **campaign: Any) -> list[str]:
    """A campaign with a companion set: the ids of its creatives."""
    made = [await api.creative("duo", weight=weight, **campaign) for _ in range(members)]
    for id_ in made:
        await api.make("PATCH", f"/creatives/{id_}", {"companions": "spring"})
    return made


def creatives(answers: Iterable[Any], campaign: str = "duo") -> list[str]:
    found = [one for answer in answers for one in (answer["slots"].values() if "slots" in answer else [answer])]
    return sorted(one["creative"] for one in found if one["filled"] and one["campaign"] == campaign)


async def test_a_set_is_shown_whole_or_not_at_all(api: Api) -> None:
    """In one call, in lazy calls, and in separate calls with an id of the page; with its share of the pages."""
    await api.world(slots=SLOTS[:3])
    for name in ("a", "b", "c"):
        await api.creative(name)
    both = sorted(await duo(api))
    for kind in ("one", "lazy", "by id"):
        met: Counter[int] = Counter()
        for n in range(80):
            if kind == "one":
                answers = [await page(api)]
            elif kind == "lazy":
                first = await page(api, "below-post")
                answers = [first, *[await page(api, slot, pv=first["page_view"]) for slot in ("top", "header")]]
            else:
                answers = [await api.decide(slot, pv=f"page-view-{n}") for slot in SLOTS[2::-1]]
            found = creatives(answers)
            assert found in ([], both)
            others = [name for name in campaigns(*answers) if name != "duo"]
            assert len(others) == len(set(others)) == (1 if found else 3)
            met[len(found)] += 1
        assert 20 < met[2] < 65, kind  # 1/4 of the first slot, and what the second still can: about half of the pages


async def test_a_slot_alone_shows_no_member(api: Api) -> None:
    """Nor several ads of one; a set of one is no set."""
    await api.world()
    both = await duo(api)
    for query in ({}, {"visitor": "reader-1"}, {"pv": "a-page-of-its-own"}):
        assert campaigns(await api.decide(**query)) == []
    assert (await api.decide(count="2"))["ads"] == []
    assert (await api.totals(by="empty_reason"))["requests"] == 5
    rows = (await api.call("GET", "/report?from=2027-01-01&to=2027-03-01&by=empty_reason")).json()["rows"]
    assert [row["empty_reason"] for row in rows] == ["companions"]
    await api.creative("free")
    assert {one["campaign"] for one in [await api.decide() for _ in range(20)]} == {"free"}
    await api.make("PATCH", f"/creatives/{both[0]}", {"companions": None})
    assert {one["campaign"] for one in [await api.decide() for _ in range(20)]} == {"free", "duo"}


async def test_a_set_needs_a_place_for_each(api: Api) -> None:
    """In slots that it books, and as many as it has members."""
    await api.world(slots=SLOTS[:2])
    both = sorted(await duo(api, slots=["news/header"]))
    assert creatives([await page(api)]) == []
    await api.make("PATCH", "/campaigns/duo", {"slots": ["news/header", "news/top"]})
    assert creatives([await page(api)]) == both
    await duo(api, members=1)
    assert creatives([await page(api)]) == []
    assert len(creatives([await page(api, plan="header,top,top:2", slots="header,top,top:2")])) == 3


async def test_a_set_stands_back_for_a_higher_tier(api: Api) -> None:
    """One member has no slot that nothing of a higher tier would take: so none is shown."""
    await api.world(slots=SLOTS[:3])
    both = sorted(await duo(api))
    await api.creative("gold", tier="sponsor", slots=["news/top"])
    shown = await page(api)
    assert shown["slots"]["top"]["campaign"] == "gold"
    assert creatives([shown]) == both
    await api.creative("silver", tier="sponsor", slots=["news/below-post"])
    assert creatives([await page(api)]) == []
    assert campaigns(await page(api)) == ["gold", "silver"]


async def test_a_set_without_one_of_its_members_is_not_shown(api: Api) -> None:
    """While one is paused or of weight 0; one that is archived is of the set no more."""
    await api.world(slots=SLOTS[:3])
    made = await duo(api, members=3)
    assert creatives([await page(api)]) == sorted(made)
    await api.make("POST", f"/creatives/{made[0]}/pause")
    assert creatives([await page(api)]) == []
    await api.make("POST", f"/creatives/{made[0]}/resume")
    assert creatives([await page(api)]) == sorted(made)
    await api.make("PATCH", f"/creatives/{made[0]}", {"weight": 0})
    assert creatives([await page(api)]) == []
    assert (await api.call("DELETE", f"/creatives/{made[0]}")).status_code == 200
    assert creatives([await page(api)]) == sorted(made[1:])


async def test_a_set_of_which_nothing_was_shown_goes_when_one_goes(api: Api) -> None:
    """Between two calls; what was shown already cannot be called back, and the rest of it is still shown."""
    await api.world(slots=SLOTS)
    made = await duo(api, members=3, slots=["news/top", "news/sidebar", "news/footer"])
    await api.creative("front", slots=["news/header", "news/below-post"])
    first = await page(api, "header")
    assert campaigns(first) == ["front"]
    await api.make("POST", f"/creatives/{made[0]}/pause")
    assert creatives([await page(api, *SLOTS[1:], pv=first["page_view"])]) == []
    await api.make("POST", f"/creatives/{made[0]}/resume")
    first = await page(api, "top")
    assert len(creatives([first])) == 1
    rest = await page(api, "footer", "sidebar", pv=first["page_view"])
    assert creatives([first, rest]) == sorted(made)


async def test_a_set_that_goes_keeps_nothing_of_its_campaign_from_the_page(api: Api) -> None:
    """Another creative of it, which is of no set, can then be shown."""
    await api.world(slots=SLOTS[:3])
    made = await duo(api, weight=1_000_000, slots=["news/top", "news/below-post"])
    free = await api.creative("duo", slots=["news/top", "news/below-post"])
    first = await page(api, "header")
    assert creatives([await page(api, "top", "below-post", pv=first["page_view"])]) == sorted(made)
    await api.make("POST", f"/creatives/{made[1]}/pause")
    then = await page(api, "top", "below-post", pv=first["page_view"])
    assert then["slots"]["top"]["creative"] == free
    assert creatives([then]) == [free]


async def test_companions_change_without_review(api: Api) -> None:
    """A word like an id; null takes it away."""
    await api.world()
    id_ = await api.creative()
    changed = await api.make("PATCH", f"/creatives/{id_}", {"companions": "spring-2027"})
    assert (changed["companions"], changed["state"], changed["revision"]) == ("spring-2027", "approved", 1)
    kept = await api.make("PATCH", f"/creatives/{id_}", {"weight": 2})
    assert kept["companions"] == "spring-2027"
    assert (await api.make("PATCH", f"/creatives/{id_}", {"companions": None}))["companions"] is None
    for bad in ("", "Spring", "a b", "x" * 65, 7, ["spring"]):
        assert (await api.call("PATCH", f"/creatives/{id_}", {"companions": bad})).status_code == 422


def test_members_are_matched_with_places_of_their_own() -> None:
    """Though the first place that one likes is the only one of another."""
    assert matched([1, 2, 3], {1: [7, 8], 2: [7], 3: [8, 9]}) == {7: 2, 8: 1, 9: 3}
    assert matched([1, 2, 3], {1: [7, 8], 2: [7], 3: [8]}) is None
    assert matched([1], {}) is None
    assert matched([], {}) == {}
