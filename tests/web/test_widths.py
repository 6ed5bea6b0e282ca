"""Room on a page: each slot of a call has its own, and what is wider than it does not fit."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from tests.conftest import ADMIN, Api

SLOTS = ("top", "side")
SIZES = ((970, 90), (728, 90), (320, 50))


async def booked(api: Api) -> None:
    """Two slots, and a picture of each size; wider ones stand in higher tiers, so what fits and is widest is shown."""
    await api.world(slots=SLOTS, sizes=[f"{width}x{height}" for width, height in SIZES])
    for (width, height), tier in zip(SIZES, ("sponsor", "standard", "remnant"), strict=True):
        campaign = {"advertiser": "acme", "name": tier, "slots": ["news/*"], "tier": tier}
        await api.make("PUT", f"/campaigns/{tier}", campaign)
        file = io.BytesIO()
        Image.new("RGB", (width, height), (9, 99, 199)).save(file, "PNG")
        reply = await api.http.post(
            f"/api/v1/campaigns/{tier}/creatives?approve=true",
            files={"file": ("a.png", file.getvalue(), "image/png")},
            data={"name": "a", "alt": "A", "click_url": "https://shop.example/"},
            headers={"Authorization": f"Bearer {ADMIN}"},
        )
        assert reply.status_code == 201, reply.text


async def shown(api: Api, **query: str) -> dict[str, Any]:
    """The width of what each slot of a page call shows."""
    reply = await api.http.get("/v1/pages/news", params=query)
    return {name: one.get("width") for name, one in reply.json()["slots"].items()}


@pytest.mark.parametrize(
    ("slots", "width", "wanted"),
    [
        ("top,side", "980,330", {"top": 970, "side": 320}),
        ("side,top", "330,980", {"top": 970, "side": 320}),
        ("top,side", "800,970", {"top": 728, "side": 970}),
        ("top,side", "300,319", {"top": None, "side": None}),
        ("top,none,side", "330,970,728", {"top": 320, "none": None, "side": 728}),
        ("top,top:2", "728,330", {"top": 320, "top:2": None}),  # of one slot the narrowest; nothing stands twice
        ("top,side", "980", {"top": 970, "side": 728}),
    ],
)
async def test_each_slot_of_a_page_call_has_its_own_width(
    api: Api, slots: str, width: str, wanted: dict[str, int | None]
) -> None:
    """In the order in which they are named; one number holds for all."""
    await booked(api)
    malformed = api.held.worker.malformed
    assert await shown(api, slots=slots, width=width) == wanted
    assert api.held.worker.malformed == malformed


@pytest.mark.parametrize("width", ["728,330,330", "728,x", "728,", ",", "728,-1", "728,999999"])
async def test_widths_that_fit_no_slots_are_ignored_and_counted(api: Api, width: str) -> None:
    """More or fewer than slots, or what is no number."""
    await booked(api)
    malformed = api.held.worker.malformed
    reply = await api.http.get("/v1/pages/news", params={"slots": "top,side", "width": width})
    assert all(one["filled"] for one in reply.json()["slots"].values())
    assert api.held.worker.malformed == malformed + 1
