"""Revisions of a creative: the hash that an approval pins, which state each is in, and how two differ.

DESIGN. An approval is of bytes, so it keeps their hash: of every member of the content that a reader could meet,
files by their names, which are digests of their bytes. A live content that hashes to something else was altered in
the store and does not serve (`core.compile`). Members that are empty are left out of what is hashed, so a later
version of the model hashes an older content to the same. Number and serial are left out too: a content that comes
back is the same content. Not chosen: a keyed hash, which a rotation of the secret would end for every creative at
once. So a pin finds what was altered, and not who can write to the store and alters the pin as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from adserve.core.model import Content, Creative, Verdict

_OWN = ("revision", "serial")
"""Of a content its place, not what it says."""


class Kept(Struct, frozen=True):
    """A revision as it is kept: its content, and when (epoch s) and by whom it was made, 0 and empty where nobody
    noted it."""

    content: Content
    at: int = 0
    by: str = ""


class Shown(NamedTuple):
    """One revision of a creative. `kept` is None for one that was replaced before contents were kept; `verdicts`: what
    reviews of it came to, the newest first."""

    revision: int
    state: str
    kept: Kept | None
    hash: str | None
    verdicts: Sequence[Verdict] = ()

    @property
    def verdict(self) -> Verdict | None:
        """The newest."""
        return self.verdicts[0] if self.verdicts else None


class Rejected(NamedTuple):
    """A rejection that stands no more. `same`: of the very content that is the newest now."""

    revision: int
    verdict: Verdict
    same: bool


class Change(NamedTuple):
    """A member that differs, as it is shown: files as name, size and pixels."""

    member: str
    before: Any
    after: Any


def content_hash(kind: str, content: Content) -> str:
    """SHA-256, in hexadecimal, of what a content shows and where it leads."""
    said = {name: value for name, value in msgspec.to_builtins(content).items() if name not in _OWN}
    return hashlib.sha256(msgspec.json.encode(_full({"kind": kind, **said}), order="sorted")).hexdigest()


def _full(value: Any) -> Any:
    """The same without members that are empty."""
    if isinstance(value, dict):
        return {name: _full(one) for name, one in value.items() if one or one is True}
    return [_full(one) for one in value] if isinstance(value, list | tuple) else value


def genuine(creative: Creative) -> bool:
    """Whether what is live is what was approved, as far as a pin tells."""
    live, pin = creative.live, creative.pin
    return live is None or pin is None or pin.hash == content_hash(creative.kind, live)


def state_of(creative: Creative, revision: int) -> str:
    """`live`: it serves; `past`: it was replaced. Else it is the newest and has the state of the creative, of which
    `pending` is called `waiting`."""
    if creative.live is not None and revision == creative.live.revision:
        return "live" if creative.state in ("approved", "pending") else creative.state
    if revision == creative.content.revision:
        return "waiting" if creative.state == "pending" else creative.state
    return "past"


STATES = ("live", "waiting", "past", "approved", "rejected", "paused", "archived")


def rejections(creative: Creative, history: Sequence[Shown]) -> list[Rejected]:
    """Those of before, the newest first; not the one that its state says already. `history`: all revisions, the newest
    first."""
    now = content_hash(creative.kind, creative.content)
    found = [(one, said) for one in history for said in one.verdicts if said.state == "rejected"]
    if creative.state == "rejected" and found and found[0][0].revision == creative.content.revision:
        del found[0]
    return [Rejected(one.revision, said, one.hash == now) for one, said in found]


def changes(before: Content, after: Content) -> tuple[Change, ...]:
    """What differs, in the order of the members."""
    then, now = msgspec.to_builtins(before), msgspec.to_builtins(after)
    return tuple(
        Change(name, then[name], now[name]) for name in then if name not in _OWN and then[name] != now[name]
    )
