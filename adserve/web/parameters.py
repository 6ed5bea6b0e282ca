"""Query parameters of delivery, decoded when somebody asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import unquote_to_bytes

MAX_PARAMETERS = 100
LONGEST_REMEMBERED = 512
"""Bytes of a query: what is long costs memory."""
Query = Mapping[bytes, bytes]
_NO_QUERY: Query = {}


def parameters(query: bytes) -> Query:
    """The first value of each query parameter, at most 100, as it was sent: see `text`."""
    if not query:
        return _NO_QUERY
    if len(query) > LONGEST_REMEMBERED or b"visitor=" in query or b"seen=" in query:
        return _parse(query)
    return _remembered(query)


def _parse(query: bytes) -> Query:
    found: dict[bytes, bytes] = {}
    for pair in query.split(b"&", MAX_PARAMETERS)[:MAX_PARAMETERS]:
        name, _, value = pair.partition(b"=")
        found.setdefault(unquoted(name), value)
    return found


_remembered = lru_cache(maxsize=4_096)(_parse)
"""A page asks the same for each of its readers. What is of one reader alone is forgotten at once."""


def text(query: Query, name: bytes) -> str | None:
    """The value of a parameter; None without it, or when it is no UTF-8."""
    value = query.get(name)
    if value is None:
        return None
    try:
        return unquoted(value).decode()
    except UnicodeDecodeError:
        return None


def unquoted(sent: bytes) -> bytes:
    """A name or value with its escapes decoded."""
    return unquote_to_bytes(sent.replace(b"+", b" ")) if b"%" in sent or b"+" in sent else sent
