"""`adserve bench`."""

from __future__ import annotations

import click

from adserve.bench.run import bench, render
from adserve.cli.options import as_json, show


@click.command("bench")
@as_json
@click.option("--rounds", default=5, show_default=True)
@click.option("--count", default=20_000, show_default=True, help="requests a round")
def bench_command(json_: bool, rounds: int, count: int) -> None:
    """Measure the slot call and the impression beacon against the bare framework, on this machine."""
    result = bench(rounds=rounds, count=count, say=lambda text: click.echo(text, err=True))
    show(result, json_, lambda found: [render(found)])
