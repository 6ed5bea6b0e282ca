"""`adserve settings`."""

from __future__ import annotations

import os
from typing import Any

import click

from adserve.cli.options import as_json, shared, show, table
from adserve.in_force import in_force
from adserve.settings import load


@click.command("settings")
@shared
@as_json
def settings_command(json_: bool, **flags: Any) -> None:
    """Print the settings in force here and where each comes from. Secrets are not printed."""
    found = [one._asdict() for one in in_force(load(flags, os.environ))]
    show(found, json_, lambda rows: table(rows, ["variable", "value", "source"]))
