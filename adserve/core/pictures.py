"""Kinds of pictures, told by their first bytes, and the endings of their files."""

from __future__ import annotations

ENDINGS = {"PNG": "png", "JPEG": "jpg", "GIF": "gif", "WEBP": "webp", "AVIF": "avif"}


def kind_of(data: bytes) -> str:
    """The kind that the first bytes name; empty for everything else.

    >>> kind_of(b"GIF89a..."), kind_of(b"<svg>")
    ('GIF', '')
    """
    signs = {
        "PNG": data.startswith(b"\x89PNG\r\n\x1a\n"),
        "JPEG": data.startswith(b"\xff\xd8\xff"),
        "GIF": data.startswith((b"GIF87a", b"GIF89a")),
        "WEBP": data[:4] == b"RIFF" and data[8:12] == b"WEBP",
        "AVIF": data[4:12] in (b"ftypavif", b"ftypavis"),
    }
    return next((kind for kind, found in signs.items() if found), "")
