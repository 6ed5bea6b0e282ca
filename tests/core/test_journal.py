"""What a worker remembers of its decisions: enough, not more, and of the catalog as it was."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from adserve.core.catalog import Catalog
from adserve.core.compile import compile_catalog, recompile
from adserve.core.journal import Decision, Journal, things_of
from adserve.core.model import Campaign, Content, Creative, Revision, Site, Slot, Thing
from adserve.core.pool import Choice
from adserve.core.slot import CompiledSlot, SlotRequest
from adserve.core.token import ID_LENGTH, Key, Serve, Signer, decision_id, empty_id, read_decision
from adserve.snippet import compile_snippet

LIMIT, BLOCK, WORKER = 40, 8, 77
SITE = Site(id="news", serial=1, version=1, name="News")
SLOTS = [
    Slot(id=f"news/{name}", serial=at, version=1, site="news", name=name, sizes=("300x250",))
    for at, name in enumerate(("top", "side"), 1)
]


def things(campaigns: int) -> dict[str, Thing]:
    found: dict[str, Thing] = {"site:news": SITE, **{f"slot:{one.id}": one for one in SLOTS}}
    for at in range(1, campaigns + 1):
        content = Content(revision=1, serial=at, click_url="https://shop.example/")
        own = {"campaign": f"c{at}", "name": "x", "kind": "text", "state": "approved", "content": content}
        revisions = (Revision(1, at),)
        made: Any = {**own, "live": content, "revisions": revisions}
        found[f"campaign:c{at}"] = Campaign(
            id=f"c{at}", serial=at, version=1, advertiser="a", name="c", slots=("news/*",)
        )
        found[f"creative:x{at}"] = Creative(id=f"x{at}", serial=at, version=1, **made)
    return found


def after(before: Catalog, changed: dict[str, Thing]) -> Catalog:
    steps = recompile(before, before.version + 1, changed, compile_snippet)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            found: Catalog = done.value
            return found


def served(slot: CompiledSlot, ordinal: int, issued: int, *, empty: bool = False) -> Decision:
    """A decision for the first creative of a slot."""
    candidate = slot.tiers[1][0]
    choice = None if empty else Choice(candidate.entries[0], candidate.campaign, 1)
    return Decision(slot, SlotRequest(), None, None, issued, 5, (), choice, WORKER, ordinal, issued)


def id_of(decision: Decision) -> Serve:
    revision = 0 if decision.choice is None else decision.choice.entry.content.serial
    return Serve(WORKER, decision.ordinal, decision.issued, decision.slot.slot.serial, revision, 0, 0, 0, 0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.sampled_from(["decide", "decide", "change", "idle"]), max_size=60))
def test_each_of_the_last_decisions_is_found_with_the_catalog_of_its_time(seed: int, moves: list[str]) -> None:
    """Whatever changed in between: while clocks are set back, objects come, go and come back."""
    chance = random.Random(seed)
    journal = Journal(limit=LIMIT, block=BLOCK)
    catalog = compile_catalog(1, things(3), compile_snippet)
    journal.renew(catalog)
    made: list[tuple[Decision, Catalog]] = []
    now = 1_800_000_000
    for move in moves:
        now += chance.randrange(-2, 4)
        if move == "decide":
            for _ in range(chance.randrange(1, 9)):
                slot = chance.choice([*catalog.slots.values()])
                made.append((served(slot, len(made), now, empty=chance.random() < 0.3), catalog))
                journal.add(made[-1][0])
            continue
        changed = dict(catalog.things)
        if move == "change":
            which = chance.choice(["campaign:c1", "creative:x2", "campaign:c3", "creative:x9"])
            known = things(9)
            if which in changed and chance.random() < 0.5:
                del changed[which]
            else:
                changed[which] = replace(known[which], name=f"n{chance.random()}")
        if not any(isinstance(one, Creative) for one in changed.values()):
            continue
        fresh = after(catalog, changed)
        if not all(slot.tiers[1] for slot in fresh.slots.values()):
            continue
        catalog = fresh
        journal.renew(catalog)
    assert len(journal) == len(list(journal))
    assert len(journal) >= min(LIMIT, len(made))
    assert len(journal) < LIMIT + 2 * BLOCK
    for decision, then in made[-LIMIT:]:
        found = journal.find(id_of(decision))
        assert found is not None
        assert found.decision is decision
        assert found.version == then.version
        assert things_of(catalog.things, found.replaced) == then.things


def test_an_id_that_differs_in_anything_finds_nothing() -> None:
    journal = Journal()
    catalog = compile_catalog(1, things(1), compile_snippet)
    journal.renew(catalog)
    for empty in (False, True):
        one = served(catalog.slots["news/top"], 7, 1_800_000_000, empty=empty)
        journal.add(one)
        good = id_of(one)
        assert journal.find(good) is not None
        for name, wrong in (
            ("incarnation", 78), ("ordinal", 8), ("issued", 1_800_000_001), ("slot", 2), ("revision", 5),
        ):  # fmt: skip
            assert journal.find(good._replace(**{name: wrong})) is None, name


def test_what_only_the_journal_keeps_is_bounded() -> None:
    """Of a slot with many candidates that is made anew all the time only the last ones stay, and it says how many
    decisions went for that; slots that serve still weigh nothing."""
    catalog = compile_catalog(1, things(20), compile_snippet)
    journal = Journal(limit=1_000, block=BLOCK, heaviest=200)
    journal.renew(catalog)
    kept = []
    for turn in range(30):
        for _ in range(3):
            journal.add(served(catalog.slots["news/top"], turn, 1_800_000_000 + turn))
        kept.append(len({id(one.slot) for one in journal} - {id(catalog.slots["news/top"])}))
        changed = dict(catalog.things)
        changed["campaign:c1"] = replace(changed["campaign:c1"], name=f"n{turn}")
        catalog = after(catalog, changed)
        journal.renew(catalog)
    assert max(kept) == 4, "four times two slots of twenty and what was replaced; a fifth would be too much"
    assert journal.dropped_early == 90 - len(journal) > 0
    still = Journal(limit=1_000, block=BLOCK, heaviest=10)
    still.renew(catalog)
    for turn in range(100):
        still.add(served(catalog.slots["news/top"], turn, 1_800_000_000))
    still.renew(after(catalog, dict(catalog.things)))
    assert len(still) == 100


def test_changes_without_decisions_take_no_room() -> None:
    """A worker that nobody asks follows the catalog for years."""
    catalog = compile_catalog(1, things(3), compile_snippet)
    journal = Journal(limit=10, block=BLOCK)
    journal.renew(catalog)
    then = dict(catalog.things)
    journal.add(served(catalog.slots["news/top"], 1, 1_800_000_000))
    for turn in range(50):
        changed = dict(catalog.things)
        changed["campaign:c1"] = replace(changed["campaign:c1"], name=f"n{turn}")
        catalog = after(catalog, changed)
        journal.renew(catalog)
    (one,) = list(journal)
    found = journal.find(id_of(one))
    assert found is not None
    assert len(found.replaced) <= 2
    assert things_of(catalog.things, found.replaced) == then


def test_it_names_the_workers_whose_decisions_it_has() -> None:
    """One whose clock was set back has had two incarnations, and is asked under both."""
    catalog = compile_catalog(1, things(1), compile_snippet)
    journal = Journal(limit=LIMIT, block=BLOCK)
    journal.renew(catalog)
    for number in range(BLOCK + 2):
        one = served(catalog.slots["news/top"], number, 1_800_000_000)
        journal.add(replace(one, incarnation=WORKER + number // BLOCK))
    assert journal.incarnations() == {WORKER, WORKER + 1}


def test_an_id_says_what_its_decision_is() -> None:
    """That of an empty slot looks like any other."""
    serve = Serve(2**39 + 5, 42, 1_790_000_000, 7, 9, 11, 3, 1, 2)
    token = Signer([Key.derive(b"a secret of more than thirty-two bytes, for this")]).mint(serve)[0]
    assert read_decision(decision_id(token)) == serve
    empty = empty_id(2**39 + 5, 42, 1_790_000_000, 7, 3, 2)
    assert len(empty) == ID_LENGTH
    assert read_decision(empty) == serve._replace(revision=0, grant=0, tier=0)
