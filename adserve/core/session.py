"""Sessions and links as values: secrets that their holder alone has, and what stands for them in the store."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Literal, NamedTuple

from adserve.core.schedule import utc_label

SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
"""256 bits in base64."""
Purpose = Literal["invitation", "reset", "sign_in"]
LINK_S: dict[str, int] = {"invitation": 7 * 86_400, "reset": 3600, "sign_in": 3600}
"""How long a link of each purpose works."""
LINK_PATHS = {"invitation": "/console/invitation/", "reset": "/console/reset/", "sign_in": "/console/link/"}


class Session(NamedTuple):
    """One place where somebody is signed in. `csrf` is that of the secret it was found by, empty in lists. `pending`:
    the password was right and the second factor is still to come. `setup`: the secret of a second factor that is being
    set up. `digest`: of its secret. `until`, `created`, `seen` in epoch seconds."""

    id: str
    user: str
    epoch: int
    created: int
    seen: int
    until: int
    agent: str
    digest: str
    csrf: str = ""
    pending: bool = False
    device: str = ""
    setup: str = ""

    def as_json(self) -> dict[str, Any]:
        """What its user may be shown."""
        seen, created = utc_label(self.seen), utc_label(self.created)
        return {"id": self.id, "agent": self.agent, "created": created, "seen": seen}


class Link(NamedTuple):
    """A link that works once. `digest` is that of its secret."""

    purpose: Purpose
    user: str
    epoch: int
    until: int
    digest: str


def is_secret(text: str) -> bool:
    """Whether a text has the form of a secret; what has not is looked up nowhere."""
    return len(text) == 43 and SECRET.fullmatch(text) is not None


def digest(secret: str, what: str) -> str:
    """What stands for a secret of a session or link (`what`) in the store: 256 bits, and no way back."""
    person = f"adserve-{what}"[:16].encode()
    return hashlib.blake2b(secret.encode(), digest_size=32, person=person).hexdigest()


def csrf_of(secret: str) -> str:
    """What a form of this session has to bring: made of the cookie's secret, kept nowhere, telling nothing of it."""
    return hashlib.blake2b(b"csrf", digest_size=24, key=secret.encode(), person=b"adserve-csrf").hexdigest()
