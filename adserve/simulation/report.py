"""What a simulation tells: as values, as a table, and as a picture of what was delivered beside what was planned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from adserve.core.catalog import Catalog
from adserve.core.model import Campaign
from adserve.core.schedule import BUCKET_S, utc_label
from adserve.simulation.engine import Outcome, Quarter

POINTS = 400
"""Of a line: more makes the file larger and nothing easier to see."""
SHOWN = 6
"""Campaigns that the picture has a line for."""


def told(outcome: Outcome, catalog: Catalog) -> dict[str, Any]:
    """The whole as JSON: `campaigns` with goal, what was delivered of it and what is short; `slots` with requests,
    shares and empty decisions by reason; how it went in time is left to the picture."""
    campaigns = sorted(
        (one for one in catalog.things.values() if isinstance(one, Campaign)), key=lambda one: one.serial
    )
    return {
        "decisions": outcome.decisions,
        "from": utc_label(outcome.quarters[0].begin) if outcome.quarters else None,
        "to": utc_label(outcome.quarters[-1].begin + BUCKET_S) if outcome.quarters else None,
        "campaigns": [_campaign(one, outcome) for one in campaigns],
        "slots": [
            {
                "slot": name,
                "requests": requests,
                "serves": outcome.served[name],
                "passbacks": outcome.passbacks[name],
                "fill_rate": round(outcome.served[name] / requests, 4),
                "empty": dict(outcome.empty[name].most_common()),
                "shares": {
                    campaign: round(serves / outcome.served[name], 4)
                    for campaign, serves in outcome.shares[name].most_common()
                },
            }
            for name, requests in sorted(outcome.requests.items())
        ],
    }


def _campaign(campaign: Campaign, outcome: Outcome) -> dict[str, Any]:
    found = outcome.campaigns[campaign.id]
    goal, delivered = campaign.goal, 0
    wanted: int | None = None
    if goal is not None and goal.share is None:
        wanted = goal.impressions or goal.clicks
        delivered = found.impressions if goal.impressions is not None else found.clicks
    return {
        "campaign": campaign.id,
        "tier": campaign.tier,
        "pacing": campaign.paces if campaign.limited else None,
        "goal": None if goal is None else {name: n for name, n in _goal(goal).items() if n is not None},
        "serves": found.serves,
        "impressions": found.impressions,
        "clicks": found.clicks,
        "late": found.late,
        "set_aside_as_cap": found.over_cap,
        "delivered": None if wanted is None else round(delivered / wanted, 4),
        "short": None if wanted is None else max(0, wanted - delivered),
        "dark_quarter_hours": [utc_label(begin) for begin in found.dark],
    }


def _goal(goal: Any) -> dict[str, int | None]:
    return {name: getattr(goal, name) for name in ("impressions", "clicks", "share")}


def table(result: dict[str, Any]) -> str:
    """For people."""
    lines = [f"{result['decisions']:,} decisions, {result['from']} to {result['to']}", ""]
    head = ("campaign", "tier", "goal", "serves", "impressions", "clicks", "delivered", "short", "dark")
    rows = [head]
    for one in result["campaigns"]:
        goal = one["goal"] or {}
        name = next(iter(goal), "")
        rows.append(
            (
                one["campaign"],
                one["tier"],
                f"{goal[name]:,} {name}" if name else "",
                f"{one['serves']:,}",
                f"{one['impressions']:,}",
                f"{one['clicks']:,}",
                "" if one["delivered"] is None else f"{one['delivered']:.2%}",
                "" if one["short"] is None else f"{one['short']:,}",
                str(len(one["dark_quarter_hours"])),
            )
        )
    lines += [*_aligned(rows), ""]
    rows = [("slot", "requests", "filled", "empty", "shares", "", "", "", "")]
    for one in result["slots"]:
        empty = ", ".join(f"{reason} {count:,}" for reason, count in one["empty"].items())
        shares = ", ".join(f"{campaign} {share:.1%}" for campaign, share in list(one["shares"].items())[:8])
        rows.append((one["slot"], f"{one['requests']:,}", f"{one['fill_rate']:.1%}", empty, shares, "", "", "", ""))
    return "\n".join(line.rstrip() for line in lines + _aligned(rows, left=(0, 3, 4)))


def _aligned(rows: Sequence[tuple[str, ...]], left: Sequence[int] = (0, 1, 2)) -> list[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if at in left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


WIDTH, HEIGHT, TOP, LEFT, GAP = 960, 190, 26, 64, 46
"""Pixels of one chart, and what surrounds it."""
_COLOURS = ("#2563eb", "#d97706", "#059669", "#db2777", "#7c3aed", "#64748b")
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#334155}.t{font-weight:600;font-size:13px}"
    ".g{stroke:#cbd5e1;stroke-width:1}"
    ".b{fill:#e2e8f0}.p{fill:none;stroke-width:1.5;stroke-dasharray:5 4;opacity:.75}.l{fill:none;stroke-width:2}"
    "@media(prefers-color-scheme:dark){svg{background:#0f172a}text{fill:#cbd5e1}.g{stroke:#475569}.b{fill:#1e293b}}"
)


def picture(outcome: Outcome, catalog: Catalog) -> str:
    """An SVG: for each campaign that is paced what was confirmed (line) and planned (dashes) of its impressions, above
    the requests of all slots in grey; it follows the reader's dark mode."""
    quarters = _thinned(outcome.quarters)
    names = list(dict.fromkeys(name for one in quarters for name in one.due))[:SHOWN]
    total = TOP + (HEIGHT + GAP) * max(1, len(names))
    whole = Element(
        "svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {WIDTH + 2 * LEFT} {total}", role="img",
        attrib={"aria-label": "Impressions planned and delivered"},
    )  # fmt: skip
    SubElement(whole, "style").text = _STYLE
    end = utc_label(outcome.quarters[-1].begin + BUCKET_S) if quarters else ""
    for at, name in enumerate(names):
        campaign = catalog.things.get(f"campaign:{name}")
        _chart(whole, quarters, end, name, campaign, TOP + (HEIGHT + GAP) * at, _COLOURS[at % len(_COLOURS)])
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
    whole: Element, quarters: Sequence[Quarter], end: str, name: str, campaign: Any, top: int, colour: str
) -> None:
    step = WIDTH / max(1, len(quarters))
    requests = [sum(one.requests.values()) for one in quarters]
    most = max([*(one.impressions.get(name, 0) for one in quarters), *(one.due.get(name, 0) for one in quarters), 1])
    busiest = max([*requests, 1])
    heights = [count / busiest * HEIGHT * 0.9 for count in requests]
    bars = "".join(
        f"M{LEFT + at * step:.1f} {top + HEIGHT}v-{height:.1f}h{step:.2f}v{height:.1f}z"
        for at, height in enumerate(heights)
        if height
    )

    def line(values: Sequence[int]) -> str:
        heights = [top + HEIGHT - value / most * HEIGHT for value in values]
        return " ".join(f"{LEFT + at * step:.1f},{height:.1f}" for at, height in enumerate(heights, 1))

    planned = line([one.due.get(name, 0) for one in quarters])
    confirmed = line([one.impressions.get(name, 0) for one in quarters])
    wanted = campaign.ceiling.impressions if isinstance(campaign, Campaign) else None
    title = f"{name}: {quarters[-1].impressions.get(name, 0):,}" + (f" of {wanted:,} impressions" if wanted else "")

    def text(x: int, y: int, said: str, **more: str) -> None:
        SubElement(whole, "text", {"x": str(x), "y": str(y), **more}).text = said

    text(LEFT, top - 8, title, **{"class": "t"})
    SubElement(whole, "path", {"class": "b", "d": bars})
    SubElement(whole, "path", {"class": "g", "d": f"M{LEFT} {top + HEIGHT}h{WIDTH}"})
    at_right = {"text-anchor": "end"}
    text(LEFT - 6, top + 12, f"{most:,}", **at_right)
    text(LEFT - 6, top + HEIGHT, "0", **at_right)
    SubElement(whole, "polyline", {"class": "p", "stroke": colour, "points": planned})
    SubElement(whole, "polyline", {"class": "l", "stroke": colour, "points": confirmed})
    text(LEFT, top + HEIGHT + 16, utc_label(quarters[0].begin))
    text(LEFT + WIDTH, top + HEIGHT + 16, end, **at_right)
