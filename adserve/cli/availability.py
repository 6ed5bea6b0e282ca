"""`adserve availability`."""

from __future__ import annotations

from typing import Any

import click

from adserve.cli.options import as_json, shared, show, table, with_services
from adserve.core.validate import check_place
from adserve.errors import Invalid, Problem
from adserve.flows.availability import DAYS, MOST_DAYS, available
from adserve.flows.services import Services
from adserve.settings import Settings


@click.command("availability")
@click.argument("slot", metavar="SITE/SLOT")
@click.option("--days", type=click.IntRange(1, MOST_DAYS), default=DAYS, show_default=True, help="from today on")
@shared
@as_json
def availability_command(slot: str, days: int, json_: bool, **flags: Any) -> None:
    """How much of a slot can still be sold: its forecast by day, less what campaigns are booked for. The same as GET
    /api/v1/availability."""

    try:
        check_place(slot)
    except ValueError as problem:
        raise Invalid([Problem("/slot", str(problem))]) from None

    async def work(services: Services, _: Settings) -> Any:
        return await available(services, slot, days)

    show(with_services(flags, work), json_, lines_of)


def lines_of(found: dict[str, Any]) -> list[str]:
    lines = [
        f"{found['slot']}, days of {found['tz']}, from {found['generated_at']} on; confidence: {found['confidence']}"
    ]
    if found["confidence"] == "none":
        lines.append("nothing is known of its requests yet: there is no forecast")
    rows = [{**day, "": _campaigns(day)} for day in [*found["days"], {"day": "all", **found["totals"]}]]
    lines += ["", *table(rows, ["day", "forecast", "booked", "available", ""])]
    lines += [f"WARNING {one['code']}: {one['detail']}" for one in found["warnings"]]
    if found["uncounted"]:
        lines.append(f"not counted, for their goal is clicks: {', '.join(found['uncounted'])}")
    return lines


def _campaigns(day: dict[str, Any]) -> str:
    said = [f"{one['campaign']} {one['booked']}" for one in day.get("campaigns", ())]
    return ", ".join([*said, *(["a sponsor takes everything"] if day.get("taken_by_sponsor") else [])])
