"""Charts as markup: named, escaped, without inline style, honest when there is nothing."""

from __future__ import annotations

from datetime import datetime
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from zoneinfo import ZoneInfo

import pytest

from adserve.charts.axis import Span
from adserve.charts.bars import Bar, bars
from adserve.charts.lines import Marks, Series, lines
from adserve.charts.sparkline import sparkline

UTC = ZoneInfo("UTC")
BEGIN = int(datetime(2026, 11, 2, tzinfo=UTC).timestamp())
DAY = 86_400
WEEK = Span(BEGIN, BEGIN + 7 * DAY, UTC)
HOSTILE = "\"'><img src=x onerror=XSS1>\x00\x1b[31m\ud800"
SVG = "{http://www.w3.org/2000/svg}"


def read(text: str) -> Element:
    return ElementTree.fromstring(text)


def a_chart(**fields: object) -> str:
    delivered = Series("delivered", [(BEGIN + n * DAY, n * 100.0) for n in range(5)])
    plan = Series("plan", [(BEGIN + n * DAY, n * 120.0) for n in range(8)], "plan", 2)
    ground = Series("requests", [(BEGIN + n * DAY, 50.0) for n in range(7)], "ground")
    given: dict[str, object] = {"title": "Delivery", "description": "How it went.", "series": [ground, plan, delivered]}
    return lines(**{**given, "span": WEEK, **fields})  # type: ignore[arg-type]


def all_charts(text: str) -> list[str]:
    points: list[tuple[int, float | None]] = [(BEGIN, 1), (BEGIN + DAY, 2)]
    return [
        lines(text, text, [Series(text, points)], WEEK, nothing=text),
        lines(text, text, [], WEEK, nothing=text),
        bars(text, text, [Bar(text, 3)], nothing=text),
        bars(text, text, [], nothing=text),
        sparkline(text, [1, 2, 3]),
    ]


@pytest.mark.parametrize("at", range(5))
def test_text_of_others_is_never_markup(at: int) -> None:
    """Names of advertisers stand in charts: none becomes an element, and no character breaks the document."""
    text = all_charts(HOSTILE)[at]
    assert "<img" not in text
    root = read(text)
    assert all(part.tag.rpartition("}")[2] != "img" for part in root.iter())
    assert "XSS1" in "".join(root.itertext())


@pytest.mark.parametrize("at", range(5))
def test_charts_have_a_name_and_no_inline_style(at: int) -> None:
    """Readers of the screen hear what it is; the console's policy forbids `style=` and script."""
    root = read(all_charts("Delivery")[at])
    image = root if root.tag == f"{SVG}svg" else root.find(f"{SVG}svg")
    assert image is not None
    assert image.get("role") == "img"
    assert image[0].tag == f"{SVG}title"
    assert image[0].text == "Delivery"
    for part in root.iter():
        assert not {name for name in part.attrib if name == "style" or name.startswith("on") or "href" in name}
        assert part.tag.rpartition("}")[2] not in ("style", "script", "foreignObject")


def test_series_differ_in_more_than_colour() -> None:
    """Whoever sees no colours tells the plan by its dashes, in the plot and beneath it."""
    root = read(a_chart(marks=Marks(goal=800, now=BEGIN + 4 * DAY)))
    legend = [("".join(item.itertext()).strip(), item[0][0].get("stroke-dasharray")) for item in root.iter("li")]
    assert legend == [
        ("requests", None), ("plan", "6 5"), ("delivered", None), ("goal 800", "2 3"), ("now, 6 Nov 00:00", None),
    ]  # fmt: skip
    strokes = [part.get("stroke-dasharray") for part in root[0].iter(f"{SVG}path") if "stroke" in part.get("class", "")]
    assert strokes == ["6 5", None]


def test_points_lie_where_their_figures_say() -> None:
    """400 on an axis to 1,000 at the fourth of seven days; the axis reaches above the goal."""
    root = read(a_chart(marks=Marks(goal=900)))
    dots = {dot[0].text: (dot.get("cx"), dot.get("cy")) for dot in root.iter(f"{SVG}circle")}
    assert dots["delivered, 6 Nov 00:00: 400"] == ("57.14%", "60%")
    assert [text.text for text in root.iter(f"{SVG}text")][:6] == ["0", "200", "400", "600", "800", "1,000"]


def test_what_is_not_known_breaks_the_line() -> None:
    """A gap is no zero and no straight line across."""
    points: list[tuple[int, float | None]] = [(BEGIN, 1), (BEGIN + DAY, None), (BEGIN + 2 * DAY, 2)]
    root = read(lines("t", "d", [Series("s", points)], WEEK))
    (path,) = [part.get("d") or "" for part in root[0].iter(f"{SVG}path") if "stroke" in part.get("class", "")]
    assert path.count("M") == 2
    assert "L" not in path


@pytest.mark.parametrize("series", [[], [Series("s", [])], [Series("s", [(BEGIN, None)])]])
def test_nothing_is_drawn_as_nothing_with_words(series: list[Series]) -> None:
    """An empty chart keeps its axes, from 0 to 1, and says that it is empty."""
    root = read(lines("t", "d", series, WEEK))
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert texts[:2] == ["0", "1"]
    assert texts[-1] == "Nothing was counted in this time."


def test_zeros_are_figures() -> None:
    """A campaign that delivered nothing has a line at the bottom, not an empty chart."""
    root = read(lines("t", "d", [Series("s", [(BEGIN, 0), (BEGIN + DAY, 0)])], WEEK))
    assert "Nothing was counted in this time." not in "".join(root.itertext())


def test_bars_are_as_long_as_their_amounts() -> None:
    """The longest has the whole width; what is not known is a dash without a bar."""
    root = read(bars("t", "d", [Bar("one", 40), Bar("two", 10), Bar("three", None), Bar("four", 0)]))
    fills = [part.get("width") for part in root.iter(f"{SVG}rect") if "fill" in part.get("class", "")]
    assert fills == ["100%", "25%"]
    assert [text.text for text in root.iter(f"{SVG}text")][1::2] == ["40", "10", "\N{EN DASH}", "0"]


def test_long_names_are_shortened_and_told_whole() -> None:
    """Also of scripts whose letters are twice as wide."""
    for name in ("Spring sale of the tea house in the valley", "春のお茶のセールと谷の小さなお茶の店"):
        root = read(bars("t", "d", [Bar(name, 1)]))
        shown = next(root.iter(f"{SVG}text")).text or ""
        assert shown.endswith("…")
        assert len(shown) < len(name)
        assert f"{name}: 1" in [title.text for title in root.iter(f"{SVG}title")]


@pytest.mark.parametrize("amounts", [[], [0], [0, 0], [5], [1, 9, 4]])
def test_a_sparkline_stays_within_its_box(amounts: list[float]) -> None:
    """However many points there are, and however high."""
    root = read(sparkline("t", amounts))
    for line in root.iter(f"{SVG}polyline"):
        for point in (line.get("points") or "").split():
            x, y = map(float, point.split(","))
            assert 3 <= x <= 93
            assert 3 <= y <= 21
