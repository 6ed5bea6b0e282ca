"""`adserve check-page`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

import click

from adserve.cli.options import as_json, printable, shared, show, table, with_services
from adserve.core.access import OPERATOR
from adserve.core.asking import CONTEXT
from adserve.core.model import Site, Slot
from adserve.doctor.findings import many, within, worst
from adserve.embed.place import Place
from adserve.errors import AdserveError, NoPage
from adserve.flows.explain import explain_live
from adserve.flows.manage import list_things
from adserve.flows.services import Services
from adserve.inspection.fetch import WITHIN_S, Page, fetch
from adserve.inspection.judge import Case, Sites, judge
from adserve.inspection.page import Element, Found, read
from adserve.settings import Settings

MOST_ASKED = 50
"""Slots of one page of which is told what fills them."""


@click.command("check-page")
@click.argument("address", metavar="URL")
@click.option("--url", help="where readers reach the service; default: ADSERVE_PUBLIC_URL")
@shared
@as_json
def check_page_command(address: str, url: str | None, json_: bool, **flags: Any) -> None:
    """Which slots a page has, what would fill them now, and what is wrong. Reads its HTML as it is sent, runs none of
    its scripts, and neither serves nor counts anything. Exit code 1 when there is a problem."""
    page = fetch(address)
    try:
        found = within(WITHIN_S, lambda: read(page.html, page.url))
    except TimeoutError:
        raise NoPage(f"{page.url}: its HTML could not be read in {WITHIN_S:g} s") from None

    async def work(services: Services, settings: Settings) -> dict[str, Any]:
        case = Case(page, found, settings.public_url, await _sites(services))
        findings = judge(case)
        return {
            "url": page.url,
            "status": page.status,
            "healthy": worst(findings) != "problem",
            "slots": await _slots(services, case),
            "findings": [asdict(one) for one in findings],
        }

    told = with_services({**flags, "public_url": url}, work)
    show(told, json_, _lines)
    sys.exit(0 if told["healthy"] else 1)


async def _sites(services: Services) -> Sites:
    found: dict[str, dict[str, Place]] = {
        one.id: {} for one in await list_things(services, "site") if isinstance(one, Site) and one.state != "archived"
    }
    for slot in await list_things(services, "slot"):
        if isinstance(slot, Slot) and slot.state != "archived" and slot.site in found:
            found[slot.site][slot.name] = Place.of(slot)
    return found


async def _slots(services: Services, case: Case) -> list[dict[str, Any]]:
    """What stands on the page, by kind and slot, with what would fill it; what a server rendered names no slot."""
    counted: dict[tuple[str, str, str], list[Element]] = {}
    for kind, elements in _kinds(case.found):
        for one in elements:
            counted.setdefault((kind, one.site or case.site, one.slot), []).append(one)
    rows: list[dict[str, Any]] = []
    for (kind, site, slot), elements in counted.items():
        row: dict[str, Any] = {"kind": kind, "site": site, "slot": slot, "count": len(elements)}
        row |= {"lines": [one.line for one in elements], "fills": None, "reason": None}
        if slot in case.sites.get(site, {}) and len(rows) < MOST_ASKED:
            labels = ",".join(one.attributes["data-labels"] for one in case.found.labels)
            row |= await _outcome(services, site, slot, labels, case.page)
        rows.append(row)
    return rows


def _kinds(found: Found) -> list[tuple[str, list[Element]]]:
    pictures = [one for one in found.pairs if one.name == "img"]
    frames = [one for one in found.frames if not one.noscript]
    spare = [one for one in found.frames if one.noscript]
    return [("tag", found.slots), ("server", found.units), ("frame", frames), ("noscript", spare), ("pair", pictures)]


async def _outcome(services: Services, site: str, slot: str, labels: str, page: Page) -> dict[str, Any]:
    params = {"site": site, "slot": slot}
    for name, value in (("labels", labels.strip(",")), ("url", page.url)):
        try:
            CONTEXT[name](value)
        except ValueError:  # said among the findings, or no address that targeting looks at
            continue
        params |= {name: value} if value else {}
    try:
        told = await explain_live(services, OPERATOR, params)
    except AdserveError as problem:
        return {"fills": None, "reason": problem.code}
    return {"fills": told["outcome"], "reason": None if told["outcome"] else told["reason"]}


def _lines(told: dict[str, Any]) -> list[str]:
    lines = [f"{told['url']} answers {told['status']}"]
    rows = [
        {**row, "slot": f"{row['site']}/{row['slot']}" if row["slot"] else "", "shows": row["fills"] or row["reason"]}
        for row in told["slots"]
    ]
    lines += ["", *table(rows, ["kind", "slot", "count", "shows"]), ""] if rows else []
    for one in told["findings"]:
        lines.append(f"{one['status']:8} {one['check']:8} {printable(one['detail'])}")
        lines.append(f"{'':17} -> {printable(one['remedy'])}")
    counts = {status: sum(one["status"] == status for one in told["findings"]) for status in ("problem", "warning")}
    return [*lines, ", ".join(many(count, status) for status, count in counts.items())]
