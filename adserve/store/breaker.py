"""Whether the hot path may call the store now: closed, open, half-open."""

from __future__ import annotations

import time
from collections.abc import Callable

OPEN_S = 1.0
FAILURES = 3


class Breaker:
    """Opens after `FAILURES` failed calls in a row, or one that took too long. An open one lets nothing
    through for `OPEN_S`, then one call as a probe, whose outcome closes it or opens it again."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._until = 0.0
        self.state = "closed"
        self.opened = 0
        """How often it has opened."""
        self.barred = False
        """Nothing goes through, however well the store answers, until it is found fit."""

    def bar(self) -> None:
        self.opened += self.state != "open"
        self.barred, self.state = True, "open"

    def unbar(self) -> None:
        """The store has just been asked and found fit."""
        if self.barred:
            self.barred, self.state, self._failures = False, "closed", 0

    def refuses(self) -> bool:
        """Whether a call now would not be let through; asking changes nothing."""
        return self.barred or (self.state != "closed" and self._clock() < self._until)

    def allows(self) -> bool:
        """Whether to call now. Whoever is allowed says how it went."""
        if self.barred:
            return False
        if self.state == "closed":
            return True
        if self._clock() < self._until:
            return False
        self.state, self._until = "half-open", self._clock() + OPEN_S  # one probe; another if it gets lost
        return True

    def succeeded(self) -> None:
        self._failures = 0
        if not self.barred:
            self.state = "closed"

    def failed(self, *, at_once: bool = False) -> None:
        """A call failed; `at_once` opens without waiting for more."""
        self._failures += 1
        if at_once or self.state == "half-open" or self._failures >= FAILURES:
            if self.state != "open":
                self.opened += 1
            self.state, self._until = "open", self._clock() + OPEN_S
