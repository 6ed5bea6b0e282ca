"""Builds the browser tag: `adserve/web/static/source/*.js` to the minified files that are served.

Run by `make tag`. The minifier is pinned in the lock, so the bytes are the same everywhere; a test builds them again.
"""

from __future__ import annotations

from pathlib import Path

import minify

STATIC = Path(__file__).resolve().parents[1] / "adserve" / "web" / "static"
FILES = ("slots.js", "slots-more.js")


def built(name: str) -> str:
    """What a source is served as. MinifyError when it is no script."""
    text: str = minify.string("text/javascript", (STATIC / "source" / name).read_text("utf-8"))
    return text


if __name__ == "__main__":
    for name in FILES:
        (STATIC / name).write_text(built(name), "utf-8")
