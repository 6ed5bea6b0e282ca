"""What may be asked of an explanation: the parameters of delivery, checked strictly, and how much is to be told."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from adserve.core.context import Context
from adserve.core.globs import page_address
from adserve.core.languages import fallbacks
from adserve.core.model import DEVICES
from adserve.core.plan import MAX_LENGTH, PREFIX
from adserve.core.slot import SlotRequest
from adserve.core.target_checks import LONGEST_LANGUAGE, LONGEST_WORD
from adserve.core.targeting import label_number
from adserve.core.validate import Check, check_id, one_of, takes
from adserve.core.words import folded_word

MOBILE_WIDTH = 360
"""CSS pixels of a slot's box on a mobile device whose request says none."""
MOST = 1_000
"""Candidates that one answer names."""
_VISITOR, _PAGE_VIEW = re.compile(r"[A-Za-z0-9_-]{1,64}"), re.compile(r"[A-Za-z0-9_-]{8,64}")
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


def words(most: int) -> Check[tuple[str, ...]]:
    """Words with commas between, as they are compared. How long they may be is said in words: a schema would have to
    allow for what their escapes make of them."""

    @takes(type="string")
    def check(text: str) -> tuple[str, ...]:
        found = [word for one in text.split(",") if (word := folded_word(one))]
        if any(len(word) > LONGEST_WORD for word in found) or len({*found}) > most:
            raise ValueError(f"takes at most {most} words of at most {LONGEST_WORD} characters, with commas between")
        return tuple(sorted({*found}))

    return check


@takes(type="string", examples=["https://news.example/world/1"])
def address(text: str) -> str:
    found = page_address(text)
    if found is None:
        raise ValueError("takes the address of a page, as https://news.example/world/1")
    return found


@takes(type="string", maxLength=LONGEST_LANGUAGE, examples=["en-GB"])
def language(text: str) -> tuple[str, ...]:
    found = fallbacks(text.strip())
    if not found:
        raise ValueError("takes a language tag, as en-GB (BCP 47)")
    return found


@takes(type="string", pattern="^[A-Za-z0-9_-]{1,64}$")
def visitor(text: str) -> str:
    if not _VISITOR.fullmatch(text):
        raise ValueError("takes 1 to 64 of A-Z, a-z, 0-9, _ and -")
    return text


@takes(type="string")
def page_view(text: str) -> str:
    if not _PAGE_VIEW.fullmatch(text) and not (text.startswith(PREFIX) and len(text) <= MAX_LENGTH):
        raise ValueError("takes the page_view of an earlier answer, or 8 to 64 of A-Z, a-z, 0-9, _ and -")
    return text


KV = "kv."
"""What the names of key-values begin with."""
_labels, _values = words(50), words(50)
CONTEXT: Mapping[str, Check[Any]] = {
    "labels": _labels.noted("What the page is about: up to 50 words, commas between.", examples=["politics,world"]),
    "url": address.noted("The page's address; its query is dropped."),
    "lang": language.noted("The reader's language."),
    "country": country.noted("The reader's country."),
    "device": one_of(*DEVICES[1:]).noted("The reader's device; left out: unknown."),
    "width": number(0, 99_999).noted("CSS pixels of the slot's box; left out: any, on a phone 360."),
    "pv": page_view.noted("The `page_view` of an earlier answer of the same page."),
    KV: _values.noted("A key-value: up to 50 words with commas between; any name may follow `kv.`."),
}
"""What a request says of its page and its reader. KV stands for every name that begins so."""
READER: Mapping[str, Check[Any]] = {
    "visitor": visitor.noted("The first-party id of the reader."),
    "seen": Check(str, {"type": "string", "description": "What the reader's device has kept of an earlier answer."}),
}
"""What goes to no other worker, for an id of a reader is stored nowhere."""
AMOUNT: Mapping[str, Check[Any]] = {
    "campaign": check_id.noted("Only the creatives of this campaign."),
    "limit": number(1, MOST).noted("How many candidates at most.", default=MOST),
}
PLACE: Mapping[str, Check[Any]] = {
    "site": check_id.noted("The site; required."),
    "slot": check_id.noted("The slot's name; required."),
}


def request_of(params: Mapping[str, str]) -> SlotRequest:
    """What a reader with these parameters, which are checked, would ask; without what is known of the reader."""

    def said(name: str, otherwise: T, check: Callable[[str], T]) -> T:
        return check(params[name]) if params.get(name) else otherwise

    device = said("device", 0, DEVICES.index)
    width = said("width", MOBILE_WIDTH if DEVICES[device] == "mobile" else None, int)
    pairs = {name.removeprefix(KV): _values(text) for name, text in params.items() if name.startswith(KV)}
    context = Context(
        frozenset(map(label_number, labels_of(params))),
        said("url", None, address),
        language(params["lang"]) if params.get("lang") else (),
        said("country", None, country),
        device,
        tuple(sorted((name, values) for name, values in pairs.items() if values)),
    )
    return SlotRequest(width, context)


def labels_of(params: Mapping[str, str]) -> tuple[str, ...]:
    """The labels as they are compared."""
    return _labels(params.get("labels", ""))
