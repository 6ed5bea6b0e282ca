"""Draws the pictures of the demo's articles: invented landscapes, the same for the same number."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from random import Random
from typing import Literal

from PIL import Image, ImageDraw, ImageFilter

from adserve.demo.motifs import Colour, blend

_SCALE = 2


@dataclass(frozen=True, slots=True)
class Scene:
    """A sky from `high` to `low`, a light, hills from `far` to `near`, and what stands in front."""

    high: Colour
    low: Colour
    light: Colour
    far: Colour
    near: Colour
    front: Literal["lake", "trees", "roofs", "fields"]
    light_at: tuple[float, float]
    """Of the picture's width and height."""


SCENES = (
    Scene((250, 176, 122), (255, 226, 178), (255, 246, 222), (196, 124, 124), (64, 52, 86), "lake", (0.66, 0.4)),
    Scene((116, 178, 214), (226, 240, 240), (255, 255, 246), (126, 168, 172), (30, 82, 74), "trees", (0.24, 0.26)),
    Scene((46, 58, 110), (226, 140, 124), (255, 214, 160), (110, 84, 128), (30, 28, 62), "roofs", (0.5, 0.56)),
    Scene((244, 206, 120), (252, 238, 196), (255, 252, 232), (202, 168, 96), (108, 108, 48), "fields", (0.78, 0.24)),
    Scene((22, 34, 72), (72, 106, 150), (244, 240, 214), (44, 66, 108), (10, 20, 44), "lake", (0.28, 0.26)),
    Scene((186, 210, 222), (240, 238, 228), (255, 255, 250), (150, 172, 186), (62, 88, 96), "trees", (0.6, 0.3)),
    Scene((238, 132, 108), (252, 206, 150), (255, 238, 196), (178, 88, 92), (72, 34, 62), "fields", (0.36, 0.5)),
    Scene((96, 160, 170), (238, 226, 188), (255, 248, 220), (112, 148, 140), (36, 62, 72), "roofs", (0.72, 0.34)),
)


def draw_article(number: int, width: int, height: int) -> bytes:
    """The picture of article `number` as PNG."""
    scene, chance = SCENES[(number - 1) % len(SCENES)], Random(number)  # noqa: S311 (a look, not a secret)
    wide, high = width * _SCALE, height * _SCALE
    picture = _sky(scene, wide, high)
    draw = ImageDraw.Draw(picture)
    shore = high * 0.68
    for depth in range(4):
        colour = blend(scene.far, scene.near, depth / (3.4 if scene.front != "lake" else 5.5))
        top = high * (0.46 + 0.09 * depth)
        _ridge(draw, chance, top, high * (0.1 - 0.014 * depth), colour, wide, high)
        if scene.front == "lake" and depth == 2:
            break
    if scene.front == "lake":
        _lake(picture, scene, chance, round(shore))
    elif scene.front == "trees":
        _trees(draw, scene, chance, wide, high)
    elif scene.front == "roofs":
        _roofs(draw, scene, chance, wide, high)
    else:
        _fields(draw, scene, wide, high)
    small = picture.resize((width, height), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    small.quantize(200, dither=Image.Dither.FLOYDSTEINBERG).save(out, "PNG", optimize=True)
    return out.getvalue()


def _sky(scene: Scene, width: int, height: int) -> Image.Image:
    sky = Image.new("RGB", (width, height), scene.high)
    sky.paste(Image.new("RGB", (width, height), scene.low), mask=Image.linear_gradient("L").resize((width, height)))
    x, y, radius = scene.light_at[0] * width, scene.light_at[1] * height, 0.085 * height
    glow = Image.new("L", (width // 4, height // 4))
    spread = 3.4 * radius
    ImageDraw.Draw(glow).ellipse([(v + s * spread) / 4 for s in (-1, 1) for v in (x, y)], fill=110)
    blurred = glow.filter(ImageFilter.GaussianBlur(spread / 9)).resize((width, height))
    sky.paste(Image.new("RGB", (width, height), scene.light), mask=blurred)
    ImageDraw.Draw(sky).ellipse((x - radius, y - radius, x + radius, y + radius), fill=scene.light)
    return sky


def _ridge(
    draw: ImageDraw.ImageDraw, chance: Random, top: float, swing: float, colour: Colour, width: int, height: int
) -> None:
    """Hills: four waves laid over each other, each shorter and lower than the one before."""
    waves = [(2 ** (n * 0.9) * chance.uniform(1.2, 2.0), chance.uniform(0, 6.3), 0.55**n) for n in range(4)]
    points = [
        (x, top + swing * sum(part * math.sin(turns * 6.3 * x / width + start) for turns, start, part in waves))
        for x in range(0, width + 8, 8)
    ]
    draw.polygon([*points, (width, height), (0, height)], fill=colour)


def _lake(picture: Image.Image, scene: Scene, chance: Random, shore: int) -> None:
    """The upper part again, upside down and paler, with ripples and a boat."""
    width, height = picture.size
    depth = height - shore
    mirror = picture.crop((0, shore - depth, width, shore)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    tint = Image.new("RGB", mirror.size, blend(scene.low, scene.near, 0.35))
    picture.paste(Image.blend(mirror, tint, 0.45).filter(ImageFilter.GaussianBlur(2 * _SCALE)), (0, shore))
    draw = ImageDraw.Draw(picture)
    for _ in range(46):
        y = shore + depth * chance.random() ** 1.4
        near = (y - shore) / depth
        x, long = chance.uniform(0, width), width * (0.02 + 0.1 * near)
        draw.line((x, y, x + long, y), blend(scene.low, scene.light, chance.random()), max(1, round(1 + 3 * near)))
    unit, x, y = width / 100, 0.36 * width, shore + 0.34 * depth
    dark = blend(scene.near, (0, 0, 0), 0.35)
    draw.polygon(
        [(x - 11 * unit, y), (x + 12 * unit, y), (x + 9 * unit, y + 2.6 * unit), (x - 9 * unit, y + 2.6 * unit)], dark
    )
    draw.rectangle((x - 6 * unit, y - 3.2 * unit, x + 6 * unit, y), dark)
    for n in range(5):
        left = x + (n * 2.3 - 5.4) * unit
        draw.rectangle((left, y - 2.4 * unit, left + 1.5 * unit, y - 1 * unit), scene.light)
    draw.polygon(
        [
            (x - 8 * unit, y - 3.4 * unit),
            (x + 8 * unit, y - 4.6 * unit),
            (x + 8 * unit, y - 5.2 * unit),
            (x - 8 * unit, y - 4 * unit),
        ],
        dark,
    )


def _trees(draw: ImageDraw.ImageDraw, scene: Scene, chance: Random, width: int, height: int) -> None:
    """Firs, the nearer the larger and darker."""
    for row in range(3):
        colour = blend(scene.near, (0, 0, 0), 0.1 + 0.14 * row)
        for _ in range(26 - 6 * row):
            x, foot = chance.uniform(-0.02, 1.02) * width, height * (0.84 + 0.09 * row)
            tall = height * chance.uniform(0.1, 0.16) * (1 + 0.5 * row)
            for step in range(4):
                tip, base, half = (
                    foot - tall + step * tall * 0.2,
                    foot - tall * (0.62 - 0.2 * step),
                    tall * (0.1 + 0.06 * step),
                )
                draw.polygon([(x, tip), (x - half, base), (x + half, base)], colour)
            draw.rectangle((x - tall * 0.03, foot - tall * 0.1, x + tall * 0.03, foot + tall * 0.05), colour)


def _roofs(draw: ImageDraw.ImageDraw, scene: Scene, chance: Random, width: int, height: int) -> None:
    """A town at the foot of the hills, some of its windows lit."""
    for row in range(2):
        colour, x = blend(scene.near, (0, 0, 0), 0.15 + 0.3 * row), -0.02 * width
        while x < width:
            wide = width * chance.uniform(0.05, 0.1)
            top = height * (chance.uniform(0.7, 0.8) + 0.1 * row)
            draw.rectangle((x, top, x + wide, height), colour)
            if chance.random() < 0.6:
                draw.polygon([(x - 6, top), (x + wide + 6, top), (x + wide / 2, top - wide * 0.42)], colour)
            unit = wide / 9
            for line in range(5):
                for column in range(3):
                    if chance.random() < 0.34:
                        left, up = x + unit * (1.2 + 2.6 * column), top + unit * (1.4 + 3 * line)
                        draw.rectangle(
                            (left, up, left + 1.4 * unit, up + 1.8 * unit), blend(scene.light, scene.low, 0.4)
                        )
            x += wide * chance.uniform(0.95, 1.15)


def _fields(draw: ImageDraw.ImageDraw, scene: Scene, width: int, height: int) -> None:
    """Furrows that meet at the horizon."""
    horizon = 0.76 * height
    draw.rectangle((0, horizon, width, height), blend(scene.near, scene.far, 0.25))
    for n in range(-16, 17):
        foot, far = width * (0.5 + n * 0.11), width * (0.5 + n * 0.032)
        colour = blend(scene.near, scene.light, 0.1 if n % 2 else 0.28)
        draw.polygon(
            [(far, horizon), (far + width * 0.016, horizon), (foot + width * 0.055, height), (foot, height)], colour
        )
