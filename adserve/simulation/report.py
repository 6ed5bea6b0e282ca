"""What a simulation tells: as values, and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adserve.core.catalog import Catalog
from adserve.core.model import Campaign
from adserve.core.schedule import BUCKET_S, utc_label
from adserve.simulation.engine import Outcome


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
