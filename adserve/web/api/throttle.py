"""Who calls too often: a key by itself, and whoever has none by the network they call from."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from adserve.core.access import Account
from adserve.core.traffic import client_network
from adserve.errors import TooMany
from adserve.flows.worker import Worker
from adserve.store.limits import Allowance, Limiter
from adserve.web.client import Ask, client_of


@dataclass(frozen=True, slots=True)
class Throttle:
    """What each may."""

    limiter: Limiter
    worker: Worker
    with_key: Allowance
    without_key: Allowance

    async def admit(self, request: Request, account: Account | None) -> None:
        """Counts a call. TooMany when it is one."""
        if account is not None:
            wait_s = await self.limiter.wait_s(account.id, self.with_key)
        else:
            network = client_network(client_of(self.worker, Ask.of(request.scope, lambda _: None)))
            wait_s = await self.limiter.wait_s(self.worker.network_digest(network), self.without_key)
        if wait_s:
            raise TooMany("this is more than one caller may ask: wait as long as Retry-After says", wait_s)
