"""Bars by name, one under the other: the name stands above its bar, so that it has the whole width."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element

from markupsafe import Markup

from adserve.charts.axis import exact
from adserve.charts.svg import add, image, markup, share

ROW, THICK = 40, 12
"""Pixels of a row, and of its bar."""
LONGEST = 28
"""Letters of a name that the narrowest page has room for, beside the amount; of wide ones half as many."""
_WIDE = "MWmw@%"


class Bar(NamedTuple):
    """`amount` None: not known, which is drawn as a dash."""

    name: str
    amount: float | None


def bars(
    title: str,
    description: str,
    rows: Sequence[Bar],
    *,
    show: Callable[[float], str] = exact,
    nothing: str = "Nothing was counted in this time.",
) -> Markup:
    """A figure for a page."""
    figure = Element("figure", {"class": "chart names"})
    root = image(title, description, width="100%", height=ROW * max(1, len(rows)), class_="plot")
    figure.append(root)
    most = max((row.amount or 0 for row in rows), default=0) or 1
    for at, row in enumerate(rows):
        group, top = add(root, "g"), at * ROW
        said = "\N{EN DASH}" if row.amount is None else show(row.amount)
        add(group, "title", f"{row.name}: {said}")
        add(group, "text", shortened(row.name), x="0", y=top + 14, class_="name")
        add(group, "text", said, x="100%", y=top + 14, text_anchor="end", class_="tick")
        add(group, "rect", x="0", y=top + 20, width="100%", height=THICK, class_="track")
        if row.amount:
            add(group, "rect", x="0", y=top + 20, width=share(row.amount / most), height=THICK, class_="fill tone1")
    if not rows:
        add(root, "text", nothing, x="50%", y=ROW // 2 + 4, text_anchor="middle", class_="nothing")
    return markup(figure)


def shortened(name: str) -> str:
    """A name as far as it has room.

    >>> shortened("Spring sale of the tea house in the valley")
    'Spring sale of the tea hou…'
    """
    width = 0
    for at, letter in enumerate(name):
        wide = letter in _WIDE or unicodedata.east_asian_width(letter) in "WF"
        width += 4 if wide else 3 if letter.isupper() else 2
        if width > 2 * LONGEST:
            return f"{name[: at - 1]}…"
    return name
