"""Tokens: what a serve hands to the page, and what comes back with its events.

DESIGN. 27 bytes of payload in a fixed binary layout, one keyed BLAKE2b of 27 bytes over it, cut
into three MACs of 9 bytes: one hash mints the impression, view and click token of a serve. A token
is payload + MAC = 36 bytes = 48 characters of base64url, so there are no slack bits and exactly one
text for each token. The MAC's place says the purpose; a click token is no impression token.

    byte  0      version (4 bits) | tier (2) | device (2)
          1      id of the signing key
          2- 6   incarnation of the worker (random, 40 bits)
          7-10   ordinal in the ledger space (incarnation, tag, hour of issue)
         11-14   issue time, epoch seconds
         15-17   serial of the slot
         18-21   serial of the creative's revision
         22-25   grant (0 = none)
         26      hash tag of the campaign (4 bits) | flags (4): 1 = the serve was the impression, 2 = its first event
                  counts it

72 bits of MAC: an attacker who sends 10,000 guesses a second needs about 7 million years for an
even chance at one. Not chosen: a generic signer (ten times the time), random ids (need a key each).
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from adserve.errors import BadToken

VERSION = 1
LENGTH, ID_LENGTH = 48, 36
KINDS = "ivc"
FLAG_SERVED_COUNTS = 1
FLAG_PROVEN = 2
"""A serve of the space that no flush tells of, see `store.spaces`."""
_PAYLOAD = struct.Struct(">BBBIIIBHIIB")
_MAC = 9
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_PLAIN = bytes.maketrans(b"-_", b"+/")
_PERSON = b"adserve-event1"
SKEW_S = 60
"""A token from further in the future than this is not counted."""


class Serve(NamedTuple):
    """One serve, as its tokens carry it."""

    incarnation: int
    ordinal: int
    issued: int
    slot: int
    revision: int
    grant: int
    tag: int
    tier: int
    device: int
    flags: int = 0

    @property
    def hour(self) -> int:
        """The hour of the ledger space, in hours since the epoch."""
        return self.issued // 3600


@dataclass(frozen=True, slots=True)
class Key:
    """One signing key: its id (a byte derived from it) and 32 bytes."""

    id: int
    secret: bytes = field(repr=False)
    _begun: Any = field(init=False, repr=False, compare=False)

    @classmethod
    def derive(cls, text: bytes) -> Key:
        """A key from a line of the secret file (at least 32 bytes, checked by the settings)."""
        secret = hashlib.blake2b(text, digest_size=32, person=b"adserve-key").digest()
        return cls(secret[0] ^ secret[17], secret)

    def __post_init__(self) -> None:
        begun = hashlib.blake2b(digest_size=3 * _MAC, key=self.secret, person=_PERSON)
        object.__setattr__(self, "_begun", begun)  # a copy of it costs less than to begin anew

    def mac(self, payload: bytes) -> bytes:
        """27 bytes, nine for each purpose."""
        made = self._begun.copy()
        made.update(payload)
        mac: bytes = made.digest()
        return mac


class Signer:
    """Mints with the first key, verifies with all."""

    def __init__(self, keys: Sequence[Key]) -> None:
        if not keys:
            raise ValueError("a signer needs at least one key")
        self._keys = tuple(keys)
        self._first = keys[0]

    def mint(self, serve: Serve) -> tuple[str, str, str]:
        """The impression, view and click token of one serve (48 characters each)."""
        key = self._first
        incarnation, ordinal, issued, slot, revision, grant, tag, tier, device, flags = serve
        payload = _PAYLOAD.pack(
            VERSION << 4 | tier << 2 | device,
            key.id,
            incarnation >> 32,
            incarnation & 0xFFFFFFFF,
            ordinal,
            issued,
            slot >> 16,
            slot & 0xFFFF,
            revision,
            grant,
            tag << 4 | flags,
        )
        text = binascii.b2a_base64(payload + key.mac(payload), newline=False).translate(_URL_SAFE).decode("ascii")
        id_ = text[:36]  # 27 bytes are 36 characters and 9 are 12: the parts are encoded each by itself
        return id_ + text[36:48], id_ + text[48:60], id_ + text[60:72]

    def verify(self, token: str, kind: str) -> Serve:
        """The serve of a token of `kind` (`i`, `v` or `c`). BadToken when it is not ours."""
        if len(token) != LENGTH or not token.isascii() or "+" in token or "/" in token:
            raise BadToken("not a token")
        try:
            raw = binascii.a2b_base64(token.encode().translate(_PLAIN), strict_mode=True)
        except ValueError:
            raise BadToken("not a token") from None
        payload, given = raw[:27], raw[27:]
        if payload[0] >> 4 != VERSION:
            raise BadToken("not a token of this version")
        place = KINDS.index(kind) * _MAC
        for key in self._keys:
            if key.id != payload[1]:
                continue
            mac = key.mac(payload)
            if hmac.compare_digest(mac[place : place + _MAC], given):
                return _read(payload)
        raise BadToken("not our token")


def decision_id(token: str) -> str:
    """The public id of a serve: the payload of its tokens, without any MAC."""
    return token[:36]


def served_id(serve: Serve) -> str:
    """The id of a serve that is known without its tokens: of the form of `decision_id`, naming no key."""
    incarnation, ordinal, issued, slot, revision, grant, tag, tier, device, flags = serve
    payload = _PAYLOAD.pack(
        VERSION << 4 | tier << 2 | device,
        0,
        incarnation >> 32,
        incarnation & 0xFFFFFFFF,
        ordinal,
        issued,
        slot >> 16,
        slot & 0xFFFF,
        revision,
        grant,
        tag << 4 | flags,
    )
    return binascii.b2a_base64(payload, newline=False).translate(_URL_SAFE).decode("ascii")


def empty_id(incarnation: int, number: int, moment: int, slot: int, tag: int, device: int) -> str:
    """The public id of a decision without a serve, of the form of all others: it stands for no bit of the ledger, so it
    has revision 0, and `number` counts the decisions of this kind that the worker made."""
    return served_id(Serve(incarnation, number & 0xFFFFFFFF, moment, slot, 0, 0, tag, 0, device))


def read_decision(id_: str) -> Serve:
    """What the public id of a decision says. BadToken when it cannot be one; whoever looks it up must not believe it
    beyond that, for an id carries no MAC."""
    if len(id_) != ID_LENGTH or not id_.isascii() or "+" in id_ or "/" in id_:
        raise BadToken("not a decision")
    try:
        payload = binascii.a2b_base64(id_.encode().translate(_PLAIN), strict_mode=True)
    except ValueError:
        raise BadToken("not a decision") from None
    if payload[0] >> 4 != VERSION:
        raise BadToken("not a decision of this version")
    return _read(payload)


def _read(payload: bytes) -> Serve:
    first, _, top, bottom, ordinal, issued, high, low, revision, grant, last = _PAYLOAD.unpack(payload)
    return Serve(
        top << 32 | bottom,
        ordinal,
        issued,
        high << 16 | low,
        revision,
        grant,
        last >> 4,
        first >> 2 & 3,
        first & 3,
        last & 15,
    )
