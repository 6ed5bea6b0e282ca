"""How the service is: its store, its workers, what waits to be counted, what an operator should know."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from adserve.flows.services import Services
from adserve.flows.worker import Worker
from adserve.store.client import REPLY_ERRORS, primaries
from adserve.store.durability import told, version_of
from adserve.store.spool import lying

PATIENCE_S = 1.0


class Condition(NamedTuple):
    """`store`: the facts of each primary, by name; empty when the store does not answer. `workers`: that live, by the
    store, None when it does not say. `waiting`: events in the spools of this host."""

    up: bool
    store: dict[str, dict[str, str]]
    workers: int | None
    catalog_version: int | None
    waiting: int
    clock_off_s: float


async def condition(services: Services, worker: Worker, *, up: bool) -> Condition:
    """What can be said in a second."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            nodes = await primaries(services.client)
            store = {name or "store": _facts(await told(node)) for name, node in nodes.items()}
            workers: int | None = len(await services.questions.workers())
    except (*REPLY_ERRORS, TimeoutError):
        store, workers = {}, None
    version = worker.catalog.version if worker.catalog is not None else None
    spool = worker.ledger.spool
    waiting = await asyncio.to_thread(lying, spool.directory, spool.prefix)
    return Condition(up, store, workers, version, waiting.events, worker.clock_off_s)


def _facts(info: dict[str, Any]) -> dict[str, str]:
    """Of what a server tells of itself, what people ask for."""
    used, most = int(info.get("used_memory", 0) or 0), int(info.get("maxmemory", 0) or 0)
    return {
        "Version": version_of(info),
        "Memory": f"{used / 1e6:,.1f} MB" + (f" of {most / 1e6:,.1f} MB" if most else ""),
        "Evicts": str(info.get("maxmemory_policy", "not told")),
        "Log": "kept" if str(info.get("aof_enabled")) == "1" else "not kept",
        "Role": str(info.get("role", "not told")),
        "Up": f"{int(info.get('uptime_in_seconds', 0) or 0) / 3600:,.1f} hours",
    }
