"""A page view over several calls, through the whole application: nothing twice, by rank and not by arrival."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from typing import Any

import pytest

from adserve.core.explanation import Explained, explain
from adserve.core.plan import LIFETIME_S, PREFIX
from tests.conftest import Api, Clock

SLOTS = ("header", "top", "below-post", "sidebar", "footer")
JSON = {"Accept": "application/json"}


async def page(api: Api, *slots: str, **query: str) -> Any:
    """A page call for some slots, or for all."""
    asked = {"slots": ",".join(slots)} if slots else {}
    reply = await api.http.get("/v1/pages/news", params={**asked, **query})
    assert reply.status_code == 200, reply.text
    return reply.json()


def campaigns(*answers: Any) -> list[str]:
    """Those that were shown, by all the decisions of page calls and slot calls."""
    found = [one for answer in answers for one in (answer["slots"].values() if "slots" in answer else [answer])]
    return [one["campaign"] for one in found if one["filled"]]


async def booked(api: Api, count: int, **fields: Any) -> list[str]:
    """A site of five slots, and campaigns that book all of them."""
    await api.world(slots=SLOTS)
    names = [f"c{at}" for at in range(count)]
    for name in names:
        await api.creative(name, **fields)
    return names


async def test_lazy_calls_repeat_nothing(api: Api) -> None:
    """One call after another, each with the page view of the one before; as many campaigns as slots are all shown."""
    names = await booked(api, 5)
    for order in itertools.islice(itertools.permutations(SLOTS), 0, 120, 7):
        first = await page(api, order[0])
        answers, view = [first], first["page_view"]
        for slot in order[1:]:
            answers.append(await page(api, slot, pv=view))
            view = answers[-1]["page_view"]
            assert view.startswith(PREFIX)
            assert answers[-1]["slots"][slot]["page_view"] == view
        assert sorted(campaigns(*answers)) == names


async def test_concurrent_lazy_calls_repeat_nothing(api: Api) -> None:
    """They all bring the page view of the first call and take what is planned for their slots; with fewer campaigns
    than slots some stay empty."""
    await booked(api, 5)
    for count in (5, 3):
        if count == 3:
            for name in ("c3", "c4"):
                await api.make("PATCH", f"/campaigns/{name}", {"state": "paused"})
        for _ in range(20):
            first = await page(api, "header")
            lazy = await asyncio.gather(
                *(page(api, slot, pv=first["page_view"]) for slot in SLOTS[1:3]),
                *(api.decide(slot, pv=first["page_view"]) for slot in SLOTS[3:]),
            )
            shown = campaigns(first, *lazy)
            assert len(shown) == len(set(shown)) == count


async def test_separate_includes_of_one_page_agree(api: Api) -> None:
    """Each is a call of its own with an id that the page made, as HTML or as JSON, in any order; and again the same."""
    names = await booked(api, 5)
    for n in range(20):
        id_ = f"page-view-{n}"
        order = SLOTS if n % 2 else SLOTS[::-1]
        answers = [await api.decide(slot, pv=id_) for slot in order]
        assert sorted(campaigns(*answers)) == names
        assert {answer["page_view"] for answer in answers} == {id_}
        again = await page(api, pv=id_)
        assert again["page_view"] == id_
        assert {slot: one["creative"] for slot, one in again["slots"].items()} == {
            one["slot"]: one["creative"] for one in answers
        }
        html = [(await api.http.get(f"/v1/slots/news/{slot}", params={"pv": id_})).text for slot in order]
        assert all(html)


async def test_ids_of_callers_share_by_weight(api: Api) -> None:
    """In the slot that chooses first, over many page views."""
    await booked(api, 2, weight=1)
    await api.make("PATCH", "/campaigns/c1", {"weight": 3})
    shown = Counter([(await api.decide("header", pv=f"page-view-{n}"))["campaign"] for n in range(800)])
    assert abs(shown["c1"] - 600) < 65


async def test_ranks_decide_and_not_arrival(api: Api) -> None:
    """The only sponsor goes to the slot of the first rank, though that is asked for last."""
    await booked(api, 5)
    await api.creative("gold", tier="sponsor")
    for id_ in (None, "a-page-of-its-own"):
        view, answers = id_, []
        for slot in SLOTS[::-1]:
            answers.append(await page(api, slot, **({"pv": view} if view else {})))
            view = answers[-1]["page_view"]
        assert answers[-1]["slots"]["header"]["campaign"] == "gold"
        assert len(set(campaigns(*answers))) == 5


async def test_no_slot_stays_empty_for_one_that_nobody_asked_for(api: Api) -> None:
    """In the call that plans; the other one then takes what is left, which is nothing."""
    await booked(api, 1)
    first = await page(api, "footer")
    assert campaigns(first) == ["c0"]
    assert campaigns(await page(api, "header", pv=first["page_view"])) == []
    assert campaigns(await page(api, "header", "footer")) == ["c0"]
    assert (await page(api, "header", "footer"))["slots"]["header"]["filled"]


async def test_what_gave_way_is_planned_no_more(api: Api) -> None:
    """Neither the same campaign nor what excludes it keeps anything else from the page any longer."""
    await api.world(slots=SLOTS[:2])
    await api.creative("shy", slots=["news/header"], excludes=["category:cars"])
    await api.creative("cars", slots=["news/top"], categories=["cars"])
    for _ in range(2):
        first = await page(api, "top")
        assert campaigns(first) == ["cars"]
        worker = api.held.worker
        plan = worker.plans.open(first["page_view"], int(worker.clock()))
        assert [entry.served for entry in plan.entries] == [True]
        await api.make("PATCH", "/campaigns/shy", {"slots": ["news/top"], "state": "paused"})
        await api.make("PATCH", "/campaigns/cars", {"slots": ["news/*"]})


async def test_a_page_says_which_slots_it_has(api: Api) -> None:
    """`plan` keeps campaigns for these alone: with two of them each gets one, whichever comes first."""
    await booked(api, 2)
    for given in ({}, {"pv": "a-page-of-its-own"}):
        first = await page(api, "footer", plan="sidebar,footer,nonsense", **given)
        then = await page(api, "sidebar", pv=first["page_view"], plan="sidebar,footer")
        assert sorted(campaigns(first, then)) == ["c0", "c1"]
    alone = [await api.decide(slot, pv="another-page", plan="sidebar,footer") for slot in ("footer", "sidebar")]
    assert sorted(campaigns(*alone)) == ["c0", "c1"]


async def test_what_is_planned_is_not_counted(api: Api) -> None:
    """Requests and serves are those of the slots that were asked for."""
    await booked(api, 5)
    first = await page(api, "header")
    totals = await api.totals()
    assert (totals["requests"], totals["serves"]) == (1, 1)
    await page(api, "top", "footer", pv=first["page_view"])
    totals = await api.totals()
    assert (totals["requests"], totals["serves"]) == (3, 3)


async def test_what_may_serve_no_more_is_decided_anew(api: Api) -> None:
    """A campaign that is paused between two calls is not shown, and what takes its place repeats nothing."""
    await booked(api, 6)
    first = await page(api, "header")
    planned = {slot: (await page(api, slot, pv=first["page_view"]))["slots"][slot]["campaign"] for slot in SLOTS[1:]}
    again = {slot: (await page(api, slot, pv=first["page_view"]))["slots"][slot]["campaign"] for slot in SLOTS[1:]}
    assert again == planned
    await api.make("PATCH", f"/campaigns/{planned['top']}", {"state": "paused"})
    then = await page(api, *SLOTS[1:], pv=first["page_view"])
    shown = campaigns(first, then)
    assert planned["top"] not in shown
    assert len(set(shown)) == 5
    assert {slot: one["campaign"] for slot, one in then["slots"].items() if slot != "top"} == {
        slot: campaign for slot, campaign in planned.items() if slot != "top"
    }


async def test_a_slot_that_is_asked_for_again_frees_what_it_showed(api: Api) -> None:
    """A refresh: with one campaign more than slots it always changes to the one that was free, or stays."""
    await booked(api, 3)
    await api.make("PATCH", "/sites/news/slots/header", {"rank": 1})
    answer = await page(api, "header", "top", plan="header,top")
    old = {slot: one["campaign"] for slot, one in answer["slots"].items()}
    seen = set()
    for _ in range(30):
        answer = await page(api, "header", pv=answer["page_view"])
        header = answer["slots"]["header"]["campaign"]
        assert header != old["top"]
        seen.add(header)
        top = await page(api, "top", pv=answer["page_view"])
        assert top["slots"]["top"]["campaign"] != header
    assert seen == {"c0", "c1", "c2"} - {old["top"]}


async def test_excludes_hold_over_calls(api: Api) -> None:
    """In both directions, and against what is only planned."""
    await api.world(slots=SLOTS[:2])
    await api.creative("cars", categories=["cars"])
    await api.creative("shy", excludes=["category:cars"])
    await api.creative("other")
    for view in (None, "page-view-"):
        met: set[frozenset[str]] = set()
        for n in range(60):
            given = {"pv": f"{view}{n}"} if view else {}
            order = SLOTS[:2] if n % 2 else SLOTS[1::-1]
            first = await page(api, order[0], **given)
            then = await page(api, order[1], pv=first["page_view"])
            met.add(frozenset(campaigns(first, then)))
        assert met == {frozenset({"cars", "other"}), frozenset({"shy", "other"})}


async def test_what_has_come_to_be_excluded_is_not_taken_from_the_plan(api: Api) -> None:
    """By a change between two calls, of the one that is planned or of the one that stands there."""
    await api.world(slots=SLOTS[:2])
    await api.creative("first", slots=["news/header"], categories=["cars"])
    await api.creative("second", slots=["news/top"], categories=["trains"])
    first = await page(api, "header")
    assert campaigns(await page(api, "top", pv=first["page_view"])) == ["second"]
    for campaign, excludes in (("first", "category:trains"), ("second", "category:cars")):
        await api.make("PATCH", f"/campaigns/{campaign}", {"excludes": [excludes]})
        assert campaigns(await page(api, "top", pv=first["page_view"])) == []
        await api.make("PATCH", f"/campaigns/{campaign}", {"excludes": []})


async def test_instances_are_places_of_their_own(api: Api) -> None:
    """Over calls too; the first may be written with its number or without."""
    names = await booked(api, 4)
    plan = "below-post:1,below-post:2,below-post:3,top"
    for first_name in ("below-post", "below-post:1"):
        first = await page(api, first_name, plan=plan)
        then = [await page(api, name, pv=first["page_view"]) for name in ("below-post:3", "top", "below-post:2")]
        assert sorted(campaigns(first, *then)) == names
    by_id = [await api.decide(name, pv="a-page-of-its-own", plan=plan) for name in plan.split(",")]
    assert sorted(campaigns(*by_id)) == names
    assert [one["slot"] for one in by_id] == ["below-post"] * 3 + ["top"]
    beyond = [await api.decide(name, pv="a-page-without-plan") for name in ("below-post:2", "below-post:3")]
    assert len(set(campaigns(*beyond))) == len(campaigns(*beyond))


async def test_a_slot_call_begins_a_page_view(api: Api) -> None:
    """Its decision has a page view that later calls of any kind go on with."""
    await booked(api, 3)
    for _ in range(15):
        first = await api.decide("footer")
        assert first["page_view"].startswith(PREFIX)
        second = await api.decide("header", pv=first["page_view"])
        third = await page(api, "top", "sidebar", pv=second["page_view"])
        assert sorted(campaigns(first, second, third)) == ["c0", "c1", "c2"]


BAD_VIEWS = (
    "short",
    "x" * 65,
    "p.",
    "p.AAAA",
    "p." + "A" * 60,
    "p." + "A" * 3000,
    "p.é",
    "%FF",
    "a b c d e f",
    "<b>.......",
)


@pytest.mark.parametrize("bad", BAD_VIEWS)
async def test_what_is_no_page_view_is_ignored_and_counted(api: Api, bad: str) -> None:
    """The page starts anew, in HTML and JSON, with slots and pages."""
    await booked(api, 2)
    before = api.held.worker.malformed
    answer = await page(api, "header", "top", pv=bad)
    assert answer["page_view"].startswith(PREFIX)
    assert len(set(campaigns(answer))) == 2
    assert (await api.decide("top", pv=bad))["filled"]
    assert (await api.http.get("/v1/slots/news/top", params={"pv": bad})).headers["adserve-fill"] == "1"
    assert api.held.worker.malformed == before + 3
    await page(api, pv="")
    assert api.held.worker.malformed == before + 3


async def test_a_page_view_that_is_altered_or_too_old_starts_anew(api: Api, clock: Clock) -> None:
    """Nothing of it is believed: what it shows may be shown again."""
    await booked(api, 1)
    first = await page(api, "footer", plan="footer")
    view = first["page_view"]
    assert campaigns(await page(api, "footer", "header", pv=view, plan="header")) == ["c0"]  # a refresh frees it
    assert campaigns(await page(api, "header", pv=view)) == []
    for place in range(2, len(view), 5):
        altered = view[:place] + ("A" if view[place] != "A" else "B") + view[place + 1 :]
        before = api.held.worker.malformed
        assert campaigns(await page(api, "header", pv=altered, plan="header")) == ["c0"]
        assert api.held.worker.malformed == before + 1
    clock.now += LIFETIME_S - 1
    assert campaigns(await page(api, "header", pv=view)) == []
    clock.now += 1
    assert campaigns(await page(api, "header", pv=view, plan="header")) == ["c0"]


async def test_robots_are_served_pages_too(api: Api) -> None:
    """By draws that move nothing, in plans as well."""
    await booked(api, 6)
    robot = {"User-Agent": "Googlebot/2.1"}
    first = (await api.http.get("/v1/pages/news?slots=header", headers=robot)).json()
    then = (await api.http.get("/v1/pages/news", params={"pv": first["page_view"]}, headers=robot)).json()
    assert len(set(campaigns(then))) == 5
    assert len(api.held.worker.draws) == 0


async def test_several_ads_for_one_slot(api: Api) -> None:
    """`count` repeats none of them; each is a request of its own."""
    await booked(api, 4)
    for query in ({}, {"pv": "a-page-of-its-own", "plan": "top"}):
        answer = await api.decide("top", count="3", **query)
        assert set(answer) == {"slot", "filled", "ads", "page_view"}
        assert (answer["slot"], answer["filled"]) == ("top", True)
        assert len({ad["campaign"] for ad in answer["ads"]}) == 3
        assert all(ad["filled"] and ad["slot"] == "top" for ad in answer["ads"])
    html = await api.http.get("/v1/slots/news/top?count=3")
    assert html.headers["adserve-fill"] == "1"
    assert html.text.count("/e/i/") == html.text.count("data-decision") == 3
    assert (await api.totals())["requests"] == 9
    assert len((await api.decide("top", count="10"))["ads"]) == 4
    rest = await api.decide("footer", pv=(await api.decide("top", count="3"))["page_view"])
    assert rest["filled"]
    assert "ads" not in await api.decide("top", count="1")


async def test_several_ads_where_there_are_none(api: Api) -> None:
    """Empty like a slot; and what is no count is ignored and counted."""
    await booked(api, 0)
    answer = await api.decide("top", count="2")
    assert answer == {"slot": "top", "filled": False, "ads": [], "page_view": answer["page_view"]}
    html = await api.http.get("/v1/slots/news/top?count=2")
    assert (html.text, html.headers["adserve-fill"]) == ("", "0")
    before = api.held.worker.malformed
    for bad in ("0", "11", "-1", "x", "1.5", "٣", "01", "9" * 400):
        assert "ads" not in await api.decide("top", count=bad)
    assert api.held.worker.malformed == before + 8
    await api.decide("top", count="")
    assert api.held.worker.malformed == before + 8


async def test_creatives_that_may_repeat_do(api: Api) -> None:
    """`repeat: creative` shows a campaign twice, but no creative; `any` does whatever."""
    await api.world(slots=SLOTS[:3], repeat="creative")
    await api.creative("one")
    await api.creative("one")
    for _ in range(10):
        first = await page(api, "below-post")
        then = await page(api, "header", "top", pv=first["page_view"])
        shown = [one["creative"] for answer in (first, then) for one in answer["slots"].values() if one["filled"]]
        assert len(shown) == len(set(shown)) == 2
    for slot in SLOTS[:3]:
        await api.make("PATCH", f"/sites/news/slots/{slot}", {"repeat": "any"})
    first = await page(api, "header")
    assert len(campaigns(first, await page(api, "top", "below-post", pv=first["page_view"]))) == 3


async def test_house_campaigns_stand_anywhere(api: Api) -> None:
    """They are no repeats, over calls too."""
    await booked(api, 1, tier="house")
    first = await page(api, "header")
    assert len(campaigns(first, await page(api, *SLOTS[1:], pv=first["page_view"]))) == 5


async def test_a_visitor_of_a_sticky_slot_keeps_its_campaign(api: Api) -> None:
    """On any page view and in any form; without a visitor the page view is what it sticks to."""
    await api.world(rotation="sticky")
    for n in range(4):
        await api.creative(f"c{n}")
    got: dict[str, str] = {}
    for visitor in (f"reader-{n}" for n in range(40)):
        shown = [(await api.decide(visitor=visitor, **more))["campaign"] for more in ({}, {}, {"pv": "one-page-view"})]
        shown += campaigns(await page(api, "top", visitor=visitor))
        assert len(set(shown)) == 1
        got[visitor] = shown[0]
    assert set(got.values()) == {"c0", "c1", "c2", "c3"}
    by_page = [(await api.decide(pv=f"page-view-{n}"))["campaign"] for n in range(40)]
    assert by_page == [(await api.decide(pv=f"page-view-{n}"))["campaign"] for n in range(40)]
    assert set(by_page) == {"c0", "c1", "c2", "c3"}
    await api.make("PATCH", "/campaigns/c0", {"weight": 3})
    after = {visitor: (await api.decide(visitor=visitor))["campaign"] for visitor in got}
    assert all(after[visitor] in (got[visitor], "c0") for visitor in got)
    assert after != got


def explained(api: Api) -> list[Explained]:
    """All decisions of the worker, made again."""
    worker = api.held.worker
    catalog = worker.catalog
    assert catalog is not None
    found = []
    for decision in worker.journal:
        steps = explain(decision, catalog.things)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                found.append(done.value)
                break
    return found


async def test_decisions_of_page_views_can_be_made_again(api: Api) -> None:
    """What was planned, what was decided anew, what took the place of something planned, by an id, sticky, and of
    companion sets: each comes out as it did, and what was planned had no alternative."""
    await booked(api, 6)
    await api.make("PATCH", "/sites/news/slots/top", {"rotation": "sticky"})
    for _ in range(2):
        made = await api.creative("duo")
        await api.make("PATCH", f"/creatives/{made}", {"companions": "spring"})
    await api.creative("half", goal={"share": 50})
    for n in range(10):
        first = await page(api, "footer")
        await page(api, *SLOTS[:2], pv=first["page_view"], visitor=f"reader-{n}")
        await page(api, "footer", pv=first["page_view"])
        await api.decide("top", pv=f"page-view-{n}")
        await api.decide("sidebar", pv=f"page-view-{n}", visitor=f"reader-{n}")
        await api.decide("header")
        await api.decide("header", count="3")
    found = explained(api)
    assert len(found) == 10 * 10
    assert all(one.same for one in found)
    alone = [one for one in found if one.rows and one.rows[0].share == 1]
    assert len(alone) >= 10 * 4
    for name in ("c0", "c1", "c2", "c3", "c4", "c5", "duo"):
        await api.make("PATCH", f"/campaigns/{name}", {"state": "paused"})
    await page(api, "footer")
    await page(api, "header", "footer")
    again = explained(api)
    assert all(one.same for one in again)
