"""The port that the service listens on, and the address under which readers reach it. Asks, and changes nothing."""

from __future__ import annotations

import errno
import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import SplitResult, urlsplit

from adserve import __version__
from adserve.doctor.findings import ANSWER_S, Finding, ok, problem, warning, within
from adserve.http import holder
from adserve.settings import Settings
from adserve.web.client import is_loopback

ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to connect to, not to listen on
ASK_LIMIT = 65_536


class NoAnswer(Exception):
    """Nothing, or nothing of ours; `str` says what."""


def check_port(settings: Settings) -> Iterator[Finding]:
    """Free for a start, or held by this service."""
    host, port = settings.host, settings.port
    try:
        family = within(ANSWER_S, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))[0][0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))  # never listens: a service that starts at this moment is not disturbed
    except OSError as failed:  # TimeoutError and the failed look-up of a name are of its kind
        if failed.errno != errno.EADDRINUSE:
            text = failed.strerror or str(failed)
            yield problem("port", f"cannot listen on {host}:{port}: {text}", "set ADSERVE_HOST and ADSERVE_PORT")
            return
    else:
        yield ok("port", f"{host}:{port} is free: no service runs there")
        return
    try:
        version = _version_at("http", ANYWHERE.get(host, host), port, "/version")
    except NoAnswer as failed:
        detail = f"{host}:{port} is taken{holder(port)}, which is no adserve: {failed}"
        yield problem("port", detail, "end that, or choose another with ADSERVE_PORT")
    else:
        yield _of_version("port", f"{host}:{port} is taken{holder(port)}; an adserve answers", version)


def check_public_url(settings: Settings) -> Iterator[Finding]:
    """Set, https, known to the name service, and answered by this version."""
    if settings.public_url is None:
        if is_loopback(settings.host):
            yield ok("public_url", "not set: links point to the origin of each request, for loopback hosts only")
        else:
            detail = "ADSERVE_PUBLIC_URL is not set: links point to the listening address"
            yield warning("public_url", detail, "set it to the address under which readers reach the service")
        return
    parts = urlsplit(settings.public_url)
    host = str(parts.hostname)
    local = is_loopback(host)
    if parts.scheme == "http" and not local:
        detail = f"{settings.public_url} is not https: pages that are will not load from it"
        yield warning("public_url", detail, "let the proxy terminate TLS, and set the address with https://")
    try:
        within(ANSWER_S, lambda: socket.getaddrinfo(host, None))
    except (OSError, UnicodeError) as failed:
        yield problem("public_url", f"{host} does not resolve: {failed}", "mend the name service, or the address")
        return
    try:
        yield _of_version("public_url", f"an adserve answers at {settings.public_url}", _answer_at(parts))
    except NoAnswer as failed:
        detail = f"{settings.public_url}: {failed}"
        yield warning("public_url", detail, "start the service, mend its proxy, or ask from where readers are")


def check_proxies(settings: Settings) -> Iterator[Finding]:
    """Whose X-Forwarded-For is believed. Whether the proxy sends it cannot be seen from here."""
    if any(network.prefixlen == 0 for network in settings.trusted_proxies):
        detail = "ADSERVE_TRUSTED_PROXIES holds the whole internet: every client may choose its own address"
        yield problem("proxies", detail, "name the addresses of your proxies alone")
    elif settings.trusted_proxies:
        yield ok("proxies", f"trusted: {', '.join(map(str, settings.trusted_proxies))}")
    elif _is_behind_a_proxy(settings):
        detail = "the public URL is not the address listened on, and no proxy is trusted: all readers share its address"
        yield warning("proxies", detail, "name the proxy in ADSERVE_TRUSTED_PROXIES, and let it send X-Forwarded-For")
    else:
        yield ok("proxies", "none trusted: clients are known by their own address")


def _is_behind_a_proxy(settings: Settings) -> bool:
    if settings.public_url is None:
        return False
    parts = urlsplit(settings.public_url)
    return parts.scheme == "https" or (parts.port or 80) != settings.port


def _answer_at(parts: SplitResult) -> str:
    return _version_at(parts.scheme, str(parts.hostname), parts.port, f"{parts.path}/version")


def _version_at(scheme: str, host: str, port: int | None, path: str) -> str:
    """What a service says of itself. NoAnswer when nothing does, or it is none of ours."""
    try:
        status, body = within(ANSWER_S, lambda: _get(scheme, host, port, path))
    except ssl.SSLError as failed:
        raise NoAnswer(f"its certificate is not accepted: {failed.reason or failed}") from None
    except (OSError, http.client.HTTPException, ValueError) as failed:
        raise NoAnswer(f"nothing answers: {failed}") from None
    try:
        version = json.loads(body)["version"]
    except (ValueError, KeyError, TypeError):
        raise NoAnswer(f"{path} is answered with {status}, not by adserve") from None
    return str(version)[:40]


def _get(scheme: str, host: str, port: int | None, path: str) -> tuple[int, bytes]:
    kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    connection = kind(host, port, timeout=ANSWER_S)
    try:
        connection.request("GET", path, headers={"User-Agent": f"adserve-doctor/{__version__}"})
        reply = connection.getresponse()
        return reply.status, reply.read(ASK_LIMIT)
    finally:
        connection.close()


def _of_version(check: str, detail: str, version: str) -> Finding:
    if version == __version__:
        return ok(check, f"{detail}, version {version}")
    text = f"{detail}, version {version!r}; this is {__version__}"
    return warning(check, text, "restart the service, or run the doctor of its version")
