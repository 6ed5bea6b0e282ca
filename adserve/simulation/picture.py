"""A simulation as a picture: what was delivered beside what was planned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from xml.etree.ElementTree import Element, SubElement, indent, tostring
from zoneinfo import ZoneInfo

from adserve.charts.axis import Span
from adserve.charts.lines import Marks, Series, draw
from adserve.charts.svg import add, image
from adserve.core.catalog import Catalog
from adserve.core.model import Campaign
from adserve.core.schedule import BUCKET_S, zone
from adserve.simulation.engine import Outcome, Quarter

POINTS = 400
"""Of a line: more makes the file larger and nothing easier to see."""
SHOWN = 6
"""Campaigns that the picture has a line for."""
WIDTH, HEIGHT, TOP, LEFT, GAP = 960, 190, 34, 64, 62
"""Pixels of one chart, and what surrounds it."""
ALONE = "svg { background: var(--chart-page) }\n.title { font: 600 13px system-ui; fill: var(--chart-text) }\n"


def picture(outcome: Outcome, catalog: Catalog) -> str:
    """An SVG: for each campaign that is paced what was confirmed (line) and planned (dashes) of its impressions, above
    the requests of all slots in grey, in days of its zone; it follows the reader's dark mode."""
    quarters = _thinned(outcome.quarters)
    names = list(dict.fromkeys(name for one in quarters for name in one.due))[:SHOWN]
    total = TOP + (HEIGHT + GAP) * max(1, len(names))
    title = "Impressions planned and delivered"
    whole = image(title, ", ".join(names), viewBox=f"0 0 {WIDTH + 2 * LEFT} {total}")
    css = files("adserve.charts").joinpath("chart.css").read_text(encoding="utf-8")
    SubElement(whole, "style").text = css + ALONE
    end = outcome.quarters[-1].begin + BUCKET_S if quarters else 0
    for at, name in enumerate(names):
        campaign = catalog.things.get(f"campaign:{name}")
        _chart(whole, quarters, end, name, campaign, TOP + (HEIGHT + GAP) * at, at % 6 + 1)
    indent(whole, "")
    return tostring(whole, "unicode") + "\n"


def _thinned(quarters: Sequence[Quarter]) -> list[Quarter]:
    """At most `POINTS` of them: what follows each other in one, with the requests of all and the state at its end."""
    several = -(-len(quarters) // POINTS) or 1
    found = []
    for at in range(0, len(quarters), several):
        part = quarters[at : at + several]
        requests = sum((one.requests for one in part), Counter[str]())
        found.append(Quarter(part[0].begin, requests, Counter(), part[-1].impressions, part[-1].due))
    return found


def _chart(
    whole: Element, quarters: Sequence[Quarter], end: int, name: str, campaign: object, top: int, tone: int
) -> None:
    ends = [*(one.begin for one in quarters[1:]), end]
    known = campaign if isinstance(campaign, Campaign) else None
    span = Span(quarters[0].begin, ends[-1], zone(known.zone) if known else ZoneInfo("UTC"))
    requests = [(one.begin, float(one.requests.total())) for one in quarters]
    planned = [(end, float(one.due.get(name, 0))) for one, end in zip(quarters, ends, strict=True)]
    confirmed = [(end, float(one.impressions.get(name, 0))) for one, end in zip(quarters, ends, strict=True)]
    wanted = known.ceiling.impressions if known else None
    title = f"{name}: {int(confirmed[-1][1]):,}" + (f" of {wanted:,} impressions" if wanted else "")
    add(whole, "text", title, x=LEFT, y=top - 10, class_="title")
    plot = add(whole, "svg", x=LEFT, y=top, width=WIDTH, height=HEIGHT, overflow="visible", class_="plot")
    series = [
        Series("requests", requests, "ground"),
        Series("planned", planned, "plan", tone),
        Series("confirmed", confirmed, "line", tone),
    ]
    draw(plot, series, span, marks=Marks(goal=wanted))
