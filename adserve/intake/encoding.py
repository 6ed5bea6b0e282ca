"""Pixels to what is served: encoded again as the kind that they came in, and as newer kinds where that is smaller."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from PIL import AvifImagePlugin, Image, ImageCms

from adserve.intake.budget import DEFAULT_DELAY_MS, MAX_LENGTH_MS, MIN_DELAY_MS, check_budget, refuse

KINDS = ("WEBP", "AVIF")
"""What variants are of, the older one first."""
MAX_VARIANT_PIXELS = 1_000_000
"""Of a picture that gets variants; animations may have eight times that in all of their frames. Beyond that an
encoder takes seconds, and no slot is so large."""
_WRITES_AVIF = any(AvifImagePlugin.SUPPORTED and AvifImagePlugin.get_codec_version(c) for c in ("aom", "rav1e", "svt"))
_TURNS = dict(enumerate((
    Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180, Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_90,
), 2))  # fmt: skip
"""EXIF orientation to the turn that undoes it."""


class Encoded(NamedTuple):
    """The kind of a picture and its bytes, and the same as other kinds, where that is smaller."""

    kind: str
    data: bytes
    variants: tuple[tuple[str, bytes], ...]


def encode(image: Image.Image, kind: str, frames: int, *, lossless: bool) -> Encoded:
    """A picture that was opened, of a kind and a number of frames. `lossless`: no variant of it loses anything, but
    what AVIF does at a quality that letters survive."""
    check_budget(*image.size, frames)
    profile = image.info.get("icc_profile")
    first = int(getattr(image, "default_image", False))  # an APNG's picture for programs that play none
    out = io.BytesIO()
    if frames - first > 1:
        kind, pictures, options = _frames(image, kind, range(first, frames), profile)
        if kind == "WEBP":
            options |= {"lossless": lossless, "quality": 80, "method": 2}
        pictures[0].save(out, kind, save_all=True, append_images=pictures[1:], **options)
        moving = _moving(pictures, options) if kind == "GIF" else []
        return _with_smaller(kind, out.getvalue(), moving)
    image.seek(first if frames > first else 0)
    image.load()
    plain = _plain(image, profile)
    if (turn := _TURNS.get(_orientation(image))) is not None:  # one of them is 0
        plain = plain.transpose(turn)
    still: dict[str, dict[str, Any]] = {
        "PNG": {"optimize": plain.width * plain.height <= 1_000_000},
        "JPEG": {"quality": 85, "optimize": True, "progressive": True},
        "GIF": {},
        "WEBP": {"lossless": lossless, "quality": 85, "method": 4},
        "AVIF": {"quality": 75, "speed": 8, "max_threads": 1},
    }
    if kind == "AVIF" and not _WRITES_AVIF:
        kind = "WEBP"
    plain.save(out, kind, **still[kind])
    return _with_smaller(kind, out.getvalue(), _still(plain, kind, lossless=lossless or kind == "GIF"))


def _still(plain: Image.Image, kind: str, *, lossless: bool) -> Iterator[tuple[str, bytes]]:
    """A picture as the kinds that come after its own in KINDS."""
    if plain.width * plain.height > MAX_VARIANT_PIXELS:
        return
    pixels = plain.convert("RGBA" if plain.has_transparency_data else "RGB")
    options: dict[str, dict[str, Any]] = {
        "WEBP": {"lossless": lossless, "quality": 60 if lossless else 80, "method": 4},
        "AVIF": {"quality": 85, "subsampling": "4:4:4"} if lossless else {"quality": 65},
    }
    options["AVIF"] |= {"speed": 8, "max_threads": 1}
    for other in KINDS[KINDS.index(kind) + 1 if kind in KINDS else 0 :]:
        if other == "WEBP" or _WRITES_AVIF:
            out = io.BytesIO()
            pixels.save(out, other, **options[other])
            yield other, out.getvalue()


def _moving(pictures: list[Image.Image], options: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """An animated GIF as WebP, with all of its frames, delays and plays. Not as AVIF, whose encoder takes seconds."""
    if len(pictures) * pictures[0].width * pictures[0].height > MAX_VARIANT_PIXELS * 8:
        return
    clear = any(picture.has_transparency_data for picture in pictures)
    frames = [picture.convert("RGBA" if clear else "RGB") for picture in pictures]
    told = {"duration": options["duration"], "loop": options.get("loop", 0) + 1}
    out = io.BytesIO()
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:], quality=80, method=2, **told)
    yield "WEBP", out.getvalue()


def _with_smaller(kind: str, data: bytes, others: Iterable[tuple[str, bytes]]) -> Encoded:
    return Encoded(kind, data, tuple((other, made) for other, made in others if len(made) < len(data)))


_Animation = tuple[str, list[Image.Image], dict[str, Any]]


def _frames(image: Image.Image, kind: str, places: range, profile: bytes | None) -> _Animation:
    """The kind of the result, its pictures, and delays (ms), plays and disposal as its encoder takes them."""
    pictures: list[Image.Image] = []
    delays: list[int] = []
    for place in places:
        image.seek(place)
        image.load()
        delay = int(image.info.get("duration") or 0)
        delays.append(DEFAULT_DELAY_MS if delay <= 10 else max(MIN_DELAY_MS, delay))
        if sum(delays) > MAX_LENGTH_MS:
            raise refuse(f"the animation is longer than {MAX_LENGTH_MS // 1000} s: shorten it")
        pictures.append(_plain(image, profile))
    # A GIF says how often to repeat and plays once when it does not say; the others say how often to play.
    loop = image.info.get("loop", -1 if kind == "GIF" else 0)
    most = MAX_LENGTH_MS // sum(delays)
    plays = max(1, min(most, loop + (kind == "GIF"))) if loop else most
    clear = any(picture.has_transparency_data for picture in pictures)
    if kind == "GIF":
        repeats = {"loop": plays - 1} if plays > 1 else {}
        return kind, pictures, {"duration": delays, "disposal": 2 if clear else 1} | repeats
    pictures = [picture.convert("RGBA" if clear else "RGB") for picture in pictures]
    return "WEBP", pictures, {"duration": delays, "loop": plays}


def _orientation(image: Image.Image) -> int:
    with suppress(Exception):  # broken EXIF of a sound picture: it stays as it lies
        return int(image.getexif().get(0x0112, 1))
    return 1


def _plain(image: Image.Image, profile: bytes | None) -> Image.Image:
    """A copy of the pixels alone, in sRGB, of a mode that the encoders take."""
    clear = "RGBA" if image.has_transparency_data else "RGB"
    if image.mode.startswith("I"):  # 16 bits of grey
        image = image.convert("I").point(lambda grey: grey / 256).convert("L")
    if profile:
        base = image if image.mode in ("L", "CMYK") else image.convert(clear)
        with suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):  # an unreadable profile counts as none
            source, target = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
            mode = clear if base.mode == clear else "RGB"
            image = ImageCms.profileToProfile(base, source, target, outputMode=mode) or image
    if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA") or (image.palette and image.palette.mode != "RGB"):
        image = image.convert(clear)
    plain = image.copy()
    plain.info = {key: value for key, value in image.info.items() if key == "transparency"}
    return plain
