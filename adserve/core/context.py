"""What a slot request says of its page and its reader, as targeting looks at it."""

from __future__ import annotations

from msgspec import Struct


class Context(Struct, frozen=True, gc=False):
    """Comparable as a whole: requests that say the same are worked out once. What is empty or None was not said."""

    labels: frozenset[int] = frozenset()
    """Numbers of labels, see `core.targeting`: a page view keeps them, and numbers are short."""
    url: str | None = None
    """Host and path, as `core.targeting` normalises them."""
    languages: tuple[str, ...] = ()
    """A language tag and what it falls back to, the most particular first: `zh-hant-tw`, `zh-hant`, `zh`."""
    country: str | None = None
    device: int = 0
    """Index into `core.model.DEVICES`."""
    kv: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Names with their values, one or more, sorted."""
