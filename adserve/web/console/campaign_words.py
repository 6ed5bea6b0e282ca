"""A campaign in words, for people who have read nothing about campaigns. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from adserve.core.model import Campaign, Limit, Price, Rule, Target
from adserve.core.schedule import local_day, zone


class Fact(NamedTuple):
    label: str
    words: str


TIERS = {
    "sponsor": "sponsor: before all others",
    "standard": "standard: after sponsors",
    "remnant": "remnant: what sponsors and standard campaigns leave",
    "house": "house: our own, when nobody else fills",
}
PRICES = {"cpm": "for 1,000 impressions (CPM)", "cpc": "a click (CPC)", "flat": "for the whole flight (flat)"}
_RULES = {
    "labels": "Page labels",
    "urls": "Page addresses",
    "languages": "Languages",
    "countries": "Countries",
    "devices": "Devices",
}


def facts(campaign: Campaign) -> list[Fact]:
    """What it says beyond its name, slots and creatives; what it does not limit is left out."""
    found = [
        Fact("Flight", flight(campaign)),
        Fact("Goal", goal(campaign)),
        Fact("Tier", TIERS[campaign.tier]),
        Fact("Weight", f"{campaign.weight:,}: its share among campaigns of its tier"),
        Fact("Pacing", "evenly over its flight" if campaign.paces == "even" else "as fast as it can"),
    ]
    if campaign.caps is not None:
        total, daily = _limit(campaign.caps.total, "in all"), _limit(campaign.caps.daily, "a day")
        found.append(Fact("Caps", f"at most {' and '.join([*total, *daily])}"))
    if (seen := campaign.frequency) is not None:
        times = "once" if seen.limit == 1 else f"{seen.limit} times"
        unknown = "are shown it" if seen.unknown == "serve" else "are not shown it"
        words = f"{times} a {seen.window} for a reader; readers who are not known {unknown}"
        found.append(Fact("Frequency cap", words))
    if campaign.target is not None:
        found += _targeting(campaign.target, campaign.zone)
    if campaign.price is not None:
        found.append(Fact("Price", price(campaign.price)))
    if campaign.categories:
        found.append(Fact("Categories", ", ".join(campaign.categories)))
    if campaign.excludes:
        beside = (one.replace(":", " ", 1) for one in campaign.excludes)
        found.append(Fact("Never beside", f"on one page: {', '.join(beside)}"))
    return found


def flight(campaign: Campaign) -> str:
    """`from 1 November 2026 to the end of 30 November 2026 (Asia/Kolkata)`."""
    tz = zone(campaign.zone)
    begin = end = ""
    if campaign.starts_at is not None:
        begin = f"from {_moment(campaign.starts or '', campaign.starts_at, campaign.zone)}"
    if campaign.ends_at is not None and "T" in (campaign.ends or "").upper().replace(" ", "T"):
        end = f"to {_moment(campaign.ends or '', campaign.ends_at, campaign.zone)}"
    elif campaign.ends_at is not None:
        end = f"to the end of {day(local_day(campaign.ends_at - 1, tz))}"
    if not begin and not end:
        return "from now on, without an end"
    return f"{' '.join(filter(None, [begin, end or 'on, without an end']))} ({campaign.zone})"


def goal(campaign: Campaign) -> str:
    if campaign.goal is None:
        return "none: it takes its share of what is there"
    if campaign.goal.share is not None:
        return f"{campaign.goal.share}% of the requests of each slot"
    if campaign.goal.clicks is not None:
        return f"{campaign.goal.clicks:,} clicks"
    return f"{campaign.goal.impressions:,} impressions"


def price(paid: Price) -> str:
    amount = (Decimal(paid.micros) / 1_000_000).normalize()
    text = f"{amount:,.2f}" if amount == round(amount, 2) else f"{amount:,f}"
    return f"{paid.currency} {text} {PRICES[paid.model]}"


def day(one: date) -> str:
    """`30 November 2026`."""
    return f"{one.day} {one:%B %Y}"


def _moment(text: str, at: int, zone_name: str) -> str:
    local = datetime.fromtimestamp(at, zone(zone_name))
    return day(local.date()) if len(text) == len("2026-11-24") else f"{day(local.date())}, {local:%H:%M}"


def _limit(limit: Limit, when: str) -> list[str]:
    pairs = (("impressions", limit.impressions), ("clicks", limit.clicks))
    return [f"{most:,} {name} {when}" for name, most in pairs if most is not None]


def _targeting(target: Target, zone_name: str) -> list[Fact]:
    found = [Fact(label, words) for name, label in _RULES.items() if (words := rule(getattr(target, name)))]
    found += [Fact(f"Key-value {name}", words) for name, one in target.kv.items() if (words := rule(one))]
    if target.hours:
        found.append(Fact("Hours", f"{'; '.join(target.hours)} ({zone_name})"))
    return found


def rule(one: Rule) -> str:
    """`one of cars, bikes; none of conflict`; nothing for a rule that says nothing."""
    lists: Sequence[tuple[str, Sequence[str]]] = (("one of", one.any), ("all of", one.all), ("none of", one.none))
    return "; ".join(f"{how} {', '.join(values)}" for how, values in lists if values)
