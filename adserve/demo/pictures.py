"""Draws the demo's creatives: the same bytes for the same arguments, with no file but Pillow's own font."""

from __future__ import annotations

import io
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from adserve.demo.designs import Design, Look, design
from adserve.demo.landscapes import draw_article
from adserve.demo.motifs import Colour, Pen, blend

__all__ = ["draw", "draw_article"]

_SCALE = 3
"""Drawn this much larger and then reduced, which smooths the edges."""
_WIDE = 2.6
"""From this ratio on, everything stands in one row."""
_LOW = 70
"""Rows lower than this many pixels are for phones."""

Font = ImageFont.FreeTypeFont
Box = tuple[float, float, float, float]
"""Left, top, width, height."""


def draw(brand: str, width: int, height: int) -> bytes:
    """A creative of `width` by `height` pixels as PNG. `brand` is a key of `DESIGNS`; any other text works too."""
    what = design(brand)
    canvas = _fade(what.look, width * _SCALE, height * _SCALE)
    if width >= _WIDE * height:
        _row(canvas, what)
    elif height > 1.5 * width:
        _tower(canvas, what)
    else:
        _card(canvas, what)
    small = canvas.resize((width, height), Image.Resampling.LANCZOS)
    ImageDraw.Draw(small).rectangle((0, 0, width - 1, height - 1), outline=blend(what.look.shade, what.look.ink, 0.25))
    out = io.BytesIO()
    small.quantize(160, dither=Image.Dither.FLOYDSTEINBERG).save(out, "PNG", optimize=True)
    return out.getvalue()


def _fade(look: Look, width: int, height: int) -> Image.Image:
    """The ground, from the upper left into the lower right."""
    ramp = Image.linear_gradient("L").rotate(90).resize((width, height))
    fall = Image.linear_gradient("L").resize((width, height))
    mask = Image.blend(ramp.transpose(Image.Transpose.FLIP_LEFT_RIGHT), fall, 0.5)
    ground = Image.new("RGB", (width, height), look.ground)
    ground.paste(Image.new("RGB", (width, height), look.shade), mask=mask)
    return ground


def _row(canvas: Image.Image, what: Design) -> None:
    """Picture, words, button from left to right. The letters of a low strip take more of its height."""
    draw, (width, height), look = ImageDraw.Draw(canvas), canvas.size, what.look
    low = height < _LOW * _SCALE
    panel, edge = (1.2 * height, 0.16 * height) if low else (1.55 * height, 0.26 * height)
    small, large = (0.2 * height, 0.3 * height) if low else (0.145 * height, 0.31 * height)
    side = 0.86 * height
    draw.polygon([(0, 0), (panel, 0), (panel - 0.3 * height, height), (0, height)], fill=_tint(look))
    pen = Pen(draw, (panel - 0.2 * height - side) / 2, 0.07 * height, side)
    what.motif(pen, look.ink, look.accent, _tint(look))
    action, tall = _font(0.22 * height if low else 0.17 * height), 0.46 * height if low else 0.36 * height
    button = action.getlength(what.action) + 1.22 * tall
    right = width - edge
    _button(draw, what, (right - button, (height - tall) / 2, button, tall), action)
    left, room = panel + 0.06 * height, right - button - panel - edge
    brand = what.brand.upper()
    _text(draw, (left, (0.12 if low else 0.2) * height), brand, _fitting(brand, small, room), look.accent)
    lines, font = _set(what.line, large, room, 2, 0.56 * height if low else 0.5 * height)
    step = 1.12 * font.size
    top = (0.37 if low else 0.42) * height + ((0.56 if low else 0.46) * height - step * len(lines)) / 2
    for n, line in enumerate(lines):
        _text(draw, (left, top + n * step), line, font, look.ink)


def _card(canvas: Image.Image, what: Design) -> None:
    """Words on top, below them the button and, in the corner, the picture."""
    draw, (width, height), look = ImageDraw.Draw(canvas), canvas.size, what.look
    margin, tail = 0.08 * width, 0.135 * width
    draw.polygon([(width, 0.42 * height), (width, height), (0.3 * width, height)], fill=_tint(look))
    side = 0.49 * height
    what.motif(
        Pen(draw, width - side - 0.025 * width, height - side - 0.02 * height, side), look.ink, look.accent, _tint(look)
    )
    _words(draw, what, (margin, margin, width - 2 * margin, 0.42 * height), 0.115 * width, 2)
    _button(draw, what, (margin, height - margin - tail, 0, tail), _font(0.41 * tail))


def _tower(canvas: Image.Image, what: Design) -> None:
    """Picture, words, button from top to bottom."""
    draw, (width, height), look = ImageDraw.Draw(canvas), canvas.size, what.look
    margin, tail, slope, deep = 0.08 * width, 0.15 * width, 0.07 * width, 0.46 * height
    draw.polygon([(0, 0), (width, 0), (width, deep - slope), (0, deep + slope)], fill=_tint(look))
    side = min(0.86 * deep, 0.84 * width)
    what.motif(Pen(draw, (width - side) / 2, (deep - side) / 2, side), look.ink, look.accent, _tint(look))
    top, bottom = deep + slope + 0.035 * height, height - margin - tail
    _words(draw, what, (margin, top, width - 2 * margin, bottom - top - margin / 2), 0.135 * width, 5)
    _button(draw, what, (margin, bottom, 0, tail), _font(0.41 * tail))


def _words(draw: ImageDraw.ImageDraw, what: Design, box: Box, size: float, most: int) -> None:
    """The brand, and its line in at most `most` lines."""
    left, top, room, depth = box
    brand = what.brand.upper()
    small = _fitting(brand, 0.46 * size, room)
    _text(draw, (left, top), brand, small, what.look.accent)
    below = 1.75 * small.size
    lines, font = _set(what.line, size, room, most, depth - below)
    for n, line in enumerate(lines):
        _text(draw, (left, top + below + n * 1.16 * font.size), line, font, what.look.ink)


def _tint(look: Look) -> Colour:
    return blend(look.ground, look.ink, 0.1)


def _button(draw: ImageDraw.ImageDraw, what: Design, box: Box, font: Font) -> None:
    """As wide as its words, or `box` when that is wider."""
    left, top, width, height = box
    width = max(width, font.getlength(what.action) + 1.2 * height)
    fill, look = what.look.accent, what.look
    draw.rounded_rectangle((left, top, left + width, top + height), height / 2, fill=fill)
    bright = 0.3 * fill[0] + 0.59 * fill[1] + 0.11 * fill[2] > 140
    dark = min(look.ink, look.shade, key=sum)
    middle = (left + width / 2, top + height / 2)
    ink = dark if bright else (255, 255, 255)
    draw.text(middle, what.action, font=font, fill=ink, anchor="mm", stroke_width=font.size * 0.02, stroke_fill=ink)


def _text(draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, font: Font, fill: Colour) -> None:
    """Slightly emboldened: the built-in font has one weight."""
    draw.text(at, text, font=font, fill=fill, stroke_width=font.size * 0.018, stroke_fill=fill)


def _set(text: str, size: float, room: float, most: int, depth: float) -> tuple[list[str], Font]:
    """The lines of `text` in the largest type up to `size` that keeps within `room`, `most` lines and `depth`."""
    while True:
        font = _font(size)
        lines = _wrap(text, font, room)
        fits = all(font.getlength(line) <= room for line in lines)
        if size < 12 or (fits and len(lines) <= most and len(lines) * 1.16 * size <= depth):
            return lines[:most], font
        size *= 0.95


def _fitting(text: str, size: float, room: float) -> Font:
    """The font of one line."""
    return _set(text.replace(" ", "\u00a0"), size, room, 1, 2 * size)[1]


def _wrap(text: str, font: Font, room: float) -> list[str]:
    """Greedy, then as even as the same number of lines allows, so that no last word stands alone."""
    for width in (room * share / 20 for share in range(8, 21)):
        lines: list[str] = []
        for word in text.split(" "):
            if lines and font.getlength(f"{lines[-1]} {word}") <= width:
                lines[-1] += f" {word}"
            else:
                lines.append(word)
        if len(lines) == _fewest(text, font, room):
            return lines
    return text.split(" ")


def _fewest(text: str, font: Font, room: float) -> int:
    count, line = 0, ""
    for word in text.split(" "):
        longer = f"{line} {word}".strip()
        if not line or font.getlength(longer) > room:
            count, line = count + 1, word
        else:
            line = longer
    return count


@lru_cache(64)
def _font(size: float) -> Font:
    font = ImageFont.load_default(max(6.0, size))
    if not isinstance(font, Font):
        raise RuntimeError("this Pillow was built without FreeType, which the demo's pictures need")
    return font
