"""What is told of a decision holds for every draw that it could have made."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from math import lcm
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from adserve.core.compile import Steps, compile_catalog
from adserve.core.decide import PageView, decide
from adserve.core.explanation import Explained, explain
from adserve.core.journal import Decision, Stood
from adserve.core.model import Campaign as Campaign
from adserve.core.model import Caps, Content, Creative, Frequency, Goal, Limit, Revision, Site, Slot, Thing
from adserve.core.pool import Choice
from adserve.core.reasons import Reason
from adserve.core.replay import Recorded
from adserve.core.rotation import Draws
from adserve.core.shares import Parts, turn, whole
from adserve.core.slot import CompiledSlot, SlotRequest
from adserve.core.standing import Standing
from adserve.snippet import compile_snippet

NOW = 1_800_000_000
CIRCLE = 1 << 64
MOST = 10_000
"""Decisions that are made again for one example."""
SITE = Site(id="news", serial=1, version=1, name="News")


def whole_of(steps: Steps[Explained]) -> Explained:
    while True:
        try:
            next(steps)
        except StopIteration as done:
            found: Explained = done.value
            return found


def catalog(chance: random.Random, repeat: str) -> dict[str, Thing]:
    """Up to six campaigns of one to three creatives, with anything that decides."""
    slot = Slot(id="news/top", serial=1, version=1, site="news", name="top", sizes=("300x250",), repeat=repeat)  # type: ignore[arg-type]
    found: dict[str, Thing] = {"site:news": SITE, "slot:news/top": slot}
    for at in range(1, chance.randrange(2, 7)):
        fields: dict[str, Any] = {
            "tier": chance.choice(["sponsor", "standard", "standard", "remnant", "house"]),
            "weight": chance.randrange(0, 4),
            "state": chance.choice(["active", "active", "active", "paused"]),
            "goal": chance.choice([None, None, Goal(share=chance.randrange(1, 70)), Goal(impressions=100)]),
            "caps": chance.choice([None, None, Caps(total=Limit(impressions=9))]),
            "categories": chance.choice([(), ("cars",), ("tea",)]),
            "excludes": chance.choice([(), (), ("category:cars",)]),
            "starts_at": chance.choice([None, None, None, NOW + 5]),
            "frequency": chance.choice([None, None, Frequency(2, "day", chance.choice(["serve", "skip"]))]),
        }
        campaign = f"c{at}"
        found[f"campaign:{campaign}"] = Campaign(
            id=campaign, serial=at, version=1, advertiser="a", name="c", slots=("news/*",), **fields
        )
        for number in range(10 * at, 10 * at + chance.randrange(1, 4)):
            width = chance.choice([0, 300])
            content = Content(revision=1, serial=number, click_url="https://shop.example/", width=width)
            state: Any = chance.choice(["approved", "approved", "approved", "paused", "rejected"])
            found[f"creative:x{number}"] = Creative(
                id=f"x{number}", serial=number, version=1, campaign=campaign, name="x", kind="text", content=content,
                weight=chance.randrange(0, 3), state=state, live=content, revisions=(Revision(1, number),),
            )  # fmt: skip
    return found


def turns(decision: Decision, chance: random.Random) -> Iterator[tuple[tuple[tuple[int, Parts], ...], Fraction]]:
    """Every way in which the turns of share goals could have come out, with its probability."""
    made: list[tuple[tuple[tuple[int, Parts], ...], Fraction]] = [((), Fraction(1))]
    for _, parts in decision.turns:
        of, ways, start = whole(parts), [], 0
        for part in (*(part for _, part in parts), of - sum(part for _, part in parts)):
            if part:
                middle = ((2 * start + part) << 63) // of
                ways.append((middle, Fraction(part, of)))
            start += part
        made = [((*done, (middle, parts)), odds * more) for done, odds in made for middle, more in ways]
    yield from made


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["never", "creative", "any"]))
def test_shares_are_those_of_all_draws_together(seed: int, repeat: str) -> None:
    """Of every point of the circle, and every turn of a share goal: not about, but exactly. One first rule is named for
    each creative without a chance, and the decision made again is the same."""
    chance = random.Random(seed)
    things = catalog(chance, repeat)
    compiled = compile_catalog(1, things, compile_snippet)
    slot, standing, draws = compiled.slots["news/top"], Standing(), Draws(chance)
    for serial in range(1, 7):
        if chance.random() < 0.3:
            standing.close(serial, chance.choice([Reason.CAP_TOTAL, Reason.CAP_DAILY, Reason.PACING]))
    standing.renew({serial: chance.randrange(1, 20) for serial in range(1, 7)})
    tired = frozenset(serial for serial in range(1, 7) if chance.random() < 0.2)
    request = SlotRequest(
        chance.choice([None, 250, 360]),
        countable=chance.random() < 0.8,
        known=chance.random() < 0.7,
        tired=chance.choice([frozenset(), tired, None]),
    )
    page = PageView()
    for _ in range(chance.randrange(0, 3)):
        shown = decide(slot, request, page, standing, NOW, draws)
        if shown is not None:
            page.add(shown)
    decision = made(slot, request, page, standing, draws)
    standing.renew({})
    for serial in range(1, 7):
        standing.open(serial)
    told = whole_of(explain(decision, things))
    assert told.same
    shares = {row.creative.serial: row.share for row in told.rows if row.rejected is None}
    assert all((row.share == 0) == (row.rejected is not None) for row in told.rows)
    assert sum(shares.values()) + told.empty == 1
    booked = {name for name, thing in things.items() if isinstance(thing, Creative)}
    assert {f"creative:{row.creative.id}" for row in told.rows} == booked
    assert len(told.rows) == len(booked)
    past = decision.stood.standing() if decision.stood is not None else Standing()
    if decision.stood is not None and any(offer is None for offer, _ in decision.stood.tiers.values()):
        return  # a lower tier was not looked at: what it would have offered at that moment is not known
    if decision.stood is not None:
        sharing = sum(1 for offer, _ in decision.stood.tiers.values() if offer is not None and offer.shares)
        if len(decision.turns) < sharing:
            return  # nor was the share goal of a lower tier: whose turn it would have been is not known
    counted: Counter[int] = Counter()
    of = lcm(*(share.denominator for share in (*shares.values(), told.empty)), 1) * 60
    ways = list(turns(decision, chance))
    if of * len(ways) > MOST:
        return  # numbers that have little in common: it would take minutes
    for way, odds in ways:
        for at in range(of):
            choice = decide(slot, request, decision.page, past, NOW, Recorded(((2 * at + 1) << 63) // of, way))
            counted[0 if choice is None else choice.entry.creative.serial] += odds / of  # type: ignore[assignment]
    assert counted.pop(0, 0) == told.empty
    assert counted == shares


def made(slot: CompiledSlot, request: SlotRequest, page: PageView, standing: Standing, draws: Draws) -> Decision:
    """A decision as a worker notes it."""
    before = page.frozen() if page.beside else None
    draws.turns = ()
    choice: Choice | None = decide(slot, request, page, standing, NOW, draws)
    stood = None if slot.steady else Stood.now(slot, request, standing, NOW)
    return Decision(slot, request, before, stood, NOW, draws.point, draws.turns, choice, 1, 1, NOW)


def test_every_turn_has_its_part() -> None:
    """What the test above takes for the turns of share goals is what is served."""
    parts: Parts = ((0, 200), (3, 100))
    found = Counter(turn(parts, (2 * at + 1) * CIRCLE // 1600) for at in range(800))
    assert found == {0: 200, 3: 100, None: 500}


def test_what_goals_needed_then_is_what_they_share_by() -> None:
    """Also where a page has excluded another goal, so that their pool was made for this one decision."""
    things: dict[str, Thing] = {"site:news": SITE}
    things["slot:news/top"] = Slot(id="news/top", serial=1, version=1, site="news", name="top", repeat="any")
    of_each: list[dict[str, Any]] = [{}, {}, {"categories": ("cars",)}, {"tier": "sponsor"}]
    for at, fields in enumerate(of_each, 1):
        content = Content(revision=1, serial=at, click_url="https://shop.example/")
        made_of: dict[str, Any] = {"goal": Goal(impressions=100), **fields}
        things[f"campaign:c{at}"] = Campaign(
            id=f"c{at}", serial=at, version=1, advertiser="a", name="c", slots=("news/*",), **made_of
        )
        things[f"creative:x{at}"] = Creative(
            id=f"x{at}", serial=at, version=1, campaign=f"c{at}", name="x", kind="text", content=content,
            state="approved", live=content, revisions=(Revision(1, at),),
        )  # fmt: skip
    slot = compile_catalog(1, things, compile_snippet).slots["news/top"]
    standing, page, draws = Standing(), PageView(), Draws(random.Random(1))
    standing.close(4, Reason.PACING)
    standing.renew({1: 1, 2: 99, 3: 500})
    page.beside[9], page.excluding = ((), ("category:cars",)), True
    decision = made(slot, SlotRequest(), page, standing, draws)
    standing.renew({1: 7, 2: 7, 3: 7})
    told = whole_of(explain(decision, things))
    assert {row.creative.id: (row.share, row.rejected) for row in told.rows} == {
        "x1": (Fraction(1, 100), None),
        "x2": (Fraction(99, 100), None),
        "x3": (0, Reason.EXCLUDED),
        "x4": (0, Reason.PACING),
    }
    assert told.same
