"""Pictures: recognised by their bytes, bounded before decoding, always encoded anew.

DESIGN. The first bytes must name one of five kinds and only that kind's decoder may look at the
file. Size and frames are judged from the header, before any pixel is decoded. What is served is
never what was sent: the pixels are encoded again, so metadata, comments, thumbnails, profiles and
whatever follows the end of the picture are gone. Work is done in threads (Pillow releases the
interpreter while it decodes), two at a time, off the event loop.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageCms, ImageOps

from adserve.errors import Invalid, Problem, UnsupportedMedia

MAX_SIDE = 4096
MAX_PIXELS = 16_000_000
MAX_ANIMATED_PIXELS = 64_000_000
MAX_FRAMES = 300
MAX_LENGTH_MS = 30_000
MIN_DELAY_MS = 20
MAX_SERVED_BYTES = 1_000_000
_KINDS = {"PNG": ("image/png", "png"), "JPEG": ("image/jpeg", "jpg"), "GIF": ("image/gif", "gif")}
_KINDS |= {"WEBP": ("image/webp", "webp"), "AVIF": ("image/avif", "avif")}
_POOL = ThreadPoolExecutor(2, thread_name_prefix="images")


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
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis"):
        return "AVIF"
    raise UnsupportedMedia("the file is no PNG, JPEG, GIF, WebP or AVIF picture")


def inspect_and_encode(data: bytes) -> Picture:
    """An upload to what is served. UnsupportedMedia or Invalid (`/file`) when it cannot be."""
    kind = sniff(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)
            with Image.open(io.BytesIO(data), formats=[kind]) as image:
                encoded, frames = _encode(image, kind)
                width, height = image.size if frames > 1 else encoded_size(encoded, kind)
    except Invalid:
        raise
    except Exception as problem:  # a decoder may raise anything on hostile bytes
        raise refuse("the picture is broken or cut off: export it again") from problem
    if len(encoded) > MAX_SERVED_BYTES:
        raise refuse(f"the picture is {len(encoded) // 1000} kB when encoded; at most {MAX_SERVED_BYTES // 1000} kB")
    media_type, ending = _KINDS[kind]
    digest = hashlib.sha256(encoded).hexdigest()[:40]
    return Picture(encoded, media_type, ending, width, height, digest, frames)


def encoded_size(data: bytes, kind: str) -> tuple[int, int]:
    with Image.open(io.BytesIO(data), formats=[kind]) as image:
        return image.size


async def encode_off_loop(data: bytes, *, max_bytes: int) -> Picture:
    """`inspect_and_encode` in a thread, for files of at most `max_bytes`."""
    if len(data) > max_bytes:
        raise refuse(f"the file is over {max_bytes} bytes")
    return await asyncio.get_running_loop().run_in_executor(_POOL, inspect_and_encode, data)


def _encode(image: Image.Image, kind: str) -> tuple[bytes, int]:
    width, height = image.size
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE) or width * height > MAX_PIXELS:
        raise refuse(f"the picture is {width}x{height}; each side is at most {MAX_SIDE}, and {MAX_PIXELS} pixels in all")
    frames = int(getattr(image, "n_frames", 1))
    if frames > 1:
        if frames > MAX_FRAMES or frames * width * height > MAX_ANIMATED_PIXELS:
            raise refuse(f"the animation has too many frames ({frames}) or pixels for its size")
        if kind in ("GIF", "WEBP"):
            return _animation(image, kind, frames), frames
    image.load()
    return _still(image, kind), 1


def _still(image: Image.Image, kind: str) -> bytes:
    plain = _plain(ImageOps.exif_transpose(image), kind)
    out = io.BytesIO()
    options: dict[str, dict[str, Any]] = {
        "PNG": {"optimize": True},
        "JPEG": {"quality": 85, "optimize": True, "progressive": True},
        "GIF": {},
        "WEBP": {"quality": 85, "method": 4},
        "AVIF": {"quality": 75, "speed": 8, "max_threads": 1},
    }
    plain.save(out, kind, **options[kind])
    return out.getvalue()


def _animation(image: Image.Image, kind: str, frames: int) -> bytes:
    pictures: list[Image.Image] = []
    delays: list[int] = []
    for at in range(frames):
        image.seek(at)
        delays.append(max(MIN_DELAY_MS, int(image.info.get("duration", 100) or 100)))
        pictures.append(_plain(image, "PNG").convert("RGBA"))
    if sum(delays) > MAX_LENGTH_MS:
        raise refuse(f"the animation runs {sum(delays) // 1000} s; at most {MAX_LENGTH_MS // 1000} s")
    out = io.BytesIO()
    extra = {"disposal": 2} if kind == "GIF" else {"quality": 80, "method": 2}
    pictures[0].save(out, kind, save_all=True, append_images=pictures[1:], duration=delays, loop=0, **extra)
    return out.getvalue()


def _plain(image: Image.Image, kind: str) -> Image.Image:
    """The pixels alone, in sRGB, without anything else that came with the file."""
    profile = image.info.get("icc_profile")
    transparent = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    mode = "RGBA" if transparent and kind != "JPEG" else "RGB"
    if profile and image.mode in ("RGB", "CMYK", "L"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            found = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            image = found if found is not None else image
        except (ImageCms.PyCMSError, OSError, ValueError):
            image = image.convert(mode)  # an unreadable profile changes colours a little, no more
    image = image.convert(mode)
    plain = Image.new(mode, image.size)
    plain.paste(image)
    return plain
