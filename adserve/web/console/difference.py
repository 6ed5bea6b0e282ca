"""What changed between two contents, in pieces that a page can mark."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import Match, SequenceMatcher
from itertools import accumulate, takewhile
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
MAX_STEPS = 500_000
"""Pairs of equal words that one comparison looks at: it may take as many as the cube of its words, and whoever writes
the words is not whoever waits. What is not compared by then is shown whole."""


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
    begin = _alike(old, new)
    end = _alike(old[begin:][::-1], new[begin:][::-1])
    was, now = old[begin : len(old) - end], new[begin : len(new) - end]
    found = [Piece("same", "".join(old[:begin]))]
    for kind, a, b, c, d in _Bounded(was, now).get_opcodes():
        gone, came = "".join(was[a:b]), "".join(now[c:d])
        found += [Piece("same", gone)] if kind == "equal" else [Piece("gone", gone), Piece("new", came)]
    found.append(Piece("same", "".join(old[len(old) - end :])))
    return [one for one in found if one.text]


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """How many words they begin with in common."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


class _Bounded(SequenceMatcher[str]):
    """Finds nothing equal any more once it has taken `MAX_STEPS`."""

    def __init__(self, old: Sequence[str], new: Sequence[str]) -> None:
        super().__init__(None, old, new, autojunk=False)
        there = Counter(new)
        self._steps = list(accumulate((1 + there[one] for one in old), initial=0))
        self._left = MAX_STEPS

    def find_longest_match(self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None) -> Match:
        self._left -= self._steps[ahi if ahi is not None else -1] - self._steps[alo]
        return super().find_longest_match(alo, ahi, blo, bhi) if self._left >= 0 else Match(alo, blo, 0)
