"""What stands for a visitor: keyed digests, and the part of an event's address that carries one.

DESIGN. The id of a visitor is looked at and forgotten. What is kept under is its BLAKE2b, keyed with the secret and
salted with 16 random bytes that live in the store and change every week: who has the store without the secret
can test no id against it, and once a salt is gone nobody can. Two salts are alive, for a window that began under the
earlier one goes on; the digests of a visitor are those under each salt, the newest first.

A beacon comes without the id. The addresses of a serve therefore carry the digest to count on, with a MAC over it and
the serve, so that nobody can count on the digest of another, nor take one along to another serve:

    12 bytes digest | 9 bytes MAC = 28 characters of base64url, and exactly one text for each

The digest in it tells the page nothing that it could not tell itself: it sent the id.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from collections.abc import Iterable, Sequence

from adserve.core.token import Key

DIGEST = 12
"""Bytes of a digest."""
_MAC = 9
LENGTH = 28
MAX_KEYS = 2
"""Secrets whose digests are looked up: after a change of the secret windows go on under the one before."""
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_PLAIN = bytes.maketrans(b"-_", b"+/")


def digests(visitor: str, salts: Iterable[bytes], keys: Sequence[Key]) -> tuple[str, ...]:
    """Those of a visitor in hex, 24 characters each, under salts of 16 bytes; in their order, the newest first."""
    data = visitor.encode()
    return tuple(
        hashlib.blake2b(data, digest_size=DIGEST, key=key.secret, salt=salt, person=b"adserve-visitor").hexdigest()
        for salt in salts
        for key in keys[:MAX_KEYS]
    )


def sealed(digest: str, token: str, key: Key) -> str:
    """A digest as the addresses of a serve carry it. `token`: any of the serve's."""
    raw = bytes.fromhex(digest)
    text = binascii.b2a_base64(raw + _mac(raw, token, key), newline=False)
    return text.translate(_URL_SAFE).decode("ascii")


def unsealed(text: str, token: str, keys: Iterable[Key]) -> str | None:
    """The digest of a text that came with a token of ours; None when it was not made for it."""
    if len(text) != LENGTH or not text.isascii() or "+" in text or "/" in text:
        return None
    try:
        raw = binascii.a2b_base64(text.encode().translate(_PLAIN), strict_mode=True)
    except ValueError:
        return None
    digest, mac = raw[:DIGEST], raw[DIGEST:]
    if any(hmac.compare_digest(mac, _mac(digest, token, key)) for key in keys):
        return digest.hex()
    return None


def _mac(digest: bytes, token: str, key: Key) -> bytes:
    """Over the digest and what the tokens of a serve have in common."""
    data = digest + token[:36].encode("ascii")
    return hashlib.blake2b(data, digest_size=_MAC, key=key.secret, person=b"adserve-reader").digest()
