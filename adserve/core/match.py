"""Which version of an object a call is about: its ETag, and If-Match and If-None-Match (RFC 9110, section 13)."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, NamedTuple

from adserve.core.model import Thing
from adserve.errors import Unmet

_TAG = re.compile(r'(?:W/)?"[^"]*"|\*')
_OURS = re.compile(r'"([0-9]{1,15})(?:\.[0-9a-f]{12})?"')


def etag(version: int, beside: Any = None) -> str:
    """The tag of an object. `beside`: what is shown with it and changes without its version, as JSON takes it.

    >>> etag(3), etag(3, [])
    ('"3"', '"3.4f53cda18c2b"')
    """
    if beside is None:
        return f'"{version}"'
    return f'"{version}.{hashlib.sha256(json.dumps(beside, sort_keys=True).encode()).hexdigest()[:12]}"'


class Match(NamedTuple):
    """The conditions of a call, as their headers say them; None: none is made. A change is bound to the version that a
    tag names; what is shown beside that does not matter to it."""

    must: str | None = None
    """If-Match: one of these, or `*` for any that is there."""
    must_not: str | None = None
    """If-None-Match: none of these, or `*` for none at all."""

    def check(self, thing: Thing | None) -> None:
        """Unmet when a change is not to be made to what is there, or is not."""
        if self.must is not None and (thing is None or not _names(self.must, thing.version, weak=False)):
            raise Unmet("it has another version: read it again and send its ETag")
        if self.must_not is not None and thing is not None and _names(self.must_not, thing.version, weak=True):
            raise Unmet("it is there already, as If-None-Match says that it must not be")

    def knows(self, tag: str) -> bool:
        """Whether a reader has seen just this, and need not be shown it again."""
        tags = _TAG.findall(self.must_not or "")
        return "*" in tags or tag in (one.removeprefix("W/") for one in tags)


def _names(header: str, version: int, *, weak: bool) -> bool:
    """Whether a list of tags names a version; a weak tag does so only where that is enough."""
    for tag in _TAG.findall(header):
        ours = _OURS.fullmatch(tag.removeprefix("W/") if weak else tag)
        if tag == "*" or (ours and int(ours[1]) == version):
            return True
    return False


ANY = Match()
