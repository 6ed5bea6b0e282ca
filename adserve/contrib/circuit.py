"""Whether a server that does not answer is worth another try."""

from __future__ import annotations

import os
import threading
from weakref import WeakSet


class Circuit:
    """Opens after `failures` in a row. Then nothing is admitted for `rest_s`, then one probe: its success closes the
    circuit, its failure begins another rest. Of one process, for any number of threads; a fork begins anew. Times are
    seconds of one clock that never goes back.

    A probe takes its turn by beginning the next rest, so one whose caller was killed or cancelled costs that rest
    and no more. Not chosen: a permit that it would have to give back.
    """

    def __init__(self, failures: int = 5, rest_s: float = 5.0) -> None:
        self._failures, self._rest_s = failures, rest_s
        self.reset()
        _all.add(self)

    def reset(self) -> None:
        """As if nothing had been tried yet."""
        self._lock = threading.Lock()
        self._in_a_row, self._until = 0, 0.0

    def admits(self, now: float) -> bool:
        """Whether a call may be tried; whoever is told so says afterwards what came of it."""
        with self._lock:
            if self._in_a_row < self._failures:
                return True
            if now < self._until:
                return False
            self._until = now + self._rest_s
            return True

    def succeeded(self) -> bool:
        """There was an answer. Whether the circuit was open until now."""
        with self._lock:
            was_open = self._in_a_row >= self._failures
            self._in_a_row = 0
            return was_open

    def failed(self, now: float) -> bool:
        """There was none. Whether that opened the circuit."""
        with self._lock:
            self._in_a_row += 1
            self._until = now + self._rest_s
            return self._in_a_row == self._failures


_all: WeakSet[Circuit] = WeakSet()


def _after_fork() -> None:
    """Another thread of the parent may have held a lock, and nobody here would give it back."""
    for circuit in list(_all):
        circuit.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
