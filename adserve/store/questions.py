"""Questions from one worker to another, which may sit on another host.

DESIGN. What a worker decided it alone remembers, and whoever is asked about it is another one as likely as not. The
store is what all of them reach: a question waits in a list of the worker's incarnation for a fifth of a second, until
that one looks, and the answer under an id of its own. A worker notes that it lives whenever it looks, so that a
question to one that is gone is answered at once. Everything is gone by itself after seconds, and all of it has one hash
tag, so that each side is one call. Not chosen: a subscription (a connection more for each worker, and who missed a
message never hears of it), a port of its own for each worker (which nothing outside of a host reaches).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from adserve.errors import StoreUnavailable
from adserve.store.client import Redis, Script, understood
from adserve.store.keys import Keys

ANYONE = "any"
"""The name under which every worker may be asked."""
KEPT_S, ALIVE_S = 10, 5
WAITING, AT_ONCE = 100, 5
"""Questions that may wait for one worker, and how many it takes at a time."""
LONGEST = 16_384
"""Bytes of a question, which may hold a page's labels and key-values."""
PATIENCE_S, LOOK_S = 2.0, 0.05
"""How long and how often who asks looks for the answer."""


class Question(Struct, frozen=True):
    """`id`: of the answer. `what`: parameters as text."""

    id: str
    what: dict[str, str]


_decode = msgspec.json.Decoder(Question).decode


class Questions:
    """Both sides: who asks, and who answers."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client, self._keys = client, keys
        self._ask, self._take = Script("question"), Script("questions")

    async def ask(self, worker: str, what: dict[str, str], *, patience_s: float = PATIENCE_S) -> bytes | None:
        """The answer of a worker, an incarnation in hexadecimal or ANYONE; None when no such worker lives.
        StoreUnavailable when it does not answer in time, or has enough to do."""
        question = Question(secrets.token_hex(16), what)
        text = msgspec.json.encode(question)
        if len(text) > LONGEST:
            raise StoreUnavailable("the question is too long for another worker")
        said = await self._put(worker, text)
        if said == "nobody":
            return None
        if said != "asked":
            raise StoreUnavailable("too many questions wait for this worker; try again")
        until = asyncio.get_running_loop().time() + patience_s
        while asyncio.get_running_loop().time() < until:
            await asyncio.sleep(LOOK_S)
            if (answer := await self._answer(question.id)) is not None:
                return answer
        raise StoreUnavailable("the worker that has it does not answer; try again")

    @understood
    async def _put(self, worker: str, text: bytes) -> str:
        keys = [self._keys.alive(worker), self._keys.questions(worker)]
        return str(await self._ask.call(self._client, keys, [text, KEPT_S, WAITING]))

    @understood
    async def _answer(self, id_: str) -> bytes | None:
        execute: Any = self._client.execute_command
        found: bytes | None = await execute("GET", self._keys.answer(id_), NEVER_DECODE=True)
        return found

    @understood
    async def take(self, names: Iterable[str]) -> list[Question]:
        """What is asked of a worker under its names, for it alone to answer. What is no question is left out."""
        names = list(names)
        keys = [key for name in names for key in (self._keys.alive(name), self._keys.questions(name))]
        known = [name for name in names if name != ANYONE]
        found = []
        for text in await self._take.call(self._client, [self._keys.workers, *keys], [ALIVE_S, AT_ONCE, *known]):
            try:
                found.append(_decode(text))
            except msgspec.MsgspecError:
                continue
        return found

    @understood
    async def workers(self) -> list[str]:
        """The names of the workers that live. One may have several."""
        client: Any = self._client
        names = sorted(await client.hkeys(self._keys.workers))
        if not names:
            return []
        async with client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.exists(self._keys.alive(name))
            alive = await pipe.execute()
        gone = [name for name, lives in zip(names, alive, strict=True) if not lives]
        if gone:
            await client.hdel(self._keys.workers, *gone)
        return [name for name in names if name not in gone]

    @understood
    async def leave(self, names: Iterable[str]) -> None:
        """A worker that ends says so."""
        client: Any = self._client
        names = list(names)
        await client.delete(*(self._keys.alive(name) for name in names))
        await client.hdel(self._keys.workers, *names)

    @understood
    async def answer(self, question: Question, answer: bytes) -> None:
        await self._client.set(self._keys.answer(question.id), answer, ex=KEPT_S)
