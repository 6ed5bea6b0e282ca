"""`adserve explain`."""

from __future__ import annotations

from typing import Any

import click

from adserve.cli.options import as_json, shared, show, table, with_services
from adserve.core.access import OPERATOR
from adserve.core.asking import AMOUNT, CONTEXT, KV, PLACE
from adserve.core.explained import CATALOG
from adserve.core.reasons import Reason
from adserve.core.target_checks import KV_NAME
from adserve.errors import Invalid, Problem
from adserve.flows.explain import explain_live, explain_past
from adserve.flows.services import Services
from adserve.settings import Settings

_SAID = {
    "labels": "what the page is about, with commas between",
    "url": "the page's address",
    "lang": "the reader's language, as en-GB",
    "width": "CSS pixels of the slot's box",
    "device": "desktop, mobile or tablet",
    "country": "ISO 3166-1 alpha-2, as IN",
    "pv": "the page_view of an earlier answer of the same page",
}


def _context(command: Any) -> Any:
    for name, about in reversed(_SAID.items()):
        command = click.option(f"--{name}", help=about)(command)
    return command


@click.command("explain")
@click.argument("what", metavar="SITE/SLOT|DECISION")
@shared
@as_json
@_context
@click.option("--kv", multiple=True, metavar="NAME=VALUE", help="a key-value; may be given again")
@click.option("--campaign", help="only the creatives of this campaign")
@click.option("--limit", help="how many candidates at most")
def explain_command(
    what: str, json_: bool, kv: tuple[str, ...], data_dir: str | None, redis_url: str | None, **asked: Any
) -> None:
    """Why a slot shows what it shows: what a request would get now, or what a decision was made of. The same as GET
    /api/v1/explain; a running worker is asked, which knows how goals and caps stand."""
    params = {name: value for name, value in asked.items() if value is not None}
    for pair in kv:
        name, equals, value = pair.partition("=")
        if not equals or not KV_NAME.fullmatch(name):
            raise click.UsageError(f"--kv takes NAME=VALUE, not {pair}")
        params[f"{KV}{name}"] = value
    site, slash, slot = what.partition("/")
    if slash:
        params |= {"site": site, "slot": slot}
    elif context := sorted({name.partition(".")[0] for name in params} - AMOUNT.keys()):
        raise click.UsageError(f"a decision is explained as it was made: leave out --{', --'.join(context)}")
    _check(params)

    async def work(services: Services, _: Settings) -> Any:
        if slash:
            return await explain_live(services, OPERATOR, params)
        return await explain_past(services, OPERATOR, what, params)

    show(with_services({"data_dir": data_dir, "redis_url": redis_url}, work), json_, _lines)


def _check(params: dict[str, str]) -> None:
    """Invalid names all that is wrong."""
    checks, problems = {**PLACE, **CONTEXT, **AMOUNT}, []
    for name, value in params.items():
        try:
            checks[KV if name.startswith(KV) else name](value)
        except ValueError as problem:
            problems.append(Problem(f"/{name}", str(problem)))
    if problems:
        raise Invalid(problems)


def _lines(found: dict[str, Any]) -> list[str]:
    outcome = found["outcome"] or f"nothing: {found['reason']}"
    verb = "would show" if found["decision"] is None else "showed"
    lines = [f"{found['slot']} {verb} {outcome} (catalog {found['catalog_version']}, {found['at']})"]
    if found["by"] == CATALOG:
        lines.append("no worker answers: by the stored catalog alone, as if no goal and no cap were reached")
    if not found["same"]:
        lines.append("MADE AGAIN, THE DECISION COMES OUT OTHERWISE: please report this with the log of the worker")
    rows = [{**row, "share": _percent(row["share"]), "rejected": row["rejected"] or ""} for row in found["candidates"]]
    lines += ["", *table(rows, ["creative", "campaign", "tier", "share", "rejected"])] if rows else []
    if found["left_out"]:
        lines.append(f"and {found['left_out']} more; all in all:")
        lines += [f"  {found['rejected'][one]:>7}  {one}" for one in Reason if one in found["rejected"]]
    if found["empty_share"] > 0:
        lines.append(f"empty: {_percent(found['empty_share'])}")
    return lines


def _percent(share: float) -> str:
    return f"{share * 100:.2f} %" if share else ""
