"""What a device has seen, as text that it keeps for us: signed, bounded, and of campaigns' serials alone.

    byte  0       version
          1-      entries of 9 bytes, in the order of their serials:
                  serial of the campaign (3) | window (2 bits: 1 hour, 2 day, 3 week), impressions (14 bits)
                  | beginning of the window, epoch seconds (4)
          last 11 MAC: keyed BLAKE2b over all before it

12 bytes and 9 an entry are always whole groups of base64url, so there is one text for each content. At most 64
entries (784 characters): of more, those whose windows began first are left out.

The signature keeps a device from inventing that it saw less. It does not keep one from bringing back an older text,
or none: who wants to be a stranger can be one.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import struct
from collections.abc import Iterable, Mapping

from adserve.core.frequency import Shown
from adserve.core.token import Key

MAX_ENTRIES = 64
_ENTRY = struct.Struct(">BHHI")
_VERSION = b"\x01"
_MAC = 11
MAX_LENGTH = (1 + MAX_ENTRIES * _ENTRY.size + _MAC) // 3 * 4
"""Characters."""
_MOST = 0x3FFF
_WINDOWS_S = (0, 3_600, 86_400, 7 * 86_400)
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_PLAIN = bytes.maketrans(b"-_", b"+/")


def write(shown: Mapping[int, Shown], key: Key) -> str:
    """A text of what was shown, by the serials of campaigns."""
    newest = sorted(shown.items(), key=lambda entry: (-entry[1].start, entry[0]))[:MAX_ENTRIES]
    entries = b"".join(
        _ENTRY.pack(
            serial >> 16,
            serial & 0xFFFF,
            _WINDOWS_S.index(one.window_s) << 14 | min(one.times, _MOST),
            one.start,
        )
        for serial, one in sorted(newest)
    )
    payload = _VERSION + entries
    text = binascii.b2a_base64(payload + _mac(payload, key), newline=False)
    return text.translate(_URL_SAFE).decode("ascii")


def read(text: str, keys: Iterable[Key]) -> dict[int, Shown] | None:
    """What a text of ours says; None of one that is not, or was altered."""
    if not 16 <= len(text) <= MAX_LENGTH or len(text) % 12 != 4 or not text.isascii() or "+" in text or "/" in text:
        return None
    try:
        raw = binascii.a2b_base64(text.encode().translate(_PLAIN), strict_mode=True)
    except ValueError:
        return None
    payload, mac = raw[:-_MAC], raw[-_MAC:]
    if payload[:1] != _VERSION or not any(hmac.compare_digest(mac, _mac(payload, key)) for key in keys):
        return None
    return {
        high << 16 | low: Shown(times & _MOST, start, _WINDOWS_S[times >> 14])
        for high, low, times, start in _ENTRY.iter_unpack(payload[1:])
    }


def _mac(payload: bytes, key: Key) -> bytes:
    return hashlib.blake2b(payload, digest_size=_MAC, key=key.secret, person=b"adserve-seen").digest()
