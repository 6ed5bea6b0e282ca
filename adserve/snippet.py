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
from adserve.core.fit import boxes_of
from adserve.core.layout import Layout, layout_of, styles_of
from adserve.core.model import Content, Size, Slot
from adserve.core.sources import sources_of

_HOLES = {"decision": "\ue000", "view": "\ue001", "click": "\ue002", "base": "\ue003", "frame": "\ue004"}
_CUT = re.compile("([\ue000-\ue004])")

templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,  # for every name: the default of Jinja's selectors skips endings like .j2
    undefined=StrictUndefined,
    trim_blocks=True,
)


def compile_snippet(kind: str, content: Content, slot: Slot) -> Snippet:
    """The snippet of one approved revision in one slot. That of a `passback` is empty: the page has its own; that
    of `html` is a frame, and nothing of the markup is in it.

    A text has the room of the slot's widest size, and what does not fit ends in an ellipsis (`core.layout`). Not
    chosen: growing with its words, which would push the page's own text down after it was there. Colours are those of
    the page, so it reads as well as the page does, in the light and in the dark. Its picture is a background: it says
    nothing that the words do not, and what is measured is the whole unit.
    """
    if kind == "passback":
        return Snippet(("",), ())
    *sources, plain = (sources_of(content) if kind == "image" else ()) or (None,)
    layout = _layout(content, slot) if kind == "text" else None
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
            button=_plain(content.button),
            sources=sources,
            dense=next((file for file, density in plain.files if density == 2), "") if plain is not None else "",
            widest=layout.width if layout is not None else 0,
            styles=styles_of(layout) if layout is not None else {},
        )
        .strip()
    )
    pieces = _CUT.split(html)
    holes = tuple(ord(hole) - 0xE000 for hole in pieces[1::2])
    return (Framed if kind == "html" else Snippet)(tuple(pieces), holes)


def _layout(content: Content, slot: Slot) -> Layout:
    """Of a text in the widest room of a slot."""
    room = next(iter(boxes_of(slot)), Size(0, 0))
    has = {"body": bool(content.body), "button": bool(content.button), "picture": content.media is not None}
    return layout_of(room.width, room.height, **has)


def _plain(text: str) -> str:
    """Stored text without our hole characters (they are refused on upload; data may be tampered with)."""
    return _CUT.sub("", text)


def impression_image(url: str) -> str:
    """The image that the HTML form carries; `url` is ours and plain ASCII."""
    return (
        f'<img src="{url}" width="1" height="1" alt="" aria-hidden="true" '
        'style="position:absolute;width:1px;height:1px;border:0">'
    )
