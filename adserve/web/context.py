"""What a delivery request says of its page and reader, as targeting looks at it. What is malformed is left out.

DESIGN. A page asks the same for each of its readers, so what its parameters say is remembered: with the query, where
that is, and else by the values as they were sent, because a page view or a visitor makes every query another. Not when
it is long, for that costs memory. Device, country and languages are put to it with each request: with them there would
be as many as pages times readers.

The `Referer` header is not looked at: browsers cut it to the origin, and frames and proxies send another page's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from adserve.core.context import Context
from adserve.core.globs import page_address
from adserve.core.languages import fallbacks
from adserve.core.target_checks import COUNTRY, KV_NAME, LONGEST_WORD
from adserve.core.targeting import label_number
from adserve.core.words import folded_word
from adserve.web.parameters import Pairs, Query, unquoted

MAX_LABELS = 50
MAX_NAMES = 20
"""Names of key-values."""
MAX_VALUES = 50
"""Values of one name."""
LONGEST_REMEMBERED = 1024
"""Bytes of all that a context is made of."""
LONGEST_HEADER = 256
"""Bytes of an Accept-Language that are looked at: what a reader prefers stands first."""
_WEIGHT = re.compile(r"(0(\.[0-9]{0,3})?|1(\.0{0,3})?)")


class Said(NamedTuple):
    """What the parameters of a request say of its page and reader; how many malformed values were left out."""

    labels: frozenset[int] = frozenset()
    url: str | None = None
    languages: tuple[str, ...] = ()
    kv: tuple[tuple[str, tuple[str, ...]], ...] = ()
    malformed: int = 0


def context_of(query: Query, device: int, country: str | None, accept_language: bytes) -> tuple[Context, int]:
    """The context, and how many malformed values were left out of it. `country`: as it is said elsewhere, see
    `adserve.web.client`; `accept_language`: the header."""
    found = query.said
    if found is None:
        long = sum([len(name) + len(value) for name, value in query.page]) > LONGEST_REMEMBERED
        found = query.said = _said(query.page) if long else _remembered(query.page)
    labels, url, languages, kv, malformed = found
    if not languages:
        languages = preferred(accept_language[:LONGEST_HEADER])
    return Context(labels, url, languages, country, device, kv), malformed


def country_of(text: str) -> str | None:
    """`in` gives `IN`; None when it can be none."""
    return text.upper() if COUNTRY.fullmatch(text) else None


def _said(page: Pairs) -> Said:
    labels: frozenset[int] = frozenset()
    url: str | None = None
    languages: tuple[str, ...] = ()
    kv: list[tuple[bytes, bytes]] = []
    malformed = 0
    for name, value in page:
        if name == b"labels":
            words, wrong = _words(value, MAX_LABELS)
            labels = frozenset(map(label_number, words))
        elif name == b"url":
            url, wrong = _address(value)
        elif name == b"lang":
            languages, wrong = _language(value)
        else:
            kv.append((name, value))
            continue
        malformed += wrong
    pairs, wrong = _pairs(kv) if kv else ((), 0)
    return Said(labels, url, languages, pairs, malformed + wrong)


_remembered = lru_cache(maxsize=4_096)(_said)


def _words(sent: bytes, most: int) -> tuple[tuple[str, ...], int]:
    """Comma-separated words as they are compared, sorted; how many were left out, those beyond `most` as one."""
    found: set[str] = set()
    malformed = 0
    for one in unquoted(sent).split(b","):
        try:
            word = folded_word(one.decode()) if len(one) <= 8 * LONGEST_WORD else None
        except UnicodeDecodeError:
            word = None
        if word is None or len(word) > LONGEST_WORD:
            malformed += 1
        elif word and word not in found:
            if len(found) == most:
                return tuple(sorted(found)), malformed + 1
            found.add(word)
    return tuple(sorted(found)), malformed


def _address(sent: bytes) -> tuple[str | None, int]:
    try:
        url = unquoted(sent).decode()
    except UnicodeDecodeError:
        return None, 1
    found = page_address(url) if url else None
    return found, bool(url) and found is None


def _language(sent: bytes) -> tuple[tuple[str, ...], int]:
    tag = unquoted(sent).decode("latin-1").strip()
    found = fallbacks(tag)
    return found, bool(tag) and not found


@lru_cache(maxsize=1_024)
def preferred(accept_language: bytes) -> tuple[str, ...]:
    """The language that a reader likes best, with what it falls back to: of those with the highest weight the first."""
    best: tuple[str, ...] = ()
    highest = 0.0
    for one in accept_language.decode("latin-1").split(","):
        tag, *rest = (part.strip() for part in one.split(";"))
        weight = _weight(rest)
        if weight > highest and (found := fallbacks(tag)):
            best, highest = found, weight
    return best


def _weight(rest: Sequence[str]) -> float:
    for one in rest:
        name, _, value = one.partition("=")
        if name.strip().lower() == "q":
            return float(value) if _WEIGHT.fullmatch(value.strip()) else 0.0
    return 1.0


def _pairs(sent: Sequence[tuple[bytes, bytes]]) -> tuple[tuple[tuple[str, tuple[str, ...]], ...], int]:
    """Key-values by name, sorted; how many were left out."""
    found: dict[str, tuple[str, ...]] = {}
    malformed = 0
    for name, value in sent:
        key = name[3:].decode("latin-1")
        if not KV_NAME.fullmatch(key):
            malformed += 1
            continue
        words, wrong = _words(value, MAX_VALUES)
        malformed += wrong
        if words:
            if len(found) == MAX_NAMES:
                return tuple(sorted(found.items())), malformed + 1
            found[key] = words
    return tuple(sorted(found.items())), malformed
