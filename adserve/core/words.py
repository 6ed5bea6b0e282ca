"""Labels and key-values as they are compared, however they were written."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from adserve.core.validate import folded

_JOINERS = "\u200c\u200d"


@lru_cache(maxsize=50_000)
def folded_word(text: str) -> str:
    """NFC and case-folded, blanks of any kind as one space, none at its ends, and without invisible characters, save
    joiners within it, which spelling needs. What comes out stays as it is.

    `" Neue\\u3000STRAßE "` gives `"neue strasse"`."""
    if not text.isascii():
        text = "".join(one for one in text if one in _JOINERS or unicodedata.category(one) != "Cf")
    return folded(" ".join(text.split()).strip(_JOINERS))
