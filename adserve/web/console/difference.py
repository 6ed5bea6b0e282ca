"""What changed between two contents, in pieces that a page can mark."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from adserve.core.revisions import Change

WORDS = {
    "click_url": "Landing page",
    "alt": "Alternative text",
    "title": "Title",
    "body": "Text",
    "button": "Button",
    "html": "Markup",
    "width": "Width",
    "height": "Height",
    "media": "Picture",
    "files": "Files",
    "trackers": "Trackers",
}
"""Members of a content, as people call them."""
_TOKENS = re.compile(r"\s+|[^\s<>/&?=]+|.")
MAX_TOKENS = 4_000
"""Of more, the two texts are shown whole: comparing takes time that grows with their square."""


class Piece(NamedTuple):
    """`how`: `same`, `gone` or `new`."""

    how: str
    text: str


class Difference(NamedTuple):
    """A member that changed, and its text in pieces."""

    label: str
    pieces: Sequence[Piece]


def differences(changes: Iterable[Change]) -> list[Difference]:
    """What changed, member by member. The main picture and its size are among the files."""
    found = list(changes)
    if any(one.member == "files" for one in found):
        found = [one for one in found if one.member not in ("media", "width", "height")]
    return [Difference(WORDS.get(one.member, one.member), pieces(said(one.before), said(one.after))) for one in found]


def said(value: Any) -> str:
    """A value in words, of lists a line for each.

    >>> said({"file": "abcdefghijkl.png", "type": "image/png", "bytes": 1200}), said(["a", "b"])
    ('image/png, 1.2 kB, abcdefgh', 'a\\nb')
    """
    if isinstance(value, list | tuple):
        return "\n".join(map(said, value))
    if isinstance(value, dict) and "media" in value:
        size = f"{value['width'] // value.get('density', 1)}x{value['height'] // value.get('density', 1)}"
        return f"{about_file(size, value.get('density', 1), value.get('scheme', ''))}: {said(value['media'])}"
    if isinstance(value, dict):
        return f"{value.get('type')}, {value.get('bytes', 0) / 1000:.1f} kB, {value.get('file', '')[:8]}"
    return "" if value is None else str(value)


def about_file(size: str, density: int, scheme: str) -> str:
    """What a file is for.

    >>> about_file("728x90", 2, "dark")
    '728x90, for dense screens, for dark pages'
    """
    dense, dark = ", for dense screens" if density > 1 else "", ", for dark pages" if scheme else ""
    return f"{size}{dense}{dark}"


def pieces(before: str, after: str) -> list[Piece]:
    """Two texts as one, word by word.

    >>> [tuple(one) for one in pieces("Red shoes", "Blue shoes")]
    [('gone', 'Red'), ('new', 'Blue'), ('same', ' shoes')]
    """
    old, new = _TOKENS.findall(before), _TOKENS.findall(after)
    if max(len(old), len(new)) > MAX_TOKENS:
        return [Piece("gone", before), Piece("new", after)]
    found: list[Piece] = []
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            found.append(Piece("same", "".join(old[a:b])))
            continue
        found += [Piece("gone", "".join(old[a:b]))] if b > a else []
        found += [Piece("new", "".join(new[c:d]))] if d > c else []
    return found
