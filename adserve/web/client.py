"""What a request says of its client: headers, address, device, the origin links should point to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from starlette.types import Scope

from adserve.core.model import DEVICES
from adserve.core.traffic import Address, client_address, device_of
from adserve.flows.serve import Reader, new_page_view
from adserve.flows.worker import Worker

_LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?\Z")
_PAGE_VIEW = re.compile(r"[A-Za-z0-9_-]{8,64}\Z")
_WIDTH = re.compile(r"[0-9]{1,5}\Z")
MAX_PARAMETERS = 100


def headers_of(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def parameters(query: bytes) -> dict[str, str]:
    """The first value of each query parameter, at most 100; what is not UTF-8 is left out."""
    found: dict[str, str] = {}
    for pair in query.split(b"&", MAX_PARAMETERS)[:MAX_PARAMETERS]:
        name, _, value = pair.partition(b"=")
        try:
            found.setdefault(
                unquote_to_bytes(name.replace(b"+", b" ")).decode(),
                unquote_to_bytes(value.replace(b"+", b" ")).decode(),
            )
        except UnicodeDecodeError:
            continue
    return found


def is_loopback(host: str) -> bool:
    """Whether a host to listen on is reached from this machine only."""
    return host == "::1" or _LOOPBACK.match(host) is not None


def client_of(worker: Worker, scope: Scope) -> Address | None:
    peer = scope["client"][0] if scope.get("client") else ""
    if not worker.trusted:
        return client_address(peer, "", ())
    # a proxy may add a line of its own: all of them are one list (RFC 9110, 5.2)
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return client_address(peer, ",".join(lines), worker.trusted)


def verdict_of(worker: Worker, scope: Scope, headers: Mapping[str, str], *, clients: str) -> str | None:
    asked = bool(scope["query_string"]) and parameters(scope["query_string"]).get("internal") == "1"
    return worker.rules.judge(headers, client_of(worker, scope), clients=clients, asked_not_to_count=asked)


def base_url(worker: Worker, scope: Scope, headers: Mapping[str, str]) -> str:
    """The public URL from the settings; without one the request's own origin, for loopback hosts only:
    a Host header from outside must never decide where links point."""
    if worker.public_url is not None:
        return worker.public_url
    host = headers.get("host", "")
    if _LOOPBACK.match(host):
        return f"http://{host}"
    return worker.fallback_url


def reader_of(
    worker: Worker, scope: Scope, headers: Mapping[str, str], query: Mapping[str, str], *, clients: str
) -> Reader:
    """The reader of a delivery request. A malformed parameter is ignored and counted."""
    width = None
    if "width" in query:
        if _WIDTH.match(query["width"]):
            width = int(query["width"])
        else:
            worker.malformed += 1
    device = device_of(
        headers.get("user-agent", "")[:512],
        headers.get("sec-ch-ua-mobile", ""),
        headers.get("sec-ch-ua-platform", ""),
    )
    if "device" in query:
        if query["device"] in DEVICES[1:]:
            device = DEVICES.index(query["device"])
        else:
            worker.malformed += 1
    page_view = query.get("pv", "")
    if not _PAGE_VIEW.match(page_view):
        worker.malformed += bool(page_view)
        page_view = new_page_view()
    return Reader(
        verdict_of(worker, scope, headers, clients=clients), device, width, page_view, base_url(worker, scope, headers)
    )
