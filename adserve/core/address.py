"""Where a store is, when one address does not say it: a Cluster, or the primary that Sentinels name."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote


class Address(NamedTuple):
    """A store URL in its parts. `service`: the name of the primary that Sentinels watch."""

    scheme: str
    nodes: tuple[tuple[str, int], ...]
    user: str | None
    password: str | None
    service: str
    db: int


def parse_address(url: str) -> Address:
    """`redis+cluster://[USER:PASSWORD@]HOST:PORT[,HOST:PORT...]` or
    `redis+sentinel://[USER:PASSWORD@]HOST:PORT[,HOST:PORT...]/SERVICE[/DB]`; the credentials are the
    store's. ValueError with what it takes."""
    scheme, _, rest = url.partition("://")
    authority, _, path = rest.partition("/")
    credentials, at, hosts = authority.rpartition("@")
    user, colon, password = credentials.partition(":")
    nodes = []
    for number, part in enumerate(hosts.split(","), 1):
        host, _, port = part.rpartition(":")
        if not host or not _is_number(port, 65535) or port == "0":
            # not repeated: with a "/" or "@" that is not percent-encoded it can be a piece of the password
            raise ValueError(f"takes nodes as HOST:PORT, with commas between, and node {number} is none")
        nodes.append((host.strip("[]"), int(port)))
    service, _, db = path.partition("/")
    if scheme == "redis+cluster" and path:
        raise ValueError("a Cluster has no path: it has one database")
    if scheme == "redis+sentinel" and (not service or not _is_number(db or "0", 9999)):
        raise ValueError("takes the name of the primary after the nodes: redis+sentinel://HOST:PORT/SERVICE[/DB]")
    named = (unquote(user) or None, unquote(password) or None) if at and colon else (None, unquote(user) or None)
    return Address(scheme, tuple(nodes), *named, service, int(db or 0))


def _is_number(text: str, most: int) -> bool:
    return text.isascii() and text.isdigit() and int(text[:9]) <= most
