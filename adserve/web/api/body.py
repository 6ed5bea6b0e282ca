"""Request bodies: bounded while they stream, then JSON or multipart."""

from __future__ import annotations

from typing import Any

import msgspec
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from adserve.errors import AdserveError, Invalid, Problem, TooLarge, UnsupportedMedia

MAX_DEPTH = 40


class BadBody(AdserveError):
    """A body that cannot be parsed at all."""

    code = "bad_body"


async def read(request: Request, limit: int) -> bytes:
    """The whole body. TooLarge as soon as it is over `limit` bytes, whatever its headers say."""
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limit:
        raise TooLarge(f"the body is over {limit} bytes")
    if request.headers.get("content-encoding", "identity") != "identity":
        raise UnsupportedMedia("send the body without Content-Encoding")
    parts: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"the body is over {limit} bytes")
        parts.append(chunk)
    return b"".join(parts)


def as_json(request: Request, body: bytes) -> Any:
    """JSON of a body. UnsupportedMedia or BadBody when it is none."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/json", "application/merge-patch+json"):
        raise UnsupportedMedia("send application/json")
    if body.count(b"[") + body.count(b"{") > 10_000:
        raise BadBody("the body is nested too deeply")
    try:
        value = msgspec.json.decode(body)
        _check_depth(value, MAX_DEPTH)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        raise BadBody("the body is no valid JSON") from None
    return value


def _check_depth(value: Any, left: int) -> None:
    if left == 0:
        raise ValueError("too deep")
    if isinstance(value, dict):
        for one in value.values():
            _check_depth(one, left - 1)
    elif isinstance(value, list):
        for one in value:
            _check_depth(one, left - 1)


async def as_form(request: Request, body: bytes) -> tuple[dict[str, Any], bytes | None]:
    """`(fields, file)` of a multipart body. `weight` becomes a number; everything else is text."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or not 0 < len(options.get(b"boundary", b"")) <= 70:
        raise UnsupportedMedia("send multipart/form-data with a boundary")

    async def stream() -> Any:
        yield body

    try:
        parser = MultiPartParser(request.headers, stream(), max_files=1, max_fields=40, max_part_size=len(body) + 1)
        parser.spool_max_size = len(body) + 1  # stays in memory: the body is bounded already
        form = await parser.parse()
    except (MultiPartException, KeyError, UnicodeError, ValueError) as problem:
        raise BadBody("the body is no valid multipart/form-data") from problem
    fields: dict[str, Any] = {}
    data: bytes | None = None
    try:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                if name != "file":
                    raise Invalid([Problem(f"/{name[:60]}", "is no file field: send the picture as file")])
                data = await value.read()
            elif name in fields:
                raise Invalid([Problem(f"/{name[:60]}", "is given twice")])
            else:
                fields[name] = int(value) if name == "weight" and value.isascii() and value.isdigit() else value
    finally:
        await form.close()
    return fields, data
