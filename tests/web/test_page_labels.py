"""What calls say of a page adds up over them: the labels of its slots."""

from __future__ import annotations

from typing import Any

from tests.conftest import Api
from tests.web.test_page_views import page

SLOTS = ("header", "top", "footer")


def shown(answer: Any) -> dict[str, str | None]:
    """The campaign of each slot."""
    return {slot: one.get("campaign") for slot, one in answer["slots"].items()}


async def world(api: Api) -> None:
    await api.world(slots=SLOTS)
    await api.creative("tea", target={"labels": {"any": ["tea"]}}, tier="sponsor")
    await api.creative("quiet", target={"labels": {"none": ["news"]}})


async def test_a_later_call_need_not_say_a_label_again(api: Api) -> None:
    """What the first call said holds for its own slots and for all that are asked for later, in any form."""
    await world(api)
    await api.make("PATCH", "/campaigns/tea", {"slots": ["news/footer"]})
    first = await page(api, "header", labels="Tea")
    assert shown(first) == {"header": "quiet"}
    later = await page(api, "footer", pv=first["page_view"])
    assert shown(later) == {"footer": "tea"}
    assert shown(await page(api, "footer", pv=later["page_view"])) == {"footer": "tea"}
    assert (await api.decide("footer", pv=first["page_view"]))["campaign"] == "tea"
    assert shown(await page(api, "footer")) == {"footer": "quiet"}
    alone = await api.decide("header", labels="tea")
    assert (await api.decide("footer", pv=alone["page_view"]))["campaign"] == "tea"


async def test_labels_of_later_calls_are_added(api: Api) -> None:
    """They open what asks for them, for the slots to come; what is filled already stays."""
    await world(api)
    await api.make("PATCH", "/campaigns/tea", {"target": {"labels": {"all": ["tea", "sport"]}}})
    first = await page(api, "header", labels="sport")
    assert shown(first) == {"header": "quiet"}
    assert shown(await page(api, "top", pv=first["page_view"])) == {"top": None}
    assert shown(await page(api, "top", pv=first["page_view"], labels="tea")) == {"top": "tea"}


async def test_what_a_label_forbids_is_not_taken_from_the_plan(api: Api) -> None:
    """Planned before the page said it; the slot decides anew."""
    await world(api)
    await api.make("PATCH", "/campaigns/quiet", {"slots": ["news/top"]})
    await api.creative("loud")
    first = await page(api, "footer")
    assert shown(await page(api, "top", pv=first["page_view"])) == {"top": "quiet"}
    assert shown(await page(api, "top", labels="news", pv=first["page_view"])) == {"top": None}


async def test_a_page_view_keeps_fifty_labels(api: Api) -> None:
    """Those that were said first."""
    await world(api)
    first = await page(api, "header", labels=",".join(f"label-{n}" for n in range(50)))
    then = await page(api, "top", pv=first["page_view"], labels="tea")
    assert shown(then) == {"top": "tea"}
    assert len(then["page_view"]) <= 1500
    assert shown(await page(api, "footer", pv=then["page_view"])) == {"footer": None}


async def test_caps_of_a_visitor_hold_for_what_earlier_labels_open(api: Api) -> None:
    """What can serve by the labels of an earlier call is looked up like anything else."""
    frequencies = api.held.worker.frequencies
    assert frequencies is not None
    frequencies.patience_s = 20
    await world(api)
    await api.make("PATCH", "/campaigns/tea", {"slots": ["news/footer"], "frequency": {"limit": 1, "window": "day"}})
    first = await page(api, "header", labels="tea", visitor="reader-1")
    seen = await page(api, "footer", pv=first["page_view"], visitor="reader-1")
    assert shown(seen) == {"footer": "tea"}
    await api.http.get(seen["slots"]["footer"]["impression_url"])
    first = await page(api, "header", labels="tea", visitor="reader-1")
    assert shown(await page(api, "footer", pv=first["page_view"], visitor="reader-1"))["footer"] != "tea"
    assert shown(await page(api, "footer", pv=first["page_view"], visitor="reader-2"))["footer"] == "tea"
