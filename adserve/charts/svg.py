"""The few elements that charts are made of. Text is escaped here, and nowhere else is markup put together."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, SubElement, tostring

from markupsafe import Markup

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML may hold, written in any way."""


def add(parent: Element, tag: str, said: str = "", **attributes: str | float) -> Element:
    """A child. Attributes are named as in SVG with `_` for `-` (`class_` for `class`); numbers are rounded to what
    can be seen."""
    found = SubElement(parent, tag, {name.strip("_").replace("_", "-"): _shown(v) for name, v in attributes.items()})
    if said:
        found.text = plain(said)
    return found


def image(title: str, description: str, **attributes: str | float) -> Element:
    """The root of a chart, as readers of the screen know it: a picture with a name and a description."""
    found = Element("svg", {"role": "img", "xmlns": "http://www.w3.org/2000/svg"})
    found.attrib |= {name.strip("_").replace("_", "-"): _shown(value) for name, value in attributes.items()}
    add(found, "title", title)
    add(found, "desc", description)
    return found


def plain(text: str) -> str:
    """Text with U+FFFD for what XML has no way to write."""
    return _NO_XML.sub("\ufffd", text)


def markup(element: Element) -> Markup:
    """The element as HTML takes it."""
    return Markup(tostring(element, "unicode"))  # noqa: S704 - ElementTree has escaped every text and attribute


def _shown(value: str | float) -> str:
    return plain(value) if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


def share(part: float) -> str:
    """A length or place as part of what it lies in: 0 to 1 as percent."""
    return f"{_shown(part * 100)}%"
