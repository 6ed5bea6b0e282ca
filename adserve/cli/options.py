"""What every command shares: options, printing, a store to work on."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec

from adserve.errors import NoData, StoreUnavailable
from adserve.flows.services import Services
from adserve.opening import services_only, store_of
from adserve.settings import Settings, load
from adserve.stopping import run
from adserve.store.client import BULK_TIMEOUT_S, STORE_ERRORS, Redis, connect
from adserve.store.embedded import EmbeddedStore

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


def with_services(
    flags: dict[str, Any], work: Callable[[Services, Settings], Awaitable[Any]], *, may_begin: bool = False
) -> Any:
    """Runs `work` with the management services of the configured store. Only what `may_begin` makes a
    data dir: whatever else finds none was meant for another, and an empty store would answer it."""
    settings = _settings(flags, may_begin=may_begin)

    async def ask(url: str) -> Any:
        async with services_only(settings, url) as services:
            with _told():
                return await work(services, settings)

    with store_of(settings) as (url, _):
        return run(ask(url))


def with_store(
    flags: dict[str, Any],
    work: Callable[[Redis, Settings, EmbeddedStore | None], Awaitable[Any]],
    *,
    may_begin: bool = False,
) -> tuple[Settings, Any]:
    """The same for work on the keys themselves: with a connection whose calls may take long and answer bytes."""
    settings = _settings(flags, may_begin=may_begin)

    async def ask(url: str, store: EmbeddedStore | None) -> Any:
        client = connect(url, timeout_s=BULK_TIMEOUT_S, decode=False)
        try:
            with _told():
                return await work(client, settings, store)
        finally:
            await client.aclose()

    with store_of(settings) as (url, store):
        return settings, run(ask(url, store))


@contextmanager
def _told() -> Iterator[None]:
    """Failures in words that say what to do. A StoreUnavailable without a cause is none of the client's: it says so
    itself."""
    try:
        yield
    except STORE_ERRORS as problem:
        cause: BaseException | None = problem
        if isinstance(problem, StoreUnavailable) and not isinstance(cause := problem.__cause__, STORE_ERRORS):
            if cause is None:
                raise
            cause = problem
        raise StoreUnavailable(f"the store does not answer; check ADSERVE_REDIS_URL ({cause})") from None
    except OSError as problem:
        raise click.ClickException(str(problem)) from None


def _settings(flags: dict[str, Any], *, may_begin: bool) -> Settings:
    settings = load(flags, os.environ)
    if not may_begin and settings.redis_url is None and not (settings.data_dir / "store").is_dir():
        raise NoData(
            f"nothing is kept in {settings.data_dir.absolute()}: name the service's data dir with --data-dir or"
            " ADSERVE_DATA_DIR, or its store with --redis-url or ADSERVE_REDIS_URL"
        )
    return settings


def show(value: Any, json_: bool, lines: Callable[[Any], list[str]]) -> None:
    """Prints for programs or for people."""
    if json_:
        click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
    else:
        click.echo("\n".join(lines(value)))


def table(rows: list[dict[str, Any]], columns: list[str]) -> list[str]:
    """Rows as aligned text; control characters of stored text are not printed."""
    cells = [columns] + [[printable(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(row[at]) for row in cells) for at in range(len(columns))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def printable(value: Any) -> str:
    """As text without control characters: what is stored, or a page says, drives no terminal."""
    text = "" if value is None else str(value)
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def read_bytes(path: str | Path) -> bytes:
    """A file named on the command line."""
    with of_file(path):
        return Path(path).read_bytes()


@contextmanager
def of_file(path: str | Path) -> Iterator[None]:
    """Tells whatever is wrong with a file that was named on the command line."""
    try:
        yield
    except OSError as problem:
        raise click.ClickException(f"{path}: {problem.strerror or problem}") from None
