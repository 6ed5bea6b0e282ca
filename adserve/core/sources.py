"""The pictures of a content as the sources of a `<picture>`, in the order in which a browser takes the first that fits.

Narrow sizes come first, each up to the width of the next wider one, then the size of the content itself; of each
what is for dark pages before what is for any, and newer types before the one that every browser knows. A source of a
type lists for each density the smallest file that whoever knows that type can show.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from adserve.core.fit import sizes_of
from adserve.core.model import Content, File, Media

_NEWER = ("image/avif", "image/webp")
_KNOWN = {"image/avif": ("image/avif", "image/webp"), "image/webp": ("image/webp",)}
"""Who knows a type knows these newer ones, and all the old ones."""


class Source(NamedTuple):
    """`files`: name and density of each, the plain one first. `media` and `type` are empty where all will do."""

    media: str
    type: str
    files: tuple[tuple[str, int], ...]
    width: int
    height: int


def sources_of(content: Content) -> tuple[Source, ...]:
    """The last one, which needs neither media nor type, is the picture itself."""
    found: list[Source] = []
    sizes = sizes_of(content)
    for at in range(len(sizes) - 1, -1, -1):
        size = sizes[at]
        narrow = f"(max-width:{sizes[at - 1].width - 1}px)" if at else ""
        for scheme in ("dark", ""):
            files = sorted((f for f in content.pictures if f.size == size and f.scheme == scheme), key=_density)
            if files:
                wants = [narrow, "(prefers-color-scheme:dark)" if scheme else ""]
                media = " and ".join(filter(None, wants))
                found += _typed(files, media)
                plain = tuple((one.media.file, one.density) for one in files)
                found.append(Source(media, "", plain, size.width, size.height))
    return tuple(found)


def _typed(files: Sequence[File], media: str) -> Iterator[Source]:
    """The newer types that one of the files has a variant of."""
    size = files[0].size
    for type_ in _NEWER:
        if any(variant.type == type_ for file in files for variant in file.variants):
            smallest = tuple((_smallest(file, type_).file, file.density) for file in files)
            yield Source(media, type_, smallest, size.width, size.height)


def _smallest(file: File, type_: str) -> Media:
    known = [one for one in file.variants if one.type in _KNOWN[type_]]
    return min((file.media, *known), key=lambda one: one.bytes)


def _density(file: File) -> int:
    return file.density
