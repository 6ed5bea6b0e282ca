"""Delivery that is not hot: endpoints that the router finds, over the same asks and answers as the hot routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from adserve.core.access import Account
from adserve.web.answers import TEXT, Answer, Head, send_answer
from adserve.web.client import Ask

Handle = Callable[[Ask, Mapping[str, str]], Awaitable[Answer]]
"""An ask and what its path names to the answer."""
Known = Callable[[str], Account | None]


class _Call:
    """ASGI: sees every method, so that a refusal has the headers of all delivery."""

    def __init__(self, handle: Handle, methods: tuple[str, ...], known: Known) -> None:
        self._handle, self._methods, self._known = handle, methods, known
        allowed = ", ".join(methods).encode()
        self._refused: Answer = (Head(405, [*TEXT, (b"allow", allowed)]), b"method not allowed\n")

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        ask = Ask.of(scope, self._known)
        named = scope["path_params"]
        answer = await self._handle(ask, named) if ask.method in self._methods else self._refused
        await send_answer(send, ask.method, answer)


def call(path: str, handle: Handle, known: Known, *methods: str) -> Route:
    """A route of delivery that takes `methods`."""
    return Route(path, _Call(handle, methods, known))
