"""`adserve audit`."""

from __future__ import annotations

import sys
from typing import Any

import click

from adserve.cli.options import as_json, shared, show, table, with_services
from adserve.flows.audit import audit
from adserve.flows.services import Services
from adserve.settings import Settings


@click.command("audit")
@shared
@as_json
def audit_command(json_: bool, **flags: Any) -> None:
    """Prove the figures of the last three days: every counted event has its bit in the ledger, and the
    other way round. Exit code 1 when they differ."""

    async def work(services: Services, settings: Settings) -> Any:
        return await audit(services, settings.data_dir / "spool")

    found = with_services(flags, work)
    show(found, json_, _lines)
    sys.exit(0 if found["agrees"] else 1)


def _lines(found: dict[str, Any]) -> list[str]:
    rows = [{**row, "agrees": "yes" if row["agrees"] else "NO"} for row in found["rows"]]
    lines = table(rows, ["day", "campaign", "impressions", "views", "clicks", "agrees"]) if rows else []
    for one in found["differences"]:
        campaigns = " or ".join(one["campaigns"]) or "no campaign"
        numbers = f"{one['ledger']} in the ledger, {one['counters']} in the counters"
        lines.append(f"{one['hour']}: {one['figure']}: {numbers} ({campaigns})")
    for one in found["totals"]:
        numbers = f"{one['totals']} in its totals, {one['counters']} in the counters"
        lines.append(f"{one['campaign']}: {one['figure']}: {numbers}")
    differences = len(found["differences"]) + len(found["totals"])
    verdict = "the counters agree with the ledger" if found["agrees"] else f"{differences} differences"
    lines.append(f"{verdict}: {found['events']} events in {found['hours']} hours since {found['since']}")
    if found["pending"]:
        lines.append(f"{found['pending']} events wait in the spool and are not counted yet")
    return lines
