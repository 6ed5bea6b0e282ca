"""The quota of one campaign: how much of its goal and caps is confirmed, and how much is handed out.

DESIGN. A worker serves a campaign with a goal or cap of impressions only against a grant that it has taken ahead. A
grant takes its size out of what is left (confirmed and open grants together never come to more than the ceilings), so
that an impression which confirms a serve of an open grant can always be counted. What comes without an open grant is
counted only where neither the ceilings nor the open grants would be hurt. So confirmed <= ceiling at every moment,
whoever dies, retries or comes late; what a grant never confirms comes back when it is closed.

A plan (`core.pacing`) is softer: it bounds what is confirmed of the day and what open grants will confirm, by the part
that closed ones did.

This is the rule as a value, for the simulation and as the measure of the store's scripts: `lua/take.lua` and
`lua/event.lua` do the same, and a test holds all three together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

ENOUGH = 20
"""Serves of closed grants from which on the part of them that was confirmed is believed."""


class Ceilings(NamedTuple):
    """What a campaign may have of one kind of event, in all and on a local day; None: as much as comes."""

    total: int | None
    daily: int | None


class Ask(NamedTuple):
    """What a worker asks for. `grant` is a name of its own making, which begins with its own and a colon; `day` the
    ordinal of the campaign's local day; `plan` what the count of that day may come to, None without a plan; `until` the
    epoch second up to which it serves, `close` that from which on nothing of it is confirmed any more; `workers` how
    many ask at least."""

    grant: str
    asked: int
    day: int
    ceilings: Ceilings
    plan: int | None
    until: int
    close: int
    workers: int


class Quoted(NamedTuple):
    """What came of it: the size of the grant, and how the campaign stands: confirmed in all and of the day, open and
    not confirmed in all and of the day, and of closed grants how many serves they had and how many of these were
    confirmed."""

    size: int
    total: int
    today: int
    open: int
    open_today: int
    issued: int
    confirmed: int

    @property
    def likely(self) -> int:
        """What is open of the day and will be confirmed, as far as one can tell."""
        if self.issued < ENOUGH:
            return self.open_today
        return -(-self.open_today * self.confirmed // self.issued)


@dataclass(slots=True)
class Grant:
    size: int
    used: int
    close: int
    day: int


@dataclass(slots=True)
class Quota:
    """Of one campaign, in impressions."""

    total: int = 0
    days: dict[int, int] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    issued: int = 0
    confirmed: int = 0

    def take(self, ask: Ask, now: int, returned: Mapping[str, int] | None = None) -> Quoted:
        """Closes what is over, takes back what was not used (`returned`: by grant how many serves it has issued, which
        it will not raise any more), then grants: of what is left at most a half to be shared by all who ask, so that
        none hoards what others need. The same grant again is the same answer."""
        for name in [name for name, one in self.grants.items() if one.close <= now] if self.grants else ():
            self._close(name)
        for name, issued in (returned or {}).items():
            if name in self.grants:
                one = self.grants[name]
                one.size = max(one.used, min(one.size, issued))
                if one.size == one.used:
                    self._close(name)
        found = self.grants.get(ask.grant)
        size = found.size if found is not None else self._room(ask)
        if found is None and size > 0:
            self.grants[ask.grant] = Grant(size, 0, ask.close, ask.day)
        return self.stands(size, ask.day)

    def stands(self, size: int, day: int) -> Quoted:
        out, out_today = self._open(day)
        return Quoted(size, self.total, self.days.get(day, 0), out, out_today, self.issued, self.confirmed)

    def confirm(self, grant: str, day: int, now: int, ceilings: Ceilings) -> bool:
        """Whether an impression of a serve is counted. `day`: that of the serve. Without ceilings grants stay as they
        are: there may be some again."""
        today = self.days.get(day, 0)
        if not (_below(self.total, ceilings.total) and _below(today, ceilings.daily)):
            return False
        one = self.grants.get(grant)
        if ceilings == (None, None):
            pass
        elif one is not None and now < one.close and one.day == day and one.used < one.size:
            one.used += 1
            if one.used == one.size:
                self._close(grant)
        else:
            out, out_today = self._open(day)
            if not (_below(self.total + out, ceilings.total) and _below(today + out_today, ceilings.daily)):
                return False
        self.total += 1
        self.days[day] = today + 1
        return True

    def _open(self, day: int) -> tuple[int, int]:
        out = out_today = 0
        for one in self.grants.values():
            left = one.size - one.used
            out += left
            if one.day == day:
                out_today += left
        return out, out_today

    def _close(self, name: str) -> None:
        one = self.grants.pop(name)
        self.issued += one.size
        self.confirmed += one.used

    def _room(self, ask: Ask) -> int:
        out, out_today = self._open(ask.day)
        today = self.days.get(ask.day, 0)
        workers = ask.workers
        if len(self.grants) >= workers:
            workers = max(workers, len({name.partition(":")[0] for name in (*self.grants, ask.grant)}))
        size = ask.asked
        for ceiling, spent in ((ask.ceilings.total, self.total + out), (ask.ceilings.daily, today + out_today)):
            if ceiling is not None:
                size = min(size, -(-(ceiling - spent) // (2 * workers)))
        if ask.plan is not None:
            likely = self.stands(0, ask.day).likely
            size = min(size, -(-(ask.plan - today - likely) // workers))
        return max(0, size)


def _below(count: int, ceiling: int | None) -> bool:
    return ceiling is None or count < ceiling
