"""How a text is laid out in the room of a slot: what is shown, how large, and on how many lines.

A slot's room is fixed, so what does not fit ends in an ellipsis, and what has no room at all is left out: the picture
first, then the button, then the body. Low rooms are laid out in a row, others in a column.
"""

from __future__ import annotations

from typing import NamedTuple

ALONE_PX = 250
"""The height of a text in a slot without sizes."""
ROW = 2.2
"""How many times wider than high a room is from which on it is a row."""
BUTTON_PX = 32
"""With its border."""


class Layout(NamedTuple):
    """Pixels. `picture`: the side of its box in a row, its height in a column; 0: it is not shown. `width` 0: as wide
    as the page lets it be."""

    row: bool
    width: int
    height: int
    padding: int
    gap: int
    title: tuple[int, int]
    """Size of the letters, height of a line."""
    body: tuple[int, int]
    title_lines: int
    body_lines: int
    picture: int
    button: bool


def layout_of(width: int, height: int, *, body: bool, button: bool, picture: bool) -> Layout:
    """Of a text with these parts in a room of this size; 0 by 0: in a slot without sizes."""
    if not (width and height):
        return _column(0, ALONE_PX, body=body, button=button, picture=picture)
    if width >= ROW * height:
        return _row(width, height, body=body, button=button, picture=picture)
    return _column(width, height, body=body, button=button, picture=picture)


def styles_of(at: Layout) -> dict[str, str]:
    """The style sheet of each part, of numbers alone; empty for one that is not shown."""
    clamp = "display:-webkit-box;-webkit-box-orient:vertical;overflow:hidden;overflow-wrap:anywhere;-webkit-line-clamp:"
    way = "align-items:center" if at.row else "flex-direction:column"
    end = "max-width:40%" if at.row else "align-self:flex-start;max-width:100%;margin-top:auto"
    return {
        "link": f"display:flex;box-sizing:border-box;{'' if at.width else 'max-'}height:{at.height}px;"
        f"padding:{at.padding}px {at.padding + 4}px;gap:{at.gap}px;{way};overflow:hidden;border:1px solid #8888;"
        "border-radius:6px;color:inherit;background:none;text-align:start;text-decoration:none",
        "picture": (f"flex:none;height:{at.picture}px" + (f";width:{at.picture}px;max-width:30%" if at.row else ""))
        if at.picture
        else "",
        "words": f"display:block;min-width:0;flex:{'1' if at.row else 'none'}",
        "title": f"{clamp}{at.title_lines};font:bold {at.title[0]}px/{at.title[1]}px sans-serif",
        "body": f"{clamp}{at.body_lines};font:{at.body[0]}px/{at.body[1]}px sans-serif" if at.body_lines else "",
        "button": "flex:none;box-sizing:border-box;padding:0 12px;border:1px solid;border-radius:4px;overflow:hidden;"
        f"font:bold 13px/{BUTTON_PX - 2}px sans-serif;text-overflow:ellipsis;white-space:nowrap;{end}"
        if at.button
        else "",
    }


def _row(width: int, height: int, *, body: bool, button: bool, picture: bool) -> Layout:
    padding = 3 if height <= 60 else 8 if height <= 130 else 14
    inner = height - 2 - 2 * padding
    if height <= 60:
        title, small = (14, 18), (12, 16)
    elif height <= 130:
        title, small = (17, 22), (14, 19)
    else:
        title, small = (24, 31), (17, 24)
    most = max(1, inner // title[1])
    lines = most if not body else min(2 if height > 130 else 1, most)
    below = max(0, inner - lines * title[1]) // small[1] if body else 0
    wide = width >= 280
    return Layout(
        True, width, height, padding, 8 if height <= 60 else 14, title, small, lines, min(below, 4),
        inner if picture and wide else 0, button and wide,
    )  # fmt: skip


def _column(width: int, height: int, *, body: bool, button: bool, picture: bool) -> Layout:
    narrow = 0 < width < 250
    padding, gap = (8, 8) if narrow else (12, 10)
    inner = height - 2 - 2 * padding
    large = height >= 400 and not narrow
    title, small = ((22, 28), (16, 23)) if large else ((15, 20), (13, 18)) if narrow else ((17, 22), (14, 19))
    button = button and inner >= 110
    room = inner - (BUTTON_PX + gap if button else 0)
    across = width - 2 - 2 * (padding + 4) if width else 240
    shown = min(room * 2 // 5, across, 240) if picture and room >= 120 else 0
    room -= shown + gap if shown else 0
    most = max(1, room // title[1])
    lines = most if not body else min(4 if large or (narrow and height >= 400) else 2, max(1, most - 1))
    below = max(0, room - lines * title[1]) // small[1] if body else 0
    return Layout(False, width, height, padding, gap, title, small, lines, below, shown, button)
