"""Which size holds where, and the room that is kept."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserve.core.model import Size
from tests.embed.places import place


@pytest.mark.parametrize(
    ("sizes", "label", "data_size", "reserved"),
    [
        (("728x90", "320x50"), "Advertisement", "728x90@728 320x50", [(728, 108), (0, 68)]),
        (("320x50", "970x90", "728x90"), "", "970x90@970 728x90@728 320x50", [(970, 90), (728, 90), (0, 50)]),
        (("300x250",), "Advertisement", "300x250", [(0, 268)]),
        (("300x250", "300x600"), "Advertisement", "300x600", [(0, 618)]),
        (("728x90", "300x250"), "", "728x90@728 300x250", [(728, 250), (0, 250)]),
        ((), "Advertisement", "", []),
    ],
)
def test_sizes_become_steps(sizes: tuple[str, ...], label: str, data_size: str, reserved: list[Any]) -> None:
    """The widest first; a line of 18 pixels where there is a label; the highest that may stand there gives the room."""
    found = place(sizes=sizes, label=label)
    assert found.data_size == data_size
    assert [(step.from_px, step.reserved) for step in found.steps] == reserved


def test_style_rules_begin_with_the_narrowest_and_leave_out_what_changes_nothing() -> None:
    found = place(sizes=("970x90", "728x90", "320x50"))
    assert found.style("[data-slot=x]").splitlines() == [
        "[data-slot=x]{min-height:68px}",
        "@media (min-width:728px){[data-slot=x]{min-height:108px}}",
    ]


@given(st.lists(st.tuples(st.integers(1, 4096), st.integers(1, 4096)), min_size=1, max_size=8), st.integers(1, 5000))
def test_no_creative_that_fits_is_higher_than_the_room(sizes: list[tuple[int, int]], viewport: int) -> None:
    """At every width of the viewport: whatever is no wider than it has room, so nothing on the page moves."""
    found = place(sizes=tuple(f"{width}x{height}" for width, height in sizes), label="")
    holds = next(step for step in found.steps if viewport >= step.from_px)
    fits = [size.height for size in found.sizes if size.width <= viewport]
    assert holds.reserved >= max(fits, default=0)
    assert holds.size in found.sizes
    assert {Size(*size) for size in sizes} == {*found.sizes}
