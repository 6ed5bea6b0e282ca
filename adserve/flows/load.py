"""What changed in the stored catalog to a worker's compiled copy, while the event loop goes on.

Objects come in parts, and the copy is made in steps of `STEP_S` with a turn of the loop after each. The garbage
collector would stop it too: going through all objects of a large catalog takes a tenth of a second and more, again
and again, and finds nothing, for there are no cycles in them. So it rests during a load, and what many changes
have made is put beyond it. Whatever garbage lies around at that moment stays there with it; that is little, and once in
`LOOSE` changes.
"""

from __future__ import annotations

import asyncio
import gc
import time
from typing import TypeVar

import structlog

from adserve.core.catalog import Catalog
from adserve.core.compile import Steps, recompile
from adserve.core.model import Campaign
from adserve.flows.worker import Worker
from adserve.snippet import compile_snippet
from adserve.store.catalog import CatalogStore

T = TypeVar("T")
log = structlog.get_logger("adserve")
STEP_S, LONGEST_S = 0.002, 0.005
"""How long the loop is kept from its other work at a time: as long as that took, within these bounds, so that a change
comes through on a worker that has a lot to do."""
LOOSE = 20_000
"""New objects that the garbage collector may have to look after: it goes through them in 4 ms."""


class Loader:
    """Keeps the compiled copy of one worker."""

    def __init__(self, worker: Worker, store: CatalogStore) -> None:
        self._worker, self._store = worker, store
        self._loose = 0

    async def load(self, *, whole: bool) -> None:
        """Swaps the copy for one of what is stored now; `whole`: read all of it, not only what changed."""
        current = self._worker.catalog or Catalog()
        rests = gc.isenabled()
        gc.disable()
        try:
            before = gc.get_count()[0]
            version, things = await (self._store.load_all() if whole else self._store.fresh())
            if not whole and version == current.version:
                return
            made = await in_steps(recompile(current, version, things, compile_snippet, self._store.bad))
            self._loose += max(0, gc.get_count()[0] - before)
            if self._loose >= LOOSE:
                gc.freeze()
                self._loose = 0
            campaigns = (one for one in made.things.values() if isinstance(one, Campaign))
            await in_steps(self._worker.allowances.meet(campaigns, self._worker.clock()))
            for name in sorted(made.bad - current.bad):
                log.warning("bad_creative" if name.startswith("creative:") else "bad_object", what=name,
                            altered=name in made.altered)  # fmt: skip
            self._worker.catalog = made
            self._worker.journal.renew(made)
        finally:
            if rests:
                gc.enable()


def warnings_of(catalog: Catalog | None) -> tuple[str, ...]:
    """What an operator should know of a copy: that somebody altered what was approved. Which ones says the log."""
    if catalog is None or not catalog.altered:
        return ()
    count = len(catalog.altered)
    what = "1 creative is" if count == 1 else f"{count} creatives are"
    return (f"{what} not what was approved, and does not serve: see bad_creative in the log",)


async def in_steps(steps: Steps[T]) -> T:
    """Runs a compilation, or whatever else yields between its steps, to its end."""
    until = time.perf_counter() + STEP_S
    while True:
        try:
            next(steps)
        except StopIteration as done:
            found: T = done.value
            return found
        paused = time.perf_counter()
        if paused >= until:
            await asyncio.sleep(0)
            now = time.perf_counter()
            until = now + min(max(STEP_S, now - paused), LONGEST_S)
