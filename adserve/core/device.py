"""Tokens of devices that signed in before: whoever guesses passwords elsewhere does not use up their allowance.

A token is `USER.DEVICE.DAY.MAC`; nothing of it is stored. It opens nothing: it only names who counts the attempts.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence

DAYS = 180
"""How long one is taken."""
_TOKEN = re.compile(r"(u-[0-9a-f]{12})\.([0-9a-f]{16})\.([0-9]{1,6})\.([0-9a-f]{32})", re.ASCII)


def mint(user: str, device: str, now: float, secret: bytes) -> str:
    """`device`: 16 random hexadecimal digits."""
    text = f"{user}.{device}.{int(now) // 86_400}"
    return f"{text}.{_mac(text, secret)}"


def verify(token: str, user: str, now: float, secrets: Sequence[bytes]) -> str | None:
    """The device of a token that is this user's, made with one of the secrets and not too old; else None."""
    found = _TOKEN.fullmatch(token) if len(token) < 100 else None
    if found is None or found[1] != user or not 0 <= int(now) // 86_400 - int(found[3]) <= DAYS:
        return None
    text = token.rpartition(".")[0]
    return found[2] if any(hmac.compare_digest(_mac(text, one), found[4]) for one in secrets) else None


def _mac(text: str, secret: bytes) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16, key=secret, person=b"adserve-device").hexdigest()
