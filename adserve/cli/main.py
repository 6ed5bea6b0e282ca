"""The command line: thin over the flows. Errors say what to do; exit codes are in `docs/operations.md`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click
import msgspec
import structlog
import uvloop

from adserve import __version__
from adserve.errors import AdserveError, Invalid, SettingsError
from adserve.flows.services import Services
from adserve.serving import listen, serve, store_of
from adserve.settings import Settings, load
from adserve.wiring import services_only

_SHARED = [
    click.option("--data-dir", help="where the embedded store, secret and media cache live"),
    click.option("--redis-url", help="the store; unset: an embedded Valkey in the data dir"),
]
as_json = click.option("--json", "json_", is_flag=True, help="print JSON for programs")


def shared(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every command that touches the store."""
    for option in _SHARED:
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="adserve")
def cli() -> None:
    """A self-hosted ad server that counts exactly once."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


@cli.command("serve")
@shared
@click.option("--host")
@click.option("--port")
@click.option("--workers")
@click.option("--public-url")
def serve_command(**flags: Any) -> None:
    """Serve, with settings from flags, the environment and adserve.toml."""
    settings = load(flags, os.environ)
    sock = listen(settings.host, settings.port)
    with store_of(settings) as (url, store):
        uvloop.run(serve(settings, url, store, sock))


@cli.command("demo")
@shared
@click.option("--host")
@click.option("--port")
@click.option("--reset", is_flag=True, help="forget the demo's data and seed it again")
def demo_command(reset: bool, **flags: Any) -> None:
    """Serve a news page with its five placements filled, and a week of synthetic figures."""
    from adserve.demo.run import demo

    demo(flags, os.environ, reset=reset)


def with_services(flags: dict[str, Any], work: Callable[[Services, Settings], Awaitable[Any]]) -> Any:
    """Runs `work` with the management services of the configured store."""
    settings = load(flags, os.environ)

    async def run(url: str) -> Any:
        async with services_only(settings, url) as services:
            return await work(services, settings)

    with store_of(settings) as (url, _):
        return asyncio.run(run(url))


def show(value: Any, json_: bool, lines: Callable[[Any], list[str]]) -> None:
    """Prints for programs or for people."""
    if json_:
        click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
    else:
        click.echo("\n".join(lines(value)))


def table(rows: list[dict[str, Any]], columns: list[str]) -> list[str]:
    """Rows as aligned text; control characters of stored text are not printed."""
    cells = [columns] + [[_printable(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(row[at]) for row in cells) for at in range(len(columns))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def _printable(value: Any) -> str:
    text = "" if value is None else str(value)
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def main() -> None:
    """The entry point: known errors become a message and their exit code."""
    from adserve.cli import bench, creatives, reports  # noqa: F401 - registers the commands

    try:
        cli(standalone_mode=False)
    except click.ClickException as problem:
        problem.show()
        sys.exit(problem.exit_code)
    except click.Abort:
        sys.exit(130)
    except SettingsError as problem:
        click.echo(f"adserve cannot start; please mend these settings:\n{problem}", err=True)
        sys.exit(problem.exit_code)
    except Invalid as problem:
        for one in problem.problems:
            click.echo(f"{one.pointer.lstrip('/')}: {one.detail}", err=True)
        sys.exit(problem.exit_code)
    except AdserveError as problem:
        click.echo(str(problem), err=True)
        sys.exit(problem.exit_code)


def read_bytes(path: str) -> bytes:
    """A file named on the command line."""
    try:
        return Path(path).read_bytes()
    except OSError as problem:
        raise click.ClickException(f"{path}: {problem.strerror}") from None
