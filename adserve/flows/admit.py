"""Whether a worker may count on its store: asked at its start, when the store comes back, and every few
seconds. Nothing is counted on a store that was not found fit; what is answered meanwhile waits in the spool.

    away            asked again until it comes, then looked at before anything is counted
    unfit           the start stops; later on, the worker waits in plain sight until it is mended
    newer schema    the start stops; later on, the worker stops: it cannot know what the data means now
    other secret    the start stops, or the worker when its store comes later than itself. Once known, it is not
                    asked again: keys that rotate reach the workers of several hosts at different times
    half restored   as unfit
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

import structlog

from adserve import __version__
from adserve.errors import OtherSchema, SettingsError, UnfitStore
from adserve.store import durability, schema
from adserve.store.breaker import Breaker
from adserve.store.client import REPLY_ERRORS, Redis, understood
from adserve.store.keys import Keys
from adserve.store.load import UNFINISHED

log = structlog.get_logger("adserve")
LOOK_S = 5.0
"""How often a fit store is asked again whether it is."""


class Admission:
    """The one place that lets counting through. `knows_secret`: that of this module for our keys, told whether to
    renew."""

    def __init__(
        self,
        client: Redis,
        keys: Keys,
        breaker: Breaker,
        knows_secret: Callable[[bool], Awaitable[bool]],
        *,
        embedded: bool,
        unsafe: bool,
    ) -> None:
        self._client, self._keys, self._breaker, self._knows_secret = client, keys, breaker, knows_secret
        self._embedded, self._unsafe = embedded, unsafe
        self._asked = 0.0
        self._known = False
        """The store has known our secret."""
        self.given = False
        """The store was found fit, and has not been away since."""
        self.warnings: tuple[str, ...] = ()
        """What an operator should know of the store."""

    async def ask(self) -> None:
        """Raises UnfitStore (OtherSchema) or SettingsError when nothing may be counted, and what the client
        raises when the store is away. One that answers and refuses (full, read-only) is asked again later."""
        self._asked = time.monotonic()
        try:
            warnings = await fit(self._client, self._keys, embedded=self._embedded, unsafe=self._unsafe)
            given = await self._ask_for_secret()
        except UnfitStore:
            self.withdraw()
            raise
        except REPLY_ERRORS as problem:
            if durability.unreachable(problem):
                raise
            said = f"the store refuses to be checked ({type(problem).__name__}): the log has its answer"
            if said not in self.warnings:  # what it answers may name users and places, and everybody reads warnings
                log.warning("store_refuses", answer=str(problem))
            given, warnings = self.given, (said,)
        for one in warnings:
            if one not in self.warnings:
                log.warning("store_warning", detail=one)
        self.warnings, self.given = warnings, given
        if given:
            self._breaker.unbar()

    async def _ask_for_secret(self) -> bool:
        try:
            given = await self._knows_secret(not self._known)
        except SettingsError:
            if not self._known:
                raise
            return True
        self._known = self._known or given
        return given

    async def keep(self) -> None:
        """`ask`, when it is due; an unfit store is said once. Raises as `ask`, save UnfitStore itself."""
        try:
            if self.given and time.monotonic() - self._asked < LOOK_S:
                await schema.look(self._client, self._keys, __version__)
            else:
                await self.ask()
        except OtherSchema:
            raise
        except UnfitStore as problem:
            self.withdraw()
            if self.warnings != (str(problem),):
                log.error("not_counting_on_this_store", problem=str(problem))
            self.warnings = (str(problem),)

    def withdraw(self) -> None:
        """Nothing goes to the store until it is found fit (again)."""
        self.given = False
        self._breaker.bar()


@understood
async def fit(client: Redis, keys: Keys, *, embedded: bool, unsafe: bool) -> tuple[str, ...]:
    """Warnings about the store. UnfitStore when it may lose what it answered (unless `unsafe` accepts
    that), OtherSchema when its data belongs to a later adserve, which nothing accepts."""
    found = await durability.examine(client, embedded=embedded)
    await schema.look(client, keys, __version__)
    if found.unfit and not unsafe:
        lines = "".join(f"\n- {one}" for one in found.unfit)
        raise UnfitStore(
            f"the store can lose what it has answered, so adserve does not count on it:{lines}\n"
            f"or accept that with {durability.ACCEPT}"
        )
    await schema.check(client, keys, __version__)
    return tuple(f"{one} (accepted with {durability.ACCEPT})" for one in found.unfit) + found.warnings


async def knows_secret(client: Redis, keys: Keys, ours: Sequence[str], *, renew: bool = True) -> bool:
    """Whether the store's check value is one of ours; False when it cannot be asked. A new store is given the
    first; so is one that holds a later one, to `renew`. SettingsError when it is another: such a worker would refuse
    the tokens of the others. UnfitStore when its data is not whole."""
    try:
        known = await client.get(keys.secret)
        if known is None:
            await client.set(keys.secret, ours[0], nx=True)
            known = await client.get(keys.secret)
        if known in ours:
            if renew and known != ours[0]:
                await client.set(keys.secret, ours[0])
            return True
    except (*REPLY_ERRORS, ValueError):  # that one: a reply that is no text
        return False
    if known == UNFINISHED:
        raise UnfitStore("a restore or copy to the store was not finished: run the same again, then start")
    raise SettingsError(["the store was used with another secret: set ADSERVE_SECRET (or its file) to that one"])
