"""What the tests of the doctor share: a look, what was found, and a store that was used."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adserve.core.token import Key
from adserve.doctor.findings import Finding
from adserve.doctor.run import diagnose
from adserve.signing import proofs
from adserve.store.keys import Keys
from adserve.store.schema import NEWEST
from tests.servers import SAFE, client, server
from tests.service import free_port

SECRET = "0123456789abcdef" * 2 + "own"
OWN = proofs([Key.derive(SECRET.encode())])[0]


def look(folder: Path, *, flags: dict[str, Any] | None = None, skew_s: float = 0.0, **settings: str) -> list[Finding]:
    port = {} if "port" in (flags or {}) else {"ADSERVE_PORT": str(free_port())}
    environment = {"ADSERVE_DATA_DIR": str(folder), **port, **settings}
    return diagnose(flags or {}, environment, clock=lambda: time.time() + skew_s)


def of(findings: list[Finding], check: str, status: str = "problem") -> str:
    """What is said of a check in this status, with its remedy; it must be said once."""
    (found,) = [one for one in findings if (one.check, one.status) == (check, status)]
    assert status == "ok" or found.remedy
    return f"{found.detail} -> {found.remedy}"


def bad(findings: list[Finding]) -> set[str]:
    return {one.check for one in findings if one.status != "ok"}


@contextmanager
def used(*options: str) -> Iterator[str]:
    """The URL of a store that a service with SECRET has used."""
    with server(*(options or SAFE)) as url:
        with client(url) as asked:
            asked.mset({Keys().schema: NEWEST, Keys().secret: OWN})
        yield url
