"""`adserve creative` and `adserve keys`."""

from __future__ import annotations

from typing import Any

import click

from adserve.cli.options import as_json, read_bytes, shared, show, table, with_services
from adserve.core.access import OPERATOR, ROLES, SCOPES
from adserve.core.match import Match, etag
from adserve.core.model import Size, State
from adserve.errors import Conflict, Stale
from adserve.flows import manage, review, submit
from adserve.flows.keys import create_key, rotate_key
from adserve.flows.services import Services
from adserve.settings import Settings

_COLUMNS = ["id", "campaign", "name", "kind", "width", "height", "weight", "state", "reason"]
_APPROVED = ["id", "campaign", "name", "kind", "state", "revision", "hash"]


@click.group("creative")
def creative() -> None:
    """Add, list, approve and reject creatives."""


@creative.command("add")
@shared
@as_json
@click.argument("campaign")
@click.argument("file", required=False)
@click.option("--name", required=True)
@click.option("--click-url", required=True)
@click.option("--alt", default="", help="what the picture says, for readers who do not see it")
@click.option("--title", help="for a text creative")
@click.option("--body", help="for a text creative")
@click.option("--size", help="for an html creative, as 300x250")
@click.option("--weight", default=1)
@click.option("--approve", is_flag=True, help="approve it at once")
def add(json_: bool, campaign: str, file: str | None, approve: bool, **fields: Any) -> None:
    """Add a creative to CAMPAIGN: an image FILE, markup (a FILE that ends in .html) with --size, or text with
    --title."""
    flags = {name: fields.pop(name) for name in ("data_dir", "redis_url")}
    body = {name: value for name, value in fields.items() if value not in (None, "")}
    data = read_bytes(file) if file else None
    if file and data is not None and file.lower().endswith((".html", ".htm")):
        body |= {"kind": "html", "html": _markup(file, data)}
        data = None
    if size := body.pop("size", None):
        body |= dict(zip(("width", "height"), _sides(size), strict=True))

    async def work(services: Services, _: Settings) -> Any:
        made = await submit.submit(services, campaign, body, data, actor=OPERATOR.id)
        if approve:
            seen = Match(etag(made.version))  # what came in after it is approved by nobody
            try:
                made = await review.move(services, made.id, "approve", actor=OPERATOR.id, match=seen)
            except Stale:
                raise Conflict(f"{made.id} was changed before it was approved: look at it, then approve it") from None
        return await manage.public(services, made)

    show(with_services(flags, work), json_, lambda one: table([one], _APPROVED if approve else _COLUMNS))


def _markup(file: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise click.UsageError(f"{file} is no UTF-8") from None


def _sides(text: str) -> tuple[int, int]:
    try:
        size = Size.parse(text)
    except ValueError as problem:
        raise click.UsageError(f"--size: {problem}") from None
    return size.width, size.height


@creative.command("list")
@shared
@as_json
@click.option("--state", type=click.Choice([state.value for state in State]))
@click.option("--campaign")
def list_(json_: bool, state: str | None, campaign: str | None, **flags: Any) -> None:
    """List creatives."""

    async def work(services: Services, _: Settings) -> Any:
        found = await manage.list_things(services, "creative")
        rows = [await manage.public(services, one) for one in found]
        return [r for r in rows if (not state or r["state"] == state) and (not campaign or r["campaign"] == campaign)]

    show(with_services(flags, work), json_, lambda rows: table(rows, _COLUMNS))


@creative.command("approve")
@shared
@as_json
@click.argument("id_", metavar="ID")
@click.option("--revision", type=click.IntRange(1), help="approve this one, and none that came in after it")
def approve_(json_: bool, id_: str, revision: int | None, **flags: Any) -> None:
    """Approve the newest revision of a creative; it serves within a second. Tells which one that is, and its hash."""
    _move(flags, json_, _APPROVED, id_, "approve", revision=revision)


@creative.command("reject")
@shared
@as_json
@click.argument("id_", metavar="ID")
@click.option("--reason", required=True)
def reject(json_: bool, id_: str, reason: str, **flags: Any) -> None:
    """Reject a creative; it is gone within a second."""
    _move(flags, json_, _COLUMNS, id_, "reject", reason=reason)


def _move(flags: dict[str, Any], json_: bool, columns: list[str], id_: str, action: str, **said: Any) -> None:
    async def work(services: Services, _: Settings) -> Any:
        return await manage.public(services, await review.move(services, id_, action, actor=OPERATOR.id, **said))

    show(with_services(flags, work), json_, lambda one: table([one], columns))


@click.group("keys", invoke_without_command=True)
@shared
@as_json
@click.pass_context
def keys(context: click.Context, /, json_: bool, **flags: Any) -> None:
    """Make, list and revoke API keys; without a command, list them."""
    if context.invoked_subcommand is None:
        context.invoke(list_keys, json_=json_, **flags)
    elif json_ or any(flags.values()):
        raise click.UsageError(f"give options behind the command: adserve keys {context.invoked_subcommand} ...")


@keys.command("create")
@shared
@as_json
@click.option("--name", required=True)
@click.option("--role", help=f"one of {', '.join(ROLES)}; without it, and without --scope, admin")
@click.option("--advertiser", help="the one that a key of the role advertiser belongs to")
@click.option("--scope", "scopes", multiple=True, help=f"{', '.join(SCOPES)}; a key with a scope needs no role")
@click.option("--expires", help="days from now as 90d, or a date or time; without it never")
def create(
    json_: bool,
    name: str,
    role: str | None,
    advertiser: str | None,
    scopes: tuple[str, ...],
    expires: str | None,
    **flags: Any,
) -> None:
    """Make a key; its secret is shown once."""
    role = role or (None if scopes else "admin")
    body = {"role": role, "advertiser": advertiser, "scopes": list(scopes), "name": name, "expires": expires}

    async def work(services: Services, _: Settings) -> Any:
        made, secret = await create_key(services, body, actor=OPERATOR.id)
        return {**made.as_json(), "key": secret}

    show(with_services(flags, work, may_begin=True), json_, _key_lines)


def _key_lines(made: dict[str, Any]) -> list[str]:
    return [f"{member:10} {_text(value)}" for member, value in made.items() if value]


def _text(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


@keys.command("list")
@shared
@as_json
def list_keys(json_: bool, **flags: Any) -> None:
    """List keys (never their secrets)."""

    async def work(services: Services, _: Settings) -> Any:
        used = await services.accounts.used()
        return [one.as_json(used.get(one.id)) for one in await services.accounts.list()]

    def lines(rows: list[dict[str, Any]]) -> list[str]:
        told = [{**row, "scopes": _text(row["scopes"])} for row in rows]
        columns = ["id", "prefix", "role", "advertiser", "scopes", "name", "created", "expires", "last_used"]
        return table(told, columns)

    show(with_services(flags, work), json_, lines)


@keys.command("rotate")
@shared
@as_json
@click.argument("id_", metavar="ID")
@click.option("--grace-hours", type=int, default=24, show_default=True, help="how long the secret that it had works on")
def rotate(json_: bool, id_: str, grace_hours: int, **flags: Any) -> None:
    """Give a key another secret, which is shown once."""

    async def work(services: Services, _: Settings) -> Any:
        made, secret = await rotate_key(services, id_, {"grace_hours": grace_hours}, actor=OPERATOR.id)
        return {**made.as_json(), "key": secret}

    show(with_services(flags, work), json_, _key_lines)


@keys.command("revoke")
@shared
@as_json
@click.argument("id_", metavar="ID")
def revoke(json_: bool, id_: str, **flags: Any) -> None:
    """Revoke a key; it is dead within a second."""

    async def work(services: Services, _: Settings) -> Any:
        await services.accounts.revoke(id_, actor=OPERATOR.id)
        return {"id": id_, "revoked": True}

    show(with_services(flags, work), json_, lambda one: [f"revoked {one['id']}"])
