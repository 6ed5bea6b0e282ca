"""The drawings in the demo's creatives: one small picture for each trade, in a square of 100 by 100."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from PIL import ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]


def blend(one: Colour, two: Colour, share: float) -> Colour:
    """`one` with `share` (0 to 1) of `two` in it."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, two, strict=True))
    return red, green, blue


class Pen:
    """Draws in a square of 100 by 100 units that lies anywhere on a picture."""

    def __init__(self, draw: ImageDraw.ImageDraw, left: float, top: float, side: float) -> None:
        self.draw, self.left, self.top, self.unit = draw, left, top, side / 100

    def at(self, point: Point) -> Point:
        return self.left + point[0] * self.unit, self.top + point[1] * self.unit

    def shape(self, points: Iterable[Point], colour: Colour) -> None:
        self.draw.polygon([self.at(point) for point in points], fill=colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        self.draw.ellipse([self.at((x - radius, y - radius)), self.at((x + radius, y + radius))], fill=colour)

    def box(self, x: float, y: float, width: float, height: float, colour: Colour, radius: float = 0) -> None:
        corners = [self.at((x, y)), self.at((x + width, y + height))]
        self.draw.rounded_rectangle(corners, radius * self.unit, fill=colour)

    def line(self, points: Sequence[Point], thick: float, colour: Colour) -> None:
        width = max(1, round(thick * self.unit))
        self.draw.line([self.at(point) for point in points], fill=colour, width=width, joint="curve")
        for point in (points[0], points[-1]):  # round ends
            self.disc(*point, thick / 2, colour)

    def arc(self, x: float, y: float, radius: float, span: tuple[float, float], thick: float, colour: Colour) -> None:
        """Degrees, clockwise from three o'clock."""
        corners = [self.at((x - radius, y - radius)), self.at((x + radius, y + radius))]
        self.draw.arc(corners, *span, fill=colour, width=max(1, round(thick * self.unit)))


def tea(pen: Pen, ink: Colour, accent: Colour, ground: Colour) -> None:
    """A cup, its saucer and steam."""
    pen.disc(46, 50, 40, blend(ground, accent, 0.25))
    for x in (34, 46, 58):
        wave = [(x + 4 * math.sin(y / 5.5), y) for y in range(14, 36)]
        pen.line(wave, 3.2, blend(ground, ink, 0.7))
    pen.arc(69, 54, 12, (-100, 110), 5, ink)
    pen.shape([(20, 42), (72, 42), (69, 60), (60, 72), (32, 72), (23, 60)], ink)
    pen.box(20, 40, 52, 6, accent, 3)
    pen.box(12, 76, 68, 5, ink, 2.5)
    leaf = [(46, 66), (38, 60), (38, 52), (46, 48), (54, 52), (54, 60)]
    pen.shape(leaf, accent)
    pen.line([(46, 68), (46, 52)], 1.6, ink)


def bicycle(pen: Pen, ink: Colour, accent: Colour, ground: Colour) -> None:
    """Two wheels, a frame, a basket."""
    pale = blend(ground, ink, 0.45)
    for x in (26, 74):
        for turn in range(0, 180, 30):
            dx, dy = 20 * math.cos(math.radians(turn)), 20 * math.sin(math.radians(turn))
            pen.line([(x - dx, 64 - dy), (x + dx, 64 + dy)], 0.9, pale)
        pen.arc(x, 64, 21, (0, 360), 3.6, ink)
        pen.disc(x, 64, 3, ink)
    pen.line([(26, 64), (38, 38), (66, 38), (48, 64), (26, 64)], 3.4, accent)
    pen.line([(38, 38), (48, 64)], 3.4, accent)
    pen.line([(74, 64), (64, 30), (72, 25)], 3.4, ink)
    pen.line([(37, 36), (35, 30)], 3, ink)
    pen.line([(29, 29), (42, 29)], 4.6, ink)
    pen.box(69, 29, 17, 12, accent, 2)
    pen.disc(48, 64, 4.6, ink)


def books(pen: Pen, ink: Colour, accent: Colour, ground: Colour) -> None:
    """A shelf under a lamp."""
    pen.shape([(40, 10), (60, 10), (90, 82), (10, 82)], blend(ground, accent, 0.3))
    pen.line([(50, 0), (50, 8)], 2, ink)
    pen.shape([(42, 8), (58, 8), (64, 20), (36, 20)], accent)
    spines = [(14, 9, 40), (24, 12, 50), (37, 8, 36), (46, 11, 46), (58, 10, 42)]
    for n, (x, width, height) in enumerate(spines):
        colour = blend(ink, accent if n % 2 else ground, 0.12 + 0.16 * (n % 3))
        pen.box(x, 82 - height, width, height, colour, 1)
        pen.box(x + 2, 82 - height + 7, width - 4, 3, accent)
    pen.shape([(70, 82), (79, 82), (91, 43), (82, 40)], ink)
    pen.box(8, 82, 84, 5, ink, 1)


def train(pen: Pen, ink: Colour, accent: Colour, ground: Colour) -> None:
    """A train before the hills."""
    pen.disc(66, 36, 20, accent)
    pen.shape([(0, 70), (24, 34), (40, 54), (58, 28), (100, 70)], blend(ground, ink, 0.35))
    pen.shape([(0, 74), (16, 56), (44, 66), (72, 50), (100, 74)], blend(ground, ink, 0.55))
    pen.box(6, 56, 30, 20, ink, 3)
    pen.box(38, 56, 22, 20, ink, 3)
    pen.shape([(62, 56), (78, 56), (90, 66), (92, 76), (62, 76)], ink)
    for x in (10, 18, 26, 42, 50, 66):
        pen.box(x, 61, 6, 6, accent, 1)
    pen.shape([(75, 61), (79, 61), (84, 67), (75, 67)], accent)
    for x in (14, 28, 44, 54, 68, 82):
        pen.disc(x, 78, 3.4, ink)
    pen.line([(2, 83), (98, 83)], 2, ink)


def lighthouse(pen: Pen, ink: Colour, accent: Colour, ground: Colour) -> None:
    """A lighthouse over calm water."""
    pen.shape([(50, 26), (98, 12), (98, 40)], blend(ground, accent, 0.45))
    pen.shape([(50, 26), (2, 12), (2, 40)], blend(ground, accent, 0.25))
    pen.shape([(43, 32), (57, 32), (63, 80), (37, 80)], ink)
    pen.shape([(41.6, 44), (58.4, 44), (59.9, 56), (40.1, 56)], accent)
    pen.shape([(39.2, 64), (60.8, 64), (62, 72), (38, 72)], accent)
    pen.box(41, 20, 18, 12, accent, 1)
    pen.shape([(39, 20), (61, 20), (50, 10)], ink)
    pen.box(39, 30, 22, 3, ink)
    for n, y in enumerate((80, 86, 92)):
        pen.line(
            [(x, y + 1.6 * math.sin((x + 9 * n) / 5)) for x in range(8, 93)], 2.6, blend(ground, ink, 0.85 - n / 5)
        )


def umbrella(pen: Pen, ink: Colour, accent: Colour, ground: Colour) -> None:
    """An umbrella that does its work."""
    for x, y in ((14.0, 12), (34, 2), (56, 4), (78, 8), (92, 22), (6, 34), (94, 50), (4, 62)):
        pen.line([(x, y), (x - 3, y + 9)], 2.2, blend(ground, ink, 0.6))
    pen.draw.pieslice([pen.at((10, 18)), pen.at((90, 98))], 180, 360, fill=accent)
    pen.draw.pieslice([pen.at((36, 18)), pen.at((64, 98))], 180, 360, fill=blend(accent, ink, 0.35))
    for x in (10.0, 36.6, 63.3):
        pen.draw.ellipse([pen.at((x, 52)), pen.at((x + 26.7, 64))], fill=ground)
    pen.line([(50, 18), (50, 12)], 3, ink)
    pen.line([(50, 52), (50, 84)], 3.2, ink)
    pen.arc(43, 84, 8.6, (0, 180), 3.2, ink)


def letter(pen: Pen, ink: Colour, accent: Colour, ground: Colour) -> None:
    """A newspaper, folded."""
    pen.box(22, 20, 66, 62, blend(ground, ink, 0.35), 3)
    pen.box(14, 14, 66, 66, ink, 3)
    pen.box(20, 20, 54, 9, accent, 1)
    pen.box(20, 34, 24, 22, blend(ink, accent, 0.55), 1)
    for y in (35, 41, 47, 53):
        pen.box(48, y, 26, 2.6, blend(ink, ground, 0.7), 1)
    for y in (62, 68):
        pen.box(20, y, 54, 2.6, blend(ink, ground, 0.7), 1)


Motif = Callable[[Pen, Colour, Colour, Colour], None]
MOTIFS: tuple[Motif, ...] = (tea, bicycle, books, train, lighthouse, umbrella, letter)
