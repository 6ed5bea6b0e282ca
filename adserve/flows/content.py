"""From what was sent to a content: its pictures encoded, everything that is wrong with it in the form."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as replaced
from typing import Literal, NamedTuple

from msgspec.structs import replace

from adserve.core.form import Form
from adserve.core.gate import PARTS, part_of, problems_of
from adserve.core.members import CONTENT
from adserve.core.model import Content, CreativeKind, File, Media, Slot
from adserve.errors import AdserveError, Invalid, Problem
from adserve.intake.images import MAX_UPLOAD_S, Encoding, Picture, countdown, encode_off_loop

MAX_SIZES = 8
"""Further sizes of one creative: each costs its snippet some 300 bytes."""
FILES = (*PARTS.values(), "sizes")
"""Parts of a form that bring pictures."""
TRACKERS = "trackers"
_SIZE = ("width", "height")
_MARKUP = dict.fromkeys(("html", TRACKERS), "belongs to html creatives")
_BUTTON = {"button": "belongs to text creatives"}
FOREIGN: dict[CreativeKind, dict[str, str]] = {
    "image": dict.fromkeys(("title", "body"), "belongs to text creatives: what a picture says is its alt")
    | _MARKUP
    | _BUTTON
    | dict.fromkeys(_SIZE, "is that of the picture itself"),
    "text": {"alt": "belongs to images: a text creative says it in title and body"}
    | _MARKUP
    | dict.fromkeys(_SIZE, "belongs to pictures: a text takes the room of its slot"),
    "html": dict.fromkeys(("alt", "title", "body"), "belongs to images and texts: markup says all of it itself")
    | _BUTTON,
    "passback": dict.fromkeys(
        ("alt", "title", "body", "button", "html", TRACKERS, "click_url"),
        "belongs to what is shown: a passback leaves the slot to the page",
    ),
}
"""Content that a kind of creative has not, and why."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The files of an upload, as they were sent. `sizes`: further sizes of the same picture, told by their pixels."""

    file: bytes | None = None
    file_2x: bytes | None = None
    file_dark: bytes | None = None
    file_dark_2x: bytes | None = None
    sizes: tuple[bytes, ...] = ()

    def given(self) -> dict[str, bytes]:
        """By the name of the part, `sizes/0` and so on; empty without a file."""
        single = {name: getattr(self, name) for name in PARTS.values()}
        return {n: one for n, one in single.items() if one is not None} | {
            f"sizes/{at}": one for at, one in enumerate(self.sizes)
        }


class Made(NamedTuple):
    """A content, and the files to keep for it."""

    content: Content
    files: Sequence[Encoding] = ()


Encoded = Mapping[str, Picture | AdserveError | None]
"""What became of the files of an upload, by the name of the part: the picture, why it is none, or None for one that
was not looked at."""


async def encode_parts(kind: CreativeKind, parts: Parts, max_bytes: int) -> Encoded:
    """What no creative of the kind takes is not looked at, nor are more files than it takes, nor others without the
    main one."""
    given, left = parts.given(), countdown(MAX_UPLOAD_S)
    if kind in ("html", "passback") or "file" not in given or len(parts.sizes) > MAX_SIZES:
        return dict.fromkeys(given)
    if len(given) > 1 and (total := sum(map(len, given.values()))) > max_bytes:
        largest = max(given, key=lambda name: len(given[name]))
        most = f"all files of an upload together have at most {max_bytes:,} bytes"
        told = Problem("", f"{most}, and these {total:,}: send a smaller one", "too_large")
        return dict.fromkeys(given) | {largest: Invalid([told])}

    async def encoded(data: bytes) -> Picture | AdserveError:
        try:
            return await encode_off_loop(data, max_bytes=max_bytes, left=left)
        except AdserveError as problem:
            return problem.with_traceback(None)  # which holds the bytes

    return dict(zip(given, await asyncio.gather(*map(encoded, given.values())), strict=True))


def make_content(form: Form, kind: CreativeKind, slots: Sequence[Slot], given: Encoded, before: Content | None) -> Made:
    """The content of a form and its files, which are `given`; problems go to the form. `before`: what is left out stays
    as it was there, but pictures are replaced together, or without new ones taken off by null. Whether slots take it is
    asked of what is new or changed."""
    for name, detail in FOREIGN[kind].items():
        form.refuse(name, detail)
    for name in FILES:
        form.refuse(name, f"is sent as the picture itself, in multipart/form-data (curl: -F {name}=@banner.png)")
    content = replace(before or Content(revision=0, serial=0, click_url=""), **form.read(CONTENT[kind]))
    if given and kind in ("html", "passback"):
        for name in given:
            form.problem(name, f"a {kind} creative has no file")
        return Made(content)
    if kind == "text":
        for name in [name for name in given if name != "file"]:
            form.problem(name, "the picture of a text is one file")
    elif kind == "passback":
        _half(form)
    missing = kind == "image" and not given and before is None and not form.has("file")
    if missing or (given and "file" not in given):
        form.problem("file", "is required: a PNG, JPEG, GIF, WebP or AVIF picture", "required")
    made = Made(content if given or before is None else _without(form, kind, content))
    if "file" in given:
        made = _with_pictures(form, kind, content, given)
    if made.files or made.content != before:  # what came in under limits of before is not asked again
        for name, detail in problems_of(kind, made.content, slots):
            form.problem(name, detail)
    return made


def _without(form: Form, kind: CreativeKind, content: Content) -> Content:
    """The content without the pictures whose parts were sent as null."""
    parts = [part_of(content, one).partition("/")[0] for one in content.pictures]
    off = {name for name in parts if form.empties(name)}
    if kind == "image" and "file" in off:
        form.problem("file", "stays: an image is its picture; send another one in its place", "required")
        return content
    if "file_dark" in off and "file_dark_2x" in {*parts} - off:
        form.problem("file_dark", "stays as long as file_dark_2x does: take that one off too")
    if not off:
        return content
    kept = tuple(one for name, one in zip(parts, content.pictures, strict=True) if name not in off)
    return replace(content, files=kept, media=content.media if kept else None)


def _half(form: Form) -> None:
    """Without a size a passback is for every slot of its campaign, with one for those that take this size."""
    for name, other in (("width", "height"), ("height", "width")):
        if form.has(other) and not form.has(name):
            form.problem(name, f"is required beside {other}: give both, or neither for every slot", "required")


def _with_pictures(form: Form, kind: CreativeKind, content: Content, given: Encoded) -> Made:
    """The content with what was sent for its pictures; as it was where one of them cannot be taken."""
    if len([name for name in given if name.startswith("sizes/")]) > MAX_SIZES:
        form.problem("sizes", f"takes at most {MAX_SIZES} pictures")
        return Made(content)
    pictures: dict[str, Picture] = {}
    for name, one in given.items():
        if isinstance(one, Picture):
            pictures[name] = one
        elif isinstance(one, Invalid):
            form.problems += [Problem(f"/{name}", problem.detail, problem.code) for problem in one.problems]
        elif one is not None and (kind == "text" or form.problems or len(given) > 1):
            form.problem(name, str(one))
        elif one is not None:
            raise type(one)(str(one))  # another one, for a traceback of `one` would hold the frames that hold it
    if len(pictures) < len(given):
        return Made(content)
    before = len(form.problems)
    for name, detail in _mismatches(pictures):
        form.problem(name, detail)
    if len(form.problems) > before:
        return Made(content)
    if kind == "text":  # a style sheet shows it, as what it is
        pictures = {name: replaced(one, variants=()) for name, one in pictures.items()}
    files = tuple(_file(name, one) for name, one in pictures.items())
    kept = [each for one in pictures.values() for each in (one, *one.variants)]
    main = pictures["file"]
    width, height = (main.width, main.height) if kind == "image" else (0, 0)  # a text has the room of its slot
    content = replace(content, width=width, height=height, media=files[0].media, files=files)
    return Made(content, kept)


def _mismatches(pictures: dict[str, Picture]) -> Iterator[tuple[str, str]]:
    """What of the alternatives does not go with its picture."""
    main = pictures["file"]
    for name, times, what in (
        ("file_2x", 2, "exactly twice those of file"),
        ("file_dark", 1, "exactly those of file"),
        ("file_dark_2x", 2, "exactly twice those of file"),
    ):
        one, wanted = pictures.get(name), (main.width * times, main.height * times)
        if one is not None and (one.width, one.height) != wanted:
            yield name, f"has {one.width}x{one.height} pixels; it takes {what}: {wanted[0]}x{wanted[1]}"
    if "file_dark_2x" in pictures and "file_dark" not in pictures:
        yield "file_dark_2x", "is for dense screens what file_dark is: send that one too"
    seen = {(main.width, main.height): "file"}
    for name, one in pictures.items():
        if name.startswith("sizes/"):
            other = seen.setdefault((one.width, one.height), name)
            if other != name:
                yield name, f"has the same {one.width}x{one.height} pixels as {other}: leave one out"


def _file(name: str, picture: Picture) -> File:
    density: Literal[1, 2] = 2 if name.endswith("_2x") else 1
    scheme: Literal["", "dark"] = "dark" if "dark" in name else ""
    variants = tuple(map(_media, picture.variants))
    return File(_media(picture), picture.width, picture.height, density, scheme, variants)


def _media(file: Encoding) -> Media:
    return Media(file.file, file.type, len(file.data))
