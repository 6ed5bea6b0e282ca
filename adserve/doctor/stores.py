"""The store, asked as a guest: answers, durability, schema, clock, secret. Only reads; starts none.

An embedded store is found by what its lock file says, and no lock is taken: who only looks must not be
the one that others wait for, or the last one, who ends it.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from adserve import __version__
from adserve.doctor.findings import ANSWER_S, Finding, ok, problem, warning
from adserve.doctor.machine import Binary
from adserve.errors import SettingsError, UnfitStore
from adserve.settings import Settings
from adserve.signing import proofs, secret_path, signing_keys
from adserve.store.client import REPLY_ERRORS, AuthenticationError, Redis, connect, primaries
from adserve.store.durability import ACCEPT, examine, is_old, told, version_of
from adserve.store.keys import Keys
from adserve.store.load import UNFINISHED
from adserve.store.locks import facts
from adserve.store.schema import look

PINGS = 20
SLOW_MS, HOPELESS_MS = 5.0, 100.0
"""An event waits for the store once, and for 250 ms at most."""
SKEW_S = 2.0
Clock = Callable[[], float]


def store_url(settings: Settings) -> str | None:
    """The configured store, or the embedded one of this data dir if one has said where it is."""
    if settings.redis_url is not None:
        return settings.redis_url
    place = facts(settings.data_dir / "store.lock").get("socket")
    return f"unix://{place}" if place and os.path.exists(str(place)) else None


def owner_of(settings: Settings) -> int:
    """The process that owns the embedded store, as its lock file says; 0 when there is none."""
    found = facts(settings.data_dir / "owner.lock").get("pid", 0)
    return found if isinstance(found, int) and found > 0 else 0


async def check_store(settings: Settings, clock: Clock, binary: Binary | None) -> list[Finding]:
    """All that a store answers, or why none could be asked."""
    url = store_url(settings)
    if url is None:
        return [_none_runs()]
    client = connect(url, timeout_s=ANSWER_S, connections=1)
    try:
        try:
            nodes = await primaries(client)
        except REPLY_ERRORS as failed:
            return [_away(settings, failed)]
        pinged = await asyncio.gather(*map(_median_ms, nodes.values()), return_exceptions=True)
        answers = dict(zip(nodes, pinged, strict=True))
        away = [_away(settings, raised, name) for name, raised in answers.items() if isinstance(raised, BaseException)]
        medians = [one for one in pinged if not isinstance(one, BaseException)]
        if not medians:
            return away
        if settings.redis_url is None and not await _is_of(settings.data_dir, client):
            return [_none_runs()]
        there = [node for name, node in nodes.items() if not isinstance(answers[name], BaseException)]
        return [*away, *await _ask(settings, client, there, clock, binary, max(medians))]
    finally:
        await client.aclose()


async def _is_of(data_dir: Path, client: Redis) -> bool:
    """Whether the store works in this data dir; a copied one names the store of its origin."""
    try:
        async with asyncio.timeout(ANSWER_S):
            works_in = (await client.config_get("dir")).get("dir")
        return await asyncio.to_thread(os.path.samefile, str(works_in), data_dir / "store")
    except REPLY_ERRORS:
        return False


def _none_runs() -> Finding:
    return ok("store", "the embedded store does not run: start the service to have it checked")


def _away(settings: Settings, failed: BaseException, name: str = "") -> Finding:
    if not isinstance(failed, REPLY_ERRORS):
        raise failed
    text = str(failed).partition(" : <")[0]  # a client under Sentinels prints itself
    why = f"{type(failed).__name__}: {text}" if text else type(failed).__name__
    if settings.redis_url is not None:
        if _is_of_kind(failed, AuthenticationError):
            return problem("store", f"it refuses the user or password ({why})", "mend them in ADSERVE_REDIS_URL")
        if _is_of_kind(failed, TimeoutError):
            remedy = "see what keeps it or the way to it (its log, its host, a firewall)"
            return problem("store", f"{name or 'it'} does not answer within {ANSWER_S:g} s", remedy)
        return problem("store", f"{name or 'it'} does not answer ({why})", "start it, or mend ADSERVE_REDIS_URL")
    if _is_of_kind(failed, TimeoutError):
        pid = facts(settings.data_dir / "store.lock").get("pid", "unknown")
        return problem("store", f"process {pid} holds the embedded store and does not answer", "see store/store.log")
    if _is_of_kind(failed, ConnectionRefusedError, FileNotFoundError):  # what a killed one leaves
        return _none_runs()
    return problem("store", f"the embedded store does not answer ({why})", "run this as the user of the service")


def _is_of_kind(failed: BaseException | None, *kinds: type[BaseException]) -> bool:
    """Whether a failure, or one that it came from, is of such a kind: the client library wraps them."""
    while failed is not None and not isinstance(failed, kinds):
        failed = failed.__cause__ or failed.__context__
    return failed is not None


async def _median_ms(node: Any) -> float:
    """Of some round trips; the first one connects, and is not among them."""
    async with asyncio.timeout(ANSWER_S):
        await node.execute_command("PING")
    taken: list[float] = []
    begun = time.monotonic()
    while len(taken) < PINGS and (not taken or time.monotonic() - begun < ANSWER_S):
        before = time.perf_counter()
        async with asyncio.timeout(ANSWER_S):
            await node.execute_command("PING")
        taken.append((time.perf_counter() - before) * 1000)
    return statistics.median(taken)


async def _ask(
    settings: Settings, client: Redis, nodes: Sequence[Any], clock: Clock, binary: Binary | None, median_ms: float
) -> list[Finding]:
    """`nodes`: the primaries that answer. `median_ms`: of the slowest of them."""
    found: list[Finding] = []
    async with _asking(found, "store"):
        found += _version(settings, [await told(node) for node in nodes], binary)
        found.append(_latency(median_ms))
    async with _asking(found, "durability"):
        found += await _durability(settings, client)
    async with _asking(found, "clock"):
        found.append(_skew(max([await _off(node, clock) for node in nodes], key=abs)))
    keys = Keys(settings.key_prefix)
    async with _asking(found, "schema"):
        found.append(await _schema(client, keys))
    async with _asking(found, "secret"):
        found.append(await _secret(settings, client, keys))
    return found


@asynccontextmanager
async def _asking(found: list[Finding], check: str) -> AsyncIterator[None]:
    """One question: what the store refuses or does not answer in time becomes a finding."""
    try:
        async with asyncio.timeout(ANSWER_S):
            yield
    except REPLY_ERRORS as failed:
        detail = f"could not be checked: {failed or type(failed).__name__}"
        found.append(warning(check, detail, "allow INFO, TIME and GET to this user of the store"))


def _version(settings: Settings, infos: Sequence[dict[str, Any]], binary: Binary | None) -> list[Finding]:
    info = min(infos, key=lambda one: _numbers(version_of(one)))  # the oldest
    version, product = version_of(info), "valkey" if "valkey_version" in info else "redis"
    where = "the configured store" if settings.redis_url is not None else f"embedded, used by {_users(settings, info)}"
    if len(infos) > 1:
        where += f", a Cluster of {len(infos)} primaries that answer"
    if is_old(version):
        return [problem("store", f"{product} {version} is too old", "take a Redis or Valkey from 6.2 on")]
    found = [ok("store", f"answers: {product} {version or 'of unknown version'}, {where}")]
    if binary is not None and version and binary[0] == product and _numbers(binary[1]) < _numbers(version):
        detail = f"{product} {version} runs, and the next start would run {binary[1]}, which cannot read its data"
        found.append(problem("store_binary", detail, f"install {product} {version} or later"))
    return found


def _users(settings: Settings, info: dict[str, Any]) -> str:
    owner = owner_of(settings)
    return f"process {owner}" if owner else f"nobody known (server process {info.get('process_id', 'unknown')})"


def _latency(median_ms: float) -> Finding:
    detail = f"answers in {median_ms:.1f} ms (median of {PINGS})"
    if median_ms < SLOW_MS:
        return ok("latency", detail)
    report = problem if median_ms >= HOPELESS_MS else warning
    return report("latency", detail, "bring the store nearer, or see what keeps it busy (SLOWLOG GET)")


async def _durability(settings: Settings, client: Redis) -> list[Finding]:
    found = await examine(client, embedded=settings.redis_url is None)
    lines: list[Finding] = []
    for text in found.unfit:
        detail, remedy = _halves(text)
        if settings.unsafe_store:
            lines.append(warning("durability", f"{detail} (accepted with {ACCEPT})", remedy))
        else:
            lines.append(problem("durability", detail, f"{remedy}, or accept it with {ACCEPT}"))
    lines += [warning("durability", *_halves(text)) for text in found.warnings]
    return lines or [ok("durability", "evicts nothing and logs what it answers")]


def _halves(text: str) -> tuple[str, str]:
    """What was found, and the remedy behind its last colon."""
    detail, _, remedy = text.rpartition(":")
    return detail, remedy.strip()


async def _off(node: Any, clock: Clock) -> float:
    """This clock minus the store's (s), as of the middle of the question."""
    before = clock()
    seconds, micros = await node.execute_command("TIME")
    return (before + clock()) / 2 - float(seconds + micros / 1_000_000)


def _skew(off: float) -> Finding:
    if abs(off) <= SKEW_S:
        return ok("clock", f"{abs(off):.1f} s off the store's")
    detail = f"this machine is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the store"
    return warning("clock", f"{detail}, whose time counts", "let both follow the same time service (NTP)")


async def _schema(client: Redis, keys: Keys) -> Finding:
    try:
        found = await look(client, keys, __version__)
    except UnfitStore as failed:
        return problem("schema", str(failed), "do not start this adserve on it")
    if found is None:
        return ok("schema", "none yet: the store is new")
    return ok("schema", f"{found[0]}")


async def _secret(settings: Settings, client: Redis, keys: Keys) -> Finding:
    """Whether a start with this secret would be refused, by its check value alone."""
    known = await client.get(keys.secret)
    path = secret_path(settings)
    if known is None:
        return ok("secret", "the store knows none yet")
    if known == UNFINISHED:
        return problem("secret", "a restore or copy to the store was not finished", "run the same again")
    if path is not None and not path.exists():
        detail = f"{path} is gone, and the store was used with it: a start would make another and be refused"
        return problem("secret", detail, "restore it from a backup")
    try:
        ours = proofs(signing_keys(settings))
    except SettingsError as failed:
        return problem("secret", "; ".join(failed.problems), "mend the file, or restore it from a backup")
    if known in ours:
        return ok("secret", "the store knows it")
    detail = "the store was used with another secret: a start would be refused"
    return problem("secret", detail, "set ADSERVE_SECRET (or its file) to that one")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
