"""What a browser calls itself, in two words: people know their sessions by it. Not for counting (`core.traffic`)."""

from __future__ import annotations

import re

_BROWSERS = (
    ("Edge", "Edg"), ("Opera", "OPR/"), ("Samsung Internet", "SamsungBrowser"), ("Firefox", "Firefox"),
    ("Firefox", "FxiOS"), ("Chrome", "CriOS"), ("Chrome", "Chrome"), ("Safari", "Safari"),
)  # fmt: skip
"""The first that is found: nearly all of them also name the others."""
_SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("ChromeOS", "CrOS"), ("Windows", "Windows"),
    ("macOS", "Mac OS X"), ("Linux", "Linux"),
)  # fmt: skip
_PRODUCT = re.compile(r"[A-Za-z][A-Za-z0-9.-]{0,29}")


def summary(agent: str) -> str:
    """Browser and system; of what is no browser its first word.

    >>> summary("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"), summary("curl/8.1")
    ('Firefox on Linux', 'curl')
    """
    agent = agent[:500]
    browser = next((name for name, word in _BROWSERS if word in agent), "")
    system = next((name for name, word in _SYSTEMS if word in agent), "")
    if browser and system:
        return f"{browser} on {system}"
    product = _PRODUCT.match(agent)
    return browser or system or (product[0] if product else "unknown")
