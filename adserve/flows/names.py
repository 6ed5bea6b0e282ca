"""Who did something, in words, for whoever may know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from adserve.core.access import OPERATOR, Account
from adserve.core.users import USER_ID
from adserve.flows.services import Services

THE_PUBLISHER = "the publisher"


async def names_of(services: Services, account: Account, actors: Iterable[str]) -> Mapping[str, str]:
    """Ids of users and keys to what an account may read of them: who is bound to an advertiser knows its own people
    by name, and nobody else's."""
    keys = {one.id: one for one in await services.accounts.list()}
    found: dict[str, str] = {}
    for actor in {*actors}:
        user = await services.users.get(actor) if USER_ID.fullmatch(actor) else None
        known = user.account() if user is not None else keys.get(actor, OPERATOR if actor == OPERATOR.id else None)
        if account.advertiser is not None and (known is None or known.advertiser != account.advertiser):
            found[actor] = THE_PUBLISHER
        else:
            found[actor] = known.name if known is not None else actor
    return found
