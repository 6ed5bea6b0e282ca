"""How large a picture may be, judged before a pixel of it is decoded."""

from __future__ import annotations

from adserve.errors import Invalid, Problem

MAX_SIDE = 4096
MAX_PIXELS = 16_000_000
MAX_ANIMATED_PIXELS = 64_000_000
MAX_FRAMES = 300
MAX_LENGTH_MS = 30_000
MIN_DELAY_MS = 20
DEFAULT_DELAY_MS = 100
MAX_SERVED_BYTES = 1_000_000


def refuse(detail: str) -> Invalid:
    return Invalid([Problem("/file", detail, "bad_picture")])


def check_budget(width: int, height: int, frames: int) -> None:
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE) or width * height > MAX_PIXELS:
        raise refuse(f"the picture is {width}x{height}; a side may have {MAX_SIDE} pixels, all of it {MAX_PIXELS:,}")
    if frames > MAX_FRAMES:
        raise refuse(f"the animation has too many frames: it may have {MAX_FRAMES}")
    if frames > 1 and frames * width * height > MAX_ANIMATED_PIXELS:
        most = MAX_ANIMATED_PIXELS // (width * height)
        raise refuse(f"the animation has too many frames for its size: {width}x{height} may have {most}")
