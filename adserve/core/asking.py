"""What may be asked of an explanation: the parameters of delivery, checked strictly, and how much is to be told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from adserve.core.context import Context
from adserve.core.model import DEVICES
from adserve.core.slot import SlotRequest
from adserve.core.validate import Check, check_id, one_of, takes

MOBILE_WIDTH = 360
"""CSS pixels of a slot's box on a mobile device whose request says none."""
MOST = 1_000
"""Candidates that one answer names."""
T = TypeVar("T")


def number(low: int, high: int) -> Check[int]:
    """A whole number as text."""

    @takes(type="integer", minimum=low, maximum=high)
    def check(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= len(str(high)) and low <= int(text) <= high):
            raise ValueError(f"takes a whole number from {low} to {high}")
        return int(text)

    return check


@takes(type="string", pattern="^[A-Za-z]{2}$", examples=["IN"])
def country(text: str) -> str:
    if not (len(text) == 2 and text.isascii() and text.isalpha()):
        raise ValueError("takes a country like IN (ISO 3166-1 alpha-2)")
    return text.upper()


CONTEXT: Mapping[str, Check[Any]] = {
    "device": one_of(*DEVICES[1:]).noted("The reader's device; left out: unknown."),
    "width": number(0, 99_999).noted("CSS pixels of the slot's box; left out: any, on a phone 360."),
    "country": country.noted("The reader's country."),
}
"""What a request says of its page and its reader."""
AMOUNT: Mapping[str, Check[Any]] = {
    "campaign": check_id.noted("Only the creatives of this campaign."),
    "limit": number(1, MOST).noted("How many candidates at most.", default=MOST),
}
PLACE: Mapping[str, Check[Any]] = {
    "site": check_id.noted("The site; required."),
    "slot": check_id.noted("The slot's name; required."),
}


def request_of(params: Mapping[str, str]) -> SlotRequest:
    """What a reader with these parameters, which are checked, would ask."""

    def said(name: str, otherwise: T, check: Callable[[str], T]) -> T:
        return check(params[name]) if name in params else otherwise

    device = said("device", 0, DEVICES.index)
    width = said("width", MOBILE_WIDTH if DEVICES[device] == "mobile" else None, int)
    return SlotRequest(width, Context(device=device, country=said("country", None, country)))
