"""Many script calls in one go, framed by hand: what the counting sends.

redis-py frames a command argument by argument, at a microsecond each; a commit has hundreds, most of which are the
same as in the commit before. Here they are framed once and kept, and one connection is held for as long as it is
well. Connecting, TLS, passwords, Sentinels and reading replies stay the library's, and a Cluster's client, which
finds the node of each key, is given the words one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from redis.asyncio.cluster import RedisCluster
from redis.exceptions import NoScriptError, ResponseError

from adserve.store.client import FORGOTTEN, Redis, Script


class Words(NamedTuple):
    """Arguments of a command, and the same as they go over the wire."""

    words: tuple[bytes, ...]
    wire: bytes

    @classmethod
    def of(cls, words: Iterable[str | int | bytes]) -> Words:
        """A number is sent as its decimal text."""
        found = tuple(word if isinstance(word, bytes) else str(word).encode() for word in words)
        return cls(found, b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in found))


class Call(NamedTuple):
    """One call of a script: its keys, in parts, and its arguments."""

    keys: Sequence[Words]
    args: Words


class Line:
    """The way on which one script is called."""

    def __init__(self, client: Redis, script: Script) -> None:
        self._client, self.script = client, script
        self._connection: Any = None
        self._timeout_s: float | None = None
        self._turn = asyncio.Lock()
        self.is_cluster = isinstance(client, RedisCluster)
        """Whether a call may touch one hash tag only."""

    async def send(self, calls: Sequence[Call]) -> list[Any]:
        """A reply for each call, or the ResponseError in its place. Raises whatever a connection raises: then nobody
        knows which of them were carried out."""
        async with self._turn:
            replies = await self._send(calls)
            for _ in range(FORGOTTEN):
                places = [place for place, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
                if not places:
                    break
                self.script.sha = None  # nothing was done for them
                for place, reply in zip(places, await self._send([calls[at] for at in places]), strict=True):
                    replies[place] = reply
            return replies

    async def _send(self, calls: Sequence[Call]) -> list[Any]:
        sha = (await self.script.load(self._client)).encode()
        if self.is_cluster:
            pipe = self._client.pipeline(transaction=False)
            for call in calls:
                keys = [word for part in call.keys for word in part.words]
                pipe.execute_command("EVALSHA", sha, len(keys), *keys, *call.args.words)  # it refuses pipe.evalsha
            return list(await pipe.execute(raise_on_error=False))
        try:
            if self._connection is None:
                pool: Any = self._client.connection_pool
                self._connection = await pool.get_connection()
                # one time limit for all of it, below: its own costs a task for each command that is sent
                self._timeout_s, self._connection.socket_timeout = self._connection.socket_timeout, None
            connection = self._connection
            async with asyncio.timeout(self._timeout_s):
                await connection.send_packed_command([frame(sha, call) for call in calls], check_health=False)
                return [await _reply(connection) for _ in calls]
        except BaseException:  # a reply may still be on its way: it must not be taken for that of the next call
            await self.drop()
            raise

    async def drop(self) -> None:
        """Ends the connection; the next call looks anew where the store is."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.socket_timeout = self._timeout_s
            await connection.disconnect(nowait=True)
            await self._client.connection_pool.release(connection)


def frame(sha: bytes, call: Call) -> bytes:
    """A call of a script as a RESP command.

    >>> frame(b"abc", Call([Words.of(["k"])], Words.of([7])))
    b'*5\\r\\n$7\\r\\nEVALSHA\\r\\n$3\\r\\nabc\\r\\n$1\\r\\n1\\r\\n$1\\r\\nk\\r\\n$1\\r\\n7\\r\\n'
    """
    count = b"%d" % sum(len(part.words) for part in call.keys)
    total = 3 + int(count) + len(call.args.words)
    head = b"*%d\r\n$7\r\nEVALSHA\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (total, len(sha), sha, len(count), count)
    return b"".join((head, *(part.wire for part in call.keys), call.args.wire))


async def _reply(connection: Any) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as problem:
        return problem
