"""A creative in a slot, in the form that its width asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from adserve.core.fit import boxes_of
from adserve.core.model import Campaign, Content, Creative, Slot
from adserve.core.parts import Snippet

FOR_EVER = 1 << 60
NO_MATES: frozenset[int] = frozenset()
Render = Callable[[str, Content, Slot], Snippet]
"""A creative of a kind in a slot, of which it may read the sizes and the label."""


class Entry:
    """One servable creative of a campaign in one slot. Its snippet is rendered when it serves first: of a large
    catalog rendering all of them would take longer than everything else. `mates`: the serials of its companion
    set, its own among them, where that has two members at least.

    Some creatives are not the same at every width: a picture of several sizes, a text. Their entry is the widest form,
    and `narrower` are the others, the widest first. `width` is what a form takes, `narrowest` the least that any of
    them does: 0 of a text, whose last form is for whatever room is left."""

    __slots__ = ("_render", "_slot", "_snippet", "content", "creative", "mates", "narrower", "narrowest", "width")

    def __init__(
        self,
        creative: Creative,
        content: Content,
        slot: Slot,
        render: Render,
        mates: frozenset[int] = NO_MATES,
        *,
        width: int | None = None,
        narrower: Sequence[Entry] = (),
    ) -> None:
        """`width`: of a text, which has none of its own."""
        self.creative, self.content, self._slot, self._render = creative, content, slot, render
        self.mates, self.narrower = mates, narrower
        self.width = content.width if width is None else width
        self.narrowest = content.width if width is not None or not narrower else narrower[-1].width
        self._snippet: Snippet | None = None

    @property
    def snippet(self) -> Snippet:
        if self._snippet is None:
            self._snippet = self._render(self.creative.kind, self.content, self._slot)
        return self._snippet

    @property
    def widths(self) -> tuple[int, ...]:
        """Those from which on it serves, or in another form."""
        return (self.narrowest, self.width, *(one.width for one in self.narrower))

    def serves(self, now: int, width: int) -> bool:
        """Whether its campaign may choose it."""
        return self.creative.weight > 0 and self.narrowest <= width and running(self.creative, now)

    def within(self, width: int) -> Entry:
        """The widest form for a width at which it serves."""
        if self.width <= width or not self.narrower:
            return self
        return next((one for one in self.narrower if one.width <= width), self.narrower[-1])


def entry_of(
    creative: Creative, forms: Sequence[Content], slot: Slot, render: Render, mates: frozenset[int] = NO_MATES
) -> Entry:
    """Of the forms in which a content fits the slot (`core.fit`). A text, which has one, gets one for each room that
    it may have there."""
    if creative.kind != "text":
        narrower = [Entry(creative, form, slot, render, mates) for form in forms[1:]]
        return Entry(creative, forms[0], slot, render, mates, narrower=narrower)
    boxes = boxes_of(slot)
    if len(boxes) < 2:
        return Entry(creative, forms[0], slot, render, mates)
    rooms = [(replace(slot, sizes=(str(box),)), box.width) for box in boxes]
    narrower = [Entry(creative, forms[0], room, render, mates, width=width) for room, width in rooms[1:]]
    return Entry(creative, forms[0], rooms[0][0], render, mates, width=rooms[0][1], narrower=narrower)


def running(thing: Campaign | Creative, now: int) -> bool:
    """Whether `now` lies in the half-open window of a campaign or creative."""
    return (thing.starts_at is None or thing.starts_at <= now) and now < end_of(thing)


def end_of(thing: Campaign | Creative) -> int:
    return FOR_EVER if thing.ends_at is None else thing.ends_at
