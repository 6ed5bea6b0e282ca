"""The table of pages beside what is said of it a second time."""

from __future__ import annotations

from adserve.web.console.pages import PAGES
from tests.console.forms import GOOD, MAY
from tests.console.town import named


def test_the_table_says_who_may_as_it_stands_here() -> None:
    assert {named(one): set(one.roles) for one in PAGES} == {line: set(MAY[line].split()) for line in MAY}


def test_every_form_has_a_good_one() -> None:
    assert {one.path for one in PAGES if one.method != "GET"} == set(GOOD)
