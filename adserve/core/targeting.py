"""Targets to masks."""

from __future__ import annotations

from collections.abc import Sequence

from adserve.core.context import Context
from adserve.core.model import Target
from adserve.core.reasons import Reason

DIMENSIONS = (
    Reason.TARGET_LABELS,
    Reason.TARGET_URLS,
    Reason.TARGET_LANGUAGES,
    Reason.TARGET_COUNTRIES,
    Reason.TARGET_DEVICES,
    Reason.TARGET_KV,
)


class Targeting:
    def __init__(self, targets: Sequence[Target | None], *, block_unlabelled: bool) -> None:
        self._all = (1 << len(targets)) - 1
        self.plain = True

    def masks(self, context: Context) -> tuple[int, ...]:
        return (self._all,) * 6
