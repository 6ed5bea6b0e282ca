"""What a creative looks like in the slots that it may appear in. Looking counts nothing and mints no token.

The snippets are those that would serve: made by the same functions, their holes filled with what needs no serve. A
click goes straight to the landing page, and the document of an `html` creative to an address that its caller gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple
from urllib.parse import quote

from adserve.core.catalog import Snippet
from adserve.core.entry import entry_of
from adserve.core.fit import boxes_of, fits, forms_of
from adserve.core.model import Campaign, Content, Creative, Size, Slot
from adserve.core.urls import UrlError, check_landing_url, compile_landing_url, fill_macros
from adserve.errors import Conflict, NotFound
from adserve.flows import revisions
from adserve.flows.manage import booked_slots, get_thing
from adserve.flows.revisions import get_creative
from adserve.flows.services import Services
from adserve.snippet import compile_snippet

BOX = Size(300, 250)
"""Of a slot without sizes."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A revision of a creative, and the slots that it may appear in, in the order of their ranks."""

    creative: Creative
    campaign: Campaign
    content: Content
    slots: Sequence[Slot]

    @property
    def is_live(self) -> bool:
        live = self.creative.live
        return live is not None and live.revision == self.content.revision


async def look(services: Services, id_: str, revision: int | None = None) -> Preview:
    """The newest revision of a creative, or one by its number. NotFound; Conflict for one that was not kept."""
    creative = await get_creative(services, id_)
    owner = await get_thing(services, "campaign", creative.campaign)
    assert isinstance(owner, Campaign)  # noqa: S101 - what the store holds under this kind
    content = await content_of(services, creative, revision)
    booked = await booked_slots(services, owner.slots)
    slots = sorted((one for one in booked if fits(creative, content, one)), key=lambda one: (one.rank, one.serial))
    return Preview(creative, owner, content, slots)


async def content_of(services: Services, creative: Creative, revision: int | None) -> Content:
    for own in (creative.content, creative.live):
        if own is not None and revision in (None, own.revision):
            return own
    assert revision is not None  # noqa: S101 - the newest one was looked at first
    kept = (await revisions.get_revision(services, creative.id, revision)).kept
    if kept is None:
        raise Conflict("this revision was replaced before contents were kept")
    return kept.content


def slot_of(preview: Preview, name: str) -> Slot:
    """One of its slots, by `site/name`. NotFound."""
    for one in preview.slots:
        if one.id == name:
            return one
    raise NotFound("it may not appear in a slot of this name")


class Form(NamedTuple):
    """How it looks in a slot that is as wide as `size`."""

    size: Size
    snippet: Snippet


def forms_in(preview: Preview, slot: Slot) -> list[Form]:
    """Each form that a slot may show it in, the widest first, as they are compiled for serving."""
    creative = preview.creative
    widest = entry_of(creative, forms_of(creative.kind, preview.content, slot), slot, compile_snippet)
    entries = (widest, *widest.narrower)
    if creative.kind == "text":
        sizes = boxes_of(slot) or [BOX]
    else:
        sizes = [Size(one.content.width, one.content.height) for one in entries]
    return [Form(size, one.snippet) for size, one in zip(sizes, entries, strict=True)]


def form_for(preview: Preview, slot: Slot, width: int) -> Form:
    """The widest one that a width has room for, else the narrowest."""
    forms = forms_in(preview, slot)
    return next((one for one in forms if one.size.width <= width), forms[-1])


def draw(preview: Preview, slot: Slot, form: Form, *, base: str, frame: str) -> str:
    """The snippet of a slot. `base`: where `/m/` lies; `frame`: the address of the document of `html`. Both are ours
    and need no escaping."""
    values = ("preview", "", escape(landing_of(preview, slot)), base, frame)
    pieces = list(form.snippet.parts)
    pieces[1::2] = [values[hole] for hole in form.snippet.holes]
    return "".join(pieces)


def landing_of(preview: Preview, slot: Slot | None) -> str:
    """Where a click leads, its macros filled, in characters that end neither an attribute nor a string of script;
    `#` for what may lead nowhere, as altered data may say."""
    try:
        parts = compile_landing_url(check_landing_url(preview.content.click_url))
    except UrlError:
        return "#"
    creative = preview.creative
    values = {"campaign": creative.campaign, "creative": creative.id, "random": "0"}
    if slot is not None:
        values |= {"site": slot.site, "slot": slot.name}
    return quote(fill_macros(parts, values), safe="!#$%&()*+,/:;=?@[]~")

