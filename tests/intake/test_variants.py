"""The same picture as newer types: only where that is smaller, and nothing of it lost."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from adserve.intake import encoding
from adserve.intake.images import Encoding, encode_off_loop, inspect_and_encode


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def made(data: bytes) -> dict[str, Image.Image]:
    """The variants of a picture by type, opened."""
    picture = inspect_and_encode(data, max_bytes=5_000_000)
    assert all(len(one.data) < len(picture.data) for one in picture.variants)
    return {one.type: Image.open(io.BytesIO(one.data)) for one in picture.variants}


def photograph() -> Image.Image:
    """Smooth, with some noise: what newer types are better at."""
    waves = Image.radial_gradient("L").resize((300, 250))
    return Image.merge("RGB", [waves, waves.rotate(90), Image.effect_noise((300, 250), 8)])


def test_a_photograph_gets_both_and_a_drawing_loses_nothing() -> None:
    """JPEG as WebP and AVIF; the WebP of a PNG is the same to the pixel."""
    assert set(made(saved(photograph(), "JPEG", quality=95))) == {"image/webp", "image/avif"}
    drawing = Image.linear_gradient("L").resize((300, 250)).convert("RGB")
    drawing.paste((200, 0, 0), (10, 10, 90, 60))
    variants = made(saved(drawing, "PNG"))
    assert variants["image/webp"].convert("RGB").tobytes() == drawing.tobytes()


def test_what_is_not_smaller_is_not_kept() -> None:
    """A tiny picture is all header in a newer type."""
    assert made(saved(Image.new("RGB", (2, 2)), "PNG")).keys() <= {"image/webp"}
    assert "image/avif" not in made(saved(Image.new("RGB", (2, 2)), "GIF"))


def test_transparency_stays() -> None:
    """Also in a newer type."""
    clear = photograph().convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize((300, 250)))
    variants = made(saved(clear, "PNG"))
    assert variants
    for one in variants.values():
        extrema: Any = one.convert("RGBA").getchannel("A").getextrema()
        low, high = extrema
        assert low < 20
        assert high > 235


def test_an_animation_stays_one() -> None:
    """A GIF's WebP has its frames, delays and plays; there is no still of it."""
    frames = [photograph().rotate(at * 7).convert("P") for at in range(8)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=120, loop=2)
    variants = made(data)
    assert set(variants) == {"image/webp"}
    moving: Any = variants["image/webp"]
    assert (moving.n_frames, moving.info["loop"]) == (8, 3)
    for at in range(8):
        moving.seek(at)
        moving.load()
        assert moving.info["duration"] == 120


def test_newer_types_have_fewer_or_no_variants() -> None:
    """A WebP may get smaller as AVIF, never as WebP again; an AVIF stays alone."""
    assert made(saved(photograph(), "WEBP", quality=95)).keys() <= {"image/avif"}
    assert made(saved(photograph(), "AVIF", quality=80)) == {}


def test_a_large_picture_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder would take seconds."""
    monkeypatch.setattr(encoding, "MAX_VARIANT_PIXELS", 300 * 250 - 1)
    assert made(saved(photograph(), "JPEG", quality=95)) == {}


async def test_the_process_hands_over_every_file() -> None:
    """The same as within this process, each under the hash of its bytes."""
    data = saved(photograph(), "JPEG", quality=95)
    picture = await encode_off_loop(data, max_bytes=5_000_000)
    assert picture == inspect_and_encode(data, max_bytes=5_000_000)
    assert [one.ending for one in picture.variants] == ["webp", "avif"]
    assert all(isinstance(one, Encoding) and one.file == f"{one.digest}.{one.ending}" for one in picture.variants)
