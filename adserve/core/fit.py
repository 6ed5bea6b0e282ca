"""Which slots a content fits, by its sizes and its weight."""

from __future__ import annotations

from adserve.core.model import Content, Creative, Slot


def fits(creative: Creative, content: Content, slot: Slot) -> bool:
    """Whether what has a size has one of the slot's, and is light enough for it."""
    if creative.kind == "text" or (creative.kind == "passback" and not content.width):
        return True
    weight_bytes = content.media.bytes if content.media is not None else len(content.html.encode())
    light = weight_bytes <= slot.max_kb * 1000
    return light and f"{content.width}x{content.height}" in slot.sizes
