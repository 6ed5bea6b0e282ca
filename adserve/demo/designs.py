"""What the demo's creatives say and how they look. Every brand is invented."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from random import Random

from adserve.demo.motifs import MOTIFS, Colour, Motif, bicycle, books, letter, lighthouse, tea, train, umbrella


@dataclass(frozen=True, slots=True)
class Look:
    """`ground` fades into `shade`, text is `ink`."""

    ground: Colour
    shade: Colour
    ink: Colour
    accent: Colour


@dataclass(frozen=True, slots=True)
class Design:
    brand: str
    line: str
    action: str
    motif: Motif
    look: Look


_CREAM, _NIGHT, _GOLD = (255, 250, 240), (18, 28, 46), (244, 190, 86)
PAPER = Look((247, 243, 233), (232, 224, 206), (52, 34, 60), (186, 70, 40))
FOREST = Look((26, 78, 60), (12, 48, 42), _CREAM, _GOLD)
SEA = Look((22, 84, 118), (10, 44, 78), _CREAM, _GOLD)
DUSK = Look((40, 52, 92), _NIGHT, _CREAM, (255, 158, 100))
PLUM = Look((84, 38, 80), (46, 20, 56), _CREAM, _GOLD)
RAIN = Look((214, 231, 241), (176, 206, 226), (16, 44, 76), (214, 74, 50))
MEADOW = Look((228, 243, 206), (190, 224, 168), (20, 52, 44), (206, 66, 40))
LEMON = Look((252, 226, 138), (246, 200, 84), (40, 34, 30), (28, 96, 120))

DESIGNS = {
    "meridian-coast": Design(
        "Meridian Rail", "One pass, forty-one lines, the whole coast", "See the routes", train, SEA
    ),
    "meridian-hills": Design("Meridian Rail", "Ten slow days in the hill country", "Plan a trip", train, DUSK),
    "kettle-harvest": Design("Kettle & Fern", "First flush, picked before the rain", "Taste it", tea, FOREST),
    "kettle-gift": Design("Kettle & Fern", "Six teas in a box worth keeping", "Send a gift", tea, PAPER),
    "spokewise-city": Design("Spokewise Cycles", "Built for lanes and both monsoons", "Ride one", bicycle, MEADOW),
    "spokewise-repair": Design("Spokewise Cycles", "Puncture at nine, riding by ten", "Book it", bicycle, DUSK),
    "lantern-monsoon": Design("Lantern Books", "Twelve novels for a long wet afternoon", "Browse", books, PLUM),
    "lantern-club": Design("Lantern Books", "A book a month, chosen by a person", "Join the club", books, PAPER),
    "harbour-save": Design(
        "Harbourline Bank", "Put a little by while the light is on", "Start small", lighthouse, RAIN
    ),
    "harbour-home": Design(
        "Harbourline Bank", "A home loan you can read in one sitting", "Read all four pages", lighthouse, SEA
    ),
    "puddle-coat": Design("Puddle & Oak", "The coat that keeps its promise", "Stay dry", umbrella, LEMON),
    "puddle-boots": Design("Puddle & Oak", "Boots resoled free for ten years", "Find a shop", umbrella, RAIN),
    "puddle-sale": Design("Puddle & Oak", "End of the rains: a third off", "Look inside", umbrella, FOREST),
    "courier-letter": Design(
        "The Neem Street Courier", "Five stories at six each morning", "Get the letter", letter, PAPER
    ),
    "courier-walks": Design(
        "The Neem Street Courier", "Walk the old town with our reporters", "Join a walk", letter, FOREST
    ),
}


def design(brand: str) -> Design:
    """One of `DESIGNS`, or one made up for any other text."""
    if brand in DESIGNS:
        return DESIGNS[brand]
    seed = hashlib.blake2b(brand.encode(errors="replace"), digest_size=8).digest()
    chance = Random(seed)  # noqa: S311 (a look, not a secret)
    look = chance.choice((PAPER, FOREST, SEA, DUSK, PLUM, RAIN, MEADOW, LEMON))
    return Design(brand or "Anything", "Made with care, close to home", "Have a look", chance.choice(MOTIFS), look)
