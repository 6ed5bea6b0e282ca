"""A slot as pages reserve room for it: which size holds at which width of the viewport, and how high the place is."""

from __future__ import annotations

from dataclasses import dataclass

from adserve.core.model import Size, Slot

LABEL_PX = 18
"""The line beneath a creative in slots that have a label."""


@dataclass(frozen=True, slots=True)
class Step:
    """From a width of the viewport on (0: always) a size holds, and `reserved` pixels of height are kept."""

    from_px: int
    size: Size
    reserved: int


@dataclass(frozen=True, slots=True)
class Place:
    """What the markup of a slot is made of. `steps`: widest first; empty for a slot without sizes."""

    site: str
    name: str
    title: str
    label: str
    count_on: str
    sizes: tuple[Size, ...]
    steps: tuple[Step, ...]

    @classmethod
    def of(cls, slot: Slot) -> Place:
        sizes = tuple(map(Size.parse, slot.sizes))
        return cls(slot.site, slot.name, slot.title, slot.label, slot.count_on, sizes, _steps(sizes, slot.label))

    @property
    def data_size(self) -> str:
        """For the tag's attribute: `970x90@970 728x90@728 320x50`."""
        return " ".join(f"{step.size}@{step.from_px}" if step.from_px else f"{step.size}" for step in self.steps)

    @property
    def widest(self) -> int:
        return max((size.width for size in self.sizes), default=0)

    @property
    def highest(self) -> int:
        """With the label's line."""
        return max((step.reserved for step in self.steps), default=0)

    @property
    def shown_as(self) -> str:
        """What a reader is told that this is."""
        return self.label or self.title or self.name

    def style(self, selector: str) -> str:
        """Style rules that keep the height of the size that holds, as lines. `selector`: of the element, by our names
        alone."""
        lines: list[str] = []
        before = 0
        for step in reversed(self.steps):
            rule = f"{selector}{{min-height:{step.reserved}px}}"
            if step.reserved != before:
                lines.append(f"@media (min-width:{step.from_px}px){{{rule}}}" if step.from_px else rule)
            before = step.reserved
        return "\n".join(lines)


def _steps(sizes: tuple[Size, ...], label: str) -> tuple[Step, ...]:
    """One step a width. Of sizes of one width the highest names it; the height is that of the highest size that fits
    there, whatever its width: where 728x90 stands, a 300x250 of the same slot may be chosen too, and nothing must move.
    """
    widths = sorted({size.width for size in sizes})
    line = LABEL_PX if label else 0
    steps = []
    for width in widths:
        highest = max(size.height for size in sizes if size.width <= width)
        named = max(size.height for size in sizes if size.width == width)
        steps.append(Step(width if width > widths[0] else 0, Size(width, named), highest + line))
    return tuple(reversed(steps))
