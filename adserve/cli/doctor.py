"""`adserve doctor`."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from typing import Any

import click

from adserve.cli.options import as_json, printable, shared, show
from adserve.doctor.findings import Finding, many, worst
from adserve.doctor.run import diagnose


@click.command("doctor")
@shared
@click.option("--host")
@click.option("--port")
@click.option("--workers")
@click.option("--public-url")
@as_json
def doctor_command(json_: bool, **flags: Any) -> None:
    """Look at settings, files, store and network of a service, running or not, and change nothing. Exit
    code 1 when there is a problem."""
    found = diagnose(flags, os.environ)
    healthy = worst(found) != "problem"
    show({"healthy": healthy, "findings": [asdict(one) for one in found]}, json_, lambda _: _lines(found))
    sys.exit(0 if healthy else 1)


def _lines(found: list[Finding]) -> list[str]:
    lines = []
    for one in found:
        lines.append(f"{one.status:8} {one.check:13} {printable(one.detail)}")
        if one.remedy:
            lines.append(f"{'':22} -> {printable(one.remedy)}")
    counts = {status: sum(one.status == status for one in found) for status in ("problem", "warning")}
    lines.append(", ".join(many(count, status) for status, count in counts.items()))
    return lines
