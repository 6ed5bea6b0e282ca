"""What two revisions have in common, and how long it may be looked for."""

from __future__ import annotations

from adserve.web.console.difference import pieces


def words(name: str, count: int) -> str:
    return " ".join(f"{name}{at}" for at in range(count))


def test_two_texts_come_out_whole() -> None:
    for before, after in (("Red shoes", "Red socks now"), ("", "New"), ("a b a", "a"), ("same", "same"), ("", "")):
        found = pieces(before, after)
        assert "".join(one.text for one in found if one.how != "new") == before
        assert "".join(one.text for one in found if one.how != "gone") == after


def test_one_word_of_a_long_text_is_all_that_is_marked() -> None:
    before = words("word", 20_000)
    found = pieces(before, before.replace("word9999 ", "other "))
    assert [one.how for one in found] == ["same", "gone", "new", "same"]
    assert (found[1].text, found[2].text) == ("word9999", "other")


def test_texts_that_would_take_long_to_compare_are_shown_whole() -> None:
    """Only their blanks are the same, each of one with each of the other."""
    for count in (1_000, 1_900):
        before, after = words("old", count), words("new", count)
        assert pieces(before, after) == [("gone", before), ("new", after)]


def test_what_is_not_compared_in_time_is_shown_whole_behind_what_was() -> None:
    before, after = words("old", 400), words("new", 400)
    found = pieces(before, after)
    assert 2 < len(found) < 200
    assert "".join(one.text for one in found if one.how != "new") == before
    assert "".join(one.text for one in found if one.how != "gone") == after
