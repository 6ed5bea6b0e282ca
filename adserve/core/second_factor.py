"""The second factor: six digits of a device (RFC 6238), and codes on paper for the day on which it is lost."""

from __future__ import annotations

import hashlib
import hmac
import re

from pyotp import TOTP

STEP_S = 30
AROUND = 1
"""Time steps before and after the present one that are taken too: clocks of telephones are off."""
CODES = 10
_ALPHABET = "abcdefghjkmnpqrstvwxyz23456789"
"""Nothing that reads like another on paper."""
_DIGITS = re.compile(r"[0-9]{6}", re.ASCII)


def address(secret: str, name: str) -> str:
    """What the picture for the device says."""
    return TOTP(secret, interval=STEP_S).provisioning_uri(name=name, issuer_name="adserve")


def step_of(secret: str, code: str, now: float, last: int) -> int | None:
    """The time step that a code is of, when it is right and newer than the last one that was used; else None."""
    digits = code[:100].replace(" ", "")
    if not _DIGITS.fullmatch(digits):
        return None
    device, present, found = TOTP(secret, interval=STEP_S), int(now) // STEP_S, None
    for step in range(present - AROUND, present + AROUND + 1):
        right = hmac.compare_digest(device.generate_otp(step), digits)
        if right and step > last:
            found = step
    return found


def recovery_code(draws: bytes) -> str:
    """A code made of 16 random bytes, with 77 bits in it: `abcd-efgh-jkmn-pqrs`."""
    letters = "".join(_ALPHABET[one % len(_ALPHABET)] for one in draws[:16])
    return "-".join(letters[at : at + 4] for at in range(0, 16, 4))


def recovery_digest(code: str) -> str:
    """What is kept of a code, however it is typed."""
    plain = re.sub(r"[\s-]", "", code[:100]).lower().encode("utf-8", "surrogatepass")
    return hashlib.blake2b(plain, digest_size=32, person=b"adserve-recover").hexdigest()
