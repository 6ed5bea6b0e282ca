"""`adserve backup`, `adserve restore` and `adserve store copy`."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import click

from adserve.cli.options import as_json, of_file, shared, show, table, with_store
from adserve.cli.progress import progress
from adserve.errors import AdserveError, Conflict, SettingsError
from adserve.flows.move import backup, check_value, copy, facts, restore
from adserve.settings import Settings, load, read_keys
from adserve.signing import own_path, proofs, proofs_of, secret_path, signing_keys, write_secret
from adserve.store.archive import Header, check, replacing
from adserve.store.client import BULK_TIMEOUT_S, Redis, connect
from adserve.store.embedded import EmbeddedStore
from adserve.store.ledger import retained_s
from adserve.store.read import Reader
from adserve.store.spool import lying

replace_option = click.option("--replace", is_flag=True, help="remove what the store holds with this key prefix first")


class InUse(AdserveError):
    code = "in_use"


@click.command("backup")
@shared
@as_json
@click.argument("file", metavar="FILE", type=Path)
def backup_command(json_: bool, file: Path, **flags: Any) -> None:
    """Write the store and the signing secret of the data dir to FILE; the service may run on."""
    with progress() as tell:

        async def work(client: Redis, settings: Settings, _: EmbeddedStore | None) -> Any:
            secret = _kept_secret(settings, await check_value(client, settings.key_prefix))
            with replacing(file) as raw:
                found = await backup(
                    client,
                    settings.key_prefix,
                    await Reader(client, settings.key_prefix).clock(),
                    raw,
                    secret=secret,
                    retained_s=retained_s(settings.click_lifetime_s),
                    keep_s=settings.keep_quarters_days * 86_400,
                    tell=tell,
                )
            pending = lying(settings.data_dir / "spool", settings.key_prefix).events
            return {**found, "file": str(file), "with_secret": secret is not None, "pending": pending}

        settings, found = with_store(flags, work)
    show(found, json_, lambda one: _backup_lines(one, settings))


@click.command("restore")
@shared
@as_json
@replace_option
@click.argument("file", metavar="FILE", type=Path)
def restore_command(json_: bool, replace: bool, file: Path, **flags: Any) -> None:
    """Write a backup FILE to an empty store, and its signing secret to the data dir. All of the file is checked
    first. Stop the service that uses the store. Exit code 1 when the store then differs from the file."""
    with of_file(file):
        raw = file.open("rb")
    with raw, progress() as tell:
        header = check(raw)

        async def work(client: Redis, settings: Settings, store: EmbeddedStore | None) -> Any:
            _alone(store, settings)
            signing = _signing_state(settings, header, replace=replace)

            def prepare() -> None:
                if signing == "written" and header.secret is not None:
                    write_secret(settings, header.secret, replace=True)

            now = int((await Reader(client, settings.key_prefix).clock())())
            found = await restore(client, settings.key_prefix, now, raw, replace=replace, prepare=prepare, tell=tell)
            return {**facts(header), "to_prefix": settings.key_prefix, **found, "signing": signing}

        settings, found = with_store(flags, work, may_begin=True)
    show(found, json_, lambda one: _restore_lines(one, settings))
    sys.exit(0 if found["agrees"] else 1)


@click.group("store")
def store_group() -> None:
    """Move to another store."""


@store_group.command("copy")
@shared
@as_json
@click.option("--to", required=True, metavar="URL", help="the store to copy to")
@replace_option
def copy_command(json_: bool, to: str, replace: bool, **flags: Any) -> None:
    """Copy everything to another, empty store, with the same key prefix, and compare both. Stop the service
    first. Exit code 1 when the two differ."""
    goal = _target(flags, to)
    with progress() as tell:

        async def work(client: Redis, settings: Settings, store: EmbeddedStore | None) -> Any:
            _alone(store, settings)
            target = connect(goal, timeout_s=BULK_TIMEOUT_S, decode=False)
            try:
                now = int((await Reader(client, settings.key_prefix).clock())())
                found = await copy(client, target, settings.key_prefix, now, replace=replace, tell=tell)
            finally:
                await target.aclose()
            pending = lying(settings.data_dir / "spool", settings.key_prefix).events
            return {**found, "target": _without_credentials(goal), "pending": pending}

        _, found = with_store(flags, work)
    show(found, json_, _copy_lines)
    sys.exit(0 if found["agrees"] else 1)


def _alone(store: EmbeddedStore | None, settings: Settings) -> None:
    """InUse when another process uses the embedded store; from here on none can begin to."""
    if store is not None and not store.keep_others_out():
        raise InUse(f"{settings.data_dir} is in use by process {store.owner_pid}: stop that first. Nothing was written")


def _kept_secret(settings: Settings, proof: str | None) -> str | None:
    """The secret file of the data dir, when it is the one that this store is used with."""
    path = own_path(settings)
    if secret_path(settings) != path or not path.exists():
        return None
    text = "".join(f"{key}\n" for key in read_keys(path))
    return text if proof in proofs_of(text) else None


def _signing_state(settings: Settings, header: Header, *, replace: bool) -> str:
    """`matches`, `written` (to be), `differs` (and kept elsewhere), or `unused`. Conflict when another stands where
    that of the file belongs."""
    if header.proof is None:
        return "unused"
    path, there = secret_path(settings), []
    if path is None or path.exists():
        there = proofs(signing_keys(settings))
    if {*(proofs_of(header.secret) if header.secret else [header.proof])} <= {*there}:
        return "matches"
    if header.secret is None or path != own_path(settings):
        return "differs"
    if there and not replace:
        raise Conflict(
            f"{path} is another signing secret than that of the backup: nothing was written; --replace puts that of"
            " the backup in its place"
        )
    return "written"


def _target(flags: dict[str, Any], to: str) -> str:
    """The other store's URL, checked as the setting is."""
    try:
        return str(load({**flags, "redis_url": to}, os.environ).redis_url)
    except SettingsError as wrong:
        name = "ADSERVE_REDIS_URL (flag)"
        raise SettingsError([problem.replace(name, "--to") for problem in wrong.problems]) from None


def _without_credentials(url: str) -> str:
    """As to be printed: no user, no password, also not as parameters."""
    plain, _, query = re.sub(r"(?<=://)[^/?#]*@", "", url).partition("?")
    kept = [one for one in query.split("&") if one and one.partition("=")[0] not in ("username", "password")]
    return plain + ("?" + "&".join(kept) if kept else "")


def _backup_lines(found: dict[str, Any], settings: Settings) -> list[str]:
    lines = [f"{found['keys']} keys, {found['bytes']:,} bytes with the prefix {found['prefix']}, to {found['file']}"]
    if found["with_secret"]:
        lines.append("the signing secret is in it: whoever reads the file can make tokens")
    else:
        lines.append(f"the signing secret is not in it: keep that of {_secret_place(settings)} too")
    if found["pending"]:
        lines.append(
            f"{found['pending']} events wait in the spool and are not in it: they are counted after this moment"
        )
    return lines


def _restore_lines(found: dict[str, Any], settings: Settings) -> list[str]:
    lines = _checksums(found, "file")
    if not found["agrees"]:
        return [*lines, "the store differs from the file, and no service starts on it: restore again"]
    made = f"made {found['created_at']} by adserve {found['adserve']} from {found['store']}"
    lines.append(f"{found['keys']} keys with the prefix {found['to_prefix']}, {made}")
    if found["signing"] == "written":
        lines.append(f"the signing secret was written to {own_path(settings)}")
    elif found["signing"] == "differs":
        place = _secret_place(settings)
        lines.append(f"before the first start put the signing secret of that service in its place ({place})")
    return lines


def _copy_lines(found: dict[str, Any]) -> list[str]:
    lines = _checksums(found, "source")
    if not found["agrees"]:
        differ = (
            "the stores differ, and no service starts on the copy: see that nothing uses the source, and copy again"
        )
        return [*lines, differ]
    lines.append(f"{found['keys']} keys copied from {found['from']} to {found['to']}, and both hold the same")
    if found["pending"]:
        lines.append(f"{found['pending']} events wait in the spool: keep the data dir, the next start counts them")
    return [*lines, f"to switch, set ADSERVE_REDIS_URL to {found['target']} and keep data dir and signing secret"]


def _checksums(found: dict[str, Any], source: str) -> list[str]:
    rows = [
        {"kind": kind, "side": name, **one[side], "agrees": "yes" if one["agrees"] else "NO"}
        for kind, one in found["kinds"].items()
        for side, name in (("source", source), ("target", "store" if source == "file" else "target"))
    ]
    lines = table(rows, ["kind", "side", "keys", "bytes", "digest", "agrees"]) if rows else []
    if found["expired"]:
        lines.append(f"{found['expired']} keys were left out: their time is over")
    if found["removed"]:
        lines.append(f"{found['removed']} keys were removed first")
    return lines


def _secret_place(settings: Settings) -> str:
    return "ADSERVE_SECRET" if settings.secret is not None else str(secret_path(settings))
