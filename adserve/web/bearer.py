"""The API key of a request, told in the same way for management and for delivery."""

from __future__ import annotations

from collections.abc import Iterable

MAX_SECRET = 256
"""Characters; what is longer is no key, and is not hashed to find that out."""


def bearer(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The secret of `Authorization: Bearer SECRET`; None without it, and of two such lines. Names are lower-case.

    >>> bearer([(b"host", b"serve.example"), (b"authorization", b"bearer adserve_x")])
    'adserve_x'
    """
    lines = [value for name, value in headers if name == b"authorization"]
    if len(lines) != 1:
        return None
    scheme, _, secret = lines[0].decode("latin-1").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" and 0 < len(secret) <= MAX_SECRET else None
