"""Why a slot shows what it shows: of a request that is only tried, and of a decision that was made.

DESIGN. A worker explains what it decided itself, with what it remembers (`core.journal`), and what it would decide now,
with how its goals and caps stand. Whoever is asked about the decision of another worker hands the question on
(`store.questions`); so does the command line, which is no worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import structlog
from msgspec.structs import replace

from adserve.core.access import OPERATOR, Account, sees
from adserve.core.asking import MOST, labels_of, request_of
from adserve.core.catalog import Catalog, CompiledSlot
from adserve.core.compile import recompile
from adserve.core.decide import PageView, decide
from adserve.core.explained import CATALOG, WORKER, as_json
from adserve.core.explanation import explain
from adserve.core.journal import Decision, Stood, things_of
from adserve.core.model import Thing
from adserve.core.page import Rendering
from adserve.core.plan import PREFIX, BadPlan
from adserve.core.rotation import Draws
from adserve.core.seen import read
from adserve.core.slot import SlotRequest
from adserve.core.standing import Standing
from adserve.core.sticky import key_of
from adserve.core.token import read_decision
from adserve.errors import AdserveError, BadToken, Invalid, NotFound, Problem, StoreUnavailable
from adserve.flows.frequency import NOBODY, Reading, Who, look
from adserve.flows.live import RECENT, answer_recent
from adserve.flows.load import in_steps
from adserve.flows.services import Services
from adserve.flows.worker import Worker
from adserve.snippet import compile_snippet
from adserve.store.client import REPLY_ERRORS
from adserve.store.questions import ANYONE, Questions

log = structlog.get_logger("adserve")
Params = Mapping[str, str]
EVERY_S = 0.2


async def explain_live(services: Services, account: Account, params: Params) -> dict[str, Any]:
    """What a request would get now, and why. `params` have passed the checks of `core.asking`, and name site and slot.
    NotFound for a slot that is not there for the account."""
    if services.explain is not None:
        told = await services.explain(account, params)
    else:
        told = None
        with contextlib.suppress(StoreUnavailable):  # the last worker ended a moment ago
            told = await _ask(services, ANYONE, account, params)
    if told is not None:
        return told
    version, things = await services.catalog.load_all()
    catalog = await in_steps(recompile(Catalog(), version, things, compile_snippet, services.catalog.bad))
    draws = Draws(random.Random(secrets.randbits(128)))  # noqa: S311 - as the workers draw
    return await _try(catalog, draws, Standing(), int(services.clock()), account, params, None)


async def explain_past(services: Services, account: Account, id_: str, params: Params) -> dict[str, Any]:
    """What a decision was made of, and that it comes out the same. NotFound when nobody remembers it, or when its slot
    is not there for the account."""
    try:
        worker = f"{read_decision(id_).incarnation:x}"
    except BadToken:
        raise NotFound("this is no id of a decision") from None
    params = {**params, DECISION: id_}
    told = None if services.explain is None else await services.explain(account, params)
    if told is None:
        told = await _ask(services, worker, account, params)
    if told is None:
        raise NotFound(FORGOTTEN)
    return told


async def explain_here(worker: Worker, account: Account, params: Params) -> dict[str, Any] | None:
    """The same by a worker: about the decision that `params` name, or else live. None when it was another worker's."""
    catalog = worker.offers
    if catalog is None:
        raise StoreUnavailable("this worker has no catalog to choose from")
    if DECISION not in params:
        return await _try(catalog, worker.draws, worker.standing, int(worker.clock()), account, params, worker)
    wanted = read_decision(params[DECISION])
    if wanted.incarnation not in names(worker):
        return None
    found = worker.journal.find(wanted)
    if found is None or not sees(account, catalog.things, found.decision.slot.slot):
        raise NotFound(FORGOTTEN)
    told = await _tell(found.decision, things_of(catalog.things, found.replaced), account, params)
    if not told["same"]:
        log.error("decision_differs", decision=params[DECISION], slot=told["slot"])
    return {**told, "decision": params[DECISION], "catalog_version": found.version, "by": WORKER}


DECISION, ADVERTISER = "decision", "advertiser"
"""What a question to another worker says besides the parameters: which decision, and whose eyes it is for."""
FORGOTTEN = "no worker that runs remembers this decision: it is too old, or its worker has ended"


def names(worker: Worker) -> set[int]:
    """The incarnations under which a worker may be asked."""
    return {worker.ledger.spaces.incarnation} | worker.journal.incarnations()


async def _try(
    catalog: Catalog,
    draws: Draws,
    standing: Standing,
    now: int,
    account: Account,
    params: Params,
    worker: Worker | None,
) -> dict[str, Any]:
    """A decision that is only tried. `worker`: knows page views and readers."""
    slot = catalog.slots.get(f"{params['site']}/{params['slot']}")
    if slot is None or not sees(account, catalog.things, slot.slot):
        raise NotFound("there is no slot with this id")
    readers = [name for name in ("visitor", "seen") if account.advertiser and name in params]
    if readers:  # what a reader has seen of others would show in the shares
        raise Invalid([Problem(f"/{name}", "is not for an advertiser: leave it out") for name in readers])
    request, page = request_of(params), None
    if worker is not None:
        request, page = await asked_of(worker, catalog, slot, request, params)
    tried, shown = draws.apart(slot.slot.serial), page.frozen() if page is not None else None
    choice = decide(slot, request, page, standing, now, tried)
    stood = None if slot.steady else Stood.now(slot, request, standing, now)
    decision = Decision(slot, request, shown, stood, now, tried.point, tried.turns, choice, 0, 0, now)
    told = await _tell(decision, catalog.things, account, params)
    return {**told, "decision": None, "catalog_version": catalog.version, "by": WORKER if worker else CATALOG}


async def _tell(decision: Decision, things: Mapping[str, Thing], account: Account, params: Params) -> dict[str, Any]:
    explained = await in_steps(explain(decision, things))
    limit, campaign = int(params.get("limit", MOST)), params.get("campaign", "")
    return as_json(decision, explained, things, account, limit=limit, campaign=campaign, labels=labels_of(params))


async def asked_of(
    worker: Worker, catalog: Catalog, slot: CompiledSlot, request: SlotRequest, params: Params
) -> tuple[SlotRequest, PageView | None]:
    """The request with what the worker knows of its page view and its reader, and the page. Invalid for a `page_view`
    or `seen` that is none of ours, or no more."""
    page: PageView | None = None
    sticky: int | None = None
    view, visitor = params.get("pv", ""), params.get("visitor", "")
    if view.startswith(PREFIX):
        try:
            plan = worker.plans.open(view, int(worker.clock()))
        except BadPlan:
            raise Invalid([Problem("/pv", "is no page_view of ours, or too old")]) from None
        key, rendering = (slot.slot.serial, 0), Rendering(catalog, plan.entries)
        context = replace(request.context, labels=request.context.labels.union(plan.labels))
        request = request._replace(context=context, planned=rendering.planned(key))
        page, sticky = rendering.page(key), plan.id
    elif view:
        sticky = key_of(f"p{view}")
    if slot.sticky:
        request = request._replace(sticky=key_of(f"v{visitor}") if visitor else sticky)
    who = NOBODY
    if visitor:
        who = Who(visitor)
    elif "seen" in params:
        kept = read(params["seen"], worker.keys) if params["seen"] else {}
        if kept is None:
            raise Invalid([Problem("/seen", "is none of ours")])
        who = Who(seen=kept, known=bool(params["seen"]))
    sight = look(worker, who, [(slot, request)])
    if isinstance(sight, Reading):
        sight = sight.sight(await sight.found)
    return request._replace(known=sight.known, tired=sight.tired), page


async def _ask(services: Services, worker: str, account: Account, what: Params) -> dict[str, Any] | None:
    """What another worker tells; None when there is none of that name. Raises what it would raise."""
    answer = await services.questions.ask(worker, {**what, ADVERTISER: account.advertiser or ""})
    if answer is None:
        return None
    found: dict[str, Any] = msgspec.json.decode(answer)
    if "told" in found:
        told: dict[str, Any] = found["told"]
        return told
    if "errors" in found:
        raise Invalid([Problem(*one) for one in found["errors"]])
    raise (NotFound if found["code"] == NotFound.code else StoreUnavailable)(found["detail"])


async def answer_others(worker: Worker, questions: Questions, may: Callable[[], bool]) -> None:
    """Answers, while it may, what others ask this worker; until it is cancelled, when the worker ends."""
    try:
        while True:
            if may() and worker.offers is not None:
                with contextlib.suppress(*REPLY_ERRORS):
                    for question in await questions.take([*_own(worker), ANYONE]):
                        await questions.answer(question, await _answer(worker, question.what))
            await asyncio.sleep(EVERY_S)
    finally:
        if may():
            with contextlib.suppress(*REPLY_ERRORS):
                await questions.leave(_own(worker))


def _own(worker: Worker) -> list[str]:
    return [f"{one:x}" for one in names(worker)]


async def _answer(worker: Worker, what: Params) -> bytes:
    """What another worker or a command is told."""
    if RECENT in what:
        return await answer_recent(worker, what)
    bound = what.get(ADVERTISER)
    account = Account("another worker", "advertiser", "", advertiser=bound) if bound else OPERATOR
    try:
        told = await explain_here(worker, account, {name: value for name, value in what.items() if name != ADVERTISER})
        if told is None:
            raise NotFound(FORGOTTEN)
    except Invalid as problem:
        return msgspec.json.encode({"errors": [(one.pointer, one.detail) for one in problem.problems]})
    except AdserveError as problem:
        return msgspec.json.encode({"code": problem.code, "detail": str(problem)})
    return msgspec.json.encode({"told": told})
