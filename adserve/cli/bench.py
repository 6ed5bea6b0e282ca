"""`adserve bench`."""

from __future__ import annotations

import click

from adserve.bench.run import PARTS, bench, render
from adserve.cli.options import as_json, show


@click.command("bench")
@as_json
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1, 100))
@click.option(
    "--count", default=10_000, show_default=True, type=click.IntRange(200, 1_000_000), help="requests a round"
)
@click.option("--part", "parts", multiple=True, type=click.Choice(PARTS), help="only this; may be given several times")
@click.option("--tag", is_flag=True, help="short for --part tag")
def bench_command(json_: bool, rounds: int, count: int, parts: tuple[str, ...], tag: bool) -> None:
    """Measure this machine: delivery against the bare framework, decisions, a large catalog, the ledger, and the tag in
    a browser."""
    parts += ("tag",) if tag and "tag" not in parts else ()
    result = bench(rounds=rounds, count=count, parts=parts or PARTS, say=lambda text: click.echo(text, err=True))
    show(result, json_, lambda found: [render(found)])
