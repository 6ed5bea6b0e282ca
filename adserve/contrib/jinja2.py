"""Slots in Jinja2 templates: `{{ slot("top") }}`, or one call for a whole page.

    install(env, base_url="http://127.0.0.1:8000", site="news")

    {{ slot("top", labels=["politics"], headers=request.headers, address=request.client.host) }}

    {% set filled = page(["header", "top"], sizes={"top": "728x90"}) %}
    {{ filled["top"] }}

    {% set own %}<a href="/letter">Our letter</a>{% endset %}
    {{ slot("top", fallback=own) }}

A page never waits longer than `timeout_s` for a call and never breaks: without an answer in time it
gets the browser tag's element instead, which `slots.js` fills. Where the server has nothing to show,
or hands the slot back, the page's own `fallback` stands: text is escaped, markup (what a `set` block
gives) is not. What cannot be a slot's name prints nothing and is logged as a warning. This module
stands alone, so it can be copied into a project that does not install the server.

The context of a call, all optional: `labels`, `url`, `lang`, `country`, `device`, `width`,
`visitor`, `seen`, `pv`, `plan` and `kv` (a mapping) become query parameters; `headers` are the reader's request
headers, of which those that the server judges by are forwarded (never cookies or credentials);
`address` is the reader's; `size` goes into the tag's element. A page takes `sizes` and `fallbacks` by slot.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.parse import quote, urlsplit

from jinja2 import Environment
from markupsafe import Markup, escape

Fetch = Callable[[str, Mapping[str, str]], str]
"""URL and headers to the text of a `200` answer; whatever else happens is an exception."""

log = logging.getLogger("adserve.contrib.jinja2")
_KEY = re.compile(r"([a-z0-9-]{1,64})(?::[0-9]{1,4})?")
"""A slot's name, and which instance of it on the page."""
_NOT_PARAMETERS = frozenset({"headers", "address", "size", "sizes", "fallback", "fallbacks"})
_FORWARDED = frozenset({"user-agent", "accept-language", "sec-purpose", "purpose", "sec-gpc", "dnt"})
_FORWARDED_PREFIX = "sec-ch-"
_MAX_ANSWER_BYTES = 2_000_000
_PIXEL = Markup('<img src="{}" width="1" height="1" alt=""{} style="position:absolute;width:1px;height:1px;border:0">')
_LAZY = Markup(' loading="lazy"')


class Filled(dict[str, Markup]):
    """The snippets of a page by slot. `seen`: what the reader's device is to keep and send with the next call, if the
    page stores such things; see the documentation of `frequency`."""

    seen: str | None = None


class Slots:
    """What `install` puts into templates: `slot` and `page`, and `aslot` and `apage` for async ones. None raises."""

    def __init__(self, base_url: str, site: str, fetch: Fetch) -> None:
        self._base = base_url.rstrip("/")
        self._site = quote(site, safe="")
        self._fetch = fetch

    def slot(self, name: str, **context: Any) -> Markup:
        """The snippet of one slot, or its fallback when the server has nothing to show."""
        if not _is_key(name):
            return Markup("")
        answer = self._ask(f"/v1/slots/{self._site}/{name}", {}, context, accept="text/html")
        if answer is None:
            return _tag(name, context)
        return Markup(answer) or _fallback(name, context)  # noqa: S704 (our own server's HTML)

    def page(self, slots: Iterable[str] = (), **context: Any) -> Filled:
        """One call for several slots, keyed as asked (`below-post:2` is a second of its kind); none named: all."""
        names = [slots] if isinstance(slots, str) else list(slots)
        asked = [name for name in names if _is_key(name)]
        filled = Filled({name: Markup("") for name in names if isinstance(name, str)})
        filled.update({name: _tag(name, context) for name in asked})
        if names and not asked:
            return filled
        query: dict[str, object] = {"slots": asked} if asked else {}
        if asked and context.get("pv") is None:
            query["plan"] = asked  # nobody can go on with this page view, so these are all of it
        answer = self._ask(f"/v1/pages/{self._site}", query, context, accept="application/json")
        try:
            found = json.loads(answer or "null")
            decisions = found["slots"].items()
            filled.update({str(name): _snippet(decision) or _fallback(name, context) for name, decision in decisions})
            filled.seen = found["seen"] if isinstance(found.get("seen"), str) else None
            return filled
        except (ValueError, TypeError, KeyError, AttributeError):
            return filled

    async def aslot(self, name: str, **context: Any) -> Markup:
        return await asyncio.to_thread(self.slot, name, **context)

    async def apage(self, slots: Iterable[str] = (), **context: Any) -> Filled:
        return await asyncio.to_thread(self.page, slots, **context)

    def _ask(self, path: str, query: dict[str, object], context: Mapping[str, Any], *, accept: str) -> str | None:
        """The server's answer, or None: a page is worth more than the reason, which the server's own log has."""
        try:
            return self._fetch(self._base + path + _query(query | dict(context)), _headers(context, accept))
        except Exception:
            return None


def install(
    env: Environment, *, base_url: str, site: str, fetch: Fetch | None = None, timeout_s: float = 0.05
) -> Slots:
    """Adds the globals `slot`, `page`, `aslot` and `apage` to `env`; ValueError when `base_url` is no HTTP origin."""
    base = urlsplit(base_url)
    if base.scheme not in ("http", "https") or not base.hostname:
        raise ValueError(f"base_url is the server's origin, for example http://127.0.0.1:8000, not {base_url!r}")
    slots = Slots(base_url, site, fetch or KeepAlive(base_url, timeout_s))
    env.globals.update(slot=slots.slot, page=slots.page, aslot=slots.aslot, apage=slots.apage)
    return slots


def _query(values: Mapping[str, object]) -> str:
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        if name == "kv" and isinstance(value, Mapping):
            pairs += [(f"kv.{key}", str(one)) for key, one in value.items()]
        elif name not in _NOT_PARAMETERS and value is not None:
            several = isinstance(value, Iterable) and not isinstance(value, str)
            pairs.append((name, ",".join(map(str, value)) if several else str(value)))  # type: ignore[call-overload]
    encoded = [f"{quote(key, safe='')}={quote(value, safe=',:', errors='replace')}" for key, value in pairs]
    return "?" + "&".join(encoded) if encoded else ""


def _headers(context: Mapping[str, Any], accept: str) -> dict[str, str]:
    headers = {"Accept": accept}
    for name, value in (context.get("headers") or {}).items():
        if name.lower() in _FORWARDED or name.lower().startswith(_FORWARDED_PREFIX):
            headers[name] = value
    if context.get("address"):
        headers["X-Forwarded-For"] = str(context["address"])
    return headers


def _is_key(name: object) -> bool:
    """Whether a slot can have this name, which a template may have taken from anywhere; said if not."""
    if isinstance(name, str) and _KEY.fullmatch(name):
        return True
    log.warning("%.80r is no name of a slot: it takes 1 to 64 of a-z, 0-9 and -; nothing is shown", name)
    return False


def _tag(key: str, context: Mapping[str, Any]) -> Markup:
    """The element that `slots.js` fills, for when the server did not answer."""
    size, fallback = _stated("size", key, context), _fallback(key, context)
    stated = Markup(' data-size="{}"').format(size) if size else ""
    own = Markup("<template>{}</template>").format(fallback) if fallback else ""
    return Markup('<div data-slot="{}"{}>{}</div>').format(key.partition(":")[0], stated, own)


def _fallback(key: str, context: Mapping[str, Any]) -> Markup:
    """What the page itself has for a slot."""
    return escape(_stated("fallback", key, context) or "")


def _stated(what: str, key: str, context: Mapping[str, Any]) -> Any:
    """What a call says of one slot: `size`, or among the `sizes` of a page; likewise `fallback`."""
    several = context.get(f"{what}s")
    return context.get(what) or (several.get(key.partition(":")[0]) if isinstance(several, Mapping) else None)


def _snippet(decision: Mapping[str, Any]) -> Markup:
    """A decision's HTML with its impression image, which is lazy exactly when the picture is."""
    html = Markup(decision.get("html") or "")  # noqa: S704 (our own server's HTML)
    impression = decision.get("impression_url")
    if not html or not impression:
        return html
    return html + _PIXEL.format(impression, _LAZY if _LAZY in html else "")


class KeepAlive:
    """The fetch used by default: one kept connection a thread, one deadline for a whole call (looking up a host
    name excepted, so name an address or a host that resolves at once)."""

    def __init__(self, base_url: str, timeout_s: float) -> None:
        base = urlsplit(base_url)
        self._authority = base.netloc.rpartition("@")[2]
        self._address = (base.hostname or "", base.port or (443 if base.scheme == "https" else 80))
        self._tls = ssl.create_default_context() if base.scheme == "https" else None
        self._timeout_s = timeout_s
        self._mine = threading.local()

    def __call__(self, url: str, headers: Mapping[str, str]) -> str:
        until = time.monotonic() + self._timeout_s
        connection = self._take()
        request = self._request(url, headers)
        try:
            answer = connection.ask(request, until) if connection else None
        except ConnectionError:
            answer = None  # it closed while it idled, so nothing was asked
        if connection is None or answer is None:
            connection = _Connection(self._address, self._tls, until)
            answer = connection.ask(request, until)
        body = answer.read(_MAX_ANSWER_BYTES + 1)
        if answer.status != 200 or len(body) > _MAX_ANSWER_BYTES:
            raise HTTPException(f"answered {answer.status} with {len(body)} bytes")
        if answer.isclosed() and not answer.will_close:
            self._mine.connection = connection
        return body.decode()

    def _take(self) -> _Connection | None:
        """This thread's connection, which is put back once an answer was read to its end."""
        connection: _Connection | None = getattr(self._mine, "connection", None)
        self._mine.connection = None
        # One made before a fork is the parent's: sharing it would mix up two readers' answers.
        return connection if connection and connection.process == os.getpid() else None

    def _request(self, url: str, headers: Mapping[str, str]) -> bytes:
        target = url[url.index("/", url.index("://") + 3) :]
        lines = [f"GET {target} HTTP/1.1", f"Host: {self._authority}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if any(not line.isprintable() for line in lines):
            raise ValueError("a control character in a header")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class _Connection:
    """A socket that closes with its owner: the thread that kept it may end at any time."""

    def __init__(self, address: tuple[str, int], tls: ssl.SSLContext | None, until: float) -> None:
        self.process = os.getpid()
        self._sock = socket.create_connection(address, timeout=_left_s(until))
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self._sock = tls.wrap_socket(self._sock, server_hostname=address[0])

    def __del__(self) -> None:
        if sock := getattr(self, "_sock", None):
            sock.close()

    def ask(self, request: bytes, until: float) -> HTTPResponse:
        self._sock.settimeout(_left_s(until))
        self._sock.sendall(request)
        answer = HTTPResponse(self._sock, method="GET")
        answer.fp.close()
        answer.fp = io.BufferedReader(_TimedReader(self._sock, until))
        answer.begin()
        return answer


class _TimedReader(io.RawIOBase):
    """Reads until a moment, however slowly bytes drip in: a socket's own timeout starts anew with each."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock, self._until = sock, until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(_left_s(self._until))
        return self._sock.recv_into(buffer)


def _left_s(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("no answer in time")
    return left
