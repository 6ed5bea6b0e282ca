"""A creative that hands the slot back to the page: chosen like any, shown by nobody, counted as itself."""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import Any

from adserve.flows.audit import audit
from tests.conftest import Api

ROBOT = {"User-Agent": "Googlebot/2.1"}
JSON = {"Accept": "application/json"}


async def passback(api: Api, campaign: str = "back", *, query: str = "?approve=true", **fields: Any) -> Any:
    """A passback creative in a campaign that is made with it."""
    await api.make("PUT", f"/campaigns/{campaign}", {"advertiser": "acme", "name": campaign, "slots": ["news/*"]})
    return await api.make(
        "POST", f"/campaigns/{campaign}/creatives{query}", {"kind": "passback", "name": "own", **fields}
    )


async def rows(api: Api, by: str, **filters: str) -> list[dict[str, Any]]:
    await api.settle()
    asked = "&".join(f"{name}={value}" for name, value in filters.items())
    report = await api.make("GET", f"/report?from=2027-01-01&to=2027-03-01&by={by}&{asked}")
    return list(report["rows"])


async def test_a_passback_waits_for_review_like_any_creative(api: Api) -> None:
    """Until then the slot is plainly empty; pausing and rejecting it end it."""
    await api.world()
    made = await passback(api, query="")
    assert (made["state"], made["kind"], made["click_url"], made["width"]) == ("pending", "passback", "", 0)
    for move, handed_back in (("", False), ("approve", True), ("pause", False), ("resume", True), ("reject", False)):
        if move:
            await api.make("POST", f"/creatives/{made['id']}/{move}", {"reason": "No"} if move == "reject" else {})
        assert (await api.decide()).get("fallback", False) is handed_back, move


async def test_the_decision_says_that_the_page_shows_its_own(api: Api) -> None:
    """JSON has no address and no name of the campaign; HTML is an empty body, which no include breaks on."""
    await api.world()
    await passback(api)
    decision = await api.decide()
    assert decision == {
        "slot": "top", "filled": False, "fallback": True, "decision": decision["decision"], "html": "",
        "page_view": decision["page_view"], "frequency": "none",
    }  # fmt: skip
    page = await api.http.get("/v1/slots/news/top")
    assert (page.status_code, page.content) == (200, b"")
    assert (page.headers["adserve-fill"], page.headers["adserve-reason"]) == ("0", "passback")
    assert (await api.http.get("/v1/pages/news")).json()["slots"]["top"]["fallback"] is True


async def test_an_empty_slot_is_no_passback(api: Api) -> None:
    """The form has neither member nor reason."""
    await api.world()
    assert "fallback" not in await api.decide()
    assert "adserve-reason" not in (await api.http.get("/v1/slots/news/top")).headers


async def test_it_is_chosen_by_its_weight(api: Api) -> None:
    """Beside another creative of its campaign, and beside another campaign."""
    await api.world()
    await passback(api, weight=3)
    text = {"kind": "text", "name": "t", "title": "Tea", "click_url": "https://shop.example/", "weight": 1}
    await api.make("POST", "/campaigns/back/creatives?approve=true", text)
    await api.creative("other")
    shown = Counter([(await api.decide()).get("campaign", "page") for _ in range(400)])
    assert shown.keys() == {"page", "back", "other"}
    for name, share in (("page", 0.375), ("back", 0.125), ("other", 0.5)):
        assert abs(shown[name] - 400 * share) <= 12, shown


async def test_a_passback_puts_nothing_of_its_campaign_on_the_page(api: Api) -> None:
    """So it may be handed back in every slot of a page, and its campaign may still show an ad once."""
    await api.world(slots=("a", "b", "c"))
    await passback(api)
    page = (await api.http.get("/v1/pages/news")).json()["slots"]
    assert [one.get("fallback") for one in page.values()] == [True] * 3


async def test_a_size_makes_it_fit_only_slots_of_that_size(api: Api) -> None:
    """And no box that is narrower; without one it fits every slot."""
    await api.world(slots=("a", "b"))
    await api.make("PUT", "/sites/news/slots/b", {"sizes": ["728x90"]})
    await api.make("PUT", "/sites/news/slots/bare", {})
    made = await passback(api, width=728, height=90)
    for slot, query, handed_back in (
        ("a", {}, False), ("b", {}, True), ("b", {"width": "700"}, False), ("bare", {}, False),
    ):  # fmt: skip
        assert (await api.decide(slot, **query)).get("fallback", False) is handed_back, slot
    kept = await api.make("PATCH", f"/creatives/{made['id']}", {"weight": 2})
    assert [kept[name] for name in ("state", "revision", "width", "height")] == ["approved", 1, 728, 90]
    await api.make("PATCH", f"/creatives/{made['id']}", {"width": None, "height": None})
    assert not (await api.decide("a")).get("fallback"), "the new revision waits"
    await api.make("POST", f"/creatives/{made['id']}/approve", {})
    for slot in ("a", "b", "bare"):
        assert (await api.decide(slot, width="10"))["fallback"]


async def test_passbacks_are_requests_and_no_serves(api: Api) -> None:
    """Requests are serves, passbacks and what stayed empty, for robots too; the fill rate is of serves alone."""
    await api.world(count_on="serve")
    text = await api.creative("own")
    back = (await passback(api, "back"))["id"]
    for paused in ("back", "own", "both"):
        for campaign in ("back", "own"):
            state = "paused" if paused in (campaign, "both") else "active"
            await api.make("PATCH", f"/campaigns/{campaign}", {"state": state})
        for headers in ({}, ROBOT):
            for _ in range(2):
                await api.http.get("/v1/slots/news/top", headers={**JSON, **headers})
    totals = await api.totals()
    assert {name: totals[name] for name in ("requests", "serves", "passbacks", "empty", "fill_rate")} == {
        "requests": 12, "serves": 4, "passbacks": 4, "empty": 4, "fill_rate": round(4 / 12, 6),
    }  # fmt: skip
    assert (totals["impressions"], totals["filtered"]) == (2, 2), "count_on: serve counts no passback"
    found = {row["creative"]: (row["requests"], row["serves"], row["passbacks"]) for row in await rows(api, "creative")}
    assert found == {text: (None, 4, 0), back: (None, 0, 4)}
    (row,) = await rows(api, "slot,tier,revision", campaign="back")
    assert (row["creative"], row["revision"], row["tier"], row["passbacks"]) == (back, 1, "standard", 4)
    assert (await rows(api, "campaign", advertiser="acme"))[0]["passbacks"] == 4
    done = await api.call("GET", "/report?from=2027-01-01&to=2027-03-01&by=campaign&format=csv")
    table = {line["campaign"]: line for line in csv.DictReader(io.StringIO(done.text))}
    assert (table["back"]["passbacks"], table["back"]["serves"], table["back"]["requests"]) == ("4", "0", "")
    verdict = await audit(api.held.services, api.held.settings.data_dir / "spool")
    assert verdict["agrees"], verdict["differences"]
