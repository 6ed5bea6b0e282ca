"""Why a slot shows what it shows, or nothing: a request that is tried, and a decision that was made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from adserve.core.access import owns
from adserve.core.asking import AMOUNT, CONTEXT, KV, PLACE, READER
from adserve.core.explained import CATALOG, OTHER
from adserve.core.explanation import PASSBACK
from adserve.core.model import DEVICES, Campaign, Creative, Slot, Thing
from adserve.errors import Invalid, NotFound, Problem
from adserve.flows.explain import explain_live, explain_past
from adserve.web.api.query import read_query
from adserve.web.console.form import asked as shown_again
from adserve.web.console.page import EVERYONE, Call, Page
from adserve.web.console.table import Cell, Column, Table, Value, show_table
from adserve.web.console.words import advice, rate, reason

EXPLAIN = "/console/explain"
TAKES = {**PLACE, **CONTEXT, **READER, **AMOUNT}
DEVICE_CHOICES = (("", "not known"), *((one, one) for one in DEVICES[1:]))
FIELDS = ("labels", "url", "lang", "country", "device", "width", "visitor", "pv", "campaign")
COLUMNS = (
    Column("Creative"),
    Column("Campaign"),
    Column("Tier", "Tiers are strict: the first that has anything to show comes before all others."),
    Column("Chance", "Its share of such requests, exactly.", number=True),
    Column("Why not", "The first rule that it fails."),
    Column("What it means"),
)


async def explain(call: Call) -> Response:
    """The form, and the explanation of what it asks."""
    asked = dict(call.query)
    if not asked.get("place") and asked.get("site") and asked.get("slot"):
        asked["place"] = f"{asked['site']}/{asked['slot']}"
    call.form = shown_again(asked) if asked else call.form
    found: dict[str, Any] | None = None
    if asked.get("place"):
        try:
            found = await explain_live(call.services, call.account, _params(asked))
        except Invalid as refused:
            call.problems = [_beside(one) for one in refused.problems]
        except NotFound as refused:
            call.problems = [Problem("/place", str(refused))]
    slots = await _slots(call)
    return await _show(call, found, title="Why is this slot empty?", slots=slots, devices=DEVICE_CHOICES)


async def past(call: Call) -> Response:
    """What a decision was made of. It is remembered by its worker for a while."""
    found = await explain_past(call.services, call.account, call.path["decision"], {})
    return await _show(call, found, title="A decision", slots=None, devices=())


def _params(asked: dict[str, str]) -> dict[str, str]:
    """The parameters of the API, checked by its own table."""
    site, _, slot = asked["place"].strip().partition("/")
    given = [("site", site), ("slot", slot), *((name, asked[name].strip()) for name in FIELDS if asked.get(name))]
    problems = []
    for line in asked.get("kv", "").splitlines():
        name, equals, value = line.strip().partition("=")
        if line.strip() and not equals:
            problems.append(Problem("/kv", "takes lines like section=world"))
        elif line.strip():
            given.append((f"{KV}{name.strip()}", value.strip()))
    if problems:
        raise Invalid(problems)
    return read_query(given, TAKES, frozenset(PLACE))


def _beside(problem: Problem) -> Problem:
    """Site and slot stand in one field, key-values in another."""
    name = problem.pointer.strip("/").partition("/")[0]
    if name in ("site", "slot"):
        return Problem("/place", f"{name} {problem.detail}", problem.code)
    if name.startswith(KV):
        return Problem("/kv", f"{name.removeprefix(KV)} {problem.detail}", problem.code)
    return problem


async def _slots(call: Call) -> list[str]:
    things, account = await call.services.catalog.all(), call.account
    slots = [one for one in things.values() if isinstance(one, Slot) and one.state != "archived"]
    if account.advertiser is None:
        return sorted(one.id for one in slots)
    own = (one for one in things.values() if isinstance(one, Campaign) and owns(account, things, one))
    booked = {place for one in own for place in one.slots}
    return sorted(one.id for one in slots if not booked.isdisjoint((one.id, f"{one.site}/*")))


async def _show(call: Call, found: dict[str, Any] | None, **values: Any) -> Response:
    things = await call.services.catalog.all()
    rows = [_row(call, one, things) for one in found["candidates"]] if found else []
    empty = "Nothing books this slot: add it to a campaign."
    table = Table("explanation", "Creatives that might have stood here", COLUMNS, rows, empty)
    return show_table(
        call,
        "explain.html.j2",
        table,
        found=found,
        verdict=_verdict(found) if found else "",
        counts=[(reason(code), count, advice(code)) for code, count in found["rejected"].items()] if found else [],
        request=_request(found["request"]) if found and found["request"] else {},
        alone=found is not None and found["by"] == CATALOG,
        empty_share=rate(found["empty_share"]) if found else None,
        **values,
    )


def _row(call: Call, one: dict[str, Any], things: Mapping[str, Thing]) -> list[Value]:
    if one["creative"] == OTHER:
        return ["campaigns of others", "", "", rate(one["share"]), "", ""]
    id_, campaign = one["creative"], one["campaign"]
    creative = things.get(f"creative:{id_}")
    name = creative.name if isinstance(creative, Creative) else id_
    return [
        Cell(name, call.url(f"/console/creatives/{id_}"), note=id_),
        Cell(campaign, call.url(f"/console/campaigns/{campaign}/report")),
        one["tier"],
        rate(one["share"]) if one["eligible"] else "",
        reason(one["rejected"]),
        advice(one["rejected"]),
    ]


def _verdict(found: dict[str, Any]) -> str:
    """What came of it, in a sentence."""
    shows = "would show" if found["decision"] is None else "showed"
    if found["outcome"] is not None and found["reason"] != PASSBACK:
        return f"{found['slot']} {shows} {found['outcome']}."
    if found["reason"] in (PASSBACK, OTHER):
        what = "the page's own fallback" if found["reason"] == PASSBACK else "a creative of others"
        return f"{found['slot']} {shows} {what}."
    return f"{found['slot']} {shows.replace('showed', 'stayed empty').replace('would show', 'would stay empty')}: " + (
        f"{reason(found['reason'])}. {advice(found['reason'])}"
    )


def _request(request: dict[str, Any]) -> dict[str, str]:
    """What the decision looked at, as text; nothing for what was not said."""
    shown = {
        "Labels": ", ".join(request["labels"]),
        "Address": request["url"],
        "Languages": ", ".join(request["languages"]),
        "Country": request["country"],
        "Device": request["device"],
        "Width": request["width"],
        "Key-values": "; ".join(f"{name}={','.join(values)}" for name, values in request["kv"].items()),
        "Counts": None if request["countable"] else "no: a robot or a prefetch",
    }
    return {name: str(value) for name, value in shown.items() if value}


PAGES = (
    Page("GET", EXPLAIN, explain, EVERYONE, nav="Why empty?"),
    Page("GET", f"{EXPLAIN}/{{decision}}", past, EVERYONE),
)
