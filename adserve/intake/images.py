"""Pictures: recognised by their bytes, bounded before decoding, always encoded anew.

DESIGN. The first bytes must name one of five kinds, and only that kind's decoder sees the file.
Size, frames and their places are judged from headers, before a pixel is decoded. What is served is
never what was sent: pixels are encoded again, in sRGB and upright, so metadata, comments,
thumbnails, profiles and whatever follows the end of the picture are gone. The same bytes give the
same output, so its digest can be its name.

Decoders are C code that reads hostile bytes. `encode_off_loop` runs each file in a process of its
own with limits on memory, CPU and files, without this process's environment (where secrets are), bytes
in and bytes out by pipes: a crash, a hang or a bomb costs that file and nothing else. All files of an
upload have one time limit together, for others wait behind them. Starting a process takes about 0.1 s,
and uploads are rare. Not chosen: threads alone (a segfault ends the worker and
its spooling) and a process pool (its children outlive a killed parent, and one crash fails all).

    decided here        still pictures        animations
    size                4096 a side, 16 MP    and 300 frames, 64 MP over all of them
    time                                      30 s: one play is no longer, and plays stop by then
    delay                                     at most 10 ms means 100 ms, as in browsers; else >= 20 ms
    kind                as sent               GIF and WebP as sent; APNG and AVIF become WebP
    variants            WebP, AVIF            WebP of a GIF; each kept only where it is smaller
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
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import accumulate
from time import monotonic
from typing import Any

from PIL import AvifImagePlugin, GifImagePlugin, Image, WebPImagePlugin

from adserve.core.pictures import ENDINGS, kind_of
from adserve.errors import AdserveError, Invalid, Problem, TooLarge, UnsupportedMedia
from adserve.intake.budget import MAX_PIXELS, MAX_SERVED_BYTES, check_budget, refuse
from adserve.intake.encoding import encode

TYPES = (
    "image/png", "image/jpeg", "image/gif",
    *(("image/webp",) if WebPImagePlugin.SUPPORTED else ()), *(("image/avif",) if AvifImagePlugin.SUPPORTED else ()),
)  # fmt: skip
MAX_TIME_S = 20
"""CPU and wall time of the process of one file."""
MAX_UPLOAD_S = 30
"""Wall time of all files of an upload, from when the first of them is taken up."""
MAX_MEMORY_BYTES = 1 << 30
"""Address space of that process; the largest animation allowed needs about half of it."""

_WAITING = ThreadPoolExecutor(2, thread_name_prefix="images")
"""Threads that only wait for a process: two files are decoded at a time, the others queue."""

# Settings of Pillow have no other place than its modules.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # the same bytes on every machine, and less memory
GifImagePlugin.LOADING_STRATEGY = GifImagePlugin.LoadingStrategy.RGB_AFTER_DIFFERENT_PALETTE_ONLY


@dataclass(frozen=True, slots=True)
class Encoding:
    """A file as it is kept; `digest` names it (SHA-256, 40 hex characters)."""

    data: bytes
    type: str
    ending: str
    digest: str

    @property
    def file(self) -> str:
        return f"{self.digest}.{self.ending}"


@dataclass(frozen=True, slots=True)
class Picture(Encoding):
    """What is kept of an upload, sizes in pixels. `variants`: the same as other types, each with fewer bytes."""

    width: int
    height: int
    frames: int
    variants: tuple[Encoding, ...] = ()


def sniff(data: bytes) -> str:
    """The kind that the first bytes name. UnsupportedMedia for everything else, and what cannot be read here."""
    kind = kind_of(data)
    if f"image/{kind.lower()}" not in TYPES:
        raise UnsupportedMedia("the file is no PNG, JPEG, GIF, WebP or AVIF picture")
    return kind


def countdown(seconds: float, clock: Callable[[], float] = monotonic) -> Callable[[], float]:
    """The seconds that are left, which run from the first call on."""
    ends: list[float] = []

    def left() -> float:
        now = clock()
        if not ends:
            ends.append(now + seconds)
        return ends[0] - now

    return left


async def encode_off_loop(data: bytes, *, max_bytes: int, left: Callable[[], float] | None = None) -> Picture:
    """`inspect_and_encode` in a process of its own; the same results and errors, and the loop stays free. `left`: the
    seconds that the files of its upload have together, a `countdown`."""
    if len(data) > max_bytes:
        raise TooLarge(f"the file is over {max_bytes} bytes")
    sniff(data)
    return await asyncio.get_running_loop().run_in_executor(
        _WAITING, _in_process, data, max_bytes, left or countdown(MAX_UPLOAD_S)
    )


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
                made = encode(image, kind, frames, lossless=b"VP8L" in data[:64] or kind == "PNG")
                kind, encoded = made.kind, made.data
            with Image.open(io.BytesIO(encoded), formats=[kind]) as again:
                (width, height), frames = again.size, int(getattr(again, "n_frames", 1))
    except AdserveError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise refuse(f"the picture has more than {MAX_PIXELS:,} pixels: make it smaller") from None
    except Exception:  # a decoder may raise anything on hostile bytes
        raise refuse("the picture is broken or cut off: export it again") from None
    if len(encoded) > MAX_SERVED_BYTES:
        raise refuse(f"the picture has {len(encoded):,} bytes when encoded, over {MAX_SERVED_BYTES:,}: make it smaller")
    variants = tuple(_named(*one) for one in made.variants)
    return Picture(**asdict(_named(kind, encoded)), width=width, height=height, frames=frames, variants=variants)


def _named(kind: str, data: bytes) -> Encoding:
    return Encoding(data, f"image/{kind.lower()}", ENDINGS[kind], hashlib.sha256(data).hexdigest()[:40])


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
            check_budget(width, height, frames)
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


def _in_process(data: bytes, max_bytes: int, left: Callable[[], float]) -> Picture:
    """Blocks for up to `MAX_TIME_S`, and no longer than is left. The process answers a line of JSON, then the bytes
    of all files."""
    time_s = min(MAX_TIME_S, left())
    if time_s <= 0:
        raise refuse("all pictures together take too long to read: make them smaller or simpler, or send fewer")
    command = [sys.executable, "-P", "-m", "adserve.intake.images", str(max_bytes)]
    environment = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=time_s, env=environment)
    except subprocess.TimeoutExpired:
        raise refuse("the picture takes too long to read: make it smaller or simpler") from None
    if done.returncode < 0:  # ended by a signal: a crash, or the limits
        raise refuse("the picture is broken or too complex to read: export it again")
    head, _, files = done.stdout.partition(b"\n")
    if done.returncode or not head:
        raise RuntimeError(f"the process for pictures could not work: exit code {done.returncode}")
    answer = json.loads(head)
    if "problems" in answer:
        raise Invalid([Problem(**problem) for problem in answer["problems"]])
    first, *others = answer.pop("files")
    ends = list(accumulate(one.pop("bytes") for one in (first, *others)))
    cut = [files[start:end] for start, end in zip((0, *ends), ends, strict=False)]
    variants = tuple(Encoding(one, **said) for one, said in zip(cut[1:], others, strict=True))
    return Picture(cut[0], **first, **answer, variants=variants)


def _main() -> None:
    with suppress(ValueError, OSError):  # not every system can limit memory
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_TIME_S, MAX_TIME_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # what comes out goes through a pipe: no file is to grow
    encoded = b""
    try:
        picture = inspect_and_encode(sys.stdin.buffer.read(), max_bytes=int(sys.argv[1]))
        files = (picture, *picture.variants)
        encoded = b"".join(one.data for one in files)
        said = [
            {"type": one.type, "ending": one.ending, "digest": one.digest, "bytes": len(one.data)} for one in files
        ]
        answer: dict[str, Any] = {"width": picture.width, "height": picture.height, "frames": picture.frames}
        answer["files"] = said
    except Invalid as problem:
        answer = {"problems": [asdict(one) for one in problem.problems]}
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + encoded)


if __name__ == "__main__":
    _main()
