"""Draws the demo's creatives and article pictures: the same bytes for the same arguments."""

from __future__ import annotations

import hashlib
import io
import math
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from PIL import Image, ImageDraw, ImageFont

from adserve.demo import motifs
from adserve.demo.motifs import MOTIFS, Colour, Motif, Pen, blend

_SCALE = 3
"""Drawn this much larger and then reduced, which smooths the edges."""
_WIDE = 2.6
"""From this ratio on, everything stands in one row."""


@dataclass(frozen=True, slots=True)
class Design:
    """What a creative says and how it looks: `ground` fades into `shade`, text is `ink`."""

    brand: str
    line: str
    action: str
    motif: Motif
    ground: Colour
    shade: Colour
    ink: Colour
    accent: Colour


_CREAM, _WHITE, _NIGHT = (255, 250, 240), (255, 255, 255), (18, 28, 46)
_LEAF, _MINT, _RUST = (24, 70, 54), (12, 48, 40), (196, 84, 44)
_SEA, _DEEP, _SAND = (20, 76, 110), (10, 42, 74), (244, 190, 96)
_PLUM, _WINE, _GOLD = (74, 32, 70), (44, 18, 52), (242, 186, 74)
_SKY, _RAIN, _LEMON = (206, 226, 238), (168, 200, 222), (240, 176, 30)
_PAPER, _STONE, _BRICK = (246, 242, 232), (230, 222, 204), (178, 52, 40)
_LIME, _ROAD = (222, 240, 196), (182, 220, 160)

DESIGNS = {
    "meridian-coast": Design(
        "Meridian Rail", "One pass, forty-one lines, the whole coast", "See the routes", motifs.train, *(_SEA, _DEEP), _CREAM, _SAND
    ),
    "meridian-hills": Design(
        "Meridian Rail", "Ten slow days in the hill country", "Plan a trip", motifs.train, *(_MINT, _NIGHT), _CREAM, _SAND
    ),
    "kettle-harvest": Design(
        "Kettle & Fern", "First flush, picked before the rain", "Taste it", motifs.tea, *(_LEAF, _MINT), _CREAM, _GOLD
    ),
    "kettle-gift": Design(
        "Kettle & Fern", "Six teas in a box worth keeping", "Send a gift", motifs.tea, *(_PAPER, _STONE), _LEAF, _RUST
    ),
    "spokewise-city": Design(
        "Spokewise Cycles", "Built for lanes, bazaars and both monsoons", "Ride one", motifs.bicycle, *(_LIME, _ROAD), _NIGHT, _BRICK
    ),
    "spokewise-repair": Design(
        "Spokewise Cycles", "Puncture at nine, riding by ten", "Book a repair", motifs.bicycle, *(_NIGHT, _DEEP), _CREAM, _GOLD
    ),
    "lantern-monsoon": Design(
        "Lantern Books", "Twelve novels for a long wet afternoon", "Browse the shelf", motifs.books, *(_PLUM, _WINE), _CREAM, _GOLD
    ),
    "lantern-club": Design(
        "Lantern Books", "A book a month, chosen by a person", "Join the club", motifs.books, *(_PAPER, _STONE), _PLUM, _RUST
    ),
    "harbour-save": Design(
        "Harbourline Bank", "Put a little by while the light is on", "Open an account", motifs.lighthouse, *(_SKY, _RAIN), _DEEP, _BRICK
    ),
    "harbour-home": Design(
        "Harbourline Bank", "A home loan you can read in one sitting", "Read all four pages", motifs.lighthouse, *(_DEEP, _NIGHT), _CREAM, _SAND
    ),
    "puddle-coat": Design(
        "Puddle & Oak", "The coat that keeps its promise", "Stay dry", motifs.umbrella, *(_SKY, _RAIN), _NIGHT, _LEMON
    ),
    "puddle-boots": Design(
        "Puddle & Oak", "Boots resoled free for ten years", "Find a shop", motifs.umbrella, *(_SEA, _DEEP), _WHITE, _LEMON
    ),
    "puddle-sale": Design(
        "Puddle & Oak", "End of the rains: a third off", "Look inside", motifs.umbrella, *(_PAPER, _STONE), _NIGHT, _BRICK
    ),
    "courier-letter": Design(
        "The Neem Street Courier", "Five stories at six each morning", "Get the letter", motifs.letter, *(_PAPER, _STONE), _NIGHT, _BRICK
    ),
    "courier-walks": Design(
        "The Neem Street Courier", "Walk the old town with our reporters", "Join a walk", motifs.letter, *(_LEAF, _MINT), _CREAM, _SAND
    ),
}


def design(brand: str) -> Design:
    """One of `DESIGNS`, or one made up for any other text."""
    if brand in DESIGNS:
        return DESIGNS[brand]
    chance = Random(hashlib.blake2b(brand.encode(errors="replace"), digest_size=8).digest())  # noqa: S311 (a look)
    like = chance.choice(list(DESIGNS.values()))
    motif = chance.choice(MOTIFS)
    return Design(brand or "Anything", "Made with care, close to home", "Have a look", motif, like.ground, like.shade, like.ink, like.accent)
