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

from adserve.core.access import OPERATOR, Account, sees
from adserve.core.asking import MOST, request_of
from adserve.core.catalog import Catalog
from adserve.core.compile import recompile
from adserve.core.decide import decide
from adserve.core.explained import as_json
from adserve.core.explanation import explain
from adserve.core.journal import Decision, Stood, things_of
from adserve.core.model import Thing
from adserve.core.rotation import Draws
from adserve.core.standing import Standing
from adserve.core.token import read_decision
from adserve.errors import AdserveError, BadToken, NotFound, StoreUnavailable
from adserve.flows.load import in_steps
from adserve.flows.services import Services
from adserve.flows.worker import Worker
from adserve.snippet import compile_snippet
from adserve.store.client import REPLY_ERRORS
from adserve.store.questions import ANYONE

log = structlog.get_logger("adserve")
Params = Mapping[str, str]
EVERY_S = 0.2
WORKER, CATALOG = "worker", "catalog"
"""Who explains: a running worker, which knows how goals and caps stand, or the stored catalog alone."""


async def explain_live(services: Services, account: Account, params: Params) -> dict[str, Any]:
    """What a request would get now, and why. `params` have passed the checks of `core.asking`, and name site and slot.
    NotFound for a slot that is not there for the account."""
    worker = services.worker
    if worker is not None:
        catalog = worker.offers
        if catalog is None:
            raise StoreUnavailable("this worker has no catalog to choose from yet")
        return await _try(catalog, worker.draws, worker.standing, int(worker.clock()), account, params, WORKER)
    told = await _ask(services, ANYONE, account, params)
    if told is not None:
        return told
    version, things = await services.catalog.load_all()
    catalog = await in_steps(recompile(Catalog(), version, things, compile_snippet, services.catalog.bad))
    draws = Draws(random.Random(secrets.randbits(128)))  # noqa: S311 - as the workers draw
    return await _try(catalog, draws, Standing(), int(services.clock()), account, params, CATALOG)


async def explain_past(services: Services, account: Account, id_: str, params: Params) -> dict[str, Any]:
    """What a decision was made of, and that it comes out the same. NotFound when nobody remembers it, or when its slot
    is not there for the account."""
    try:
        wanted = read_decision(id_)
    except BadToken:
        raise NotFound("this is no id of a decision") from None
    worker = services.worker
    if worker is None or wanted.incarnation not in names(worker):
        told = await _ask(services, f"{wanted.incarnation:x}", account, {**params, DECISION: id_})
        if told is None:
            raise NotFound(FORGOTTEN)
        return told
    found, catalog = worker.journal.find(wanted), worker.catalog
    if found is None or catalog is None:
        raise NotFound(FORGOTTEN)
    things = things_of(catalog.things, found.replaced)
    if not sees(account, catalog.things, found.decision.slot.slot):
        raise NotFound(FORGOTTEN)
    known = await _tell(found.decision, things, account, params)
    if not known["same"]:
        log.error("decision_differs", decision=id_, slot=known["slot"])
    return {**known, "decision": id_, "catalog_version": found.version, "by": WORKER}


DECISION, ADVERTISER = "decision", "advertiser"
"""What a question to another worker says besides the parameters: which decision, and whose eyes it is for."""
FORGOTTEN = "no worker that runs remembers this decision: it is too old, or its worker has ended"


def names(worker: Worker) -> set[int]:
    """The incarnations under which a worker may be asked."""
    return {worker.ledger.spaces.incarnation} | worker.journal.incarnations()


async def _try(
    catalog: Catalog, draws: Draws, standing: Standing, now: int, account: Account, params: Params, by: str
) -> dict[str, Any]:
    """A decision that is only tried."""
    slot = catalog.slots.get(f"{params['site']}/{params['slot']}")
    if slot is None or not sees(account, catalog.things, slot.slot):
        raise NotFound("there is no slot with this id")
    request, tried = request_of(params), draws.apart(slot.slot.serial)
    choice = decide(slot, request, None, standing, now, tried)
    stood = None if slot.steady else Stood.now(slot, request, standing, now)
    decision = Decision(slot, request, None, stood, now, tried.point, tried.turns, choice, 0, 0, now)
    told = await _tell(decision, catalog.things, account, params)
    return {**told, "decision": None, "catalog_version": catalog.version, "by": by}


async def _tell(decision: Decision, things: Mapping[str, Thing], account: Account, params: Params) -> dict[str, Any]:
    explained = await in_steps(explain(decision, things))
    limit, campaign = int(params.get("limit", MOST)), params.get("campaign", "")
    return as_json(decision, explained, things, account, limit=limit, campaign=campaign)


async def _ask(services: Services, worker: str, account: Account, what: Params) -> dict[str, Any] | None:
    """What another worker tells; None when there is none of that name. Raises what it would raise."""
    answer = await services.questions.ask(worker, {**what, ADVERTISER: account.advertiser or ""})
    if answer is None:
        return None
    found: dict[str, Any] = msgspec.json.decode(answer)
    if "told" in found:
        told: dict[str, Any] = found["told"]
        return told
    raise (NotFound if found["code"] == NotFound.code else StoreUnavailable)(found["detail"])


async def answer_others(services: Services, may: Callable[[], bool]) -> None:
    """Answers for ever, while it may, what others ask this worker."""
    worker, questions = services.worker, services.questions
    while worker is not None:
        if may() and worker.offers is not None:
            with contextlib.suppress(*REPLY_ERRORS):
                for question in await questions.take([*(f"{one:x}" for one in names(worker)), ANYONE]):
                    await questions.answer(question, await answer(services, question.what))
        await asyncio.sleep(EVERY_S)


async def answer(services: Services, what: Params) -> bytes:
    """The answer to another worker's question."""
    bound = what[ADVERTISER]
    account = Account("another worker", "advertiser", "", advertiser=bound) if bound else OPERATOR
    params = {name: value for name, value in what.items() if name not in (DECISION, ADVERTISER)}
    try:
        if DECISION in what:
            told = await explain_past(services, account, what[DECISION], params)
        else:
            told = await explain_live(services, account, params)
    except AdserveError as problem:
        return msgspec.json.encode({"code": problem.code, "detail": str(problem)})
    return msgspec.json.encode({"told": told})
