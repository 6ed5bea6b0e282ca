"""The one caller of the service for page templates: every helper here is thin over it.

    client = Client("http://127.0.0.1:8000", "news", key="adserve_...")
    client.slot("top", labels=["politics"], headers=request.headers, address="203.0.113.9", size="728x90")
    client.page(["header", "top"], sizes={"top": "728x90"})["top"]

A page never waits longer than `timeout_s` for a call and never breaks. Without an answer in time it gets the browser
tag's element instead, which `slots.js` fills; after five such calls in a row none is tried for five seconds, and then
one. Where the server has nothing to show, or hands the slot back, the page's own `fallback` stands: text is escaped,
what has `__html__` is not. What cannot be a slot's name prints nothing and is logged as a warning. `aslot` and `apage`
do the same without holding up the event loop.

The context of a call, all optional: `labels`, `url`, `lang`, `country`, `device`, `width`, `visitor`, `seen`, `pv`,
`plan` and `kv` (a mapping) become query parameters; `headers` are the reader's request headers, of which those that
the server judges by are forwarded (never cookies or credentials); `address` is the reader's, which the server believes
from a trusted proxy, or with a `key` of the scope `delivery`; `size` goes into the tag's element. A page takes `sizes`
and `fallbacks` by slot. What a call leaves out, `reader` may know.

The folder stands alone: with one helper it can be copied into a project that does not install the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from ipaddress import ip_address
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import quote, urlsplit

from .circuit import Circuit
from .connection import KeepAlive, Refused
from .markup import Html, fallback, is_key, joined, snippet_of, tag, without

Fetch = Callable[[str, Mapping[str, str]], str]
"""URL and headers to the text of a `200` answer; whatever else happens is an exception."""
AsyncFetch = Callable[[str, Mapping[str, str]], Awaitable[str]]
Reader = Callable[[], Mapping[str, Any]]
"""The context that the request at hand has, such as `headers` and `address`."""
H = TypeVar("H", bound=str)

log = logging.getLogger("adserve.contrib")
_SITE = re.compile(r"[a-z0-9-]{1,64}")
_NOT_PARAMETERS = frozenset({"headers", "address", "size", "sizes", "fallback", "fallbacks"})
_FORWARDED = re.compile(r"user-agent|accept-language|sec-purpose|purpose|sec-gpc|dnt|sec-ch-[a-z-]{1,40}")
_MOST_HEADERS, _LONGEST_VALUE = 30, 1_000
_LONGEST_CALL = 16_000
"""Characters of a URL with its headers: the server takes twice that, and a reader may have written most of them."""


class Filled(dict[str, H], Generic[H]):
    """The snippets of a page by slot. `seen`: what the reader's device is to keep and send with the next call, if the
    page stores such things; see the documentation of `frequency`."""

    seen: str | None = None


class Call(NamedTuple):
    """What is sent."""

    url: str
    headers: dict[str, str]


def problems_of(base_url: object, site: object, timeout_s: object = 0.05, key: object = None) -> dict[str, str]:
    """What is wrong with settings, by name."""
    found = {}
    try:
        base = urlsplit(base_url if isinstance(base_url, str) else "")
        good = base.scheme in ("http", "https") and bool(base.hostname) and base.port != 0 and "@" not in base.netloc
        good = good and not (base.query or base.fragment) and str(base_url).isprintable() and " " not in str(base_url)
    except ValueError:
        good = False
    if not good:
        found["base_url"] = f"is the server's address, for example http://127.0.0.1:8000, not {base_url!r}"
    if not (isinstance(site, str) and _SITE.fullmatch(site)):
        found["site"] = f"is the id of a site, 1 to 64 of a-z, 0-9 and -, not {site!r}"
    if isinstance(timeout_s, bool) or not (isinstance(timeout_s, int | float) and 0 < timeout_s <= 60):
        found["timeout_s"] = f"is a number of seconds above 0 and up to 60, for example 0.05, not {timeout_s!r}"
    if key is not None and not (isinstance(key, str) and re.fullmatch(r"[!-~]{1,256}", key)):
        found["key"] = "is an API key with the scope delivery: 1 to 256 printable ASCII characters without blanks"
    return found


class Client:
    """Calls one service for one site; ValueError with everything that is wrong with its settings. Its methods never
    raise. `fetch` and `afetch` take the place of HTTP."""

    def __init__(
        self,
        base_url: str,
        site: str,
        *,
        timeout_s: float = 0.05,
        key: str | None = None,
        reader: Reader = dict,
        fetch: Fetch | None = None,
        afetch: AsyncFetch | None = None,
        circuit: Circuit | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if problems := problems_of(base_url, site, timeout_s, key):
            raise ValueError("; ".join(f"{name} {problem}" for name, problem in problems.items()))
        self._base, self._site, self._timeout_s, self._key = base_url.rstrip("/"), site, timeout_s, key
        self._reader, self._clock = reader, clock
        self._circuit = circuit or Circuit()
        over_http = KeepAlive(base_url, timeout_s)
        self._fetch = fetch or over_http.fetch
        self._afetch = afetch or (_in_thread(fetch) if fetch is not None else over_http.afetch)

    def slot(self, name: str, **context: Any) -> Html:
        """The snippet of one slot, or its fallback when the server has nothing to show."""
        answer = self.snippet(name, **context)
        return Html(answer) if answer else without(name, answer, context)

    async def aslot(self, name: str, **context: Any) -> Html:
        answer = await self.asnippet(name, **context)
        return Html(answer) if answer else without(name, answer, context)

    def snippet(self, name: str, **context: Any) -> str | None:
        """The server's HTML, `""` when it has nothing to show; None when it did not answer. See `without`."""
        return self._ask(self._slot_call(name, context)) if is_key(name) else ""

    async def asnippet(self, name: str, **context: Any) -> str | None:
        return await self._aask(self._slot_call(name, context)) if is_key(name) else ""

    def page(self, slots: Iterable[str] = (), **context: Any) -> Filled[Html]:
        """One call for several slots, keyed as asked (`below-post:2` is a second of its kind); none named: all."""
        names, asked = _names(slots)
        call = self._page_call(asked, context) if asked or not names else None
        return _page(names, asked, context, self._ask(call))

    async def apage(self, slots: Iterable[str] = (), **context: Any) -> Filled[Html]:
        names, asked = _names(slots)
        call = self._page_call(asked, context) if asked or not names else None
        return _page(names, asked, context, await self._aask(call))

    def _slot_call(self, name: str, context: Mapping[str, Any]) -> Call | None:
        return self._call(f"/v1/slots/{self._site}/{name}", {}, context, accept="text/html")

    def _page_call(self, asked: list[str], context: Mapping[str, Any]) -> Call | None:
        query: dict[str, object] = {"slots": asked} if asked else {}
        if asked and context.get("pv") is None:
            query["plan"] = asked  # nobody can go on with this page view, so these are all of it
        return self._call(f"/v1/pages/{self._site}", query, context, accept="application/json")

    def _call(self, path: str, query: dict[str, object], context: Mapping[str, Any], *, accept: str) -> Call | None:
        """What to send; None, and a line in the log, when a context cannot be sent. That says nothing of the server."""
        try:
            known = {**self._reader(), **context}
            headers = {"Accept": accept, **_headers(known)}
            if self._key is not None:
                headers["Authorization"] = f"Bearer {self._key}"
            call = Call(self._base + path + _query(query | known), headers)
            said = [call.url, *headers.values()]
            if sum(map(len, said)) > _LONGEST_CALL:
                raise ValueError("it is too long")
            if not all(text.isprintable() and text.encode("latin-1") is not None for text in said):
                raise ValueError("a control character in a header")
            return call
        except Exception as problem:
            log.info("a call for %s cannot be sent: %.200r", path, problem)  # no warning: readers can cause it
            return None

    def _ask(self, call: Call | None) -> str | None:
        """The server's answer, or None: a page is worth more than the reason, which the server's own log has."""
        if call is None or not self._circuit.admits(self._clock()):
            return None
        try:
            return self._answered(self._fetch(*call))
        except Refused:
            return self._answered(None)
        except Exception as problem:
            self._failed(problem)
            return None

    async def _aask(self, call: Call | None) -> str | None:
        if call is None or not self._circuit.admits(self._clock()):
            return None
        try:
            async with asyncio.timeout(self._timeout_s):
                return self._answered(await self._afetch(*call))
        except Refused:
            return self._answered(None)
        except Exception as problem:
            self._failed(problem)
            return None

    def _answered(self, answer: str | None) -> str | None:
        if self._circuit.succeeded():
            log.warning("%s answers again", self._base)
        return answer

    def _failed(self, problem: Exception) -> None:
        if self._circuit.failed(self._clock()):
            log.warning("%s does not answer: no call is tried for a while (%.200r)", self._base, problem)


def _in_thread(fetch: Fetch) -> AsyncFetch:
    async def afetch(url: str, headers: Mapping[str, str]) -> str:
        return await asyncio.to_thread(fetch, url, headers)

    return afetch


def _names(slots: Iterable[str]) -> tuple[list[str], list[str]]:
    """The slots that a page names, and those among them that can be asked for."""
    names = [slots] if isinstance(slots, str) else list(slots)
    return names, [name for name in names if is_key(name)]


def _page(names: list[str], asked: list[str], context: Mapping[str, Any], answer: str | None) -> Filled[Html]:
    filled = Filled({name: Html("") for name in names if isinstance(name, str)})
    filled.update({name: tag(name, context) for name in asked})
    try:
        found = json.loads(answer or "null")
        decisions = found["slots"].items()
        filled.update({str(name): snippet_of(decision) or fallback(name, context) for name, decision in decisions})
        filled.seen = found["seen"] if isinstance(found.get("seen"), str) else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass
    return filled


def _query(values: Mapping[str, object]) -> str:
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        if name == "kv" and isinstance(value, Mapping):
            pairs += [(f"kv.{key}", str(one)) for key, one in value.items()]
        elif name not in _NOT_PARAMETERS and value is not None:
            pairs.append((name, joined(value)))
    encoded = [
        f"{quote(key, safe='', errors='replace')}={quote(value, safe=',:', errors='replace')}" for key, value in pairs
    ]
    return "?" + "&".join(encoded) if encoded else ""


def _headers(context: Mapping[str, Any]) -> dict[str, str]:
    """Of the reader's headers those that the server judges by, and the reader's address if it is one."""
    headers: dict[str, str] = {}
    for name, value in (context.get("headers") or {}).items():
        if value is not None and _FORWARDED.fullmatch(name.lower()) and len(headers) < _MOST_HEADERS:
            headers[name] = value[:_LONGEST_VALUE]
    with contextlib.suppress(ValueError):  # none, or the name of a local socket
        headers["X-Forwarded-For"] = str(ip_address(str(context.get("address"))))
    return headers
