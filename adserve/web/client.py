"""What a delivery request says of its client: headers, address, device, the origin links should point to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from starlette.types import Scope

from adserve.core.access import Account
from adserve.core.model import DEVICES
from adserve.core.traffic import Address, Agent, client_address
from adserve.flows.serve import Reader
from adserve.flows.worker import Worker
from adserve.web.bearer import bearer
from adserve.web.protocol import merged

_LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?\Z")
_PAGE_VIEW = re.compile(r"[A-Za-z0-9_-]{8,64}\Z")
_WIDTH = re.compile(r"[0-9]{1,5}\Z")
_COUNTRY = re.compile(r"[A-Za-z]{2}\Z")
MAX_PARAMETERS = 100
_NO_QUERY: Mapping[str, str] = {}


class Ask(NamedTuple):
    """A delivery request, however it came. Header names are lower-case, several lines of one name are one; `peer` is
    the address at the other end of the connection, or nothing; `caller` is whose key came with it, if it is one."""

    method: str
    query: bytes
    headers: Mapping[bytes, bytes]
    peer: str
    caller: Account | None = None

    @classmethod
    def of(cls, scope: Scope, known: Callable[[str], Account | None]) -> Ask:
        client, secret = scope.get("client"), bearer(scope["headers"])
        caller = known(secret) if secret is not None else None
        peer = client[0] if client else ""
        return cls(scope["method"], scope["query_string"], merged(scope["headers"]), peer, caller)


def parameters(query: bytes) -> Mapping[str, str]:
    """The first value of each query parameter, at most 100; what is not UTF-8 is left out."""
    if not query:
        return _NO_QUERY
    found: dict[str, str] = {}
    for pair in query.split(b"&", MAX_PARAMETERS)[:MAX_PARAMETERS]:
        name, _, value = pair.partition(b"=")
        try:
            found.setdefault(_text(name), _text(value))
        except UnicodeDecodeError:
            continue
    return found


def _text(quoted: bytes) -> str:
    if b"%" in quoted or b"+" in quoted:
        quoted = unquote_to_bytes(quoted.replace(b"+", b" "))
    return quoted.decode()


def is_loopback(host: str) -> bool:
    """Whether a host to listen on is reached from this machine only."""
    return host == "::1" or _LOOPBACK.match(host) is not None


@lru_cache(maxsize=64)
def _own_origin(host: bytes) -> str | None:
    text = host.decode("latin-1")
    return f"http://{text}" if _LOOPBACK.match(text) else None


def client_of(worker: Worker, ask: Ask) -> Address | None:
    vouched = ask.caller is not None and ask.caller.speaks_for_browsers
    forwarded = ask.headers.get(b"x-forwarded-for", b"") if vouched or worker.trusted else b""
    return client_address(ask.peer, forwarded.decode("latin-1"), worker.trusted, vouched=vouched)


def agent_of(worker: Worker, ask: Ask) -> Agent:
    headers = ask.headers
    return worker.rules.agent(  # remembered: what is long costs memory
        headers.get(b"user-agent", b"")[:512],
        headers.get(b"sec-ch-ua-mobile", b"")[:16],
        headers.get(b"sec-ch-ua-platform", b"")[:64],
    )


def verdict_of(worker: Worker, ask: Ask, agent: Agent, query: Mapping[str, str], *, clients: str) -> str | None:
    return worker.rules.judge(
        ask.headers,
        agent,
        lambda: client_of(worker, ask),
        clients=clients,
        asked_not_to_count=query.get("internal") == "1",
    )


def base_url(worker: Worker, ask: Ask) -> str:
    """The public URL from the settings; without one the request's own origin, for loopback hosts only:
    a Host header from outside must never decide where links point."""
    if worker.public_url is not None:
        return worker.public_url
    return _own_origin(ask.headers.get(b"host", b"")) or worker.fallback_url


def reader_of(worker: Worker, ask: Ask, query: Mapping[str, str], *, clients: str) -> Reader:
    """The reader of a delivery request. A malformed parameter is ignored and counted."""
    agent = agent_of(worker, ask)
    verdict = verdict_of(worker, ask, agent, query, clients=clients)
    device, width, page_view, country = agent.device, None, None, None
    if query:
        if "width" in query:
            if _WIDTH.match(query["width"]):
                width = int(query["width"])
            else:
                worker.malformed += 1
        if "device" in query:
            if query["device"] in DEVICES[1:]:
                device = DEVICES.index(query["device"])
            else:
                worker.malformed += 1
        page_view = query.get("pv")
        if page_view is not None and not _PAGE_VIEW.match(page_view):
            worker.malformed += bool(page_view)
            page_view = None
        if "country" in query and ask.caller is not None:
            if _COUNTRY.match(query["country"]):
                country = query["country"].upper()
            else:
                worker.malformed += 1
    return Reader(verdict, device, width, page_view, base_url(worker, ask), country)
