"""What a device keeps for us: nothing but our own text is read, and no text grows without end."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserve.core.frequency import Shown
from adserve.core.seen import MAX_ENTRIES, MAX_LENGTH, read, write
from adserve.core.token import Key

KEY = Key.derive(b"a first secret of more than thirty-two bytes")
OTHER = Key.derive(b"another secret of more than thirty-two bytes")
CHARACTERS = string.ascii_letters + string.digits + "-_"
NOW = 1_800_000_000
SOME = {7: Shown(2, NOW), 2**24 - 1: Shown(1, NOW - 5)}

shown = st.dictionaries(
    st.integers(0, 2**24 - 1),
    st.builds(Shown, st.integers(0, 2**14 - 1), st.integers(0, 2**32 - 1), st.sampled_from([0, 3600, 86_400, 604_800])),
    max_size=80,
)


@given(shown)
def test_what_is_written_is_read(some: dict[int, Shown]) -> None:
    """All of up to 64 entries; of more those whose windows began last. No text is longer than the longest."""
    text = write(some, KEY)
    found = read(text, [KEY])
    assert found is not None
    assert len(text) <= MAX_LENGTH
    assert not set(text) - set(CHARACTERS)
    assert len(found) == min(len(some), MAX_ENTRIES)
    assert found.items() <= some.items()
    left_out = [one.start for serial, one in some.items() if serial not in found]
    assert max(left_out, default=0) <= min((one.start for one in found.values()), default=0)
    assert write(found, KEY) == text, "there is one text for each content"


def test_the_longest_text_is_that_of_64_campaigns() -> None:
    """What a page has to carry in its query."""
    assert MAX_LENGTH == len(write({serial: Shown(1, NOW) for serial in range(100)}, KEY)) == 784


def test_more_than_there_is_room_for_is_the_most() -> None:
    """No count runs over into nothing."""
    assert read(write({1: Shown(70_000, NOW, 3600)}, KEY), [KEY]) == {1: Shown(16_383, NOW, 3600)}


def test_each_changed_character_is_refused() -> None:
    """There are no slack bits, in no place."""
    text = write(SOME, KEY)
    for place in range(len(text)):
        for character in CHARACTERS:
            if character != text[place]:
                assert read(text[:place] + character + text[place + 1 :], [KEY]) is None


def test_cuts_and_additions_are_refused() -> None:
    """Entries cannot be taken out, doubled or moved, nor the text lengthened."""
    text = write(SOME, KEY)
    cuts = [text[:at] + text[to:] for at in range(len(text)) for to in range(at + 1, len(text) + 1)]
    more = [text + text, text + "AAAA", text + "=", text + "AAAAAAAAAAAA", " " + text, text[:16] + text[4:]]
    assert [one for one in [*cuts, *more, text[:4] + text[16:28] + text[4:16] + text[28:]] if read(one, [KEY])] == []


@given(st.text(max_size=60) | st.text(CHARACTERS + "+/=%", max_size=900) | st.sampled_from(["é" * 28, "\ud800" * 16]))
def test_any_text_is_refused_and_never_raises(text: str) -> None:
    """Of any length and script."""
    assert read(text, [KEY]) is None


def test_only_keys_that_verify_are_believed() -> None:
    """The first signs; a text of the one before is read as long as that is there."""
    text = write(SOME, KEY)
    assert read(text, [OTHER, KEY]) == SOME
    assert read(text, [OTHER]) is None
    assert write(SOME, OTHER) != text


@pytest.mark.parametrize("other", ["", "x" * 100_000])
def test_no_length_costs_more_than_a_look(other: str) -> None:
    """The longest one is refused by its length."""
    assert read(other, [KEY]) is None
