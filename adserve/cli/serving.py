"""The commands that serve: a service of one or several workers, one of its workers, and the demo."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import Any

import click
import uvloop

from adserve import logs
from adserve.cli.options import shared
from adserve.http import listen
from adserve.opening import store_of
from adserve.serving import work
from adserve.settings import load
from adserve.stopping import run
from adserve.supervisor import Supervisor


@click.command("serve")
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
            run(Supervisor(settings, store, sock, lambda: load(flags, os.environ)).run())
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not leave the store behind


@click.command("worker", hidden=True)
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
        worker = work(settings, url, store, accepted, life=life, ready=ready, hold_s=hold, board=board)
        run(worker, uvloop.new_event_loop)


@click.command("demo")
@shared
@click.option("--host")
@click.option("--port")
@click.option("--reset", is_flag=True, help="forget the demo's data and seed it again")
def demo_command(reset: bool, **flags: Any) -> None:
    """Serve a news page with its five placements filled, and a week of synthetic figures."""
    from adserve.demo.run import demo  # Pillow and its drawing, which no worker needs

    demo(flags, os.environ, reset=reset)
