"""What keeps candidates of a tier from serving, besides their schedules: as masks, see `core.bits`.

Here is what a campaign's rules make of a request (`core.targeting`), of the clock (`core.hours`), of how goals and caps
stand (`core.standing`), of what is known of the reader, and of what the page shows.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from itertools import compress

from adserve.core.bits import flags_of
from adserve.core.hours import Hours, OpenHours, hours_of
from adserve.core.model import Target
from adserve.core.pool import Candidate, Tier
from adserve.core.reasons import Reason
from adserve.core.shares import Share
from adserve.core.standing import Standing
from adserve.core.targeting import Targeting

CLOSING = (Reason.CAP_TOTAL, Reason.CAP_DAILY, Reason.GOAL_REACHED, Reason.PACING)
"""What Standing closes a campaign for."""
PIECE = 500
"""Campaigns with rules that are looked at between two steps."""


class Masks:
    """Of the candidates of a tier, in their order. Sets are of those that may serve, unless it is said otherwise."""

    __slots__ = (
        "_closed", "_excluding", "_having", "_limited", "_standing", "_version", "all", "capped", "goals", "hours",
        "shares", "sharing", "skipping", "steady", "targeting", "tier",
    )  # fmt: skip

    @classmethod
    def steps(cls, tier: Tier, *, block_unlabelled: bool) -> Generator[None, None, Masks]:
        """Made in steps of a millisecond: targets of 10,000 campaigns take a tenth of a second."""
        made = cls.__new__(cls)
        yield from made._make(tier, block_unlabelled)
        return made

    def _make(self, tier: Tier, block_unlabelled: bool) -> Generator[None, None, None]:
        self.tier = tier
        count = len(tier.candidates)
        self.all = (1 << count) - 1
        special = [at for at, one in enumerate(tier.candidates) if not one.plain]
        yield
        targets: list[Target | None] = [None] * count
        hours: list[Hours | None] = [None] * count
        self._limited: dict[int, int] = {}
        self._excluding: dict[str, int] = {}
        self._having: dict[str, int] = {}
        self.goals = self.capped = self.skipping = self.sharing = 0
        shares = []
        for n, at in enumerate(special):
            if n % PIECE == PIECE - 1:
                yield
            campaign = tier.candidates[at].campaign
            bit = 1 << at
            if campaign.target is not None:
                targets[at] = campaign.target
                hours[at] = hours_of(campaign.target.hours, campaign.zone)
            if campaign.limited:
                self._limited[campaign.serial] = at
            if campaign.goal is not None and campaign.goal.share is not None:
                shares.append(Share(at, campaign.serial, campaign.goal.share))
                self.sharing |= bit
            elif campaign.goal is not None:
                self.goals |= bit
            if campaign.frequency is not None:
                self.capped |= bit
                self.skipping |= bit if campaign.frequency.unknown == "skip" else 0
            for tag in campaign.excludes:
                self._excluding[tag] = self._excluding.get(tag, 0) | bit
        self.shares = tuple(shares)
        """Share goals in their order; `sharing` is their set, `goals` that of all other goals, `capped` those with a
        frequency, and of these `skipping` those that skip whom nothing is known of."""
        yield
        self.targeting = yield from Targeting.steps(targets, block_unlabelled=block_unlabelled)
        self.hours = OpenHours(hours)
        self.steady = not self._limited and self.hours.plain
        """Whether neither the hours of the week nor goals and caps matter here."""
        self._closed = (0,) * len(CLOSING)
        self._standing: Standing | None = None
        self._version = -1

    @property
    def excluding(self) -> bool:
        """Whether any of them excludes others."""
        return bool(self._excluding)

    def closed(self, standing: Standing) -> tuple[int, ...]:
        """The sets of those that may not serve, one for each of CLOSING."""
        if self._version == standing.version and self._standing is standing:
            return self._closed
        if standing.past is not None:
            return standing.past[self.tier.at][1] if self.tier.at in standing.past else self._closed
        changed = standing.since(self._version) if self._standing is standing else None
        masks = list(self._closed)
        for serial in self._limited if changed is None else changed:
            place = self._limited.get(serial)
            if place is not None:
                why, bit = standing.why_closed(serial), 1 << place
                for at, reason in enumerate(CLOSING):
                    masks[at] = masks[at] | bit if reason is why else masks[at] & ~bit
        self._closed, self._standing, self._version = tuple(masks), standing, standing.version
        return self._closed

    def beside(self, shown: Mapping[int, tuple[tuple[str, ...], tuple[str, ...]]]) -> int:
        """The set of those that may not stand beside what a page shows: by serial of a campaign its tags, and what it
        excludes. A campaign excludes others, never itself."""
        found = 0
        for serial, (tags, excludes) in shown.items():
            barred = 0
            if self._excluding:
                for tag in tags:
                    barred |= self._excluding.get(tag, 0)
            for tag in excludes:
                barred |= self._with(tag)
            if barred and (place := self.tier.place(serial)) is not None:
                barred &= ~(1 << place)
            found |= barred
        return found

    def _with(self, tag: str) -> int:
        """The set of those that have a tag, looked for when it is asked for first."""
        found = self._having.get(tag)
        if found is None:
            found = 0
            for at, one in enumerate(self.tier.candidates):
                if tag in one.tags:
                    found |= 1 << at
            self._having[tag] = found
        return found

    def members(self, mask: int) -> Iterable[Candidate]:
        """The candidates of a set."""
        return compress(self.tier.candidates, flags_of(mask, len(self.tier.candidates)))
