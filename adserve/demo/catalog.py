"""The demo's site as data: what is seeded into the catalog, nothing else.

Every placement has campaigns of its own, so that with `repeat: never` all five fill on one page and the
share of each creative is exactly its weight's. What a wide screen shows stands in a higher tier than
the pictures for phones: where something large fits, nothing small is picked, and a narrow page falls
through to what fits it. Not chosen: both sizes in one campaign, for a desktop would then show the small
ones as often as their weights say. House creatives stand behind them in every placement and show when
those are paused or ended.
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
    {"name": "header", "title": "Ads Area", "sizes": ["970x90", "728x90", "320x50"], "label": LABEL, "rank": 1},
    {"name": "top", "title": "Top Post Ad", "sizes": ["728x90", "320x50"], "label": LABEL, "rank": 2},
    {"name": "below-post", "title": "Below Post Ad", "sizes": ["728x90", "300x250"], "label": LABEL, "rank": 3},
    {"name": "sidebar", "title": "Sidebar", "sizes": ["300x250", "300x600"], "label": LABEL, "rank": 4},
    {"name": "footer", "title": "Ads Area", "sizes": ["728x90", "320x50"], "label": LABEL, "rank": 5},
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
    _campaign("meridian-phone", "Rail passes, on the phone", "remnant", 1, "header"),
    _campaign("kettle-phone", "First flush, on the phone", "remnant", 1, "top"),
    _campaign("lantern-phone", "Monsoon reading, on the phone", "remnant", 1, "below-post"),
    _campaign("puddle-phone", "Dressed for rain, on the phone", "remnant", 1, "footer"),
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
HARVEST, GIFT = "First flush, picked before the rain", "Six teas in a box worth keeping"
NOVELS, CLUB = "Twelve novels for a long wet afternoon", "A book a month, chosen by a person"
COAT, BOOTS = "The coat that keeps its promise", "Boots resoled free for ten years"
LETTER, WALKS = "Five stories at six each morning", "Walk the old town with our reporters"
CREATIVES: list[dict[str, Any]] = [
    _creative("meridian-passes", "meridian-coast", "970x90", 3, COAST),
    _creative("meridian-passes", "meridian-coast", "728x90", 2, COAST),
    _creative("meridian-passes", "meridian-hills", "728x90", 1, HILLS),
    _creative("meridian-phone", "meridian-coast", "320x50", 3, COAST),
    _creative("meridian-phone", "meridian-hills", "320x50", 1, HILLS),
    _creative("kettle-first-flush", "kettle-harvest", "728x90", 3, HARVEST),
    _creative("kettle-first-flush", "kettle-gift", "728x90", 1, GIFT),
    _creative("spokewise-city", "spokewise-city", "728x90", 2, "Built for lanes and both monsoons"),
    _creative("spokewise-city", "spokewise-repair", "728x90", 1, "Puncture at nine, riding by ten"),
    _creative("kettle-phone", "kettle-harvest", "320x50", 3, HARVEST),
    _creative("kettle-phone", "kettle-gift", "320x50", 1, GIFT),
    _creative("lantern-reading", "lantern-monsoon", "728x90", 3, NOVELS),
    _creative("lantern-reading", "lantern-club", "728x90", 1, CLUB),
    _creative("lantern-phone", "lantern-monsoon", "300x250", 3, NOVELS),
    _creative("lantern-phone", "lantern-club", "300x250", 1, CLUB),
    _creative("harbourline-saving", "harbour-save", "300x250", 3, "Put a little by while the light is on"),
    _creative("harbourline-saving", "harbour-home", "300x600", 1, "A home loan you can read in one sitting"),
    _creative("puddle-rains", "puddle-coat", "728x90", 3, COAT),
    _creative("puddle-rains", "puddle-boots", "728x90", 1, BOOTS),
    _creative("puddle-rains", "puddle-sale", "728x90", 2, "End of the rains: a third off", state="pending"),
    _creative("puddle-phone", "puddle-coat", "320x50", 3, COAT),
    _creative("puddle-phone", "puddle-boots", "320x50", 1, BOOTS),
    _creative("courier-house", "courier-letter", "728x90", 2, LETTER),
    _creative("courier-house", "courier-letter", "320x50", 1, LETTER),
    _creative("courier-house", "courier-walks", "300x250", 1, WALKS),
]
"""`brand` is what `adserve.demo.pictures.draw` draws; `state` is where seeding leaves it."""
