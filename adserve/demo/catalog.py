"""The demo's site as data: what is seeded into the catalog, nothing else.

Every placement has campaigns of its own, so that with `repeat: never` all five fill on one page and the
share of each creative is exactly its weight's. House creatives stand behind them in every placement
and show when those are paused or ended.
"""

from __future__ import annotations

from typing import Any

SITE: dict[str, Any] = {
    "id": "news",
    "name": "The Neem Street Courier",
    "timezone": "Asia/Kolkata",
    "origins": ["https://courier.example"],
}

LABEL = "Advertisement"
SLOTS: list[dict[str, Any]] = [
    {"name": "header", "title": "Ads Area", "sizes": ["970x90", "728x90"], "label": LABEL, "rank": 1},
    {"name": "top", "title": "Top Post Ad", "sizes": ["728x90"], "label": LABEL, "rank": 2},
    {"name": "below-post", "title": "Below Post Ad", "sizes": ["728x90", "336x280"], "label": LABEL, "rank": 3},
    {"name": "sidebar", "title": "Sidebar", "sizes": ["300x250", "300x600"], "label": LABEL, "rank": 4},
    {"name": "footer", "title": "Ads Area", "sizes": ["728x90"], "label": LABEL, "rank": 5},
]
"""In rank order."""

ADVERTISERS: list[dict[str, Any]] = [
    {"id": "meridian", "name": "Meridian Rail", "categories": ["travel"]},
    {"id": "kettle", "name": "Kettle & Fern", "categories": ["food"]},
    {"id": "spokewise", "name": "Spokewise Cycles", "categories": ["cycling"]},
    {"id": "lantern", "name": "Lantern Books", "categories": ["books"]},
    {"id": "harbourline", "name": "Harbourline Bank", "categories": ["finance"]},
    {"id": "puddle", "name": "Puddle & Oak", "categories": ["clothing"]},
    {"id": "courier", "name": "The Neem Street Courier", "categories": ["house"]},
]


def _campaign(campaign: str, name: str, tier: str, weight: int, *slots: str) -> dict[str, Any]:
    advertiser = campaign.partition("-")[0]
    places = [f"{SITE['id']}/{slot}" for slot in slots]
    return {"id": campaign, "advertiser": advertiser, "name": name, "tier": tier, "weight": weight, "slots": places}


CAMPAIGNS: list[dict[str, Any]] = [
    _campaign("meridian-passes", "Rail passes, winter", "sponsor", 1, "header"),
    _campaign("kettle-first-flush", "First flush", "standard", 3, "top"),
    _campaign("spokewise-city", "City bicycles", "standard", 2, "top"),
    _campaign("lantern-reading", "Monsoon reading", "standard", 2, "below-post"),
    _campaign("harbourline-saving", "Small savings", "standard", 4, "sidebar"),
    _campaign("puddle-rains", "Dressed for rain", "standard", 1, "footer"),
    _campaign("courier-house", "Our own letters and walks", "house", 1, *(slot["name"] for slot in SLOTS)),
]


def _creative(
    campaign: str, brand: str, size: str, weight: int, title: str, *, state: str = "approved"
) -> dict[str, Any]:
    advertiser = next(one["name"] for one in ADVERTISERS if one["id"] == campaign.partition("-")[0])
    return {
        "campaign": campaign,
        "name": f"{title} {size}",
        "brand": brand,
        "size": size,
        "weight": weight,
        "alt": f"{advertiser}: {title}",
        "title": title,
        "click_url": f"https://{campaign.partition('-')[0]}.example/{brand.partition('-')[2]}",
        "state": state,
    }


COAST, HILLS = "One pass, forty-one lines, the whole coast", "Ten slow days in the hill country"
LETTER, WALKS = "Five stories at six each morning", "Walk the old town with our reporters"
CREATIVES: list[dict[str, Any]] = [
    _creative("meridian-passes", "meridian-coast", "970x90", 3, COAST),
    _creative("meridian-passes", "meridian-hills", "728x90", 1, HILLS),
    _creative("kettle-first-flush", "kettle-harvest", "728x90", 3, "First flush, picked before the rain"),
    _creative("kettle-first-flush", "kettle-gift", "728x90", 1, "Six teas in a box worth keeping"),
    _creative("spokewise-city", "spokewise-city", "728x90", 2, "Built for lanes and both monsoons"),
    _creative("spokewise-city", "spokewise-repair", "728x90", 1, "Puncture at nine, riding by ten"),
    _creative("lantern-reading", "lantern-monsoon", "728x90", 3, "Twelve novels for a long wet afternoon"),
    _creative("lantern-reading", "lantern-club", "336x280", 1, "A book a month, chosen by a person"),
    _creative("harbourline-saving", "harbour-save", "300x250", 3, "Put a little by while the light is on"),
    _creative("harbourline-saving", "harbour-home", "300x600", 1, "A home loan you can read in one sitting"),
    _creative("puddle-rains", "puddle-coat", "728x90", 3, "The coat that keeps its promise"),
    _creative("puddle-rains", "puddle-boots", "728x90", 1, "Boots resoled free for ten years"),
    _creative("puddle-rains", "puddle-sale", "728x90", 2, "End of the rains: a third off", state="pending"),
    _creative("courier-house", "courier-letter", "728x90", 2, LETTER),
    _creative("courier-house", "courier-walks", "300x250", 1, WALKS),
]
"""`brand` is what `adserve.demo.pictures.draw` draws; `state` is where seeding leaves it."""
