"""Which slots a content fits, by its sizes and its weight, and what of it a slot gets.

A picture may have several sizes: a slot gets those that it takes and that are light enough. Of the alternatives (for
dense screens, for dark pages) a browser loads one, so each is weighed by itself, as it was encoded in its own type:
whoever knows a smaller one loads less.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from adserve.core.model import Content, Creative, File, Size, Slot


def fits(creative: Creative, content: Content, slot: Slot) -> bool:
    """Whether what has a size has one of the slot's, and is light enough for it."""
    return bool(forms_of(creative.kind, content, slot))


def forms_of(kind: str, content: Content, slot: Slot) -> tuple[Content, ...]:
    """The content as a slot may show it: once for each of its sizes that the slot takes, the widest first, with the
    files of narrower ones too, for narrower viewports. Nothing where it does not fit."""
    if kind == "passback" and not content.width:
        return (content,)
    if kind == "text":
        return (content,) if all(_light(one, slot) for one in content.pictures) else ()
    if len(content.files) < 2:
        media = content.media
        weight_bytes = len(content.html.encode()) if media is None else media.bytes
        light = weight_bytes <= slot.max_kb * 1000
        return (content,) if light and f"{content.width}x{content.height}" in slot.sizes else ()
    sizes = [size for size in sizes_of(content) if _takes(slot, content, size)]
    return tuple(_narrowed(content, sizes[at:]) for at in range(len(sizes)))


def sizes_of(content: Content) -> list[Size]:
    """In CSS pixels, the widest first, and of equally wide ones the tallest."""
    return sorted({file.size for file in content.pictures}, reverse=True)


def boxes_of(slot: Slot) -> list[Size]:
    """The rooms that a text may have in a slot: for each width the tallest, the widest first."""
    sizes = sorted((Size.parse(size) for size in slot.sizes), reverse=True)
    return [size for at, size in enumerate(sizes) if not at or sizes[at - 1].width != size.width]


def _takes(slot: Slot, content: Content, size: Size) -> bool:
    return str(size) in slot.sizes and all(_light(file, slot) for file in content.files if file.size == size)


def _light(file: File, slot: Slot) -> bool:
    return file.media.bytes <= slot.max_kb * 1000


def _narrowed(content: Content, sizes: Iterable[Size]) -> Content:
    """With the files of these sizes alone, the first of which is its own."""
    wanted = list(sizes)
    files = tuple(file for size in wanted for file in content.files if file.size == size)
    widest = wanted[0]
    main = next(file for file in files if file.density == 1 and not file.scheme)
    return replace(content, width=widest.width, height=widest.height, media=main.media, files=files)
