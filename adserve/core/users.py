"""People who sign in: what is kept of one, the names they may have, and what a password must be.

A user is an `Account` like a key, so roles, ownership and the audit know one kind of caller.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Literal

from msgspec import Struct

from adserve.core.access import Account
from adserve.core.schedule import utc_label
from adserve.core.validate import takes

NAME = re.compile(r"(?=.{1,64}$)[A-Za-z0-9][A-Za-z0-9._+-]*(@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*)?", re.ASCII)
USER_ID = re.compile(r"u-[0-9a-f]{12}")
PASSWORD = (12, 256)
"""Characters of a password in NFC."""
NFC_GROWTH = 4
"""How many characters of another form may be one in NFC; what is longer still is refused unread."""
_NAME_TAKES = "takes a name or an e-mail address: 1 to 64 of A-Z, a-z, 0-9 and . _ + - with at most one @"


class User(Struct, frozen=True, kw_only=True):
    """`password`: an Argon2id hash, empty before the first one. `totp`: the secret of the second factor, empty without
    one; `totp_step` the last time step of it that was used. `recovery`: digests of codes. `epoch` grows whenever all
    sessions and links have to end. `advertiser`: as in `Account`. Moments in epoch seconds, 0 for never."""

    id: str
    name: str
    role: str
    advertiser: str | None = None
    password: str = ""
    totp: str = ""
    totp_step: int = 0
    recovery: tuple[str, ...] = ()
    epoch: int = 1
    created: int = 0
    signed_in: int = 0
    state: Literal["active", "disabled"] = "active"
    version: int = 0

    def __post_init__(self) -> None:
        if (self.role == "advertiser") != bool(self.advertiser):
            raise ValueError("an advertiser, and nobody else, is bound to one")

    def account(self) -> Account:
        """Who calls, when this user does."""
        return Account(self.id, self.role, self.name, "", self.created, self.advertiser)

    def as_json(self) -> dict[str, Any]:
        """What may be shown of it: no secret, and no digest of one."""
        return {
            "id": self.id,
            "name": self.name,
            "role": self.role,
            "advertiser": self.advertiser,
            "state": self.state if self.password or self.signed_in or self.state == "disabled" else "invited",
            "second_factor": bool(self.totp),
            "recovery_codes": len(self.recovery),
            "created": utc_label(self.created),
            "signed_in": utc_label(self.signed_in) if self.signed_in else None,
            "version": self.version,
        }


@takes(type="string", pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*(@[A-Za-z0-9.-]+)?$", minLength=1, maxLength=64)
def check_user_name(value: Any) -> str:
    """A name to sign in with. ASCII alone, so no name looks like another one, and none holds what nobody sees."""
    if not isinstance(value, str) or not NAME.fullmatch(value) or USER_ID.fullmatch(value):
        raise ValueError(_NAME_TAKES)
    return value


def folded(name: str) -> str:
    """Names that differ in case alone are one.

    >>> folded("Ann@News.example")
    'ann@news.example'
    """
    return name.lower()


def check_password(password: Any, name: str) -> str:
    """A password in NFC. ValueError says what it has to be; of one that is far too long nothing is read."""
    least, most = PASSWORD
    wrong = f"takes {least} to {most} characters"
    if not isinstance(password, str) or len(password) > most * NFC_GROWTH:
        raise ValueError(wrong)
    found = normal(password)
    if not least <= len(found) <= most:
        raise ValueError(wrong)
    if any(unicodedata.category(one) in ("Cc", "Cs", "Cn") for one in found):
        raise ValueError("holds characters that a keyboard does not make")
    if found.casefold() in (folded(name), folded(name).partition("@")[0]):
        raise ValueError("is the name: take another")
    return found


def normal(password: str) -> str:
    """The one form of a password, whatever the keyboard made of it."""
    return unicodedata.normalize("NFC", password)
