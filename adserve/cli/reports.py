"""`adserve report`."""

from __future__ import annotations

from typing import Any

import click

from adserve.cli.options import as_json, shared, show, table, with_services
from adserve.core.access import OPERATOR
from adserve.flows.report import report
from adserve.flows.services import Services
from adserve.settings import Settings

_FIGURES = [
    "requests",
    "serves",
    "impressions",
    "views",
    "clicks",
    "filtered",
    "late",
    "fill_rate",
    "ctr",
    "revenue",
    "currency",
]


@click.command("report")
@shared
@as_json
@click.option("--from", "from_", help="local date or RFC 3339 time")
@click.option("--to", help="the same; not included")
@click.option("--period", help="today, yesterday or month")
@click.option("--by", help="comma-separated, as day,slot,creative")
@click.option("--tz", help="time zone, as Asia/Kolkata")
@click.option("--site")
@click.option("--slot")
@click.option("--advertiser")
@click.option("--campaign")
@click.option("--creative")
@click.option("--csv", "csv_", is_flag=True, help="print CSV")
def report_command(json_: bool, csv_: bool, data_dir: str | None, redis_url: str | None, **asked: Any) -> None:
    """Figures by day, slot, creative and more: the same as GET /api/v1/report."""
    if csv_ and json_:
        raise click.UsageError("--csv and --json are two forms of one report: give one of them")
    params = {name.rstrip("_"): value for name, value in asked.items() if value is not None}

    async def work(services: Services, _: Settings) -> Any:
        return await report(services, {**params, "format": "csv" if csv_ else "json"}, OPERATOR)

    answer = with_services({"data_dir": data_dir, "redis_url": redis_url}, work)
    if csv_:
        click.echo(answer, nl=False)
        return
    show(
        answer,
        json_,
        lambda found: table(
            [*found["rows"], {found["by"][0] if found["by"] else "": "total", **found["totals"]}],
            [*found["by"], *_FIGURES],
        ),
    )
