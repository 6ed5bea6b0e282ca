"""Whatever happens in whatever order, the figures are what the counting rules say.

A machine of serves, events and disasters, drawn by Hypothesis, runs against the real parts beside a model of the
rules (`model.py`). What must hold:

P1  Nothing counts without a token of ours for that very purpose: forged, crossed and retired ones are refused.
P2  One token counts at most once for its kind, whatever is sent again, by whomever, to whichever worker.
P3  Nothing is ever counted that did not happen: no figure passes what was sent. What a kill can lose are the serves
    of the last moment of which no event had come; everything that was answered is in the figures.
P4  A page is whole at any time: an answer to a slot is 200 and holds an ad, or nothing while a worker has no catalog.
P5  A click lands where the creative says while its token verifies, with the store or without it.
P6  A rejected creative is gone from every worker that reaches the store: not served, and its clicks answer 410.
P7  Counted, set aside and late exclude each other: together they are the distinct tokens that came, for each kind.

After every step the report may say nothing beyond these, and no figure of it may decrease. When the machine comes to
rest, in between and at its end, the report is the model to the last figure, and the audit agrees.

`make test` runs a fixed choice of examples, `ADSERVE_CHAOS_RUNS` so many times as many, from a seed that is printed
and that `ADSERVE_CHAOS_SEED` repeats.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from decimal import Decimal
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from adserve.store.embedded import EmbeddedStore
from tests.chaos.model import Model
from tests.chaos.readers import ROBOTS, Readers
from tests.chaos.world import PATIENCE, World
from tests.faults import Fault

RUNS = int(os.environ.get("ADSERVE_CHAOS_RUNS", "1"))
SEED = int(os.environ.get("ADSERVE_CHAOS_SEED") or (random.randrange(10**6) if RUNS > 1 else 7))
EXAMPLES, STEPS = 30, 40
STEPS_S = (1, 59, 61, 450, 599, 601, 901, 3601, 7200, 86_399, 86_401, 2 * 86_400 + 3601, -1, -59, -61, -901, -7200)
FAULTS: tuple[Fault, ...] = ("pass", "drop_reply", "reset", "black_hole", "refuse", "delay", "slice")
LOSSES: tuple[Fault, ...] = ("drop_reply", "reset")
REPLAYABLE_S = 70 * 3600
"""A spooled event of an older serve could be left out when it is replayed."""
T = TypeVar("T")

members = st.integers(0, 3)
kinds = st.sampled_from("ivc")
forms = st.sampled_from(["json", "html", "robot", "empty"])
serves = st.integers(0, 40)
"""How many serves ago. Nothing that is drawn depends on what the parts do: a failing example can be run again."""


def step(**drawn: Any) -> Callable[[Callable[..., None]], Any]:
    """A rule that is written down."""
    made: Any = rule(**drawn)

    def decorate(function: Callable[..., None]) -> Any:
        @wraps(function)
        def noted(self: Machine, **given: Any) -> None:
            self.trail.append(f"{function.__name__} {given}")
            function(self, **given)

        return made(noted)

    return decorate


class Machine(RuleBasedStateMachine):
    store: ClassVar[EmbeddedStore]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory(prefix="adserve-machine-")
        self.world = World(self.store, Path(self.folder.name))
        self.broken = False
        self.trail: list[str] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return self.runner.run(work)
        except BaseException as problem:
            self.broken = True
            problem.add_note("\n".join(["Steps:", *self.trail]))  # Hypothesis says them only when it fails again
            raise

    @initialize()
    def begin(self) -> None:
        self.run(self.world.open())
        one, two = self.world.creatives
        self.readers = Readers(self.world, Model({one: (Decimal("0.0025"), Decimal(0)), two: (Decimal(0), Decimal(4))}))

    @step(member=members, count=st.integers(1, 5), reader=members, then=st.lists(kinds, max_size=3), form=forms)
    def serve(self, member: int, count: int, reader: int, then: list[str], form: str) -> None:
        """Pages, and what a reader of each does at once."""
        self.run(self.readers.visit(self.world.pick(member), count, self.world.pick(reader), then, form))

    @step(sent=st.lists(st.tuples(serves, st.sampled_from("iv"), members), min_size=1, max_size=8))
    def beacon(self, sent: list[tuple[int, str, int]]) -> None:
        for back, kind, member in sent:
            self.run(self.readers.send(back, kind, self.world.pick(member)))

    @step(sent=st.lists(st.tuples(serves, members), min_size=1, max_size=6))
    def click(self, sent: list[tuple[int, int]]) -> None:
        for back, member in sent:
            self.run(self.readers.send(back, "c", self.world.pick(member)))

    @step(back=serves, kind=kinds, callers=st.lists(members, min_size=2, max_size=6))
    def replay(self, back: int, kind: str, callers: list[int]) -> None:
        """One token to several workers at once."""

        async def together() -> None:
            await asyncio.gather(*(self.readers.send(back, kind, self.world.pick(one)) for one in callers))

        self.run(together())

    @step(sent=st.lists(st.tuples(serves, kinds, members, st.sampled_from(sorted(ROBOTS))), min_size=1, max_size=4))
    def robot(self, sent: list[tuple[int, str, int, str]]) -> None:
        for back, kind, member, reason in sent:
            self.run(self.readers.send(back, kind, self.world.pick(member), reason))

    @step(member=members)
    def click_in_a_hurry(self, member: int) -> None:
        self.run(self.readers.hurry(self.world.pick(member)))

    @step(
        back=serves,
        kind=kinds,
        member=members,
        place=st.integers(0, 47),
        how=st.sampled_from(["flip", "cross", "cut", "foreign", "head"]),
    )
    def forge(self, back: int, kind: str, member: int, place: int, how: str) -> None:
        self.run(self.readers.forge(back, kind, self.world.pick(member), place, how))

    @step(member=members, fault=st.sampled_from(FAULTS))
    def network(self, member: int, fault: Fault) -> None:
        """Between a worker and the store nothing comes through, all is slow, or all is well again."""
        self.world.pick(member).set(fault)

    @step(member=members, fault=st.sampled_from(LOSSES), once=st.booleans())
    def lose_reply(self, member: int, fault: Fault, once: bool) -> None:
        """Of a call that counts: the store has done it, or has not."""
        self.world.pick(member).set(fault, once=once, only=b"EVALSHA")

    @step(member=members, kind=kinds, flying=st.lists(serves, max_size=8), turns=st.integers(0, 12))
    def kill_worker(self, member: int, kind: str, flying: list[int], turns: int) -> None:
        self.run(self.readers.kill(self.world.pick(member), kind, flying, turns))

    @step()
    def kill_store(self) -> None:
        self.world.kill_store()

    @step()
    def freeze_or_thaw_store(self) -> None:
        self.world.thaw() if self.world.frozen else self.world.freeze()

    @step()
    def rotate_key(self) -> None:
        if self.world.whole and len(self.world.keys) < 4:
            self.run(self.world.use_keys(f"key-{os.urandom(16).hex()}", *self.world.keys))

    @step()
    def retire_key(self) -> None:
        if self.world.whole and len(self.world.keys) > 1:
            self.run(self.world.use_keys(*self.world.keys[:-1]))

    @step(by=st.sampled_from(STEPS_S) | st.tuples(st.sampled_from([3600, 86_400]), st.sampled_from([-1, 0, 1])))
    def step_clock(self, by: int | tuple[int, int]) -> None:
        """By seconds, or to the beginning of the next hour or day."""
        now = int(self.world.clock())
        then = now + by if isinstance(by, int) else (now // by[0] + 1) * by[0] + by[1]
        if any(then - one.issued > REPLAYABLE_S for one in self.readers.model.pending):
            self.run(self.readers.rest())
        self.world.clock.now = then

    @step(member=members)
    def restart(self, member: int) -> None:
        self.run(self.readers.restart(self.world.pick(member)))

    @step(creative=st.integers(0, 1))
    def review(self, creative: int) -> None:
        """A rejection, or its end; the other creative stays."""
        self.world.heal()
        self.run(self.readers.review(self.world.creatives[creative]))

    @step()
    def linger(self) -> None:
        """Until every served count is in the store or in a spool."""
        self.run(self.readers.linger())

    @step(by=st.sampled_from(STEPS_S))
    def rest(self, by: int) -> None:
        """Every fault ends, after some time."""
        self.step_clock(by=by)
        self.run(self.readers.rest())

    @invariant()
    def always(self) -> None:
        self.run(self.readers.check())

    def teardown(self) -> None:
        try:
            if not self.broken:
                self.run(self.readers.rest())
        finally:
            self.runner.run(self.world.close())
            self.runner.close()
            self.folder.cleanup()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Machine]]:
    """The machine over a store of its own, whose parts wait a tenth as long as in production."""
    for name, seconds in PATIENCE.items():
        monkeypatch.setattr(name, seconds)
    with tempfile.TemporaryDirectory(prefix="adserve-machine-") as folder, EmbeddedStore.start(Path(folder)) as store:
        Machine.store = store
        yield Machine


def test_no_order_of_events_and_disasters_breaks_a_promise(
    machine: type[Machine], capsys: pytest.CaptureFixture[str]
) -> None:
    if RUNS > 1:
        with capsys.disabled():
            print(f"\nADSERVE_CHAOS_SEED={SEED}: {EXAMPLES * RUNS} examples of {STEPS} steps")
    chosen = settings(
        max_examples=EXAMPLES * RUNS,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(SEED)(machine), settings=chosen)
