"""A creative to HTML: rendered and escaped once when it serves first, joined when served.

What changes with each serve (the decision's id, two tokens, the service's own address) is put into
the template as private-use characters that no stored text can hold (validation refuses them), and
the rendered text is cut there. Serving is then one `join`; nothing from outside is ever a template.
"""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from adserve.core.catalog import Framed, Snippet
from adserve.core.model import Content, Slot

_HOLES = {"decision": "\ue000", "view": "\ue001", "click": "\ue002", "base": "\ue003", "frame": "\ue004"}
_CUT = re.compile("([\ue000-\ue004])")

TEXT_LINE_PX, TEXT_FRAME_PX = 18, 18
"""The height of a line, and of padding and border together, as `text.html.j2` has them."""
TEXT_ALONE_PX = 250
"""The height of a text in a slot without sizes."""

templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,  # for every name: the default of Jinja's selectors skips endings like .j2
    undefined=StrictUndefined,
    trim_blocks=True,
)


def compile_snippet(kind: str, content: Content, slot: Slot) -> Snippet:
    """The snippet of one approved revision in one slot. That of a `passback` is empty: the page has its own; that
    of `html` is a frame, and nothing of the markup is in it.

    A text takes no more room than the slot's pictures: it is as wide as the widest, and what does not fit
    the height of the tallest ends in an ellipsis. Not chosen: growing with its words, which would push the
    page's own text down after it was there.
    """
    if kind == "passback":
        return Snippet(("",), ())
    sizes = [tuple(map(int, size.split("x"))) for size in slot.sizes]
    tallest = max((height for _, height in sizes), default=TEXT_ALONE_PX)
    html = (
        templates.get_template(f"{kind}.html.j2")
        .render(
            **_HOLES,
            width=content.width,
            height=content.height,
            alt=_plain(content.alt),
            title=_plain(content.title),
            body=_plain(content.body),
            file=content.media.file if content.media else "",
            label=_plain(slot.label),
            widest=max((width for width, _ in sizes), default=0),
            lines=max(1, (tallest - TEXT_FRAME_PX) // TEXT_LINE_PX),
        )
        .strip()
    )
    pieces = _CUT.split(html)
    holes = tuple(ord(hole) - 0xE000 for hole in pieces[1::2])
    return (Framed if kind == "html" else Snippet)(tuple(pieces), holes)


def _plain(text: str) -> str:
    """Stored text without our hole characters (they are refused on upload; data may be tampered with)."""
    return _CUT.sub("", text)


def impression_image(url: str) -> str:
    """The image that the HTML form carries; `url` is ours and plain ASCII."""
    return (
        f'<img src="{url}" width="1" height="1" alt="" aria-hidden="true" '
        'style="position:absolute;width:1px;height:1px;border:0">'
    )
