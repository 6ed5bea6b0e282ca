"""The settings in force as people may read them: each with its value, where that comes from, and nothing secret."""

from __future__ import annotations

from urllib.parse import urlsplit

from adserve.core.address import parse_address
from adserve.core.in_force import InForce
from adserve.settings import SETTINGS, Secret, Settings


def in_force(settings: Settings) -> list[InForce]:
    """In the order of the documentation. Of a secret it says that there is one; of the store's URL everything but
    who signs in, and its query."""
    found = []
    for setting in SETTINGS:
        parsed, text = getattr(settings, setting.name), settings.texts.get(setting.env, setting.default)
        secret = isinstance(parsed, Secret)
        if secret:
            text = place(parsed) if setting.name == "redis_url" else "set, and not shown"
        found.append(InForce(setting.env, text or None, settings.sources[setting.env], setting.help, secret))
    return found


def place(url: str) -> str:
    """A store URL without its credentials and query.

    >>> place("rediss://user:word@store.example:6379/1?password=x")
    'rediss://store.example:6379/1'
    >>> place("redis+cluster://:word@a:1,b:2")
    'redis+cluster://a:1,b:2'
    """
    if url.startswith(("redis+cluster:", "redis+sentinel:")):
        found = parse_address(url)
        nodes = ",".join(f"{host}:{port}" for host, port in found.nodes)
        return f"{found.scheme}://{nodes}{f'/{found.service}' if found.service else ''}"
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
