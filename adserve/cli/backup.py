"""`adserve backup` and `adserve restore`."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click
import msgspec

from adserve.cli.options import as_json, shared, show, with_store
from adserve.cli.progress import progress
from adserve.errors import AdserveError, SettingsError
from adserve.flows.backup import backup, restore
from adserve.settings import Settings
from adserve.store.archive import replacing
from adserve.store.client import Redis
from adserve.store.dump import Times
from adserve.store.embedded import EmbeddedStore
from adserve.store.ledger import retained_s
from adserve.wiring import signing_keys

REMINDER = "keep the signing secret with it ({}): without that no token that is out counts, and no service starts"


class InUse(AdserveError):
    code = "in_use"


@click.command("backup")
@shared
@as_json
@click.argument("file", metavar="FILE")
def backup_command(json_: bool, file: str, **flags: Any) -> None:
    """Write every key of the store to FILE ('-' for stdout). The service may run on. The signing secret,
    adserve.toml and the spool are not in it."""
    with progress("backup") as shown:

        async def work(client: Redis, settings: Settings, _: EmbeddedStore | None) -> Any:
            with _written(file) as raw:
                return await backup(client, settings.key_prefix, times_of(settings), raw, shown.tell)

        try:
            settings, found = with_store(flags, work)
        except OSError as problem:
            raise click.ClickException(f"{file}: {problem.strerror or problem}") from None
    found = {**found, "file": file, "reminder": REMINDER.format(secret_place(settings))}
    if file == "-":
        click.echo(msgspec.json.encode(found) if json_ else "\n".join(_backup_lines(found)), err=True)
    else:
        show(found, json_, _backup_lines)


@click.command("restore")
@shared
@as_json
@click.option("--replace", is_flag=True, help="remove the keys that the store holds with this prefix first")
@click.argument("file", metavar="FILE")
def restore_command(json_: bool, replace: bool, file: str, **flags: Any) -> None:
    """Write a backup FILE ('-' for stdin) to the store. All of it is checked before anything is written.
    No service may use the store meanwhile."""
    with _read(file) as raw, progress("restore") as shown:

        async def work(client: Redis, settings: Settings, store: EmbeddedStore | None) -> Any:
            refuse_company(store, settings, "stop that first")
            now = int(time.time())
            return await restore(client, settings.key_prefix, now, raw, replace=replace, tell=shown.tell)

        settings, found = with_store(flags, work, may_begin=True)
    found["secret"] = _secret_state(settings, found["secret"])
    show(found, json_, lambda one: _restore_lines(one, settings))


def times_of(settings: Settings) -> Times:
    return Times(int(time.time()), retained_s(settings.click_lifetime_s), settings.keep_quarters_days * 86_400)


def secret_place(settings: Settings) -> str:
    """Where the signing secret is, for people."""
    if settings.secret is not None:
        return "ADSERVE_SECRET"
    return str((settings.secret_file or settings.data_dir / "secret").absolute())


def refuse_company(store: EmbeddedStore | None, settings: Settings, remedy: str) -> None:
    """InUse when another process uses the embedded store; from here on none can begin to."""
    if store is not None and not store.keep_others_out():
        raise InUse(f"{settings.data_dir} is in use by process {store.owner_pid}: {remedy}. Nothing was written")


@contextmanager
def _written(file: str) -> Iterator[BinaryIO]:
    if file != "-":
        with replacing(Path(file)) as raw:
            yield raw
        return
    if sys.stdout.isatty():
        raise click.UsageError("a backup is no text for a terminal: name a file, or pipe it on")
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


@contextmanager
def _read(file: str) -> Iterator[BinaryIO]:
    """The file, or all of stdin in one: it is read twice."""
    if file == "-":
        with tempfile.TemporaryFile() as kept:
            shutil.copyfileobj(sys.stdin.buffer, kept)
            kept.seek(0)
            yield kept
        return
    with contextlib.ExitStack() as stack:
        try:
            raw = stack.enter_context(Path(file).open("rb"))
        except OSError as problem:
            raise click.ClickException(f"{file}: {problem.strerror}") from None
        if not raw.seekable():
            raise click.ClickException(f"{file}: is no regular file; pipe it in and name '-'")
        yield raw


def _secret_state(settings: Settings, known: str | None) -> str:
    """Whether the service that starts here next signs with the secret of the store."""
    if known is None:
        return "unused"
    try:
        return "matches" if known in [key.proof for key in signing_keys(settings)] else "differs"
    except SettingsError:
        return "missing"


def _backup_lines(found: dict[str, Any]) -> list[str]:
    kinds = ", ".join(f"{one['keys']} {kind}" for kind, one in found["types"].items()) or "nothing"
    what = f"{found['keys']} keys ({kinds}), {found['bytes']:,} bytes with the prefix {found['prefix']}"
    return [f"{what}, to {found['file']}", found["reminder"]]


def _restore_lines(found: dict[str, Any], settings: Settings) -> list[str]:
    made = f"made {found['created_at']} by adserve {found['adserve']} from {found['store']}"
    lines = [f"{found['keys']} keys with the prefix {found['to_prefix']}, {made}"]
    if found["expired"]:
        lines.append(f"{found['expired']} keys were left out: their time is over")
    if found["removed"]:
        lines.append(f"{found['removed']} keys were removed first")
    state = {"missing": "it is not there", "differs": "it is another one"}.get(found["secret"])
    if state is not None:
        lines.append(
            f"before the first start put the signing secret of that service in its place ({secret_place(settings)}):"
            f" {state}"
        )
    return lines
