"""A landing URL as a reviewer has to see it: the host in both spellings, and what about it may deceive.

What is stored is right by `core.urls`, which says nothing about honest: a name of Cyrillic letters that looks like a
Latin one is a good name. Not chosen: refusing such names, because most of them mean what they say.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple
from urllib.parse import unquote

import idna

from adserve.core.urls import is_number

_HOST = re.compile(r"https?://(\[[^\]/?#]*\]|[^/?#:]*)")
_WRITTEN_TOGETHER = frozenset({"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "BOPOMOFO"})
_TWINS = {
    **dict(zip("авеһіїјкӏмнорсԁԛѕтгуԝхьё", "abehiijklmhopcdqstryw" + "xbe", strict=True)),
    **dict(zip("αβγεικνορτυχω", "abyeikvoptuxw", strict=True)),
    **dict(zip("սօհոցւ", "uohngl", strict=True)),
}
"""Cyrillic, Greek and Armenian letters that pass for Latin ones at a glance, and for which."""
_NEUTRAL = frozenset("-0123456789")
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Landing(NamedTuple):
    """`host` as it is stored and asked for (A-labels), `unicode_host` as its owner spells it, and sentences for the
    reviewer, none for an ordinary address."""

    host: str
    unicode_host: str
    warnings: tuple[str, ...]


def describe_landing(url: str) -> Landing:
    """Of a stored landing URL, or of any text: never raises.

    >>> describe_landing("https://xn--bcher-kva.example/x").unicode_host
    'bücher.example'
    """
    found = _HOST.match(url)
    host = found[1] if found else ""
    warnings = warnings_for_host(host) if host else []
    if any(char in _BIDI for char in unquote(url)):
        warnings.append("The address holds characters that turn the direction of text: it does not read as it leads.")
    return Landing(host, ".".join(map(_unicode, host.split("."))), tuple(warnings))


def warnings_for_host(host: str) -> list[str]:
    """What a reviewer should know about a stored host: sentences, none for an ordinary name. Never raises."""
    warnings = []
    if host.startswith("[") or is_number(host.rpartition(".")[2]):
        warnings.append(f"{host} is an address, not a name.")
    for label in host.split("."):
        if not label.startswith("xn--"):
            continue
        try:
            shown = idna.ulabel(label)
        except (idna.IDNAError, UnicodeError):
            warnings.append(f"{label} is not a valid international name.")
            continue
        scripts = sorted({_script(letter) for letter in shown if letter.isalpha()})
        warnings.append(f"{label} is shown by browsers as “{shown}” ({', '.join(scripts).lower()} letters).")
        if len(scripts) > 1 and not _WRITTEN_TOGETHER.issuperset(scripts):
            warnings.append(f"“{shown}” mixes the letters of several scripts, as imitated names do.")
        elif all(letter in _TWINS or letter in _NEUTRAL for letter in shown):
            twin = "".join(_TWINS.get(letter, letter) for letter in shown)
            warnings.append(f"Every letter of “{shown}” looks like a Latin one: it may imitate “{twin}”.")
    return warnings


def _unicode(label: str) -> str:
    try:
        return idna.ulabel(label) if label.startswith("xn--") else label
    except (idna.IDNAError, UnicodeError):
        return label


def _script(letter: str) -> str:
    """The first word of its Unicode name, which for letters is the script: `CYRILLIC SMALL LETTER A`."""
    return unicodedata.name(letter, "UNKNOWN").partition(" ")[0]
