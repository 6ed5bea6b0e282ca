"""Addresses of pages, and the patterns that targets name them by.

DESIGN. Address and pattern are brought to one form, host and path: `news.example/world/a/`. Left out are scheme, user,
port, query and fragment; what is percent-encoded is decoded, save what would mean something else then; a slash
stands at the end, for `/world` and `/world/` are one page to readers. In a pattern `*` is any text, slashes too.
Matching looks for the texts between the stars one after the other, each at its first place, and never goes back:
it takes time linear in the address whatever the pattern. Not chosen: regular expressions, which backtrack, and
`fnmatch`, which makes them.

Patterns are kept by the text before their first star, so that 10,000 of them cost a look-up for each *length* of
such a text. Only those that begin with a star are looked at one by one; of these `*.example/...` means hosts,
and is kept by the host behind it.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import insort
from collections.abc import Iterable, Iterator
from urllib.parse import unquote_to_bytes

import idna

LONGEST = 2048
"""Characters of an address."""
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|//")
_PORT = re.compile(r":[0-9]{0,5}\Z")
_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|[^\s\[\]:@%/?#\\<>\"]+")
_ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_STRAY = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SLASHES = re.compile(r"/{2,}")
_KEPT = frozenset("/?#%*\\")
"""What means something else when it is decoded."""


def page_address(url: str) -> str | None:
    """The form in which addresses are compared, or None when there is no host in it.

    `HTTPS://News.example:8080/World/%61?x=1#y` gives `news.example/World/a/`."""
    return _form(url, stars=False)


def pattern(text: str) -> str:
    """The form of a pattern, which comes out of it unchanged. Without a slash it is a host, with all of its pages:
    `News.example` gives `news.example/*`. ValueError when there is no host in it."""
    if "?" in text or "#" in text:
        raise ValueError("takes no ? and no #: the query of a page is not looked at")
    found = _form(text, stars=True)
    if found is None or len(found) > LONGEST:
        raise ValueError("takes patterns like news.example/world/* or *.example/*")
    return found


def _form(url: str, *, stars: bool) -> str | None:
    url = url.partition("#")[0].partition("?")[0].strip()
    if not url or len(url) > LONGEST or (not url.isascii() and _SURROGATE.search(url)):
        return None
    url = unicodedata.normalize("NFC", url)
    if match := _SCHEME.match(url):
        url = url[match.end() :]
    authority, slash, path = url.replace("\\", "/").partition("/")
    host = _PORT.sub("", authority.rpartition("@")[2])
    if not _HOST.fullmatch(host) or (not stars and "*" in host):
        return None
    host = _host(host)
    if not _HOST.fullmatch(host) or not host.isprintable():
        return None
    if stars and not slash:
        return f"{host}/*"
    whole = f"{host}{_path(f'/{path}', stars=stars)}"
    if stars and whole.endswith("*"):
        return whole
    return whole if whole.endswith("/") else f"{whole}/"


def _host(host: str) -> str:
    """In the letters that readers see: `xn--bcher-kva.example` gives `bücher.example`."""
    host = host.lower().rstrip(".")
    if host.isascii() and "xn--" not in host:
        return host
    try:
        host = idna.uts46_remap(host, std3_rules=False, transitional=False).rstrip(".")
    except (idna.IDNAError, UnicodeError):
        return host
    return ".".join(map(_letters, host.split(".")))


def _letters(label: str) -> str:
    if label.startswith("xn--"):
        try:
            return idna.ulabel(label)
        except (idna.IDNAError, UnicodeError):
            pass
    return label


def _path(path: str, *, stars: bool) -> str:
    if not stars:
        path = path.replace("*", "%2A")
    if " " in path or not path.isprintable():
        path = "".join(one if one.isprintable() and one != " " else _escaped(one) for one in path)
    if "%" in path:
        path = _STRAY.sub("%25", path)  # or decoding could complete it
        path = unicodedata.normalize("NFC", _ESCAPES.sub(lambda found: _decoded(found[0]), path))
    path = _SLASHES.sub("/", path)
    if "/." in path:
        path = _resolved(path)
    return path


def _decoded(escapes: str) -> str:
    """A run of escapes as text; what is no UTF-8, no printable character or means something else stays one."""
    text = unquote_to_bytes(escapes).decode("utf-8", "surrogateescape")
    return "".join(one if one.isprintable() and one != " " and one not in _KEPT else _escaped(one) for one in text)


def _escaped(one: str) -> str:
    return "".join(f"%{byte:02X}" for byte in one.encode("utf-8", "surrogateescape"))


def _resolved(path: str) -> str:
    """Without `.` and `..`, as browsers ask for it."""
    found: list[str] = []
    for part in f"{path}/".split("/")[1:-1]:
        if part == "..":
            del found[-1:]
        elif part != ".":
            found.append(part)
    return "/" + "/".join(found)


class Glob:
    """One pattern in its form."""

    __slots__ = ("_host", "_parts")

    def __init__(self, form: str) -> None:
        # the first star of `*.example/...` stays within the host
        self._host, rest = form[1:].partition("/")[::2] if form.startswith("*.") else ("", form)
        if "*" in self._host:
            self._host, rest = "", form
        self._parts = (f"/{rest}" if self._host else rest).split("*")

    def matches(self, address: str) -> bool:
        """Whether it matches an address in its form."""
        if self._host:
            host, slash, path = address.partition("/")
            if not host.endswith(self._host) or len(host) == len(self._host):
                return False
            address = slash + path
        first, last = self._parts[0], self._parts[-1]
        if len(self._parts) == 1:
            return address == first
        if not address.startswith(first) or not address.endswith(last):
            return False
        at, end = len(first), len(address) - len(last)
        for part in self._parts[1:-1]:
            at = address.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return at <= end


class Globs:
    """Many patterns in their form; which of them match an address."""

    __slots__ = ("_exact", "_hosts", "_lengths", "_prefixes", "_rest")

    def __init__(self, forms: Iterable[str] = ()) -> None:
        self._exact: set[str] = set()
        self._prefixes: dict[str, list[tuple[str, Glob]]] = {}
        self._hosts: dict[str, list[tuple[str, Glob]]] = {}
        self._rest: list[tuple[str, Glob]] = []
        self._lengths: list[int] = []
        """Of the prefixes, ascending."""
        for form in dict.fromkeys(forms):
            self.add(form)

    def add(self, form: str) -> None:
        """One more, which is not there yet."""
        prefix, star, _ = form.partition("*")
        one = (form, Glob(form))
        host = form[1:].partition("/")[0]
        if not star:
            self._exact.add(form)
        elif prefix:
            if prefix not in self._prefixes and len(prefix) not in self._lengths:
                insort(self._lengths, len(prefix))
            self._prefixes.setdefault(prefix, []).append(one)
        elif host.startswith(".") and "*" not in host:
            self._hosts.setdefault(host, []).append(one)
        else:
            self._rest.append(one)

    def matching(self, address: str) -> Iterator[str]:
        """The patterns that match."""
        if address in self._exact:
            yield address
        for length in self._lengths:
            if length > len(address):
                break
            yield from _matching(self._prefixes.get(address[:length], ()), address)
        if self._hosts:
            host = address.partition("/")[0]
            at = host.find(".", 1)
            while at >= 0:
                yield from _matching(self._hosts.get(host[at:], ()), address)
                at = host.find(".", at + 1)
        yield from _matching(self._rest, address)


def _matching(globs: Iterable[tuple[str, Glob]], address: str) -> Iterator[str]:
    return (form for form, glob in globs if glob.matches(address))
