"""Links that show a creative to people without an account: signed text, and nothing of it is kept.

    CREATIVE.REVISION.EXPIRES.MAC     id, number, epoch seconds, keyed BLAKE2b in hexadecimal

Plain text, so whoever gets one sees what it is of and how long it lasts. Not chosen: a token of an event, which is of
a serve; here nothing was served and nothing is counted. A link cannot be taken back, so it is of one revision and
ends by itself; that of an archived creative shows nothing. The frames of the console find their documents so too: with
a MAC of another kind, by which whoever may look at the console sees archived ones.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import NamedTuple

from adserve.core.token import Key

LIFETIME_S = 7 * 86_400
_TEXT = re.compile(r"(([a-z0-9-]{1,64})\.([1-9][0-9]{0,6})\.([1-9][0-9]{0,11}))\.([0-9a-f]{32})")


class Link(NamedTuple):
    """`expires`: epoch seconds. `framed`: of a frame of the console."""

    creative: str
    revision: int
    expires: int
    framed: bool = False


def write(link: Link, key: Key) -> str:
    said = f"{link.creative}.{link.revision}.{link.expires}"
    return f"{said}.{_mac(said, key, link.framed)}"


def read(text: str, keys: Iterable[Key]) -> Link | None:
    """What a link of ours says, also an expired one; None of one that is not, or was altered."""
    found = _TEXT.fullmatch(text)
    if found is None:
        return None
    keys = tuple(keys)
    for framed in (False, True):
        if any(hmac.compare_digest(found[5], _mac(found[1], key, framed)) for key in keys):
            return Link(found[2], int(found[3]), int(found[4]), framed)
    return None


def _mac(said: str, key: Key, framed: bool) -> str:
    person = b"adserve-framed" if framed else b"adserve-preview"
    return hashlib.blake2b(said.encode("ascii"), digest_size=16, key=key.secret, person=person).hexdigest()
