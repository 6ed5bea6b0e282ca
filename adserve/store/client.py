"""Connections to the store.

redis-py retries commands by itself and a retried increment counts twice, so its retries are off
everywhere: what may be sent again is sent again by code that knows it is idempotent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from redis.asyncio import Redis as Redis  # the one door to the client library
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

LUA = Path(__file__).parent / "lua"
HOT_TIMEOUT_S = 1.0
MANAGEMENT_TIMEOUT_S = 5.0
BULK_TIMEOUT_S = 60.0
REPLY_ERRORS = (RedisError, OSError, TimeoutError)
"""What a call to the store may raise when the store is away, slow or unwilling."""


def connect(url: str, *, timeout_s: float = MANAGEMENT_TIMEOUT_S, connections: int = 20) -> Redis:
    """A client without retries. `decode_responses` is on except where bytes are wanted (media)."""
    return Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        max_connections=connections,
        protocol=2,
    )


async def end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancels tasks until they have ended. Once is not enough: a cancellation that falls into a call
    to the store can come out of the client as a connection error, which such a task survives."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.1)


class Script:
    """Lua files, one after the other, called by their digest and loaded again when the store has forgotten it."""

    def __init__(self, *names: str) -> None:
        self.text = "".join((LUA / f"{name}.lua").read_text(encoding="utf-8") for name in names)
        self.sha: str | None = None

    async def load(self, client: Redis) -> str:
        if self.sha is None:
            self.sha = await client.script_load(self.text)
        return self.sha

    async def call(self, client: Redis, keys: list[str], args: list[Any]) -> Any:
        sha = await self.load(client)
        try:
            return await client.evalsha(sha, len(keys), *keys, *args)
        except NoScriptError:
            self.sha = None
            sha = await self.load(client)
            return await client.evalsha(sha, len(keys), *keys, *args)
