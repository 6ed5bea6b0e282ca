"""What a content has to be to serve in one of its campaign's slots at all, in words that a designer understands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from adserve.core.fit import sizes_of
from adserve.core.model import Content, File, Size, Slot

TEXT_PICTURE_SIDE = 400
"""CSS pixels of a side of the picture in a text, which is shown at less."""
PARTS = {(1, ""): "file", (2, ""): "file_2x", (1, "dark"): "file_dark", (2, "dark"): "file_dark_2x"}
"""Density and scheme of a picture to the part of a form that brings it; further sizes come as `sizes`."""
NAMED = 3
"""Slots that a sentence names before it says how many more there are."""


def problems_of(kind: str, content: Content, slots: Sequence[Slot]) -> list[tuple[str, str]]:
    """Member and words of everything that keeps a content out of all the slots that its campaign books."""
    if kind == "passback":
        size = Size(content.width, content.height)
        return [("width", words) for words in _size(size, slots)] if content.width and content.height else []
    if kind == "html":
        if not (content.width and content.height and content.html):
            return []
        size = Size(content.width, content.height)
        found = [("width", words) for words in _size(size, slots)]
        return found or [("html", words) for words in _weight("markup", len(content.html.encode()), size, slots)]
    if kind == "text":
        return list(_text_picture(content, slots))
    return list(_pictures(content, slots))


def part_of(content: Content, file: File) -> str:
    """The part of a form that brought one of its files."""
    if file.size == content.pictures[0].size:
        return PARTS[file.density, file.scheme]
    others = [one for one in content.pictures if one.size != content.pictures[0].size]
    return f"sizes/{others.index(file)}"


def _pictures(content: Content, slots: Sequence[Slot]) -> Iterator[tuple[str, str]]:
    fitting = set()
    for size in sizes_of(content):
        files = [file for file in content.pictures if file.size == size]
        wrong = _size(size, slots)
        for words in wrong:
            yield part_of(content, files[0]), words
        fitting |= set() if wrong else {size}
    for file in content.pictures:
        if file.size in fitting:
            for words in _weight("picture", file.media.bytes, file.size, slots):
                yield part_of(content, file), words


def _text_picture(content: Content, slots: Sequence[Slot]) -> Iterator[tuple[str, str]]:
    for file in content.pictures:
        width, height = file.size.width, file.size.height
        if max(width, height) > TEXT_PICTURE_SIDE:
            most = TEXT_PICTURE_SIDE
            yield "file", f"is {width}x{height}; the picture of a text has at most {most} pixels a side"
        for words in _weight("picture", file.media.bytes, None, slots):
            yield "file", words


def _size(size: Size, slots: Sequence[Slot]) -> list[str]:
    """Nothing where a slot takes it."""
    if any(str(size) in slot.sizes for slot in slots):
        return []
    taken = [(one, slot) for slot in slots for one in map(Size.parse, slot.sizes)]
    if not taken:
        return ["the campaign books no slot that takes pictures: set its slots first"]

    def distance(place: tuple[Size, Slot]) -> tuple[int, int, str]:
        one = place[0]
        return (
            abs(one.width - size.width) + abs(one.height - size.height),
            abs(one.width - size.width),
            place[1].id,
        )

    near, slot = min(taken, key=distance)
    return [f"{size} does not fit {_named(slots)}; nearest slot: {slot.name} {near}"]


def _weight(noun: str, weight_bytes: int, size: Size | None, slots: Iterable[Slot]) -> list[str]:
    """Nothing where a slot of this size, or of any, bears it."""
    fitting = [slot for slot in slots if size is None or str(size) in slot.sizes]
    most = max((slot.max_kb for slot in fitting), default=0)
    if not fitting or weight_bytes <= most * 1000:
        return []
    return [f"the {noun} weighs {weight_bytes / 1000:.1f} kB; {_named(fitting)} takes at most {most} kB"]


def _named(slots: Sequence[Slot]) -> str:
    """As `top, header and 2 more`."""
    names = list(dict.fromkeys(slot.name for slot in slots))
    if len(names) > NAMED:
        return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"
    return ", ".join(names)
