"""One page from the network, within bounds: 10 seconds in all, 5 redirects, 2 MB, http and https."""

from __future__ import annotations

import codecs
import re
import urllib.error
import urllib.request
import zlib
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from typing import Any
from urllib.parse import quote, urlsplit

from adserve.doctor.findings import within
from adserve.errors import NoPage

MOST_BYTES, MOST_REDIRECTS, WITHIN_S = 2_000_000, 5, 10.0
_META = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]{1,40})", re.IGNORECASE)
_BOMS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


@dataclass(frozen=True, slots=True)
class Page:
    """What was answered. `headers`: by lower-case name, several lines of one in order; `cut`: there was more."""

    url: str
    status: int
    headers: dict[str, list[str]]
    html: str
    cut: bool = False

    def header(self, name: str) -> str:
        return ", ".join(self.headers.get(name, ()))


class _Redirects(urllib.request.HTTPRedirectHandler):
    """The library's own refuses other schemes than http, https and ftp; ftp goes too."""

    max_redirections = MOST_REDIRECTS

    def redirect_request(self, request: Any, fp: Any, code: int, msg: str, headers: HTTPMessage, newurl: str) -> Any:
        try:
            check(newurl)
        except NoPage:
            fp.close()
            raise
        return super().redirect_request(request, fp, code, msg, headers, newurl)


def check(url: str) -> None:
    """NoPage for what is no address of a page."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        good = False
    if not good or not url.isprintable() or " " in url:
        raise NoPage(f"{url[:200]}: takes the address of a page, as https://news.example/, without credentials")


def fetch(url: str, *, seconds: float = WITHIN_S) -> Page:
    """NoPage where there is no answer in time, too many redirects, or nothing that is text."""
    check(url)
    try:
        return within(seconds, lambda: _get(url, seconds))
    except NoPage:
        raise
    except TimeoutError:
        raise NoPage(f"{url}: no whole answer in {seconds:g} s") from None
    except (OSError, ValueError, HTTPException) as problem:
        reason = getattr(problem, "reason", None) or problem
        raise NoPage(f"{url}: {reason}") from None


def _get(url: str, seconds: float) -> Page:
    sent = {"User-Agent": "adserve check-page", "Accept": "text/html", "Accept-Encoding": "identity"}
    request = urllib.request.Request(_ascii(url), headers=sent)  # noqa: S310 (the scheme is checked, also of redirects)
    opener = urllib.request.build_opener(_Redirects)
    try:
        reply = opener.open(request, timeout=seconds)
    except urllib.error.HTTPError as refused:
        if refused.code in (301, 302, 303, 307, 308):
            refused.close()
            raise NoPage(f"{url}: more than {MOST_REDIRECTS} redirects, or one that leads in a circle") from None
        reply = refused
    with reply:
        body = reply.read(MOST_BYTES + 1)
        headers: dict[str, list[str]] = {}
        for name, value in reply.headers.items():
            headers.setdefault(name.lower(), []).append(value)
        cut = len(body) > MOST_BYTES
        body, more = _unpacked(body[:MOST_BYTES], (headers.get("content-encoding") or ["identity"])[0])
        return Page(reply.url, reply.status, headers, _text(body, reply.headers), cut or more)


def _ascii(url: str) -> str:
    """The address as it goes over the wire: what is no ASCII is escaped, a host of another script by IDNA."""
    parts = urlsplit(url)
    host = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode()
    return quote(parts._replace(netloc=host, fragment="").geturl(), safe="%/:?#[]@!$&'()*+,;=~")


def _unpacked(body: bytes, encoding: str) -> tuple[bytes, bool]:
    """A server may compress though it was asked not to. What would unpack to more than is read is cut."""
    if encoding.strip().lower() in ("identity", ""):
        return body, False
    if encoding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
        raise NoPage(f"the page is compressed with {encoding[:40]}, though it was asked for as it is")
    unpacker = zlib.decompressobj(32 + zlib.MAX_WBITS)
    try:
        return unpacker.decompress(body, MOST_BYTES), bool(unpacker.unconsumed_tail)
    except zlib.error:
        raise NoPage(f"the page says that it is compressed with {encoding[:40]}, and is not") from None


def _text(body: bytes, headers: HTTPMessage) -> str:
    """By byte order mark, header or `meta`, in the order of browsers; else UTF-8."""
    for mark, name in _BOMS.items():
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "replace")
    found = _META.search(body[:4096])
    for charset in (headers.get_content_charset(), found[1].decode("ascii") if found else None):
        if charset:
            try:
                return body.decode("cp1252" if charset.lower() in ("iso-8859-1", "latin1") else charset, "replace")
            except LookupError:
                continue
    return body.decode("utf-8", "replace")
