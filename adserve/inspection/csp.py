"""Content Security Policy (CSP3): whether a page's policies let through what a slot needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import SplitResult, urlsplit

Policy = dict[str, tuple[str, ...]]
FALLBACKS = {
    "script": ("script-src-elem", "script-src", "default-src"),
    "connect": ("connect-src", "default-src"),
    "img": ("img-src", "default-src"),
    "frame": ("frame-src", "child-src", "default-src"),
    "style": ("style-src-elem", "style-src", "default-src"),
    "style attribute": ("style-src-attr", "style-src", "default-src"),
}
"""What is looked at for a kind of thing: the first of these directives that a policy has."""
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_SOURCE = re.compile(
    r"(?:([a-z][a-z0-9+.-]*)://)?(\*|(?:\*\.)?[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::([0-9]+|\*))?(/.*)?", re.I
)


def policies(texts: Iterable[str]) -> list[Policy]:
    """Of headers and `meta` elements; one text may hold several with commas between, and each of them must allow."""
    found = []
    for text in ",".join(texts).split(","):
        policy: Policy = {}
        for directive in text.split(";"):
            words = directive.split()
            if words:
                policy.setdefault(words[0].lower(), tuple(words[1:]))
        if policy:
            found.append(policy)
    return found


def refuses(policies: Sequence[Policy], kind: str, url: str, page: str, nonce: str = "") -> str | None:
    """The directive that does not let a kind of thing from `url` onto the page at `page`; None when all let it."""
    for policy in policies:
        name = next((one for one in FALLBACKS[kind] if one in policy), None)
        if name is not None and not _allows(policy[name], kind, url, page, nonce):
            return name
    return None


def knows_our_types(policies: Sequence[Policy]) -> bool:
    """Whether the tag may make the policy of Trusted Types by which it puts creatives into the page."""
    lists = [policy["trusted-types"] for policy in policies if "trusted-types" in policy]
    return all("slots" in names or "*" in names for names in lists)


def _allows(sources: tuple[str, ...], kind: str, url: str, page: str, nonce: str) -> bool:
    lowered = [source.lower() for source in sources]
    if nonce and f"'nonce-{nonce}'" in sources and kind in ("script", "style"):
        return True
    if kind.startswith("style"):  # what stands in the page; a hash is taken for one of it, which is not worked out here
        hashed = kind == "style" and any(one.startswith("'sha") for one in lowered)
        return hashed or ("'unsafe-inline'" in lowered and not any(one.startswith("'nonce-") for one in lowered))
    if kind == "script" and "'strict-dynamic'" in lowered:  # lists of hosts are then ignored
        return False
    return any(_matches(source, urlsplit(url), urlsplit(page)) for source in sources)


def _matches(source: str, url: SplitResult, page: SplitResult) -> bool:
    if source.lower() == "'self'":
        same = (url.hostname, _port(url)) == (page.hostname, _port(page))
        return same and (url.scheme == page.scheme or (page.scheme, url.scheme) == ("http", "https"))
    if source == "*":
        return url.scheme in ("http", "https")
    if source.endswith(":") and "/" not in source:
        return url.scheme == source[:-1].lower() or (source.lower(), url.scheme) == ("http:", "https")
    found = _SOURCE.fullmatch(source)
    if found is None:  # a keyword, a nonce, a hash
        return False
    scheme, host, port, path = found.groups()
    wanted = (scheme or page.scheme).lower()
    if url.scheme != wanted and (wanted, url.scheme) != ("http", "https"):
        return False
    name, host = (url.hostname or "").lower(), host.lower().strip("[]")
    if host.startswith("*.") and not name.endswith(host[1:]):
        return False
    if host != "*" and not host.startswith("*.") and name != host:
        return False
    if port not in (None, "*", str(_port(url))) and not (port == "80" and _port(url) == 443):
        return False
    if port is None and _port(url) != _PORTS.get(url.scheme):
        return False
    return path in (None, "/") or (url.path.startswith(path) if path.endswith("/") else url.path == path)


def _port(url: SplitResult) -> int | None:
    return url.port or _PORTS.get(url.scheme)
