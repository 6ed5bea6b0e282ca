"""What a creative shows and where it leads: the values of one revision, as they are stored."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from msgspec import Meta, Struct

RevisionSerial = Annotated[int, Meta(ge=0, lt=2**32)]
Pixels = Annotated[int, Meta(ge=0, le=65_535)]
FileName = Annotated[str, Meta(pattern=r"\A[0-9a-f]{40}\.(png|jpg|gif|webp|avif)\Z")]
_SIZE = re.compile(r"([0-9]{1,4})x([0-9]{1,4})")


class Size(Struct, frozen=True, order=True):
    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @classmethod
    def parse(cls, text: str) -> Size:
        """`"728x90"` to a size; ValueError when it is not two numbers from 1 to 4096."""
        found = _SIZE.fullmatch(text)
        if found is None or not all(1 <= int(side) <= 4096 for side in found.groups()):
            raise ValueError("a size is WIDTHxHEIGHT in CSS pixels, each from 1 to 4096, for example 728x90")
        return cls(int(found[1]), int(found[2]))


class Media(Struct, frozen=True):
    """A stored file: its name in `/m/` (`<hash>.<ending>`), media type, length in bytes."""

    file: FileName
    type: str
    bytes: int


class File(Struct, frozen=True, omit_defaults=True):
    """One of the pictures of a content. `width` and `height` are its pixels, `density` of which make a CSS pixel;
    `scheme` says for which pages it is, any where it is empty; `variants` are the same picture as other types, each
    smaller."""

    media: Media
    width: Pixels
    height: Pixels
    density: Literal[1, 2] = 1
    scheme: Literal["", "dark"] = ""
    variants: tuple[Media, ...] = ()

    @property
    def size(self) -> Size:
        """In CSS pixels."""
        return Size(self.width // self.density, self.height // self.density)


class Content(Struct, frozen=True, kw_only=True):
    """What a reviewer approves: one revision of a creative. `serial` stands in tokens. A passback has no
    `click_url`, and a size only when it is for slots of that size. `media` is the main picture, of the content's size,
    and the first of `files`; contents from before there were several have it alone."""

    revision: int
    serial: RevisionSerial
    click_url: str
    width: Pixels = 0
    height: Pixels = 0
    alt: str = ""
    title: str = ""
    body: str = ""
    html: str = ""
    """Markup of an `html` creative: data that only the document of its own frame shows, see `adserve.web.frames`."""
    media: Media | None = None
    files: tuple[File, ...] = ()
    button: str = ""
    trackers: tuple[str, ...] = ()
    """Addresses that the frame of an `html` creative calls once when it renders."""

    @property
    def pictures(self) -> tuple[File, ...]:
        """Its files, whichever version stored them."""
        if self.files or self.media is None:
            return self.files
        return (File(self.media, self.width, self.height),)
