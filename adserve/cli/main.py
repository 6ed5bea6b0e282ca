"""The command line: thin over the flows. Errors say what to do; exit codes are in `docs/operations.md`."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import click
import uvloop

from adserve import __version__, logs
from adserve.cli.audit import audit_command
from adserve.cli.availability import availability_command
from adserve.cli.bench import bench_command
from adserve.cli.check_page import check_page_command
from adserve.cli.creatives import creative, keys
from adserve.cli.doctor import doctor_command
from adserve.cli.embed import embed_command
from adserve.cli.explain import explain_command
from adserve.cli.failures import tell
from adserve.cli.moving import backup_command, restore_command, store_group
from adserve.cli.options import shared
from adserve.cli.reports import report_command
from adserve.cli.settings import settings_command
from adserve.cli.simulate import simulate_command
from adserve.cli.users import users_group
from adserve.errors import AdserveError
from adserve.http import listen
from adserve.serving import store_of, work
from adserve.settings import load
from adserve.supervisor import Supervisor


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="adserve")
def cli() -> None:
    """A self-hosted ad server that counts exactly once."""
    logs.configure()


@cli.command("serve")
@shared
@click.option("--host")
@click.option("--port")
@click.option("--workers")
@click.option("--public-url")
def serve_command(**flags: Any) -> None:
    """Serve, with settings from flags, the environment and adserve.toml."""
    settings = load(flags, os.environ)
    logs.configure(settings.log_format)
    sock = listen(settings.host, settings.port)
    with store_of(settings) as (_, store):
        try:
            asyncio.run(Supervisor(settings, store, sock, lambda: load(flags, os.environ)).run())
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not leave the store behind


@cli.command("worker", hidden=True)
@click.argument("files", nargs=3, type=int)
@click.option("--hold", type=float, help="seconds to wait for the catalog before accepting")
@click.option("--board", nargs=2, type=int, help="the file with the figures of all workers, and a row in it")
def worker_command(files: tuple[int, int, int], *, hold: float | None, board: tuple[int, int] | None) -> None:
    """One worker of `serve`, which starts it: with its socket, its life, where to say that it is ready and where its
    figures stand; and to `hold`, in a service that has begun."""
    sock, life, ready = files
    settings = load({}, os.environ, Path(os.devnull))
    logs.configure(settings.log_format)
    with store_of(settings) as (url, store):
        accepted = socket.socket(fileno=sock)
        uvloop.run(work(settings, url, store, accepted, life=life, ready=ready, hold_s=hold, board=board))


@cli.command("demo")
@shared
@click.option("--host")
@click.option("--port")
@click.option("--reset", is_flag=True, help="forget the demo's data and seed it again")
def demo_command(reset: bool, **flags: Any) -> None:
    """Serve a news page with its five placements filled, and a week of synthetic figures."""
    from adserve.demo.run import demo

    demo(flags, os.environ, reset=reset)


for command in (
    audit_command,
    availability_command,
    backup_command,
    bench_command,
    check_page_command,
    creative,
    doctor_command,
    embed_command,
    explain_command,
    keys,
    report_command,
    restore_command,
    settings_command,
    simulate_command,
    store_group,
    users_group,
):
    cli.add_command(command)


def _stop(number: int, _: object) -> None:
    """SIGTERM before anything is served, or during a command: whatever was opened is closed, the store too. A
    service that did not serve yet has drained in order."""
    sys.exit(0 if sys.argv[1:2] in (["serve"], ["demo"]) else 128 + number)


def main() -> None:
    """The entry point: known errors become a message and their exit code."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        cli(standalone_mode=False)
    except click.Abort:
        sys.exit(130)
    except (click.ClickException, AdserveError) as failure:
        tell(failure, json_="--json" in sys.argv)  # not what click parsed: it may have failed before that
        sys.exit(failure.exit_code)
