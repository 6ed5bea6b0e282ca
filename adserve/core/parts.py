"""What a creative becomes in a slot: static text, and holes for what each serve has of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from operator import itemgetter

from msgspec import Struct


class Snippet(Struct, frozen=True, gc=False):
    """Static text and holes in turn: `holes` are indexes into the values of `fill`, one for each of `parts[1::2]`."""

    parts: tuple[str, ...]
    holes: tuple[int, ...]

    def fill(self, decision: str, view: str, click: str, base: str) -> str:
        """The HTML of one serve. All four values are made by us and need no escaping."""
        pieces = list(self.parts)
        pieces[1::2] = _values_of(self.holes)((decision, view, click, base))[:-2]
        return "".join(pieces)


class Framed(Snippet, frozen=True, gc=False):
    """One with a hole more: the address of its frame's document, under the token of its click."""

    def fill(self, decision: str, view: str, click: str, base: str) -> str:
        frame = f"{base}/f/{click.rpartition('/')[2]}"
        pieces = list(self.parts)
        pieces[1::2] = _values_of(self.holes)((decision, view, click, base, frame))[:-2]
        return "".join(pieces)


@cache
def _values_of(holes: tuple[int, ...]) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    """Takes the values for the holes, and two more: of one alone it would make no tuple."""
    return itemgetter(*holes, 0, 0)
