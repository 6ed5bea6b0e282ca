"""How the campaigns with goals and caps stand just now, as one worker knows it.

DESIGN. What a decision needs of goals, caps and pacing is one bit a campaign, whether it may serve, with the reason
when it may not; and of goals how much they still need, for they share by that. The side that talks to the store
(`flows.allow`) sets both, the side that decides reads them. Slots keep bit masks of it, and bring them up to date by
the `changes` since they looked last. Needs are renewed together, as a new mapping and not often: a pool is made for
them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from adserve.core.reasons import Reason

REMEMBERED = 4_096
"""Changes; a slot that has missed more looks at all of its campaigns."""


class Standing:
    """Of one worker. Campaigns by their serials; one of which nothing was said may serve."""

    __slots__ = ("_closed", "changes", "epoch", "needs", "past", "version")

    def __init__(self, past: Mapping[int, tuple[Any, tuple[int, ...]]] | None = None) -> None:
        self.past = past
        """How it all stood at an earlier decision, which is to be looked at again: for each tier that could serve the
        offer and the closed sets of `core.slot.CompiledSlot.snapshot`. None: as it is now."""
        self._closed: dict[int, Reason] = {}
        self.changes: deque[int] = deque(maxlen=REMEMBERED)
        """The serials that changed last, the newest right: as many as `version` was raised by."""
        self.version = 0
        self.needs: Mapping[int, int] = {}
        """What goal campaigns still need, in impressions. One that is missing counts as 1."""
        self.epoch = 0
        """Raised with new needs."""

    def why_closed(self, serial: int) -> Reason | None:
        """Why a campaign may not serve now; None when it may."""
        return self._closed.get(serial)

    def close(self, serial: int, reason: Reason) -> None:
        """It may not serve, from the next decision on."""
        if self._closed.get(serial) is not reason:
            self._closed[serial] = reason
            self._changed(serial)

    def open(self, serial: int) -> None:
        """It may serve."""
        if self._closed.pop(serial, None) is not None:
            self._changed(serial)

    def since(self, version: int) -> Iterable[int] | None:
        """The serials that changed since a version; None when that is too long ago."""
        missed = self.version - version
        if missed > len(self.changes):
            return None
        return [self.changes[-at] for at in range(1, missed + 1)]

    def renew(self, needs: Mapping[int, int]) -> None:
        """Takes new needs, a mapping that nobody changes any more."""
        self.needs = needs
        self.epoch += 1
        self._changed(0)  # which is no campaign

    def _changed(self, serial: int) -> None:
        self.changes.append(serial)
        self.version += 1
