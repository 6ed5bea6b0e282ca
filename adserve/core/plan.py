"""The signed plan of a page view: what the page says and shows, kept by the page itself.

DESIGN. The answer to a call hands the plan out as `page_view`, later calls bring it back as `pv`: so no store
holds page views, and any worker can go on with one. Only what a MAC of ours verifies is believed, and only for
some hours; everything else is malformed, and the page starts anew. An entry says what stands in an instance of a
slot or is planned for it; names, weights and contents are looked up in the catalog, so a plan never outlives a change.
Not chosen: a key in the store for each page view (the hot path would wait for it), an encrypted plan (it
says nothing that the page does not show), a time that moves on with each call (a plan would never end).

    byte  0      version
          1      id of the signing key
          2- 5   when the page view began, epoch seconds
          6-13   id of the page view (random)
         14      how many labels follow
          6 each     a label's number
         12 each     slot (3) | campaign (3) | revision (4) | house (1 bit) served (1) instance (14)
         12      MAC, a keyed BLAKE2b over all before

Every part is a multiple of 3 bytes, so base64url has no slack bits and a plan has exactly one text. The prefix
has a character that no caller-made id can have.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec import Struct

from adserve.core.token import SKEW_S, Key

VERSION = 1
PREFIX = "p."
MAX_LENGTH = 1_500
"""Characters: what a URL can carry beside everything else."""
MAX_LABELS = 50
MAX_INSTANCE = 9_999
LIFETIME_S = 6 * 3600
_HEAD = struct.Struct(">BBIQB")
_ENTRY = struct.Struct(">BHBHIH")
_MAC = 12
_ROOM = (MAX_LENGTH - len(PREFIX)) // 4 * 3 - _HEAD.size - _MAC
"""Bytes for labels and entries."""
_LABEL = 6
_HOUSE, _SERVED, _INSTANCE = 1 << 15, 1 << 14, (1 << 14) - 1
_PERSON = b"adserve-pageview"
_TEXT = re.compile(r"p\.[A-Za-z0-9_-]{36,}\Z")
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_PLAIN = bytes.maketrans(b"-_", b"+/")


class Placed(NamedTuple):
    """What stands in an instance of a slot, or is planned for it. By serials."""

    slot: int
    instance: int
    """The number behind the slot's name, 0 without one."""
    campaign: int
    revision: int
    house: bool
    served: bool


class Plan(Struct, frozen=True):
    """A page view between two calls."""

    id: int
    """64 bits."""
    began: int
    labels: tuple[int, ...] = ()
    """Numbers of 48 bits, in the order in which the page said them."""
    entries: tuple[Placed, ...] = ()
    """What matters most comes first: served, then planned in the order of ranks."""

    def told(self, labels: Iterable[int]) -> Plan:
        """With what a call adds to the page's labels; beyond 50 those that came first stay."""
        fresh = sorted(set(labels).difference(self.labels))
        if not fresh:
            return self
        return Plan(self.id, self.began, (*self.labels, *fresh)[:MAX_LABELS], self.entries)


class BadPlan(Exception):
    """A text that is no plan of ours, or no more."""


class Sealer:
    """Signs plans with the first key and verifies them with all."""

    def __init__(self, keys: Sequence[Key]) -> None:
        if not keys:
            raise ValueError("a sealer needs at least one key")
        self._first = keys[0].id
        self._begun = [
            (key.id, hashlib.blake2b(digest_size=_MAC, key=key.secret, person=_PERSON)) for key in keys
        ]

    def seal(self, plan: Plan) -> str:
        """The text of a plan, at most 1,500 characters: of more entries than have room the last are left out."""
        labels = plan.labels[:MAX_LABELS]
        room = (_ROOM - _LABEL * len(labels)) // _ENTRY.size
        parts = [_HEAD.pack(VERSION, self._first, plan.began, plan.id, len(labels))]
        parts += [label.to_bytes(_LABEL, "big") for label in labels]
        for slot, instance, campaign, revision, house, served in plan.entries[:room]:
            last = house * _HOUSE | served * _SERVED | instance
            parts.append(
                _ENTRY.pack(slot >> 16, slot & 0xFFFF, campaign >> 16, campaign & 0xFFFF, revision, last)
            )
        payload = b"".join(parts)
        mac = self._begun[0][1].copy()
        mac.update(payload)
        return PREFIX + binascii.b2a_base64(payload + mac.digest(), newline=False).translate(_URL_SAFE).decode("ascii")

    def open(self, text: str, now: int) -> Plan:
        """The plan of a text. BadPlan when it is not ours, altered, or older than its lifetime."""
        if len(text) > MAX_LENGTH or not _TEXT.match(text):
            raise BadPlan("not a plan")
        try:
            raw = binascii.a2b_base64(text[len(PREFIX) :].encode().translate(_PLAIN), strict_mode=True)
        except ValueError:
            raise BadPlan("not a plan") from None
        payload, given = raw[:-_MAC], raw[-_MAC:]
        if len(payload) < _HEAD.size or payload[0] != VERSION or not self._is_ours(payload, given):
            raise BadPlan("not our plan")
        _, _, began, id_, count = _HEAD.unpack_from(payload)
        if not -SKEW_S <= now - began < LIFETIME_S:
            raise BadPlan("an old plan")
        first = _HEAD.size + count * _LABEL
        labels = tuple(
            int.from_bytes(payload[at : at + _LABEL], "big") for at in range(_HEAD.size, first, _LABEL)
        )
        return Plan(id_, began, labels, tuple(_placed(*one) for one in _ENTRY.iter_unpack(payload[first:])))

    def _is_ours(self, payload: bytes, given: bytes) -> bool:
        for key_id, begun in self._begun:
            if key_id == payload[1]:
                mac = begun.copy()
                mac.update(payload)
                if hmac.compare_digest(mac.digest(), given):
                    return True
        return False


def _placed(slot_top: int, slot: int, campaign_top: int, campaign: int, revision: int, last: int) -> Placed:
    return Placed(
        slot_top << 16 | slot,
        last & _INSTANCE,
        campaign_top << 16 | campaign,
        revision,
        bool(last & _HOUSE),
        bool(last & _SERVED),
    )
