"""Labels and key-values as they are compared, however they were written."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from adserve.core.validate import folded

_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
"""Letters and marks that show nothing."""
_SELECTORS = (("\u180b", "\u180f"), ("\ufe00", "\ufe0f"), ("\U000e0100", "\U000e01ef"))
"""Of variants of the character before."""


@lru_cache(maxsize=50_000)
def folded_word(text: str) -> str:
    """NFC and case-folded, blanks of any kind as one space, none at its ends, and without whatever cannot be seen:
    control and format characters, variation selectors, fillers. Joiners too, though spelling has them: what a reader
    takes for one word has to be one where a page must not stand beside it. What comes out stays as it is.

    `" Neue\\u3000STRAßE "` gives `"neue strasse"`."""
    if not text.isascii() or not text.isprintable():
        text = "".join(one for one in text if one.isspace() or not _is_unseen(one))
    return folded(" ".join(text.split()))


def _is_unseen(one: str) -> bool:
    if one in _FILLERS or any(first <= one <= last for first, last in _SELECTORS):
        return True
    return unicodedata.category(one) in ("Cc", "Cf")
