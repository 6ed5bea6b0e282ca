"""Language tags, and what they fall back to."""

from __future__ import annotations

from collections.abc import Iterator

from adserve.core.target_checks import LANGUAGE, LONGEST_LANGUAGE


def fallbacks(tag: str) -> tuple[str, ...]:
    """A language tag and what it falls back to (RFC 4647, 3.4); nothing when it is none.
    `zh-Hant-TW` gives `zh-hant-tw`, `zh-hant`, `zh`."""
    if len(tag) > LONGEST_LANGUAGE or not LANGUAGE.fullmatch(tag):
        return ()
    parts = tag.lower().replace("_", "-").split("-")
    return tuple(_shorter(parts))


def _shorter(parts: list[str]) -> Iterator[str]:
    while parts:
        yield "-".join(parts)
        parts = parts[:-1]
        if len(parts) > 1 and len(parts[-1]) == 1:  # says what kind the part behind it is, and nothing alone
            parts = parts[:-1]
