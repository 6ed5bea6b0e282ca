"""Answers that wait for the end of a turn of the event loop."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary


class Outbox:
    """Answers of one event loop, which are written together when every request that came with them is answered. A
    write wakes the client, or the proxy in between: written one by one they woke it for each, which cost as much as
    all the rest of a call."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[asyncio.Transport, bytes] = {}

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> Outbox:
        """The one of a loop."""
        found = _outboxes.get(loop)
        if found is None:
            found = _outboxes[loop] = cls(loop)
        return found

    def put(self, transport: asyncio.Transport, answer: bytes) -> None:
        """At most one of a connection waits."""
        if transport in self._waiting:
            self.send()
        if not self._waiting:
            self._loop.call_soon(self.send)
        self._waiting[transport] = answer

    def send(self) -> None:
        """Whoever writes to a connection in another way, or closes it, does this first."""
        waiting, self._waiting = self._waiting, {}
        for transport, answer in waiting.items():
            if not transport.is_closing():
                transport.write(answer)


_outboxes: WeakKeyDictionary[asyncio.AbstractEventLoop, Outbox] = WeakKeyDictionary()
