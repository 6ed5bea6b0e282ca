"""What a test waits for while the store comes and goes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.conftest import Api


async def at_rest(api: Api) -> dict[str, Any]:
    """The figures when the spool is empty and a report is answered."""
    await api.settle()
    async with asyncio.timeout(15):
        while not await reports(api):  # noqa: ASYNC110 - a try, not a wait for an event
            await asyncio.sleep(0.05)
    return await api.totals()


async def reports(api: Api) -> bool:
    """Whether a report is answered; without the store it says so and why."""
    reply = await api.call("GET", "/report?site=news")
    assert reply.status_code in (200, 503)
    assert reply.status_code == 200 or reply.json()["code"] == "store_unavailable"
    return reply.status_code == 200


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - nothing to wait on: a state of another task
            await asyncio.sleep(0.02)
