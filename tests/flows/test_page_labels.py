"""What calls say of a page adds up over them: the labels of its slots."""

from __future__ import annotations

from typing import Any

from adserve.core.context import Context
from adserve.core.page import Place
from adserve.core.plan import Plan
from adserve.core.targeting import label_number
from adserve.flows.page import serve_page
from adserve.flows.serve import Reader
from tests.conftest import Api

SLOTS = ("header", "top", "footer")


def page(api: Api, *slots: str, labels: tuple[str, ...] = (), view: Plan | None = None) -> tuple[dict[str, Any], Plan]:
    """The campaign of each slot, and the plan for the next call."""
    worker = api.held.worker
    catalog = worker.catalog
    assert catalog is not None
    context = Context(labels=frozenset(map(label_number, labels)))
    names = [(slot, Place.of(catalog.slots[f"news/{slot}"])) for slot in slots]
    whole = [Place.of(catalog.slots[f"news/{slot}"]) for slot in SLOTS]
    answer = serve_page(worker, catalog, names, whole, Reader(None, 1, None, view, "http://x", context))
    plan = worker.plans.open(answer["page_view"], int(worker.clock()))
    return {slot: one.get("campaign") for slot, one in answer["slots"].items()}, plan


async def world(api: Api) -> None:
    await api.world(slots=SLOTS)
    await api.creative("tea", target={"labels": {"any": ["tea"]}}, tier="sponsor")
    await api.creative("quiet", target={"labels": {"none": ["news"]}})


async def test_a_later_call_need_not_say_a_label_again(api: Api) -> None:
    """What the first call said holds for its own slots and for all that are asked for later."""
    await world(api)
    await api.make("PATCH", "/campaigns/tea", {"slots": ["news/footer"]})
    found, plan = page(api, "header", labels=("tea",))
    assert found == {"header": "quiet"}
    found, plan = page(api, "footer", view=plan)
    assert found == {"footer": "tea"}
    assert set(plan.labels) == {label_number("tea")}
    assert page(api, "footer")[0] == {"footer": "quiet"}


async def test_labels_of_later_calls_are_added(api: Api) -> None:
    """They open what asks for them, for the slots to come; what is filled already stays."""
    await world(api)
    found, plan = page(api, "header", labels=("sport",))
    assert found == {"header": "quiet"}
    found, plan = page(api, "top", labels=("tea", "sport"), view=plan)
    assert found == {"top": "tea"}
    assert set(plan.labels) == set(map(label_number, ("tea", "sport")))


async def test_what_a_label_forbids_is_not_taken_from_the_plan(api: Api) -> None:
    """Planned before the page said it; the slot decides anew."""
    await world(api)
    await api.make("PATCH", "/campaigns/quiet", {"slots": ["news/top"]})
    await api.creative("loud")
    _, plan = page(api, "footer")
    assert page(api, "top", view=plan)[0] == {"top": "quiet"}
    assert page(api, "top", labels=("news",), view=plan)[0] == {"top": None}
    assert {entry.served for entry in plan.entries} == {True, False}
