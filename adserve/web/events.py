"""Events ahead of the router: impressions, views, clicks."""

from __future__ import annotations

import asyncio

from adserve.core.figures import Answers
from adserve.core.visitor import unsealed
from adserve.errors import BadToken, StoreUnavailable
from adserve.flows import track
from adserve.flows.worker import Worker
from adserve.web.answers import COMMON, HTML, TEXT, Answer, Head, Waiting
from adserve.web.client import Ask, agent_of, client_of, is_private, verdict_of
from adserve.web.parameters import parameters, text

GIF = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,"
    b"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
"""A transparent pixel: 43 bytes."""

PIXEL: Answer = (Head(200, [*COMMON, (b"content-type", b"image/gif")]), GIF)
_TAKEN: Answer = (Head(204, COMMON), b"")
NOT_OURS: Answer = (Head(400, TEXT), b"not a token of ours\n")
LATE: Answer = (Head(410, TEXT), b"too late\n")
NOT_NOW: Answer = (Head(503, [*TEXT, (b"retry-after", b"2")]), b"cannot answer now\n")
_ON = Head(302, TEXT)
GONE: Answer = (
    Head(410, HTML),
    b"<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    b"<title>Gone</title><p>This offer is no longer available.",
)


class Events:
    """Answers what comes with a token."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker

    def answer(self, ask: Ask, kind: str, token: str, *, heard: bool = False) -> Answer | Waiting | None:
        """`GET|POST /e/i/{token}` and `/e/v/{token}`, and `GET /c/{token}`: a click goes to the stored landing URL
        only, never to anything from the request. None when nobody has asked yet for a creative that is not known
        here."""
        worker, answers = self.worker, self.worker.figures.events[kind]
        try:
            seen = track.inspect(worker, token, kind)
        except BadToken:
            answers.bad_token += ask.method != "HEAD"
            return NOT_OURS
        if not (heard or track.is_known(worker, seen)) and (seen.countable or kind == "c"):
            return None
        verdict = self._verdict(ask, seen, kind)
        if kind == "c":
            return self._click(ask, seen, token, verdict)
        if not seen.countable:
            answers.late += 1
            return LATE
        reader = self._counts_on(ask, token)
        return _tracked(ask, seen, track.count(worker, seen, kind, verdict, reader), answers)

    def _click(self, ask: Ask, seen: track.Seen, token: str, verdict: str | None) -> Answer | Waiting:
        worker = self.worker
        counts = ask.method == "GET" and seen.countable
        way = track.click(worker, seen, token, verdict, (lambda: client_of(worker, ask)) if counts else None)
        answers = worker.figures.events["c"]
        if way.url is None:
            answers.gone += ask.method == "GET"
            return GONE
        on: Answer = (_ON.also((b"location", way.url.encode("ascii"))), b"")
        if way.outcome is None:
            answers.late += ask.method == "GET" and seen.late
            return on

        def sent_on(outcome: asyncio.Future[str]) -> Answer:
            if outcome.exception() is None:
                answers.add(outcome.result())
            else:
                worker.clicks_uncounted += 1
            return on

        return Waiting(way.outcome, sent_on)

    async def unheard(self, ask: Ask, kind: str, token: str) -> Answer | Waiting:
        """An event of a creative that this worker had not heard of: another one may have served it a moment ago."""
        worker, answers = self.worker, self.worker.figures.events[kind]
        seen = track.inspect(worker, token, kind)
        try:
            await track.hear_of(worker, seen.serve)
        except StoreUnavailable as problem:
            if kind != "c" and isinstance(problem, track.StillUnknown):
                verdict, reader = self._verdict(ask, seen, kind), self._counts_on(ask, token)
                return _tracked(ask, seen, track.put_by(worker, seen, kind, verdict, reader), answers)
            answers.refused += ask.method != "HEAD"
            return NOT_NOW
        answer = self.answer(ask, kind, token, heard=True)
        return NOT_NOW if answer is None else answer

    def _verdict(self, ask: Ask, seen: track.Seen, kind: str) -> str | None:
        worker = self.worker
        if kind == "i" and ask.headers.get(b"sec-fetch-dest") == b"document":
            return "prefetch"  # somebody opened the beacon's address: nothing was rendered
        slot = worker.catalog.slot_serials.get(seen.serve.slot) if worker.catalog else None
        clients = slot.site.clients if slot else "browser"
        return verdict_of(worker, ask, agent_of(worker, ask), parameters(ask.query), clients=clients)

    def _counts_on(self, ask: Ask, token: str) -> str:
        """What stands for the visitor on whom an event counts, or nothing. What was not made for this token is
        malformed, and the event counts without."""
        if not ask.query or b"f" not in (query := parameters(ask.query)) or is_private(ask):
            return ""
        digest = unsealed(text(query, b"f") or "", token, self.worker.keys)
        self.worker.malformed += digest is None
        return digest or ""


def _tracked(ask: Ask, seen: track.Seen, counting: asyncio.Future[str], answers: Answers) -> Waiting:
    answer = LATE if seen.late else _TAKEN if ask.method == "POST" else PIXEL

    def answered(outcome: asyncio.Future[str]) -> Answer:
        if outcome.exception() is not None:
            answers.refused += 1
            return NOT_NOW
        answers.add(outcome.result())
        return answer

    return Waiting(counting, answered)
