"""Uploads: what is served is encoded anew, bounded, and nothing of the file but its pixels."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import time
import zlib
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from adserve.errors import Invalid, TooLarge, UnsupportedMedia
from adserve.intake import images
from adserve.intake.images import countdown, encode_off_loop, inspect_and_encode

Patch = pytest.MonkeyPatch
LIMIT = 5_000_000
encode = partial(inspect_and_encode, max_bytes=LIMIT)
SECRETS = b"SECRET <script ICC_PROFILE iCCP ICCP Exif EXIF eXIf tEXt XMP 8BIM PK\3\4".split()


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def pixel(image: Image.Image, x: int, y: int) -> tuple[int, int, int, int]:
    return image.convert("RGBA").getpixel((x, y))  # type: ignore[return-value]


def alike(one: tuple[int, ...], two: tuple[int, ...], within: int = 24) -> bool:
    return max(abs(a - b) for a, b in zip(one, two, strict=True)) < within


def drawing(width: int = 40, height: int = 30, mode: str = "RGB") -> Image.Image:
    """Left half red, right half blue."""
    image = Image.new("RGB", (width, height), (200, 30, 30))
    image.paste((30, 30, 200), (width // 2, 0, width, height))
    return image.convert(mode)


def moving(count: int = 4, mode: str = "RGB") -> list[Image.Image]:
    """A square of 8 pixels that moves 5 to the right, on white or on nothing."""
    frames = [Image.new(mode, (40, 30), (255, 255, 255, 0)[: len(mode)]) for _ in range(count)]
    for at, frame in enumerate(frames):
        frame.paste((200, 30, 30, 255)[: len(mode)], (at * 5, 4, at * 5 + 8, 12))
    return frames


def animated(kind: str, frames: list[Image.Image], **options: Any) -> bytes:
    return saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG that claims a size and holds no pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = b"".join(chunks) or chunk(b"IDAT", zlib.compress(b"\0" * 64))
    return b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND", b"")


def gif(width: int, height: int, *frames: tuple[int, int, int, int]) -> bytes:
    """A GIF whose frames (left, top, width, height) hold one LZW code each."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    bodies = (b"," + struct.pack("<HHHHB", *frame, 0) + b"\x02\x02\x4c\x01\x00" for frame in frames)
    return head + b"".join(bodies) + b";"


def claiming(kind: str, width: int, height: int) -> bytes:
    """A small JPEG that says another size, or a WebP that ends after saying it."""
    if kind == "WEBP":
        size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        return b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\2\0\0\0" + size
    head, sign, rest = saved(drawing(), "JPEG").partition(b"\xff\xc0\0\x11\x08")
    return head + sign + struct.pack(">HH", height, width) + rest[4:]


def exif(orientation: int = 1) -> Image.Exif:
    found = Image.Exif()
    found[0x0112], found[0x010E] = orientation, "SECRET description"
    found.get_ifd(0x8825)[1], found.get_ifd(0x8825)[29] = "N", "SECRET gps"
    return found


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SEEDS = {kind: saved(drawing(), kind) for kind in ("PNG", "JPEG", "GIF", "WEBP", "AVIF")} | {
    f"animated {kind}": animated(kind, moving(), duration=100, loop=0) for kind in ("PNG", "GIF", "WEBP", "AVIF")
}


@pytest.mark.parametrize("seed", SEEDS)
def test_each_kind_is_taken_and_encoded_the_same_each_time(seed: str) -> None:
    """Size, frames and colours are kept; type and ending are those of the bytes; the digest is stable."""
    picture = encode(SEEDS[seed])
    kind = "WEBP" if seed in ("animated PNG", "animated AVIF") else seed.removeprefix("animated ")
    assert opened(picture.data).format == kind
    assert (picture.type, picture.ending) == (f"image/{kind.lower()}", "jpg" if kind == "JPEG" else kind.lower())
    assert (picture.width, picture.height) == opened(picture.data).size == (40, 30)
    assert picture.frames == (4 if seed.startswith("animated") else 1)
    assert len(picture.digest) == 40
    assert encode(SEEDS[seed]) == picture
    assert alike(pixel(opened(SEEDS[seed]), 4, 6), pixel(opened(picture.data), 4, 6))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "AVIF"])
def test_metadata_and_trailing_bytes_are_gone(kind: str) -> None:
    """EXIF with GPS, XMP, IPTC, profile, comments, a script and a ZIP behind the picture."""
    options: dict[str, Any] = {"exif": exif(), "xmp": b"<x:xmpmeta>SECRET</x:xmpmeta>", "icc_profile": SRGB}
    if kind == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_text("Comment", "SECRET <script>", zip=False)
    if kind in ("JPEG", "GIF"):
        options["comment"] = b"SECRET */=alert(1)/*<script>"
    data = saved(drawing(), kind, **options) + b"<script>SECRET</script>PK\3\4"
    if kind == "JPEG":
        app13 = b"Photoshop 3.0\x008BIM\x04\x04SECRET"
        data = data[:2] + b"\xff\xed" + struct.pack(">H", len(app13) + 2) + app13 + data[2:]
    assert b"SECRET" in data
    served = encode(data).data
    assert [mark for mark in SECRETS if mark in served] == []
    assert not set(opened(served).info) & {"exif", "xmp", "icc_profile", "comment", "Comment", "photoshop", "dpi"}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_turned_photo_stands_upright(kind: str, orientation: int) -> None:
    """The orientation tag goes with the rest of EXIF, so it is applied to the pixels."""
    data = saved(drawing(), kind, exif=exif(orientation))
    wanted, served = ImageOps.exif_transpose(opened(data)), opened(encode(data).data)
    assert served.size == wanted.size
    for place in ((2, 2), (wanted.width - 3, wanted.height - 3)):
        assert alike(pixel(served, *place), pixel(wanted, *place))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_every_pixel_format_survives_with_and_without_a_profile(mode: str) -> None:
    """A profile that does not fit, or is no profile, changes nothing; 16-bit grey keeps its brightness."""
    image = Image.new("I;16", (9, 9), 0x8000) if mode == "I;16" else drawing(9, 9, mode)
    kind = "JPEG" if mode == "CMYK" else "PNG"
    for profile in (None, SRGB, b"no profile"):
        served = opened(encode(saved(image, kind, **({"icc_profile": profile} if profile else {}))).data)
        wanted = (128, 128, 128, 255) if mode == "I;16" else pixel(image, 1, 1)
        assert alike(pixel(served, 1, 1), wanted)
        assert served.has_transparency_data == (mode in ("LA", "RGBA"))


def test_a_wide_gamut_profile_is_converted() -> None:
    """The colours change by what the profile says, and the profile goes; transparency stays."""
    swapped = SRGB.replace(b"rXYZ", b"tXYZ").replace(b"bXYZ", b"rXYZ").replace(b"tXYZ", b"bXYZ")
    for mode in ("RGB", "RGBA"):
        red, green, blue, _ = pixel(opened(encode(saved(drawing(mode=mode), "PNG", icc_profile=swapped)).data), 1, 1)
        assert blue > 150 > 100 > max(red, green)


FOREIGN = [
    *(b"", b"\x89", b"G", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"8BPS\0\1" + b"\0" * 40, b"%PDF-1.7\n", b"SIMPLE  = T"),
    *(b"\0\0\1\0\1\0" + b"\0" * 40, b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0" * 40, b"PK\3\4", b"RIFF\0\0\0\0WAVE"),
    *(b"<svg xmlns='http://www.w3.org/2000/svg' onload='x'/>", b"\x1f\x8b\x08\0svgz", b"<!DOCTYPE html><script>"),
    b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><svg>&a;</svg>",
    *(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", b"\0" * 1000 + b"%PDF", b" " + SEEDS["PNG"]),
    *(saved(drawing(), "TIFF"), saved(drawing(), "BMP")),
]


@pytest.mark.parametrize("data", FOREIGN)
def test_other_kinds_are_unsupported(data: bytes) -> None:
    """By their first bytes, so no other decoder ever sees them."""
    with pytest.raises(UnsupportedMedia):
        encode(data)


WRITES = st.tuples(st.integers(0, 2**16), st.binary(min_size=1, max_size=4))
WHOLE = (0, 0, 20, 20)
CRASH, HANG, ABSENT = "import os; os.abort()", "import time; time.sleep(30)", "raise SystemExit(1)"
FRAMES = gif(20, 20, *[WHOLE] * 301)
MANY = [Image.new("RGB", (8, 8), (at % 256, at // 256, 0)) for at in range(301)]
HOSTILE = {
    "pixels": (
        *(png(60_000, 60_000), png(5000, 10), png(4096, 4096), gif(65_535, 65_535, (0, 0, 65_535, 65_535))),
        *(claiming("WEBP", 16_383, 16_383), claiming("WEBP", 6000, 6000), claiming("JPEG", 65_500, 65_500)),
    ),
    "broken": (
        *(png(10, 0), png(0, 10), claiming("JPEG", 10, 0), png(9, 9, chunk(b"tEXt", b"a\0b")), SEEDS["JPEG"][:-200]),
        *(SEEDS["PNG"][:40] + b"\xff\xff" + SEEDS["PNG"][42:], b"GIF89a/*" + b"*/=alert(1)//" + b"\0" * 40),
    ),
    "has too many frames": (
        *(FRAMES, gif(1000, 1000, *[(0, 0, 1000, 1000)] * 300), gif(2, 2, *[(0, 0, 1, 1)] * 250_000)),
        png(9, 9, chunk(b"acTL", struct.pack(">II", 5000, 0)), chunk(b"IDAT", zlib.compress(b"\0" * 252))),
        animated("WEBP", MANY, lossless=True),
    ),
    "leaves its canvas": (
        *(gif(20, 20, WHOLE, (10, 10, 20, 20)), gif(20, 20, (0, 0, 4000, 4000)), gif(20, 0, (0, 0, 20, 0))),
        *(gif(20, 20, WHOLE, (65_535, 65_535, 1, 1)), gif(20, 20, WHOLE, (0, 0, 0, 0))),
    ),
    "longer than 30 s": (animated("GIF", moving(), duration=8000), animated("WEBP", moving(), duration=8000)),
}


@pytest.mark.parametrize("words", HOSTILE)
def test_bombs_and_breakage_are_refused_fast(words: str) -> None:
    """Invalid at `/file` from the header alone, for its own reason, without a word of Pillow or a path."""
    for data in HOSTILE[words]:
        began = time.perf_counter()
        with pytest.raises(Invalid, match=words) as refusal:
            encode(data)
        assert time.perf_counter() - began < 0.5
        assert [problem.pointer for problem in refusal.value.problems] == ["/file"]
        assert not any(word in str(refusal.value) for word in ("PIL", "Error", "BytesIO", "<", "/usr", "line "))
        assert refusal.value.__cause__ is None


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_an_animation_looks_the_same_frame_by_frame(kind: str, mode: str) -> None:
    """Also where a frame clears what the one before drew."""
    delays = [100, 200, 300, 100, 20, 40]
    data = animated(kind, moving(6, mode), duration=delays, disposal=2 if kind == "GIF" else 0)
    before, after = opened(data), opened(encode(data).data)
    assert getattr(after, "n_frames", 1) == 6
    for at in range(6):
        before.seek(at)
        after.seek(at)
        for x, y in ((at * 5 + 3, 8), (max(at * 5 - 3, 0), 8), (38, 28)):
            old, new = pixel(before, x, y), pixel(after, x, y)
            assert alike(old[3:], new[3:])
            assert old[3] < 24 or alike(old, new, 40)
        assert after.info["duration"] == delays[at]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
@pytest.mark.parametrize(("delay", "played"), [(0, 100), (10, 100), (20, 20), (5000, 5000)])
def test_delays_and_plays_are_bounded(kind: str, delay: int, played: int) -> None:
    """Too short delays become what browsers play; an endless loop stops within 30 seconds."""
    after = opened(encode(animated(kind, moving(), duration=delay, loop=0)).data)
    after.load()
    assert after.info["duration"] == played
    plays = after.info.get("loop", 0) + (after.format == "GIF")
    assert plays == 30_000 // (4 * played)
    for repeats in ({}, {"loop": 1}, {"loop": 3}) if kind == "GIF" else ():  # one that stops by itself still does
        picture = encode(animated("GIF", moving(), duration=100, **repeats))
        assert opened(picture.data).info.get("loop") == repeats.get("loop")


def attempt(data: bytes) -> None:
    try:
        picture = encode(data)
    except (Invalid, UnsupportedMedia):
        return
    assert opened(picture.data).size == (picture.width, picture.height)
    assert b"<script" not in picture.data


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cut_file_is_taken_or_refused(seed: str) -> None:
    """At each sixteenth, and at each of the last bytes."""
    data = SEEDS[seed]
    for end in [len(data) * step // 16 for step in range(16)] + [len(data) - step for step in range(1, 17)]:
        attempt(data[:end])


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(SEEDS)), st.lists(WRITES, max_size=6))
def test_a_mutated_file_is_taken_or_refused(seed: str, changes: list[tuple[int, bytes]]) -> None:
    """Whatever bytes are written over it; nothing else is raised."""
    data = bytearray(SEEDS[seed])
    for at, new in changes:
        data[at % len(data) : at % len(data) + len(new)] = new
    attempt(bytes(data))


def test_limits_of_bytes_before_and_after() -> None:
    """A larger file is TooLarge unread; one that encodes to over 1 MB is told to get smaller."""
    with pytest.raises(TooLarge):
        inspect_and_encode(SEEDS["PNG"], max_bytes=len(SEEDS["PNG"]) - 1)
    noise = Image.merge("RGB", [Image.effect_noise((700, 700), 90) for _ in range(3)])
    with pytest.raises(Invalid, match="make it smaller"):
        encode(saved(noise, "PNG"))


async def test_the_process_does_what_the_function_does() -> None:
    """The same pictures, byte by byte, and the same refusals."""
    for data in SEEDS.values():
        assert await encode_off_loop(data, max_bytes=LIMIT) == encode(data)
    with pytest.raises(TooLarge):
        await encode_off_loop(SEEDS["PNG"], max_bytes=10)
    with pytest.raises(UnsupportedMedia):
        await encode_off_loop(FOREIGN[0], max_bytes=LIMIT)
    with pytest.raises(Invalid, match="too many frames"):
        await encode_off_loop(FRAMES, max_bytes=LIMIT)


async def test_files_of_an_upload_share_their_time() -> None:
    """It runs from when the first is taken up; a file whose turn comes after the end is refused without a process."""
    now = 100.0
    left = countdown(30, lambda: now)
    assert left() == 30
    now = 129
    assert left() == 1
    assert await encode_off_loop(SEEDS["PNG"], max_bytes=LIMIT, left=countdown(30, lambda: now))
    now = 131
    with pytest.raises(Invalid, match="together take too long"):
        await encode_off_loop(SEEDS["PNG"], max_bytes=LIMIT, left=left)


@pytest.mark.parametrize(("program", "words"), [(CRASH, "too complex"), (HANG, "too long"), (ABSENT, "exit code 1")])
async def test_a_process_that_fails_costs_one_upload(monkeypatch: Patch, program: str, words: str) -> None:
    """A crash and a hang are refusals, a process that cannot start is no fault of the file; no secret goes in."""
    real = subprocess.run

    def run(command: list[str], **options: Any) -> Any:
        assert set(options["env"]) <= {"PATH", "LD_LIBRARY_PATH", "PYTHONPATH"}
        return real([sys.executable, "-c", program], **options)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(images, "MAX_TIME_S", 0.2 if program == HANG else 20)
    with pytest.raises(RuntimeError if program == ABSENT else Invalid, match=words):
        await encode_off_loop(SEEDS["PNG"], max_bytes=LIMIT)
