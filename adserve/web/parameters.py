"""Query parameters of delivery, decoded when somebody asks for them."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

MAX_PARAMETERS = 100
LONGEST_REMEMBERED = 512
"""Bytes of a query: what is long costs memory."""
MOST_REMEMBERED = 4_096
Pairs = tuple[tuple[bytes, bytes], ...]
_OF_A_PAGE = frozenset((b"labels", b"url", b"lang"))
_OF_ONE = frozenset((b"pv", b"visitor", b"seen"))


class Query(dict[bytes, bytes]):
    """The parameters of a request by name, as they were sent: see `text`. `page` is those of them that say something of
    the page or its reader, and `said` what they say once somebody has looked, see `adserve.web.context`; `readers`:
    what was made of requests that say nothing else, see `adserve.web.client`. `of_one`: it is of one reader or page
    view."""

    __slots__ = ("asked", "of_one", "page", "readers", "said")

    def __init__(self, found: dict[bytes, bytes]) -> None:
        super().__init__(found)
        pairs = ((name, value) for name, value in found.items() if name in _OF_A_PAGE or name.startswith(b"kv."))
        self.page: Pairs = tuple(pairs)
        self.said: Any = None
        self.of_one = not _OF_ONE.isdisjoint(found)
        self.readers: dict[Any, Any] | None = None
        self.asked = False


_NO_QUERY = Query({})
_remembered: dict[bytes, Query] = {}
"""A page asks the same for each of its readers. What is of one reader or page view alone is forgotten at once."""


def parameters(query: bytes) -> Query:
    """The first value of each query parameter, at most 100; of labels and key-values all."""
    if not query:
        return _NO_QUERY
    found = _remembered.get(query)
    if found is None:
        found = _parse(query)
        if len(query) <= LONGEST_REMEMBERED and not found.of_one:
            if len(_remembered) >= MOST_REMEMBERED:
                _remembered.clear()
            _remembered[query] = found
    return found


def _parse(query: bytes) -> Query:
    found: dict[bytes, bytes] = {}
    for pair in query.split(b"&", MAX_PARAMETERS)[:MAX_PARAMETERS]:
        name, _, value = pair.partition(b"=")
        name = unquoted(name)
        if name in found and (name == b"labels" or name.startswith(b"kv.")):
            value = found.pop(name) + b"," + value  # several includes may each say theirs
        found.setdefault(name, value)
    return Query(found)


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
