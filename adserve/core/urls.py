"""Landing URLs and site origins: the one check, and the macros of a landing URL.

DESIGN. Browsers repair a URL before they follow it (they drop tabs and newlines, read `\\` as `/`, take
`https:host`, decode `%31` in a host, read `0x7f.1` as an address), and `urllib.parse` repairs other
things. A check that repairs approves one URL and sends the reader to another. So nothing is repaired:
characters that any parser treats specially are refused first, then one grammar splits what is left

    http(s) "://" host [":" port] [path] ["?" query] ["#" fragment]

and the parts are put together again, so that what is stored is what was checked. It is ASCII: host as
A-labels, other parts percent-encoded, in which form WHATWG, RFC 3986 and Python agree. Checking
the result again returns it unchanged. Not chosen: `urlsplit` behind an allow-list (its `.port` raises,
its brackets changed in security releases), and resolving names: an answer today says nothing
about tomorrow, and this service never opens a landing page itself.

    refused    credentials, backslash, space, control and invisible characters, an empty or bad
               port, names for machines of a local network, every address not on the public
               internet, and every spelling of an address but four decimal numbers or IPv6
    encoded    what is not ASCII, and `" < > ^ ` | { }`, and a `%` that starts no escape, so that
               no value filled in behind it can complete one. Only a query keeps its braces
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple
from urllib.parse import quote

import idna

MAX_LENGTH = 2048
"""Characters, before and after encoding; the `Location` header of a click carries this and its macros."""
_MAX_HOST = 253
_DEFAULT_PORT = {"http": 80, "https": 443}

_SPECIAL = re.compile(r"[\x00-\x20\x7f\\]")
_GRAMMAR = re.compile(
    r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?",
    re.IGNORECASE | re.ASCII,  # without ASCII, U+017F (long s) would be an `s`
)
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^\[\]:]*)(?::(?P<port>.*))?")
_PORT = re.compile(r"[0-9]{1,5}")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""A last label of this form makes WHATWG parsers read the whole host as an IPv4 address."""
_ENCODE = re.compile(r"%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9\-._~!$&'()*+,;=:@/?%]")
_ENCODE_QUERY = re.compile(r"%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9\-._~!$&'()*+,;=:@/?%{}]")
_MACRO = re.compile(r"\{(site|slot|campaign|creative|random)\}")
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zs", "Zl", "Zp"})
"""Control, invisible (direction marks, zero width), surrogates, spaces and line ends."""
_JOINERS = "\u200c\u200d"
"""Invisible, but part of the spelling of Persian and Indic words: encoded, not refused."""

_LOCAL_NAMES = (
    *(".localhost", ".local", ".localdomain", ".internal", ".intranet", ".lan", ".home", ".home.arpa"),
    *(".corp", ".private"),
)
# Everything of the IANA special-purpose registries; tables of our own, because `is_private` and
# `is_global` answer differently in Python 3.11, 3.12 and 3.13.
_SPECIAL_V4 = tuple(
    IPv4Network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")
"""Outside: loopback, unspecified, mapped and NAT64 IPv4, unique local, link-local, multicast."""
_SPECIAL_V6 = tuple(
    IPv6Network(network)
    # Teredo and its neighbours, documentation, 6to4 (which embeds an IPv4 address), documentation again.
    for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)


class UrlError(ValueError):
    """A URL that cannot be taken; `detail` says to a person what to change."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class _Split(NamedTuple):
    scheme: str
    authority: str
    path: str
    query: str | None
    fragment: str | None


def check_landing_url(text: str) -> str:
    """The form to store: ASCII, at most `MAX_LENGTH` characters, checked again it stays the same.

    `HTTPS://Bücher.example:443/ä?s={slot}` gives `https://xn--bcher-kva.example/%C3%A4?s={slot}`.
    Raises `UrlError`, and nothing else whatever the text.
    """
    split = _split(text)
    host, port = _authority(split)
    _check_public(host)
    url = f"{split.scheme}://{host}{port}{_encode(split.path, _ENCODE) or '/'}"
    if split.query is not None:
        url += f"?{_encode(split.query, _ENCODE_QUERY)}"
    if split.fragment is not None:
        url += f"#{_encode(split.fragment, _ENCODE)}"
    if len(url) > MAX_LENGTH:
        raise UrlError(f"is longer than {MAX_LENGTH} characters once it is percent-encoded; shorten it")
    return url


def check_origin(text: str) -> str:
    """The origin of a site as browsers send it: `https://News.example:443` gives `https://news.example`.

    Any well-formed host: a site may run on loopback or a local network. Raises `UrlError`.
    """
    split = _split(text)
    host, port = _authority(split)
    if split.path or split.query is not None or split.fragment is not None:
        raise UrlError("must be scheme, host and port alone, such as https://news.example, with nothing behind")
    return f"{split.scheme}://{host}{port}"


def compile_landing_url(url: str) -> tuple[str, ...]:
    """A checked URL cut at the macros of its query: text, name, text, name, ... text.

    `https://a.example/?s={slot}&x=1` gives `("https://a.example/?s=", "slot", "&x=1")`.
    """
    before, hash_sign, fragment = url.partition("#")
    head, mark, query = before.partition("?")
    parts = _MACRO.split(query)
    parts[0] = head + mark + parts[0]
    parts[-1] += hash_sign + fragment
    return tuple(parts)


def fill_macros(parts: tuple[str, ...], values: Mapping[str, str]) -> str:
    """The landing URL of one click: each macro becomes its percent-encoded value, or nothing without one."""
    if len(parts) == 1:
        return parts[0]
    filled = list(parts)
    for place in range(1, len(parts), 2):
        filled[place] = quote(values.get(parts[place], ""), safe="", errors="replace")
    return "".join(filled)


def is_number(label: str) -> bool:
    """Whether a last label makes the whole host an IPv4 address."""
    return _NUMBER.fullmatch(label) is not None


def _split(text: str) -> _Split:
    if not text:
        raise UrlError("must not be empty; write an absolute URL such as https://shop.example/offer")
    if len(text) > MAX_LENGTH:
        raise UrlError(f"is longer than {MAX_LENGTH} characters; shorten it")
    if _SPECIAL.search(text) or not (text.isascii() or all(map(_is_plain, text))):
        raise UrlError("holds a space, a backslash, or a control or invisible character; remove or %-encode it")
    match = _GRAMMAR.fullmatch(text)
    if match is None:
        raise UrlError("must begin with http:// or https:// and a host")
    return _Split(match["scheme"].lower(), match["authority"], match["path"], match["query"], match["fragment"])


def _is_plain(char: str) -> bool:
    return char in _JOINERS or unicodedata.category(char) not in _UNSEEN


def _encode(text: str, strange: re.Pattern[str]) -> str:
    return strange.sub(lambda match: quote(match[0], safe=""), text)


def _authority(split: _Split) -> tuple[str, str]:
    """The host, and the port as `:8080` or nothing."""
    if "@" in split.authority:
        raise UrlError("must not hold a user name or password (an @ before the path)")
    if "{" in split.authority or "}" in split.authority:
        raise UrlError("may hold macros in the query only, not in the host")
    match = _AUTHORITY.fullmatch(split.authority)
    if match is None or not match["host"]:
        raise UrlError("has no valid host; write it as https://shop.example/offer")
    host = _ipv6(match["host"][1:-1]) if match["host"].startswith("[") else _name(match["host"])
    if match["port"] is None:
        return host, ""
    if not _PORT.fullmatch(match["port"]) or not 0 < int(match["port"]) < 65536:
        raise UrlError("has a bad port; use a number from 1 to 65535 or leave the colon away")
    port = int(match["port"])
    return host, "" if port == _DEFAULT_PORT[split.scheme] else f":{port}"


def _ipv6(text: str) -> str:
    try:
        if "%" in text:  # a zone names an interface of one machine
            raise AddressValueError
        return f"[{IPv6Address(text).compressed}]"
    except AddressValueError:
        raise UrlError("has brackets around something that is no IPv6 address") from None


def _name(text: str) -> str:
    """A host name in lower-case A-labels without its trailing dot, or a dotted IPv4 address."""
    if len(text) > _MAX_HOST + 1:
        raise UrlError(f"has a host of more than {_MAX_HOST} characters")
    try:
        mapped = idna.uts46_remap(text, std3_rules=False, transitional=False)
        host = ".".join(_label(label) for label in mapped.removesuffix(".").split("."))
    except (idna.IDNAError, UnicodeError):
        raise UrlError("has a host that is no valid domain name") from None
    if len(host) > _MAX_HOST:
        raise UrlError(f"has a host of more than {_MAX_HOST} characters in its xn-- form")
    if is_number(host.rpartition(".")[2]):
        try:
            return str(IPv4Address(host))
        except AddressValueError:
            raise UrlError("has an address in an unusual spelling; use four decimal numbers") from None
    return host


def _label(label: str) -> str:
    if label.isascii() and not label.startswith("xn--"):
        # Not left to IDNA 2008, which refuses names that exist: `r3---sn`, `my_shop`.
        if not _LABEL.fullmatch(label):
            raise UrlError("has a host with an empty, too long or misspelt part between its dots")
        return label
    plain = idna.ulabel(label) if label.isascii() else label
    encoded = idna.alabel(plain).decode("ascii")
    if label.isascii() and encoded != label:
        raise UrlError("has an xn-- name that stands for nothing")
    return encoded


def _check_public(host: str) -> None:
    """Refuse what does not name one machine on the public internet. `host` is normalised."""
    if host.startswith("["):
        address = IPv6Address(host[1:-1])
        local = address not in _GLOBAL_V6 or any(address in network for network in _SPECIAL_V6)
    elif is_number(host.rpartition(".")[2]):
        local = any(IPv4Address(host) in network for network in _SPECIAL_V4)
    else:
        local = "." not in host or f".{host}".endswith(_LOCAL_NAMES)
    if local:
        raise UrlError("must lead to a public host, not to this machine, a local network or a reserved address")
