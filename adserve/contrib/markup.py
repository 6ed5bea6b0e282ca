"""What stands in a slot on a page: the service's snippet, the tag's element, or the page's own. All text is escaped."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any

log = logging.getLogger("adserve.contrib")
LABEL_PX = 18
"""What the label beneath adds to the height of a slot."""
_KEY = re.compile(r"([a-z0-9-]{1,64})(?::[0-9]{1,4})?")
"""A slot's name, and which instance of it on the page."""
_SIZE = re.compile(r"[0-9]{1,4}x([0-9]{1,4})(?:@[0-9]{1,5})?")
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;"})
_PIXEL = '<img src="{}" width="1" height="1" alt=""{} style="position:absolute;width:1px;height:1px;border:0">'
_LAZY = ' loading="lazy"'


class Html(str):
    """Text that templates print as it is."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


def without(name: str, answer: str | None, context: Mapping[str, Any]) -> Html:
    """What stands in a slot that has no snippet: the page's own, after no `answer` within the tag's element."""
    if not is_key(name, said=True):
        return Html("")
    return tag(name, context) if answer is None else fallback(name, context)


def escape(value: Any) -> Html:
    """A value as HTML: markup as it is, any other text escaped."""
    if hasattr(value, "__html__"):
        return Html(value.__html__())
    return Html(str(value).translate(_ESCAPES))


def is_key(name: object, *, said: bool = False) -> bool:
    """Whether a slot can have this name, which a template may have taken from anywhere; logged if not, unless that was
    `said` already."""
    if isinstance(name, str) and _KEY.fullmatch(name):
        return True
    if not said:
        log.warning("%.80r is no name of a slot: it takes 1 to 64 of a-z, 0-9 and -; nothing is shown", name)
    return False


def tag(key: str, context: Mapping[str, Any]) -> Html:
    """The element that `slots.js` fills, for when the server did not answer. Its height is reserved where that is the
    same at every width."""
    stated = f' data-slot="{key.partition(":")[0]}"'
    if size := _stated("size", key, context):
        stated += f' data-size="{escape(str(size))}"'
        found = [_SIZE.fullmatch(one) for one in str(size).split()]
        heights = {int(one[1]) if one else 0 for one in found}
        if len(heights) == 1 and 0 not in heights:
            stated += f' style="min-height:{heights.pop() + LABEL_PX}px"'
    if labels := context.get("labels"):
        stated += f' data-labels="{escape(joined(labels))}"'
    own = fallback(key, context)
    return Html(f"<div{stated}>{f'<template>{own}</template>' if own else ''}</div>")


def fallback(key: str, context: Mapping[str, Any]) -> Html:
    """What the page itself has for a slot."""
    return escape(_stated("fallback", key, context) or "")


def _stated(what: str, key: str, context: Mapping[str, Any]) -> Any:
    """What a call says of one slot: `size`, or among the `sizes` of a page; likewise `fallback`."""
    several = context.get(f"{what}s")
    return context.get(what) or (several.get(key.partition(":")[0]) if isinstance(several, Mapping) else None)


def snippet_of(decision: Mapping[str, Any]) -> Html:
    """A decision's HTML with its impression image, which is lazy exactly when the picture is."""
    html, impression = str(decision.get("html") or ""), decision.get("impression_url")
    if not html or not impression:
        return Html(html)
    return Html(html + _PIXEL.format(escape(impression), _LAZY if _LAZY in html else ""))


def joined(value: object) -> str:
    several = isinstance(value, Iterable) and not isinstance(value, str)
    return ",".join(map(str, value)) if several else str(value)  # type: ignore[call-overload]
