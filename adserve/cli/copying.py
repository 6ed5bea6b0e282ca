"""`adserve store copy`."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

import click

from adserve.cli.backup import refuse_company, times_of
from adserve.cli.options import as_json, shared, show, table, with_store
from adserve.cli.progress import progress
from adserve.errors import SettingsError
from adserve.flows.copy import Place, copy
from adserve.settings import Settings, load
from adserve.store.client import BULK_TIMEOUT_S, Redis, connect
from adserve.store.embedded import EmbeddedStore


@click.group("store")
def store_group() -> None:
    """Move to another store."""


@store_group.command("copy")
@shared
@as_json
@click.option("--to", required=True, metavar="URL", help="the store to copy to")
@click.option("--to-prefix", metavar="PREFIX", help="the key prefix there; else the one of the settings")
@click.option("--replace", is_flag=True, help="remove the keys that the other store holds with this prefix first")
@click.option("--live", is_flag=True, help="copy while a service uses the store: for a trial, not for the move")
def copy_command(json_: bool, to: str, to_prefix: str | None, replace: bool, live: bool, **flags: Any) -> None:
    """Copy every key to another store and compare both. Stop the service before the last copy: what it
    counts meanwhile is not in it. Exit code 1 when the two differ."""
    goal = _target(flags, to, to_prefix)
    with progress("copy") as shown:

        async def work(client: Redis, settings: Settings, store: EmbeddedStore | None) -> Any:
            if not live:
                refuse_company(store, settings, "stop it first, or try the copy out with --live")
            target = connect(str(goal.redis_url), timeout_s=BULK_TIMEOUT_S)
            try:
                return await copy(
                    Place(client, settings.key_prefix),
                    Place(target, goal.key_prefix),
                    times_of(settings),
                    replace=replace,
                    tell=shown.tell,
                    comparing=lambda: shown.step("comparing both stores"),
                )
            finally:
                await target.aclose()

        settings, found = with_store(flags, work)
    found["target"] = _without_credentials(to)
    found["live"] = live or settings.redis_url is not None
    show(found, json_, _lines)
    sys.exit(0 if found["agrees"] else 1)


def _target(flags: dict[str, Any], to: str, to_prefix: str | None) -> Settings:
    """The other store's URL and prefix, checked as the settings of a start are."""
    try:
        return load({**flags, "redis_url": to, "key_prefix": to_prefix}, os.environ)
    except SettingsError as wrong:
        names = {"ADSERVE_REDIS_URL (flag)": "--to", "ADSERVE_KEY_PREFIX (flag)": "--to-prefix"}
        problems = []
        for problem in wrong.problems:
            for name, option in names.items():
                problem = problem.replace(name, option)
            problems.append(problem)
        raise SettingsError(problems) from None


def _without_credentials(url: str) -> str:
    """As to be printed: no user, no password, also not as parameters."""
    plain, _, query = re.sub(r"(?<=://)[^/?#]*@", "", url).partition("?")
    kept = [one for one in query.split("&") if one and one.partition("=")[0] not in ("username", "password")]
    return plain + ("?" + "&".join(kept) if kept else "")


def _lines(found: dict[str, Any]) -> list[str]:
    rows = []
    for kind, one in found["types"].items():
        same = {"type": kind, "agrees": "yes" if one["agrees"] else "NO"}
        for side in ("source", "target"):
            rows.append({**same, "side": side, **one[side]})
    lines = table(rows, ["type", "side", "keys", "bytes", "digest", "agrees"]) if rows else []
    if found["expire_soon"] > 0:
        lines.append(f"{found['expire_soon']} keys that expire within the hour were copied and not compared")
    if found["expired"]:
        lines.append(f"{found['expired']} keys were left out: their time is over")
    if found["removed"]:
        lines.append(f"{found['removed']} keys were removed first")
    if not found["agrees"]:
        return [*lines, f"the stores differ: copy again with --replace, and do not use {found['target']}"]
    lines.append(f"{found['keys']} keys copied from {found['from']} to {found['to']}, and both sides hold the same")
    if found["live"]:
        lines.append("what a running service counts is not in it: stop it, copy once more with --replace, then switch")
    prefix = f" and ADSERVE_KEY_PREFIX to {found['to_prefix']}" if found["to_prefix"] != found["prefix"] else ""
    return [*lines, f"to switch, set ADSERVE_REDIS_URL to {found['target']}{prefix}, with the same signing secret"]
