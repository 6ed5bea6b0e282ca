"""Requests as browsers behind a proxy send them: many agents, languages, pages and addresses."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, product

_CHROME = "Mozilla/5.0 ({}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36"
_SYSTEMS = (
    ("X11; Linux x86_64", "Linux", "?0"),
    ("Windows NT 10.0; Win64; x64", "Windows", "?0"),
    ("Macintosh; Intel Mac OS X 10_15_7", "macOS", "?0"),
    ("Linux; Android 10; K", "Android", "?1"),
)
_LANGUAGES = ("en-IN,en;q=0.9,hi;q=0.8", "ne-NP,ne;q=0.9,en;q=0.8", "de-DE,de;q=0.9", "en-US,en;q=0.9")
PAGE = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
IMAGE = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"


def headers() -> Iterator[dict[str, str]]:
    """For ever, 192 different clients and pages."""
    some = product(_SYSTEMS, (148, 149, 150), _LANGUAGES, range(4))
    made = [
        {
            "User-Agent": _CHROME.format(system, version),
            "Accept-Encoding": "gzip, deflate, br, zstd",
            "Accept-Language": language,
            "Sec-CH-UA": f'"Chromium";v="{version}", "Not.A/Brand";v="24"',
            "Sec-CH-UA-Mobile": mobile,
            "Sec-CH-UA-Platform": f'"{platform}"',
            "Referer": f"https://news.example/2026/11/story-{number}.html",
            "X-Forwarded-For": f"203.0.113.{n}",
        }
        for n, ((system, platform, mobile), version, language, number) in enumerate(some)
    ]
    return cycle(made)


def request(path: str, port: int, client: dict[str, str], accept: str = PAGE) -> bytes:
    """One GET."""
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Accept: {accept}"]
    lines += [f"{name}: {value}" for name, value in client.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
