"""Pictures: recognised by their bytes, bounded before decoding, always encoded anew.

DESIGN. The first bytes must name one of five kinds, and only that kind's decoder sees the file.
Size, frames and their places are judged from headers, before a pixel is decoded. What is served is
never what was sent: pixels are encoded again, in sRGB and upright, so metadata, comments,
thumbnails, profiles and whatever follows the end of the picture are gone. The same bytes give the
same output, so its digest can be its name.

Decoders are C code that reads hostile bytes. `encode_off_loop` runs each upload in a process of its
own with limits on memory, CPU and files, without this process's environment (where secrets are), bytes
in and bytes out by pipes: a crash, a hang or a bomb costs that upload and nothing else. Starting it
takes about 0.1 s, and uploads are rare. Not chosen: threads alone (a segfault ends the worker and
its spooling) and a process pool (its children outlive a killed parent, and one crash fails all).

    decided here        still pictures        animations
    size                4096 a side, 16 MP    and 300 frames, 64 MP over all of them
    time                                      30 s: one play is no longer, and plays stop by then
    delay                                     at most 10 ms means 100 ms, as in browsers; else >= 20 ms
    kind                as sent               GIF and WebP as sent; APNG and AVIF become WebP
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import resource
import struct
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from PIL import AvifImagePlugin, GifImagePlugin, Image, ImageCms, WebPImagePlugin

from adserve.errors import AdserveError, Invalid, Problem, TooLarge, UnsupportedMedia

TYPES = (
    "image/png", "image/jpeg", "image/gif",
    *(("image/webp",) if WebPImagePlugin.SUPPORTED else ()), *(("image/avif",) if AvifImagePlugin.SUPPORTED else ()),
)  # fmt: skip
MAX_SIDE = 4096
MAX_PIXELS = 16_000_000
MAX_ANIMATED_PIXELS = 64_000_000
MAX_FRAMES = 300
MAX_LENGTH_MS = 30_000
MIN_DELAY_MS = 20
DEFAULT_DELAY_MS = 100
MAX_SERVED_BYTES = 1_000_000
MAX_TIME_S = 20
"""CPU and wall time of one upload's process."""
MAX_MEMORY_BYTES = 1 << 30
"""Address space of that process; the largest animation allowed needs about half of it."""

_WRITES_AVIF = any(AvifImagePlugin.SUPPORTED and AvifImagePlugin.get_codec_version(c) for c in ("aom", "rav1e", "svt"))
_TURNS = dict(enumerate((
    Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180, Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_90,
), 2))  # fmt: skip
"""EXIF orientation to the turn that undoes it."""
_WAITING = ThreadPoolExecutor(2, thread_name_prefix="images")
"""Threads that only wait for a process: two uploads are decoded at a time, the others queue."""

# Settings of Pillow have no other place than its modules.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # the same bytes on every machine, and less memory
GifImagePlugin.LOADING_STRATEGY = GifImagePlugin.LoadingStrategy.RGB_AFTER_DIFFERENT_PALETTE_ONLY


@dataclass(frozen=True, slots=True)
class Picture:
    """What is kept of an upload. Sizes in pixels; `digest` names the file (SHA-256, 40 hex characters)."""

    data: bytes
    type: str
    ending: str
    width: int
    height: int
    digest: str
    frames: int


def refuse(detail: str) -> Invalid:
    return Invalid([Problem("/file", detail, "bad_picture")])


def sniff(data: bytes) -> str:
    """The kind that the first bytes name. UnsupportedMedia for everything else."""
    signs = {
        "PNG": data.startswith(b"\x89PNG\r\n\x1a\n"),
        "JPEG": data.startswith(b"\xff\xd8\xff"),
        "GIF": data.startswith((b"GIF87a", b"GIF89a")),
        "WEBP": WebPImagePlugin.SUPPORTED and data[:4] == b"RIFF" and data[8:12] == b"WEBP",
        "AVIF": AvifImagePlugin.SUPPORTED and data[4:12] in (b"ftypavif", b"ftypavis"),
    }
    if not any(signs.values()):
        raise UnsupportedMedia("the file is no PNG, JPEG, GIF, WebP or AVIF picture")
    return next(kind for kind in signs if signs[kind])


async def encode_off_loop(data: bytes, *, max_bytes: int) -> Picture:
    """`inspect_and_encode` in a process of its own; the same results and errors, and the loop stays free."""
    if len(data) > max_bytes:
        raise TooLarge(f"the file is over {max_bytes} bytes")
    sniff(data)
    return await asyncio.get_running_loop().run_in_executor(_WAITING, _in_process, data, max_bytes)


def inspect_and_encode(data: bytes, *, max_bytes: int) -> Picture:
    """An upload of at most `max_bytes` to what is served.

    TooLarge; UnsupportedMedia for another kind of file; Invalid (`/file`) for a broken picture or one over a limit.
    """
    if len(data) > max_bytes:
        raise TooLarge(f"the file is over {max_bytes} bytes")
    kind = sniff(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            frames = _gif_frames(data) if kind == "GIF" else 1
            with Image.open(io.BytesIO(data), formats=[kind]) as image:
                if kind not in ("GIF", "JPEG"):  # further pictures in a JPEG are thumbnails and depth maps
                    frames = int(getattr(image, "n_frames", 1))
                kind, encoded = _encode(image, kind, frames, lossless=b"VP8L" in data[:64] or kind == "PNG")
            with Image.open(io.BytesIO(encoded), formats=[kind]) as made:
                (width, height), frames = made.size, int(getattr(made, "n_frames", 1))
    except AdserveError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise refuse(f"the picture has more than {MAX_PIXELS:,} pixels: make it smaller") from None
    except Exception:  # a decoder may raise anything on hostile bytes
        raise refuse("the picture is broken or cut off: export it again") from None
    if len(encoded) > MAX_SERVED_BYTES:
        raise refuse(f"the picture has {len(encoded):,} bytes when encoded, over {MAX_SERVED_BYTES:,}: make it smaller")
    name, digest = kind.lower(), hashlib.sha256(encoded).hexdigest()[:40]
    return Picture(encoded, f"image/{name}", "jpg" if kind == "JPEG" else name, width, height, digest, frames)


def _gif_frames(data: bytes) -> int:
    """The frames of a GIF, counted without decoding; Pillow's own count has no end and lets frames grow the canvas."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at, frames = 13 + _table(flags), 0
    while at < len(data):
        block = data[at]
        if block == 0x21:  # extension
            at += 2
        elif block == 0x2C:  # a frame
            left, top, wide, high, flags = struct.unpack_from("<HHHHB", data, at + 1)
            if not (wide and high) or left + wide > width or top + high > height:
                raise refuse("a frame of the animation is empty or leaves its canvas: export it again")
            frames += 1
            _check_budget(width, height, frames)
            at += 11 + _table(flags)
        elif block == 0:  # padding that some programs leave
            at += 1
            continue
        else:  # the trailer
            break
        while at < len(data) and data[at]:
            at += data[at] + 1
        at += 1
    return frames


def _table(flags: int) -> int:
    """Bytes of the colour table that these flags announce."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _check_budget(width: int, height: int, frames: int) -> None:
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE) or width * height > MAX_PIXELS:
        raise refuse(f"the picture is {width}x{height}; a side may have {MAX_SIDE} pixels, all of it {MAX_PIXELS:,}")
    if frames > MAX_FRAMES or (frames > 1 and frames * width * height > MAX_ANIMATED_PIXELS):
        raise refuse(f"the animation is over {MAX_FRAMES} frames or {MAX_ANIMATED_PIXELS:,} pixels in all of them")


def _encode(image: Image.Image, kind: str, frames: int, *, lossless: bool) -> tuple[str, bytes]:
    """The kind of the result and its bytes."""
    _check_budget(*image.size, frames)
    profile = image.info.get("icc_profile")
    first = int(getattr(image, "default_image", False))  # an APNG's picture for programs that play none
    out = io.BytesIO()
    if frames - first > 1:
        kind, pictures, options = _frames(image, kind, range(first, frames), profile)
        if kind == "WEBP":
            options |= {"lossless": lossless, "quality": 80, "method": 2}
        pictures[0].save(out, kind, save_all=True, append_images=pictures[1:], **options)
        return kind, out.getvalue()
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
    return kind, out.getvalue()


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


def _in_process(data: bytes, max_bytes: int) -> Picture:
    """Blocks for up to `MAX_TIME_S`. The process answers a line of JSON, then the bytes of the picture."""
    command = [sys.executable, "-P", "-m", "adserve.intake.images", str(max_bytes)]
    environment = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=MAX_TIME_S, env=environment)
    except subprocess.TimeoutExpired:
        raise refuse("the picture takes too long to read: make it smaller or simpler") from None
    if done.returncode < 0:  # ended by a signal: a crash, or the limits
        raise refuse("the picture is broken or too complex to read: export it again")
    head, _, encoded = done.stdout.partition(b"\n")
    if done.returncode or not head:
        raise RuntimeError(f"the process for pictures could not work: exit code {done.returncode}")
    answer = json.loads(head)
    if "problems" in answer:
        raise Invalid([Problem(**problem) for problem in answer["problems"]])
    return Picture(encoded, **answer)


def _main() -> None:
    with suppress(ValueError, OSError):  # not every system can limit memory
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_TIME_S, MAX_TIME_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # what comes out goes through a pipe: no file is to grow
    encoded = b""
    try:
        picture = inspect_and_encode(sys.stdin.buffer.read(), max_bytes=int(sys.argv[1]))
        encoded = picture.data
        answer: dict[str, Any] = {name: value for name, value in asdict(picture).items() if name != "data"}
    except Invalid as problem:
        answer = {"problems": [asdict(one) for one in problem.problems]}
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + encoded)


if __name__ == "__main__":
    _main()
