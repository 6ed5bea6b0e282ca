"""Forms of the console: bounded, parsed whole or refused, and shown again with what was typed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import parse_qsl

from starlette.datastructures import UploadFile
from starlette.requests import Request

from adserve.core.model import MAX_MARKUP
from adserve.errors import UnsupportedMedia
from adserve.web.api.body import BadBody, parse_parts

T = TypeVar("T")
MAX_FIELDS, MAX_FILES = 4_000, 40
"""Each slot that there is has a box of its own; whoever ticks or chooses too much is told so beside it."""
MAX_TEXT = 4 * MAX_MARKUP + 16_384
"""Bytes of one text: markup that is a bit too long is shown again, whatever it is written in."""
LIMIT = 262_144
"""Bytes of a form without a file."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a form. `name`: what the browser calls it; to show, never to open."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Form:
    """What a form sent: texts and files by name, in order."""

    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    files: Mapping[str, tuple[Upload, ...]] = field(default_factory=dict)

    def text(self, name: str, default: str = "") -> str:
        """The last text of a name, without blanks around it."""
        return self.texts[name][-1].strip() if self.texts.get(name) else default

    def all(self, name: str) -> tuple[str, ...]:
        """Every text of a name that is not blank."""
        return tuple(filter(None, (text.strip() for text in self.texts.get(name, ()))))

    def lines(self, name: str) -> list[str]:
        """The lines of a text that are not blank; commas part too."""
        return [one.strip() for one in self.text(name).replace(",", "\n").splitlines() if one.strip()]

    def without(self, name: str) -> Form:
        """The same without the texts of a name."""
        return Form({one: texts for one, texts in self.texts.items() if one != name}, self.files)

    def on(self, name: str) -> bool:
        """Whether a box was ticked."""
        return bool(self.text(name))

    def file(self, name: str) -> Upload | None:
        """The first file of a name. A field that was left empty sends one without a name and bytes."""
        found = [one for one in self.files.get(name, ()) if one.data or one.name]
        return found[0] if found else None


EMPTY = Form()


def whole(text: str, digits: int = 15) -> int | None:
    """A text that is a whole number of at most so many digits, else None: what is longer is slow to read, or fails.

    >>> whole("12"), whole("-1"), whole("1" * 16)
    (12, None, None)
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None

_UNSEEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")
"""Characters that no document may hold."""


def asked(query: Mapping[str, str]) -> Form:
    """What stands in the address of a page whose form is sent there, to be shown in its fields again."""
    return Form({name: (_UNSEEN.sub("\ufffd", value),) for name, value in query.items()})


async def parse(request: Request, body: bytes) -> Form:
    """A form as browsers send it. BadBody when it is torn, UnsupportedMedia when it is none."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        if body.count(b"&") >= MAX_FIELDS:
            raise BadBody(f"the form has over {MAX_FIELDS:,} fields: send fewer at once")
        try:
            pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="strict", separator="&")
        except ValueError:
            raise BadBody("the form is no UTF-8") from None
        return Form(_gathered(pairs))
    if kind != "multipart/form-data":
        raise UnsupportedMedia("send a form")
    texts: list[tuple[str, str]] = []
    files: list[tuple[str, Upload]] = []
    found = parse_parts(request, body, max_files=MAX_FILES, max_fields=MAX_FIELDS, max_text=MAX_TEXT)
    async with aclosing(found) as parts:
        async for name, value in parts:
            if isinstance(value, UploadFile):
                files.append((name, Upload(value.filename or "", await value.read())))
            else:
                texts.append((name, value))
    return Form(_gathered(texts), _gathered(files))


def _gathered(pairs: list[tuple[str, T]]) -> dict[str, tuple[T, ...]]:
    found: dict[str, list[T]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: tuple(values) for name, values in found.items()}
