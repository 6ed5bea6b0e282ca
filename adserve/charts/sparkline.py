"""A line so small that it stands in a row of a table: how it went, without an axis."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from adserve.charts.svg import add, image, markup

WIDTH, HEIGHT, EDGE = 96, 24, 3
"""Pixels, and how far the line stays from the edge."""


def sparkline(title: str, amounts: Sequence[float]) -> Markup:
    """`title` says in words what it shows, figures too. Nothing but zeros is a line at the bottom."""
    root = image(title, "", width=WIDTH, height=HEIGHT, viewBox=f"0 0 {WIDTH} {HEIGHT}", class_="sparkline")
    root.remove(root[1])
    most, last = max(amounts, default=0) or 1, max(1, len(amounts) - 1)
    places = [
        (EDGE + at / last * (WIDTH - 2 * EDGE), HEIGHT - EDGE - amount / most * (HEIGHT - 2 * EDGE))
        for at, amount in enumerate(amounts)
    ]
    if places:
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        add(root, "polyline", points=line, fill="none", class_="stroke tone1")
        add(root, "circle", cx=places[-1][0], cy=places[-1][1], r="2.5", class_="dot tone1")
    return markup(root)
