"""Request bodies: bounded while they stream, then JSON or multipart."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from typing import Any

from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from adserve.core.gate import PARTS
from adserve.core.validate import pointer
from adserve.errors import AdserveError, Invalid, Problem, TooLarge, TooMany, UnsupportedMedia
from adserve.flows.content import MAX_SIZES, Parts

MAX_DEPTH = 40
MAX_TEXT_PART = 65_536
MAX_FIELDS = 40
TORN = "the body is no valid multipart/form-data, or the name of a file is over 4,000 characters"
NUMBERS = ("weight", "width", "height")
LISTS = ("trackers",)
SINGLE, SEVERAL = tuple(PARTS.values()), "sizes"
"""Parts of a form that are pictures."""
MAX_FILES = len(SINGLE) + MAX_SIZES
UPLOADS_AT_ONCE, UPLOADS_OF_ONE = 12, 6
"""Uploads that a worker holds in memory together, and those of one key among them: a browser sends six."""
AGAIN_S = 2
"""When to send one again that found no room."""

# A broken form is told to whoever sent it. The parser would warn in the log too, a line for each.
logging.getLogger("python_multipart").setLevel(logging.ERROR)


class BadBody(AdserveError):
    """A body that cannot be parsed at all."""

    code = "bad_body"


class Room:
    """Where uploads are while they come in and are decoded. Whoever may upload could else fill the memory with
    many that come slowly, and must not take all the room there is."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()

    @contextmanager
    def of(self, key: str) -> Iterator[None]:
        """Room for one upload of a key. TooMany when there is none."""
        if self._held[key] >= UPLOADS_OF_ONE or self._held.total() >= UPLOADS_AT_ONCE:
            raise TooMany("too many uploads at once: send it again when another has ended", AGAIN_S)
        self._held[key] += 1
        try:
            yield
        finally:
            self._held -= Counter((key,))  # keeps no key that holds nothing


async def read(request: Request, limit: int) -> bytes:
    """The whole body. TooLarge as soon as it is over `limit` bytes, whatever its headers say."""
    declared = request.headers.get("content-length", "0")
    if declared.isascii() and declared.isdigit() and (len(declared) > 15 or int(declared) > limit):
        raise TooLarge(f"the body is over {limit} bytes")
    if request.headers.get("content-encoding", "identity") != "identity":
        raise UnsupportedMedia("send the body without Content-Encoding")
    parts: list[bytes] = []
    size = 0
    async with aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            size += len(chunk)
            if size > limit:
                raise TooLarge(f"the body is over {limit} bytes")
            parts.append(chunk)
    return b"".join(parts)


def is_form(request: Request) -> bool:
    """Whether a body says that it may hold a file."""
    return request.headers.get("content-type", "").lower().startswith("multipart/")


def as_json(request: Request, body: bytes) -> Any:
    """JSON of a body. UnsupportedMedia or BadBody when it is none, Invalid for text that is no Unicode.

    Not msgspec: it keeps the last of two members of one name, and whoever checked the first (a proxy,
    a log) would have seen another body."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/json", "application/merge-patch+json"):
        raise UnsupportedMedia("send application/json")
    try:
        text = body.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_members, parse_constant=_no_number, parse_int=_integer)
    except RecursionError:
        raise BadBody("the body is nested too deeply") from None
    except ValueError:
        raise BadBody("the body is no valid JSON") from None
    if problems := list(_strange(value, (), MAX_DEPTH)):
        raise Invalid(problems)
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise BadBody("the body names a member twice")
    return found


def _integer(text: str) -> int:
    """Python reads no number of thousands of digits. The first hundred tell that it is out of every range, to the
    field that it was meant for."""
    return int(text[:100])


def _no_number(text: str) -> Any:
    raise ValueError(text)


def _strange(value: Any, path: tuple[str | int, ...], left: int) -> Iterator[Problem]:
    """Text with half a character (a lone surrogate), which nothing could store or show."""
    if left == 0:
        raise BadBody("the body is nested too deeply")
    if isinstance(value, str) and not _is_unicode(value):
        yield Problem(pointer(*path), "holds half a character (a lone surrogate)")
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in members:
        if isinstance(name, str) and not _is_unicode(name):
            yield Problem(pointer(*path, name), "is no member of this object", "unknown_field")
        else:
            yield from _strange(one, (*path, name), left - 1)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in text)


class _Form(MultiPartParser):
    """Starlette's reads text that is no UTF-8 as Latin-1, and a body that breaks off as a whole one."""

    ended = False

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.problems: list[Problem] = []

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        part = self._current_part
        if part.file is None and len(part.data) + end - start > self.max_part_size:
            raise BadBody(f"a text of the form is over {self.max_part_size:,} bytes: make it shorter")
        super().on_part_data(data, start, end)

    def on_part_end(self) -> None:
        super().on_part_end()
        part = self._current_part
        try:
            part.data.decode("utf-8")
        except UnicodeDecodeError:
            self.problems.append(Problem(pointer(part.field_name), "is no UTF-8"))

    def on_end(self) -> None:
        self.ended = True

    @property
    def excess(self) -> str:
        """What there is too much of, in a form that could not be read whole."""
        if self._current_files > self.max_files:
            return f"the form has over {self.max_files:,} files: send fewer at once"
        if self._current_fields > self.max_fields:
            return f"the form has over {self.max_fields:,} fields: send fewer at once"
        return ""

    def close(self) -> None:
        """Lets go of all files, also of one that broke off."""
        for file in self._files_to_close_on_error:
            file.close()


async def parse_parts(
    request: Request, body: bytes, *, max_files: int, max_fields: int, max_text: int = MAX_TEXT_PART
) -> AsyncGenerator[tuple[str, UploadFile | str], None]:
    """The parts of a multipart body, in order: `(name, file or text)`. BadBody when it is torn or no form, Invalid for
    text that is none."""
    header, options = parse_options_header(request.headers.get("content-type", ""))
    if header != b"multipart/form-data" or not 0 < len(options.get(b"boundary", b"")) <= 70:
        raise UnsupportedMedia("send multipart/form-data with a boundary")
    if options.get(b"charset", b"utf-8").lower() != b"utf-8":  # the parser would read text as any that it is told
        raise UnsupportedMedia("send the text of the form in UTF-8, without a charset")

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    async with aclosing(stream()) as pieces:
        parser = _Form(request.headers, pieces, max_files=max_files, max_fields=max_fields, max_part_size=max_text)
        parser.spool_max_size = len(body) + 1  # stays in memory: the body is bounded already
        try:
            form = await parser.parse()
        except (MultiPartException, KeyError, UnicodeError, ValueError):
            raise BadBody(parser.excess or TORN) from None
    try:
        if not parser.ended:
            raise BadBody("the form ends before its last boundary")
        if parser.problems:
            raise Invalid(parser.problems)
        for part in form.multi_items():
            yield part
    finally:
        parser.close()


async def as_form(request: Request, body: bytes) -> tuple[dict[str, Any], Parts]:
    """`(fields, files)` of a multipart body. Members that are numbers become some, those that may come several times
    a list; all else is text. BadBody when it is torn or no form, Invalid for fields that are wrong by themselves."""
    fields: dict[str, Any] = {}
    files: dict[str, list[bytes]] = {}
    async with aclosing(parse_parts(request, body, max_files=MAX_FILES, max_fields=MAX_FIELDS)) as parts:
        async for name, value in parts:
            if isinstance(value, UploadFile):
                if name not in (*SINGLE, SEVERAL):
                    raise Invalid([Problem(pointer(name), "is no file field: send the picture as file")])
                if name in files and name != SEVERAL:
                    raise Invalid([Problem(pointer(name), "is given twice")])
                files.setdefault(name, []).append(await value.read())
            elif name in LISTS:
                fields.setdefault(name, []).append(value)
            elif name in fields:
                raise Invalid([Problem(pointer(name), "is given twice")])
            else:
                number = name in NUMBERS and len(value) < 10 and value.isascii() and value.isdigit()
                fields[name] = int(value) if number else value
    sizes = tuple(files.pop(SEVERAL, ()))
    return fields, Parts(**{name: data for name, (data,) in files.items()}, sizes=sizes)
