"""Every metric: its name, what it means, how a worker reads it and what it is of all workers together.

Label values are closed sets of this file; nothing that somebody sent ever becomes one.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from adserve import __version__
from adserve.core.figures import LIMITS_S
from adserve.metrics.process import memory_bytes, open_files, open_files_limit
from adserve.wiring import Running

Read = Callable[[Running], Mapping[str, float]]
"""Of one worker: values by label values, joined by commas."""
BUCKETS = (*map(str, LIMITS_S), "+Inf")
SUM = "sum"


@dataclass(frozen=True, slots=True)
class Metric:
    """`name` without `adserve_` in front and, of a counter, `_total` at the end. `merge`: a gauge of all workers from
    those of each. Without `read` it is told by the process above the workers, or found when somebody asks."""

    kind: Literal["counter", "gauge", "histogram"]
    name: str
    help: str
    read: Read | None = None
    labels: tuple[str, ...] = ()
    merge: Callable[[Iterable[float]], float] = max


def _one(value: Callable[[Running], float]) -> Read:
    return lambda held: {"": float(value(held))}


def _events(held: Running) -> dict[str, float]:
    events = held.worker.figures.events
    found: dict[str, float] = {}
    for kind, name in {"i": "impression", "v": "view", "c": "click"}.items():
        for outcome in ("counted", "duplicate", "late", "filtered", "spooled", "bad_token", "refused"):
            found[f"{name},{outcome}"] = getattr(events[kind], outcome)
    return {**found, "click,gone": events["c"].gone, "click,uncounted": held.worker.clicks_uncounted}


def _reads(held: Running) -> dict[str, float]:
    found = held.worker.frequencies
    reads, unanswered = (found.reads, found.unanswered) if found is not None else (0, 0)
    return {"answered": reads - unanswered, "unanswered": unanswered}


def _allowances(held: Running) -> dict[str, float]:
    return {"taken": held.worker.allowances.taken, "returned": held.worker.allowances.returned}


def _outcomes(prefix: str, *outcomes: str) -> Read:
    return lambda held: {outcome: getattr(held.worker.figures, f"{prefix}_{outcome}") for outcome in outcomes}


def _breaker(held: Running) -> dict[str, float]:
    breaker = held.worker.ledger.breaker
    state = "barred" if breaker.barred else breaker.state
    return {name: float(name == state) for name in ("closed", "half-open", "open", "barred")}


def _commits(held: Running) -> dict[str, float]:
    latency = held.worker.ledger.counts.latency
    return {**dict(zip(BUCKETS, latency.counts, strict=True)), SUM: latency.seconds}


def _catalog_age_s(held: Running) -> float:
    return time.monotonic() - held.last_contact


def _extreme(values: Iterable[float]) -> float:
    return max(values, key=abs)


METRICS: tuple[Metric, ...] = (
    Metric("counter", "slot_requests", "Slot calls",
           _outcomes("slot", "filled", "empty", "passback", "unknown", "no_catalog"), ("outcome",)),
    Metric("counter", "page_requests", "Page calls", _outcomes("page", "answered", "unknown", "no_catalog"),
           ("outcome",)),
    Metric("counter", "page_slots", "Slots of page calls",
           _outcomes("page_slots", "filled", "empty", "passback", "unknown"), ("outcome",)),
    Metric("counter", "empty_decisions", "Decisions that stayed empty, by the reason",
           lambda held: {str(reason): float(n) for reason, n in held.worker.figures.empty.items()}, ("reason",)),
    Metric("counter", "events", "Impressions, views and clicks by what was answered", _events, ("kind", "outcome")),
    Metric("counter", "clicks_uncounted", "Clicks that were sent on while neither store nor spool could count them",
           _one(lambda held: held.worker.clicks_uncounted)),
    Metric("counter", "malformed_parameters", "Query parameters that were ignored because they are malformed",
           _one(lambda held: held.worker.malformed)),
    Metric("counter", "clock_skew", "Tokens from the future", _one(lambda held: held.worker.clock_skew)),
    Metric("counter", "api_requests", "Answers of the management API by the class of their status",
           lambda held: {f"{hundreds}xx": n for hundreds, n in held.worker.figures.api.items()}, ("status",)),
    Metric("counter", "frequency_reads", "Calls that asked the store what their visitor has seen", _reads,
           ("outcome",)),
    Metric("counter", "allowances", "Serves of campaigns with goals or caps that workers took ahead, or gave back",
           _allowances, ("outcome",)),
    Metric("gauge", "limited_campaigns", "Campaigns with goals or caps that some worker looks after",
           _one(lambda held: len(held.worker.allowances))),
    Metric("counter", "events_committed", "Events that the store has committed",
           _one(lambda held: held.worker.ledger.committed)),
    Metric("histogram", "store_commit_seconds", "How long the store took for a batch of what is counted", _commits),
    Metric("counter", "store_failures", "Calls of the hot path to the store that failed",
           _one(lambda held: held.worker.ledger.failures + held.worker.ledger.counts.failures)),
    Metric("counter", "flush_failures", "Flushes of served counts that failed; each is sent again",
           _one(lambda held: held.worker.ledger.counts.failures)),
    Metric("gauge", "store_up", "Whether the store answers every worker and is fit to count on",
           _one(lambda held: held.store_up and held.admission.given), merge=min),
    Metric("gauge", "breaker_closed", "Whether events of every worker go to the store at once",
           _one(lambda held: held.worker.ledger.breaker.state == "closed"), merge=min),
    Metric("gauge", "breaker_workers", "Workers by the state of their breaker", _breaker, ("state",), merge=sum),
    Metric("counter", "breaker_opened", "How often a breaker before the store has opened",
           _one(lambda held: held.worker.ledger.breaker.opened)),
    Metric("counter", "events_spooled", "Events written to the spool",
           _one(lambda held: held.worker.ledger.spool.events)),
    Metric("counter", "events_replayed", "Events taken from a spool to the store",
           _one(lambda held: held.worker.ledger.spool.replayed)),
    Metric("counter", "events_expired", "Spooled records that came too late to be counted",
           _one(lambda held: held.worker.ledger.spool.expired)),
    Metric("counter", "events_refused", "Spooled events that the store can never take",
           _one(lambda held: held.worker.ledger.spool.refused)),
    Metric("gauge", "spool_records", "Events and served counts that wait in the spool"),
    Metric("gauge", "spool_bytes", "Bytes that the spool holds"),
    Metric("gauge", "spool_limit_bytes", "Bytes that the spool may hold",
           _one(lambda held: held.settings.spool_max_bytes)),
    Metric("gauge", "catalog_version", "Version of the catalog that every worker has, or a newer one",
           _one(lambda held: held.worker.catalog.version if held.worker.catalog else 0), merge=min),
    Metric("gauge", "catalog_version_newest", "Version of the catalog that some worker has",
           _one(lambda held: held.worker.catalog.version if held.worker.catalog else 0)),
    Metric("gauge", "catalog_age_seconds", "Seconds since a worker last heard from the store that its copy is right",
           _one(_catalog_age_s)),
    Metric("gauge", "bad_creatives", "Creatives and other objects skipped because their stored data is bad",
           _one(lambda held: len(held.worker.catalog.bad) if held.worker.catalog else 0)),
    Metric("gauge", "clock_off_seconds", "Seconds by which the store's clock is ahead of this host's",
           _one(lambda held: held.worker.clock_off_s), merge=_extreme),
    Metric("gauge", "workers", "Workers that run"),
    Metric("gauge", "workers_wanted", "Workers that should run"),
    Metric("gauge", "worker_silent_seconds", "Seconds since the worker that is behind most last wrote its figures"),
    Metric("counter", "worker_restarts", "Workers that took the place of one that died or was replaced",
           labels=("reason",)),
    Metric("counter", "reloads", "Reloads of settings and workers by SIGHUP", labels=("outcome",)),
    Metric("gauge", "memory_bytes", "Resident memory of all workers", _one(lambda _: memory_bytes()), merge=sum),
    Metric("counter", "cpu_seconds", "Processor time of all workers", _one(lambda _: time.process_time())),
    Metric("gauge", "open_files", "Open files of all workers", _one(lambda _: open_files()), merge=sum),
    Metric("gauge", "open_files_limit", "Files that all workers may open",
           _one(lambda _: open_files_limit()), merge=sum),
    Metric("gauge", "uptime_seconds", "Seconds since the service began"),
    Metric("gauge", "build_info", "1 for each version of adserve and Python that a worker runs",
           lambda _: {f"{__version__},{platform.python_version()}": 1}, ("version", "python")),
)  # fmt: skip


def counters_of(held: Running) -> dict[str, dict[str, float]]:
    """What one worker has counted, by metric and label values."""
    return {one.name: dict(one.read(held)) for one in METRICS if one.read is not None and one.kind != "gauge"}


def gauges_of(held: Running) -> dict[str, dict[str, float]]:
    """How one worker stands now."""
    return {one.name: dict(one.read(held)) for one in METRICS if one.read is not None and one.kind == "gauge"}
