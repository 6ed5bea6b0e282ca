"""Keyed pairs: a picture and its link for mail, feeds and README files, where no script runs.

The picture is the bytes themselves: proxies of mail services keep what a redirect leads to under its own address.
Nothing of a request stands in an answer, and a link leads to a stored landing page or to the site's own first origin.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from starlette.routing import Route

from adserve.core.catalog import CompiledSlot, Landing
from adserve.core.urls import UrlError, check_origin
from adserve.errors import StoreUnavailable
from adserve.flows import track
from adserve.flows.frequency import NOBODY
from adserve.flows.pairs import EVERY, MOST, Got, Pairing, pair_of
from adserve.flows.serve import Reader
from adserve.flows.worker import Worker
from adserve.store.client import REPLY_ERRORS
from adserve.store.media import MediaStore
from adserve.web.answers import COMMON, HTML, TEXT, Answer, Head
from adserve.web.calls import Known, call
from adserve.web.client import Ask, agent_of, base_url, client_of, verdict_of
from adserve.web.context import context_of
from adserve.web.events import GIF, GONE, NOT_NOW
from adserve.web.parameters import Query, parameters, text

_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NUMBER = re.compile(r"[1-9][0-9]?")
_TYPES = {"png": "image/png", "jpg": "image/jpeg", "gif": "image/gif", "webp": "image/webp", "avif": "image/avif"}
_FILLED = (b"adserve-fill", b"1")
_EMPTY = (b"adserve-fill", b"0")
_PICTURES = {kind: Head(200, [*COMMON, (b"content-type", type_.encode()), _FILLED]) for kind, type_ in _TYPES.items()}
_NOTHING = (
    b"<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    b"<title>Nothing here</title><p>There is nothing behind this link now."
)


class _Found(NamedTuple):
    """What there is for a call, or a word for why there is nothing. `told`: the store said all that it knows."""

    slot: CompiledSlot | None = None
    got: Got | None = None
    landing: Landing | None = None
    why: bytes = b""
    told: bool = True


class Pairs:
    """The endpoints, over one worker."""

    def __init__(self, worker: Worker, media: MediaStore) -> None:
        self.worker, self._media, self._pairing = worker, media, Pairing(worker)

    def routes(self, known: Known) -> list[Route]:
        return [
            call("/v1/pairs/{site}/{slot}/{key}", self.picture, known, "GET", "HEAD"),
            call("/v1/pairs/{site}/{slot}/{key}/link", self.link, known, "GET", "HEAD"),
        ]

    async def picture(self, ask: Ask, path: Mapping[str, str]) -> Answer:
        """`GET /v1/pairs/{site}/{slot}/{key}`: a picture whatever happens, for a mail has nobody to tell."""
        found = await self._find(ask, path, of_picture=True)
        live = found.landing.creative.live if found.landing is not None and found.landing.parts is not None else None
        if live is None or live.media is None:
            return _pixel(found.why or b"gone")
        try:
            data = await self._media.get(live.media.file)
        except REPLY_ERRORS:
            data = None
        if data is None:
            return _pixel(b"no-picture")
        return _PICTURES[live.media.file.rpartition(".")[2]], data

    async def link(self, ask: Ask, path: Mapping[str, str]) -> Answer:
        """`GET /v1/pairs/{site}/{slot}/{key}/link`: a click on what the picture shows."""
        worker = self.worker
        found = await self._find(ask, path, of_picture=False)
        if found.got is None:
            return _home(found.slot, found.why)
        if found.landing is None and not found.told:
            return NOT_NOW
        seen = track.judge(worker, found.got.serve, "c")
        counts = ask.method == "GET" and found.got.remembered and seen.countable
        clients = found.slot.site.clients if found.slot is not None else "browser"
        verdict = verdict_of(worker, ask, agent_of(worker, ask), parameters(ask.query), clients=clients)
        name = f"{found.got.serve.incarnation:x}.{found.got.serve.ordinal}"
        way = track.click(worker, seen, name, verdict, (lambda: client_of(worker, ask)) if counts else None)
        answers = worker.figures.events["c"]
        if way.url is None:
            answers.gone += ask.method == "GET"
            return GONE
        if way.outcome is not None:
            try:
                answers.add(await way.outcome)
            except StoreUnavailable:
                worker.clicks_uncounted += 1
        return Head(302, [*TEXT, (b"location", way.url.encode("ascii")), _FILLED]), b""

    async def _find(self, ask: Ask, path: Mapping[str, str], *, of_picture: bool) -> _Found:
        worker, catalog = self.worker, self.worker.catalog
        slot = catalog.slots.get(f"{path['site']}/{path['slot']}") if catalog is not None else None
        if slot is None:
            return _Found(why=b"unknown-slot")
        if slot.slot.count_on != "serve":
            return _Found(why=b"counts-on-impression")
        if not _KEY.fullmatch(path["key"]):
            return _Found(why=b"bad-key")
        query = parameters(ask.query)
        reader = self._reader(ask, query, slot, of_picture=of_picture)
        every, number = self._every(query), self._number(query)
        pair = pair_of(slot, path["key"], number, every, int(worker.clock()))
        counts = ask.method == "GET" and reader.verdict != "prefetch"
        got = await self._pairing.get(pair, reader, counts=counts)
        if got is None:
            if of_picture and ask.method == "GET":
                self._pairing.stayed_empty(pair, reader)
            return _Found(slot, why=b"empty")
        told = True
        try:
            await track.hear_of(worker, got.serve)
        except StoreUnavailable:
            told = False
        landing = worker.catalog.landings.get(got.serve.revision) if worker.catalog is not None else None
        return _Found(slot, got, landing, told=told)

    def _reader(self, ask: Ask, query: Query, slot: CompiledSlot, *, of_picture: bool) -> Reader:
        """Whoever fetches says nothing of who reads: what a pair gets follows from the address alone."""
        worker, agent = self.worker, agent_of(self.worker, ask)
        if of_picture and worker.rules.fetches_for_a_reader(ask.headers.get(b"user-agent", b"")[:512]):
            agent = agent._replace(robot=False, declared=False)
        verdict = verdict_of(worker, ask, agent, query, clients=slot.site.clients)
        context, malformed = context_of(query, 0, None, b"")
        worker.malformed += malformed
        return Reader(verdict, 0, None, None, base_url(worker, ask), context, NOBODY)

    def _every(self, query: Query) -> str | None:
        given = text(query, b"every")
        self.worker.malformed += bool(given) and given not in EVERY
        return given if given in EVERY else None

    def _number(self, query: Query) -> int:
        given = text(query, b"n")
        if given is not None and _NUMBER.fullmatch(given) and int(given) <= MOST:
            return int(given)
        self.worker.malformed += bool(given)
        return 1


def _pixel(why: bytes) -> Answer:
    return Head(200, [*COMMON, (b"content-type", b"image/gif"), _EMPTY, (b"adserve-reason", why)]), GIF


def _home(slot: CompiledSlot | None, why: bytes) -> Answer:
    """Where a link leads that has nothing to lead to: to the site, where that is known."""
    told = (_EMPTY, (b"adserve-reason", why))
    for origin in slot.site.origins[:1] if slot is not None else ():
        try:
            return Head(302, [*TEXT, (b"location", check_origin(origin).encode("ascii") + b"/"), *told]), b""
        except (UrlError, UnicodeError):  # stored data may be tampered with
            break
    return Head(404, [*HTML, *told]), _NOTHING
