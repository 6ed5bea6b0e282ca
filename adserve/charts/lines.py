"""Lines over time: what was delivered, what was planned, the goal.

DESIGN. The plot is an `svg` whose own size is that of the plot alone; labels stand outside of it, in the room that the
style sheet (`chart.css`) leaves. Places are percents of it, and the lines lie in an inner `svg` that is stretched to
it, whose strokes are not. So a chart fits every width, its text keeps the size of the page's, and a picture that stands
alone is the same plot with a size in pixels. Colours are classes, so that the page has dark ones too, and series differ
in dashes as well. What a line means stands beneath in words that wrap, never in the plot, where it could lie on it.
Not chosen: a `viewBox` for everything (its text shrinks with it), a library in the browser.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Literal, NamedTuple
from xml.etree.ElementTree import Element, SubElement

from markupsafe import Markup

from adserve.charts.axis import Span, amounts, exact, short, ticks
from adserve.charts.svg import add, image, markup, plain, share

HEIGHT = 208
"""Pixels of a plot."""
DOTS = 48
"""Points up to which each has a dot that says its figure: more lie on each other."""
DASHES = {"line": "", "plan": "6 5", "other": "2 3"}
GRID = 1000
"""What the stretched part is wide and high, in units of its own."""


class Series(NamedTuple):
    """`points`: moments (epoch seconds) with amounts, in order; None breaks the line. `look`: `ground` are bars in
    grey, by a scale of their own, which only say how it went."""

    name: str
    points: Sequence[tuple[int, float | None]]
    look: Literal["line", "plan", "other", "ground"] = "line"
    tone: int = 1
    """Which of the six colours."""


class Marks(NamedTuple):
    """What lies across the plot: an amount that is to be reached, and the present moment."""

    goal: float | None = None
    now: int | None = None


def lines(
    title: str,
    description: str,
    series: Sequence[Series],
    span: Span,
    *,
    marks: Marks | None = None,
    whole: bool = True,
    show: Callable[[float], str] = short,
    nothing: str = "Nothing was counted in this time.",
) -> Markup:
    """A figure for a page, with its legend. `nothing`: what an empty chart says."""
    marks = marks or Marks()
    figure = Element("figure", {"class": "chart"})
    root = image(title, description, width="100%", height=HEIGHT, overflow="visible", class_="plot")
    figure.append(root)
    draw(root, series, span, marks=marks, whole=whole, show=show, nothing=nothing)
    legend = Element("ul", {"class": "legend"})
    for one in series:
        _explain(legend, one.name, _class(one), DASHES.get(one.look, ""))
    if marks.goal is not None:
        _explain(legend, f"goal {show(marks.goal)}", "goal", DASHES["other"])
    if marks.now is not None and span.begin < marks.now < span.end:
        _explain(legend, f"now, {said(marks.now, span)}", "now", "")
    if len(legend):
        SubElement(figure, "figcaption").append(legend)
    return markup(figure)


def draw(
    plot: Element,
    series: Sequence[Series],
    span: Span,
    *,
    marks: Marks | None = None,
    whole: bool = True,
    show: Callable[[float], str] = short,
    nothing: str = "",
) -> None:
    """Axes and lines into an `svg` that is as large as the plot."""
    marks = marks or Marks()
    found = [value for one in series if one.look != "ground" for _, value in one.points if value is not None]
    steps = amounts(max([*found, marks.goal or 0, 0]), whole=whole)
    top = steps[-1] or 1
    for step in steps:
        y = share(1 - step / top)
        add(plot, "line", x1="0", x2="100%", y1=y, y2=y, class_="grid" if step else "axis")
        add(plot, "text", show(step), x="0", y=y, dx="-8", dy="4", text_anchor="end", class_="tick")
    for tick in ticks(span):
        x = share(span.part(tick.at))
        add(plot, "line", x1=x, x2=x, y1="100%", y2="100%", class_="axis")
        kind = "tick" if tick.always else "tick wide"
        add(plot, "text", tick.label, x=x, y="100%", dy="20", text_anchor="middle", class_=kind)
    stretched = add(
        plot, "svg", width="100%", height="100%", viewBox=f"0 0 {GRID} {GRID}", preserveAspectRatio="none",
        overflow="visible",
    )  # fmt: skip
    for one in series:
        if one.look == "ground":
            add(stretched, "path", d=_bars(one.points, span), class_="ground")
    if marks.goal is not None:
        _across(stretched, f"M0 {GRID * (1 - marks.goal / top):.1f}H{GRID}", "goal", DASHES["other"])
    if marks.now is not None and span.begin < marks.now < span.end:
        _across(stretched, f"M{GRID * span.part(marks.now):.1f} 0V{GRID}", "now", "")
    for one in series:
        if one.look != "ground":
            _across(stretched, _path(one.points, span, top), _class(one), DASHES[one.look])
            if one.look == "line" and len(one.points) <= DOTS:
                _dots(plot, one, span, top)
    if not found:
        add(plot, "text", nothing, x="50%", y="50%", text_anchor="middle", class_="nothing")


def said(moment: int, span: Span) -> str:
    """A moment in the axis's own zone: `24 Nov 14:30`."""
    local = datetime.fromtimestamp(moment, span.tz)
    return f"{local.day} {local:%b %H:%M}"


def _class(one: Series) -> str:
    return "ground" if one.look == "ground" else f"stroke tone{one.tone}"


def _across(parent: Element, path: str, kind: str, dashes: str) -> None:
    more = {"stroke_dasharray": dashes} if dashes else {}
    add(parent, "path", d=path, class_=kind, fill="none", vector_effect="non-scaling-stroke", **more)


def _path(points: Iterable[tuple[int, float | None]], span: Span, top: float) -> str:
    """One stroke for each stretch of points that have an amount; a point alone is a stroke of no length."""
    path, pen = [], False
    for moment, value in points:
        if value is None:
            pen = False
            continue
        place = f"{GRID * span.part(moment):.1f} {GRID * (1 - value / top):.1f}"
        path.append(f"L{place}" if pen else f"M{place}l0 0")
        pen = True
    return "".join(path)


def _bars(points: Sequence[tuple[int, float | None]], span: Span) -> str:
    """Bars that reach up to nine tenths, each as wide as it is to the next."""
    most = max((value or 0 for _, value in points), default=0) or 1
    ends = [moment for moment, _ in points[1:]] + [span.end]
    return "".join(
        f"M{GRID * span.part(moment):.1f} {GRID}v-{value / most * GRID * 0.9:.1f}"
        f"H{GRID * span.part(end):.1f}V{GRID}z"
        for (moment, value), end in zip(points, ends, strict=True)
        if value
    )


def _dots(plot: Element, one: Series, span: Span, top: float) -> None:
    for moment, value in one.points:
        if value is not None:
            x, y = share(span.part(moment)), share(1 - value / top)
            dot = add(plot, "circle", cx=x, cy=y, r="3.5", class_=f"dot tone{one.tone}")
            add(dot, "title", f"{one.name}, {said(moment, span)}: {exact(value)}")


def _explain(legend: Element, name: str, kind: str, dashes: str) -> None:
    item = SubElement(legend, "li")
    sample = add(item, "svg", width="28", height="10", aria_hidden="true")
    if kind == "ground":
        add(sample, "rect", width="28", height="10", class_=kind)
    else:
        _across(sample, "M1 5H27", kind, dashes)
    sample.tail = f" {plain(name)}"
