"""`adserve embed`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from adserve import __version__
from adserve.cli.options import as_json, shared, show, with_services
from adserve.embed.markup import ANY_KEY, Embedding, Order, embed, kinds, lines_of
from adserve.errors import NotFound
from adserve.flows.places import slots_of
from adserve.flows.services import Services
from adserve.settings import Settings

NOT_PUBLIC = "ADSERVE_PUBLIC_URL is not set: the address is that of this machine; give --url"


@click.command("embed")
@click.option("--site", required=True, help="the site whose page it is")
@click.option("--slot", "slots", multiple=True, help="a slot of it; may be given again; left out: all of them")
@click.option("--for", "kind", required=True, metavar="KIND", help=", ".join(kinds()))
@click.option("--url", help="where readers reach the service, as https://serve.example; default: ADSERVE_PUBLIC_URL")
@click.option("--key", default=ANY_KEY, help="of keyed pairs (email, rss, readme): one for each mail, item or page")
@click.option("--count", type=int, default=1, show_default=True, help="of keyed pairs: different ones at once")
@click.option("--part", help="only this part of what has several")
@shared
@as_json
def embed_command(
    site: str, slots: tuple[str, ...], kind: str, url: str | None, part: str | None, json_: bool, **more: Any
) -> None:
    """What to paste into a page, theme, template, mail or server for a slot: with the address of the service, and the
    slot's sizes and room."""
    wanted = {name: more.pop(name) for name in ("key", "count")}

    async def work(services: Services, settings: Settings) -> tuple[Embedding, bool]:
        named, found = await slots_of(services, site, slots)
        order = Order.of(base_of(settings), named, found, __version__, **wanted)
        return embed(kind, order), settings.public_url is None

    made, local = with_services({**more, "public_url": url}, work)
    if local:
        made = replace(made, notes=(NOT_PUBLIC, *made.notes))
    if part is not None and part not in [one.name for one in made.parts]:
        raise NotFound(f"there is no part {part}; parts: {', '.join(one.name for one in made.parts)}")
    show(made.as_json(), json_, lambda _: lines_of(made, part))
    if not json_:
        for note in made.notes:
            click.echo(f"note: {note}", err=True)


def base_of(settings: Settings) -> str:
    """The address that pages name; without a public one that of this machine, which no other reaches."""
    if settings.public_url is not None:
        return settings.public_url
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{'127.0.0.1' if host in ('0.0.0.0', '[::]') else host}:{settings.port}"  # noqa: S104 (compared)

