"""Connections to the store: one server, the primary that Sentinels name, or a Cluster.

redis-py retries commands by itself and a retried increment counts twice, so its retries are off
everywhere: what may be sent again is sent again by code that knows it is idempotent. After a failure
that code calls `recover`, or a client would go on asking where the store was.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from redis.asyncio import BlockingConnectionPool
from redis.asyncio import Redis as Redis  # the one door to the client library
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError as AuthenticationError
from redis.exceptions import NoScriptError, RedisClusterException, RedisError, ResponseError

from adserve.core.address import parse_address
from adserve.errors import StoreUnavailable

LUA = Path(__file__).parent / "lua"
HOT_TIMEOUT_S = 1.0
MANAGEMENT_TIMEOUT_S = 5.0
BULK_TIMEOUT_S = 60.0
CROWD = 256
"""Connections to a Cluster's node or a watched primary, whose clients refuse the next call instead of waiting."""
REPLY_ERRORS = (RedisError, RedisClusterException, OSError, TimeoutError, StoreUnavailable)
"""What a call to the store may raise when the store is away, slow or unwilling."""
STORE_ERRORS = (RedisError, RedisClusterException, ConnectionError, TimeoutError, StoreUnavailable)
"""The same where files are worked with too: another OSError is of those, and the client tells its own as RedisError."""
P = ParamSpec("P")
R = TypeVar("R")


def understood(call: Callable[P, Awaitable[R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """For what reads replies: one of another shape than its command has (of a proxy, a server that is another)
    is a store that does not answer, as StoreUnavailable. The client library trips over some of them itself, and over
    a connection that it has closed under another call (RuntimeError)."""

    @functools.wraps(call)
    async def understanding(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await call(*args, **kwargs)
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as problem:
            raise StoreUnavailable(f"a reply of another shape: {type(problem).__name__}") from problem

    return understanding


class _Primary(Redis):
    """The client of whatever the Sentinels name as primary; it closes its connections to them too."""

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await super().aclose(close_connection_pool)
        manager: Any = getattr(self.connection_pool, "sentinel_manager")  # noqa: B009 - not in the types
        for sentinel in manager.sentinels:
            await sentinel.aclose()


class _Cluster(RedisCluster):
    """The client of a Cluster; it also closes what is open when a failed call has left the topology to look up again,
    where the library takes itself for closed."""

    async def aclose(self) -> None:
        await super().aclose()
        await self.nodes_manager.aclose()
        await self.nodes_manager.aclose("startup_nodes")


def connect(url: str, *, timeout_s: float = MANAGEMENT_TIMEOUT_S, connections: int = 20, decode: bool = True) -> Redis:
    """A client without retries. Without `decode` everything that it answers is bytes."""
    options: dict[str, Any] = {
        "decode_responses": decode,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "retry": Retry(NoBackoff(), 0),
        "max_connections": CROWD,
        "protocol": 2,
    }
    client: Any
    if url.startswith("redis+cluster://"):
        where = parse_address(url)
        client = _Cluster(
            startup_nodes=[ClusterNode(*node) for node in where.nodes],
            username=where.user,
            password=where.password,
            require_full_coverage=False,  # the tags that are covered go on
            reinitialize_steps=0,  # a slot that moved is noted; to drop every connection would fail the calls on them
            **options,
        )
    elif url.startswith("redis+sentinel://"):
        where = parse_address(url)
        named = {"username": where.user, "password": where.password, "db": where.db}
        watchers = {name: options[name] for name in ("socket_timeout", "socket_connect_timeout", "retry", "protocol")}
        sentinels: Any = Sentinel(list(where.nodes), sentinel_kwargs=watchers, **options, **named)  # type: ignore[no-untyped-call]
        client = sentinels.master_for(where.service, redis_class=_Primary)
    else:
        # a call beyond the last connection waits for one: a crowd of callers is no failure of the store
        client = Redis.from_pool(
            BlockingConnectionPool.from_url(url, timeout=timeout_s, **options | {"max_connections": connections})
        )
    found: Redis = client  # a Cluster's client has the same commands
    return found


async def primaries(client: Redis) -> dict[str, Any]:
    """What has `execute_command` for each server that takes writes, by `host:port`; by no name where there is one."""
    if isinstance(client, RedisCluster):
        await client.initialize()
        return {node.name: node for node in client.get_primaries()}
    return {"": client}


async def recover(client: Redis) -> None:
    """After a failure: connections that may be dead are dropped, and where the store is, is asked anew."""
    with contextlib.suppress(*REPLY_ERRORS):
        if isinstance(client, RedisCluster):
            await client.nodes_manager.initialize()  # who has which slots; connections are renewed when they are free
        else:
            await client.connection_pool.disconnect(inuse_connections=False)


async def end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancels tasks until they have ended. Once is not enough: a cancellation that falls into a call
    to the store can come out of the client as a connection error, which such a task survives."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.1)


class Together:
    """A call that many make at once, made once: who asks while it runs shares the next one, which begins
    after they asked and so tells them what was true then."""

    def __init__(self, call: Callable[[], Awaitable[None]]) -> None:
        self._call = call
        self._lock = asyncio.Lock()
        self._next: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self) -> None:
        if self._next is None:
            self._next = asyncio.create_task(self._run())
            self._tasks.add(self._next)
            self._next.add_done_callback(self._done)
        await asyncio.shield(self._next)  # who gives up waiting does not end it for the others

    async def _run(self) -> None:
        async with self._lock:
            self._next = None
            await self._call()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # those who waited have it; all of them may have given up

    async def close(self) -> None:
        await end(self._tasks)


FORGOTTEN = 3
"""How often a script that the store has forgotten is loaded again for one call."""


URGENT = "#!lua flags=allow-oom\n"
"""The first line of a script that also writes where the store has no room left; stores before 7.0 do not know it."""


class Script:
    """Lua files, one after the other, called by their digest and loaded again when the store has forgotten it.
    `urgent`: a full store takes it too, so that whoever can make room gets in."""

    def __init__(self, *names: str, urgent: bool = False) -> None:
        self.text = "".join((LUA / f"{name}.lua").read_text(encoding="utf-8") for name in names)
        self.sha: str | None = None
        self._urgent = urgent

    async def load(self, client: Redis) -> str:
        if self.sha is None and self._urgent:
            with contextlib.suppress(ResponseError):
                self.sha = await client.script_load(URGENT + self.text)
        if self.sha is None:
            self.sha = await client.script_load(self.text)
        return self.sha

    async def call(self, client: Redis, keys: list[str], args: list[Any]) -> Any:
        for _ in range(FORGOTTEN):
            with contextlib.suppress(NoScriptError):
                return await client.evalsha(await self.load(client), len(keys), *keys, *args)
            self.sha = None
        return await client.evalsha(await self.load(client), len(keys), *keys, *args)
