"""Links to previews: what they say, and that nobody else can write one."""

from __future__ import annotations

import pytest

from adserve.core.preview import Link, read, write
from adserve.core.token import Key

OLD, NEW = Key.derive(b"o" * 32), Key.derive(b"n" * 32)
LINK = Link("cr-a", 3, 1_800_000_000)


def test_a_link_says_what_was_written() -> None:
    """Also after the keys were rotated, as long as its own is known."""
    text = write(LINK, OLD)
    assert read(text, (OLD,)) == read(text, (NEW, OLD)) == LINK
    assert read(text, (NEW,)) is None


def test_a_frame_s_link_is_of_another_kind() -> None:
    """With the same words, and neither is taken for the other."""
    framed = LINK._replace(framed=True)
    assert read(write(framed, OLD), (NEW, OLD)) == framed
    assert write(framed, OLD) != write(LINK, OLD)


def test_an_altered_link_is_none_of_ours() -> None:
    """Any other character at any place, any cut, and a longer one."""
    text = write(LINK, NEW)
    for at in range(len(text)):
        other = "b" if text[at] != "b" else "c"
        assert read(text[:at] + other + text[at + 1 :], (NEW,)) is None
        assert read(text[:at], (NEW,)) is None
    assert read(text + "0", (NEW,)) is None


@pytest.mark.parametrize("text", ["", "...", "x" * 5_000, "cr-a.3.1800000000.\ud800", "cr-a.03.1800000000." + "0" * 32])
def test_what_is_no_link_is_none(text: str) -> None:
    """Whatever stands in an address."""
    assert read(text, (NEW,)) is None
