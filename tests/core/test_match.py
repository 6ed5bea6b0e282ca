"""Which version a call is about."""

from __future__ import annotations

import pytest

from adserve.core.match import ANY, Match, etag
from adserve.core.model import Site
from adserve.errors import Unmet

SITE = Site(id="news", serial=1, version=3, name="News")


def holds(match: Match, thing: Site | None = SITE) -> bool:
    try:
        match.check(thing)
    except Unmet:
        return False
    return True


@pytest.mark.parametrize(
    ("must", "met"),
    [
        ('"3"', True),
        ('"2", "3"', True),
        ('"2","3.0123456789ab"', True),
        ('"x, y", "3"', True),
        ("*", True),
        ('"2"', False),
        ('W/"3"', False),
        ("3", False),
        ('"33"', False),
        ('"3.4"', False),
        ('"2, 3"', False),
        ("", False),
        ('"-3"', False),
        ('"\u0663"', False),
        (f'"{"3" * 5000}"', False),
    ],
)
def test_a_change_is_for_the_version_that_is_named(must: str, met: bool) -> None:
    """A tag of two parts names its version, a weak one none; nothing is there for an object that is not."""
    assert holds(Match(must)) is met
    assert not holds(Match(must), None)


@pytest.mark.parametrize(
    ("must_not", "met"), [('"3"', False), ('W/"3"', False), ("*", False), ('"2"', True), ("3", True), ("", True)]
)
def test_what_must_not_be_there_is_not(must_not: str, met: bool) -> None:
    """A weak tag is enough; what is not there is never in the way."""
    assert holds(Match(None, must_not)) is met
    assert holds(Match(None, must_not), None)


def test_both_conditions_have_to_hold() -> None:
    """And a call without any is for whatever is there."""
    assert holds(Match('"3"', '"2"'))
    assert not holds(Match('"3"', '"3"'))
    assert holds(ANY)
    assert holds(ANY, None)


def test_a_reader_knows_what_it_was_shown() -> None:
    """The whole tag counts: beside the same version there can be something else by now."""
    old, new = etag(3, [{"slot": "news/top"}]), etag(3, [])
    assert old != new
    assert Match(None, f'"2", W/{old}').knows(old)
    assert Match(None, "*").knows(new)
    assert not Match(None, old).knows(new)
    assert not Match(None, '"3"').knows(new)
    assert not ANY.knows(new)
