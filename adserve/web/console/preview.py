"""What a creative looks like: each slot that it may appear in as a frame, in light and in dark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from starlette.responses import Response

from adserve.core.catalog import Snippet
from adserve.core.model import Size, Slot
from adserve.errors import NotFound
from adserve.flows.preview import Preview, form_for, forms_in, look, slot_of
from adserve.web.console.form import whole
from adserve.web.console.page import EVERYONE, Call, Page
from adserve.web.preview import SCHEMES, framed, sandbox_of

PREVIEW = "/console/preview"
LABEL_PX = 18
"""What the label below a creative takes."""
NEAR, WIDE = 6, 99_999


class Frame(NamedTuple):
    """A frame of a page of ours: what its address asks for, and its size in CSS pixels."""

    creative: str
    revision: int
    slot: str
    scheme: str
    width: int
    height: int
    title: str
    sandbox: str


class View(NamedTuple):
    """A box of one or more slots in which it looks the same. `near`: it stands so far up that its frames load at
    once."""

    slots: Sequence[Slot]
    size: Size
    frames: Sequence[Frame]
    near: bool


def views_of(preview: Preview) -> list[View]:
    """Every slot that a creative may appear in; none of a passback, which shows nothing of its own."""
    if preview.creative.kind == "passback":
        return []
    same: dict[tuple[Size, Snippet], list[Slot]] = {}
    for slot in preview.slots:
        for form in forms_in(preview, slot):
            same.setdefault((form.size, form.snippet), []).append(slot)
    return [
        View(slots, size, _frames(preview, slots[0], size), at < NEAR)
        for at, ((size, _), slots) in enumerate(same.items())
    ]


def _frames(preview: Preview, slot: Slot, size: Size) -> list[Frame]:
    creative, revision = preview.creative, preview.content.revision
    height = size.height + (LABEL_PX if slot.label else 0)
    return [
        Frame(
            creative.id,
            revision,
            slot.id,
            scheme,
            size.width,
            height,
            f"{creative.name}, revision {revision}, in {slot.title or slot.name} as {size}, {scheme}",
            sandbox_of(creative.kind),
        )
        for scheme in SCHEMES
    ]


def number_of(text: str) -> int:
    """A revision that an address names. NotFound for what is no number."""
    number = whole(text, 7)
    if number is None:
        raise NotFound("there is no revision with this number")
    return number


async def document(call: Call) -> Response:
    """The document of a frame: the snippet of a slot, as it would serve, counting nothing."""
    asked = call.query.get("revision")
    preview = await look(call.services, call.path["id"], number_of(asked) if asked else None)
    scheme = call.query.get("scheme", "light")
    slot = slot_of(preview, call.query.get("slot", ""))
    root = call.request.scope.get("root_path", "")
    width = whole(call.query.get("width", ""), 5)
    form = form_for(preview, slot, WIDE if width is None else width)
    return framed(preview, slot, form, scheme if scheme in SCHEMES else "light", root, call.console.worker)


PAGES = (Page("GET", f"{PREVIEW}/{{id}}", document, EVERYONE, "creative"),)
