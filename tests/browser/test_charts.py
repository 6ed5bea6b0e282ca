"""Charts in a real Chromium: no label lies on another, whatever the width, and the dark page has dark charts."""

from __future__ import annotations

from importlib.resources import files
from itertools import combinations
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page

from adserve.charts.axis import Span, percent
from adserve.charts.bars import Bar, bars
from adserve.charts.lines import Marks, Series, lines
from adserve.charts.sparkline import sparkline

DAY, BEGIN = 86_400, 1_795_458_600
"""Epoch seconds at which 24 November 2026 begins in Kolkata."""
KOLKATA = ZoneInfo("Asia/Kolkata")
LENGTHS = (3 * 3600, DAY, 3 * DAY, 7 * DAY, 16 * DAY, 60 * DAY, 400 * DAY, 1800 * DAY)
NAMES = ("Spring sale of the tea house in the valley", "春のお茶のセールと谷の小さなお茶の店", "W" * 40, "Mm@" * 20)


def document() -> str:
    """Every kind of chart, over every length of time."""
    charts = []
    for length in LENGTHS:
        span = Span(BEGIN, BEGIN + length, KOLKATA)
        steps = [BEGIN + length * n // 30 for n in range(31)]
        plan = Series("planned", [(at, n * 41_666.0) for n, at in enumerate(steps)], "plan", 2)
        delivered = Series("delivered", [(at, n * 40_000.0) for n, at in enumerate(steps[:20])])
        requests = Series("requests", [(at, float(n % 7)) for n, at in enumerate(steps)], "ground")
        marks = Marks(goal=1_250_000, now=steps[19])
        charts.append(lines("Delivery", "How it went.", [requests, plan, delivered], span, marks=marks))
        rates = [Series("fill rate", [(at, 0.5) for at in steps])]
        charts.append(lines("Fill rate", "How it went.", rates, span, whole=False, show=percent))
        charts.append(lines("Nothing", "Nothing yet.", [], span))
    charts.append(bars("Slots", "By impressions.", [Bar(name, 1_234_567 - n) for n, name in enumerate(NAMES)]))
    charts.append(sparkline("Of 24 hours", [1, 4, 2, 8]))
    css = files("adserve.charts").joinpath("chart.css").read_text(encoding="utf-8")
    head = "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    return f"{head}<style>body {{ margin: 16px }} {css}</style>{''.join(charts)}"


def laid_out(browser: Browser, width: int, scheme: str = "light") -> Page:
    page = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()  # type: ignore[arg-type]
    page.set_content(document())
    return page


LABELS = """
[...document.querySelectorAll('svg.plot')].map(plot =>
  [...plot.querySelectorAll('text')].filter(one => getComputedStyle(one).display !== 'none')
    .map(one => [one.textContent, one.getBoundingClientRect()])
    .map(([text, box]) => [text, box.left, box.right, box.top, box.bottom]))
"""


@pytest.mark.parametrize("width", [320, 360, 560, 700, 1200, 1900])
def test_labels_lie_apart_and_within_the_page(browser: Browser, width: int) -> None:
    """From the narrowest phone to a wide desktop, and nothing is cut off or scrolls sideways."""
    page = laid_out(browser, width)
    plots = page.evaluate(LABELS)
    assert len(plots) == 3 * len(LENGTHS) + 1
    for labels in plots:
        assert len(labels) >= 4
        for text, left, right, _, _ in labels:
            assert left >= 0, text
            assert right <= width, text
        for one, other in combinations(labels, 2):
            beside = one[2] + 2 <= other[1] or other[2] + 2 <= one[1]
            below = one[4] <= other[3] + 4 or other[4] <= one[3] + 4  # boxes of text have room above and below
            assert beside or below, (one, other)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.context.close()


def test_text_keeps_its_size_and_strokes_keep_theirs(browser: Browser) -> None:
    """A chart that is squeezed has less room and the same letters."""
    heights = []
    for width in (360, 1200):
        page = laid_out(browser, width)
        heights.append(page.evaluate("document.querySelector('svg.plot text').getBoundingClientRect().height"))
        page.context.close()
    assert heights[0] == heights[1] >= 12


def test_a_dark_page_has_light_lines(browser: Browser) -> None:
    """Colours come from the page's style sheet, for either scheme."""
    found = []
    for scheme in ("light", "dark"):
        page = laid_out(browser, 800, scheme)
        found.append(page.evaluate("getComputedStyle(document.querySelector('path.tone1')).stroke"))
        page.context.close()
    assert found == ["rgb(29, 78, 216)", "rgb(96, 165, 250)"]
