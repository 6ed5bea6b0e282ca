"""Readers and others who call the workers, and write down for the model what they were answered."""

from __future__ import annotations

import asyncio
import base64
import re
from collections import Counter, defaultdict
from typing import Any

import html5lib
import httpx2

from adserve.core.token import Key, Signer
from adserve.errors import BadToken
from tests.chaos.model import COUNT, LIFETIME_S, SKEW_S, Model, Said, Served
from tests.chaos.world import LANDING, Member, World, until

ROBOTS: dict[str, dict[str, str]] = {
    "bot": {"User-Agent": "curl/8.5.0"},
    "prefetch": {"Sec-Purpose": "prefetch"},
    "internal": {},  # it says so in the address
}
FOREIGN = Signer([Key.derive(b"a-key-that-nobody-here-has-ever-seen")])
_URL = re.compile(r"http://localhost:8000(/(?:e/)?([ivc])/[A-Za-z0-9_-]{48})")


class Readers:
    def __init__(self, world: World, model: Model) -> None:
        self.world, self.model = world, model
        self.rejected: set[str] = set()
        self._clients = 0
        self._empty: Counter[int] = Counter()
        """Requests that stayed empty, by the worker that a kill could still take them from."""

    async def visit(self, member: Member, count: int, reader: Member, then: list[str], form: str) -> None:
        """Pages by one worker whose readers send these events to another one."""
        for _ in range(count):
            if form == "empty":
                await self._open_empty(member)
            elif (one := await self.open(member, form)) is not None:
                for kind in then:
                    await self._send(one, kind, reader, None)

    async def open(self, member: Member, form: str = "json") -> Served | None:
        """A slot as a page shows it; None without an ad, which only a worker without a catalog answers."""
        as_html = form == "html"
        fills, now = member.fills, int(self.world.clock())
        headers = ROBOTS["bot"] if form == "robot" else {}
        reply = await member.ask(
            "GET", "/v1/slots/news/top", Accept="text/html" if as_html else "application/json", **headers
        )
        assert reply is not None
        assert reply.status_code == 200
        if reply.headers.get("adserve-fill") == "0" or (not as_html and not reply.json()["filled"]):
            assert not fills, "P4: an empty slot"
            return None
        if as_html:
            html5lib.HTMLParser(strict=True).parseFragment(reply.text)
        text = (
            reply.text
            if as_html
            else " ".join(str(reply.json()[f"{name}_url"]) for name in ("impression", "view", "click"))
        )
        urls = {kind: path for path, kind in _URL.findall(text)}
        assert urls.keys() == set(LIFETIME_S), "P4: a page that cannot tell what becomes of its ad"
        token = urls["i"][5:]
        payload = base64.urlsafe_b64decode(token)
        issued, revision = int.from_bytes(payload[11:15], "big"), int.from_bytes(payload[18:22], "big")
        key = next(one for one in self.world.keys if _signed(one, token))
        assert member.held.worker.catalog is not None
        creative = member.held.worker.catalog.landings[revision].creative.id
        assert creative not in self.rejected, "P6: a rejected creative serves"
        before = [one for one in self.model.serves if (one.worker, one.creative) == (member.number, creative)]
        newest = max((one.issued // 3600 * 3600 for one in before), default=0)
        assert now <= issued <= max(now, min(newest, now + SKEW_S // 2)), "dated to the moment, or to the newest hour"
        served = Served(creative, issued, key, member.number, urls)
        self.model.serves.append(served)
        return served

    async def _open_empty(self, member: Member) -> None:
        """A slot that nothing is booked on."""
        fills = member.fills
        reply = await member.ask("GET", "/v1/slots/news/bare")
        assert reply is not None
        assert (reply.status_code, reply.content, reply.headers["adserve-fill"]) == (200, b"", "0")
        self.model.empty_most += fills
        self._empty[member.number] += fills

    async def send(self, back: int, kind: str, member: Member, reason: str | None = None) -> None:
        """An event of the serve `back` serves ago, to this worker and then to others until one answers."""
        if (served := self._served(back)) is not None:
            await self._send(served, kind, member, reason)

    def _served(self, back: int) -> Served | None:
        return self.model.serves[-1 - back % len(self.model.serves)] if self.model.serves else None

    async def _send(self, served: Served, kind: str, member: Member, reason: str | None) -> None:
        now = int(self.world.clock())
        age, verdict = now - served.issued, served.judge(kind, reason, now)
        said = Said(kind, verdict or "")
        known = served.key in self.world.keys
        lands = kind == "c" and known and served.creative not in self.rejected
        counts = verdict is not None and known and (kind != "c" or lands)
        if served.spent or (counts and served.conflicts(said)):
            return
        url = served.urls[kind] + ("?internal=1" if reason == "internal" else "")
        reply, committed, unanswered = await self.until_answered(member, url, **ROBOTS.get(reason or "", {}))
        if not known or (age < -SKEW_S and kind != "c"):
            assert reply.status_code == 400, "P1: not a token of ours, or from the future"
        elif kind == "c":
            assert reply.status_code == (302 if lands else 410), "P5: a click lands; P6: not at what was rejected"
            assert reply.headers.get("location") == (LANDING if lands else None)
        else:
            assert reply.status_code == (410 if age > LIFETIME_S[kind] else 200), (kind, age)
        if counts:
            served.most += unanswered
            served.hear(said, committed=committed)

    async def until_answered(self, member: Member, url: str, **headers: str) -> tuple[httpx2.Response, bool, int]:
        """The first answer; whether the store had it at the first try; how many workers died over it before."""
        tried: list[Member] = []
        unanswered = 0
        if "X-Forwarded-For" not in headers:
            self._clients += 1  # each click by a client of its own, so that the rate rule sets none aside
            headers["X-Forwarded-For"] = self.client()
        while True:
            if member in tried:
                await self.world.rest()
                tried.clear()
            fills, before = member.fills, member.troubles()
            reply = await member.ask("GET", url, **headers)
            if reply is None:
                unanswered += 1
            elif reply.status_code != 503 or fills:
                return reply, member.troubles() == before, unanswered
            tried.append(member)
            member = next((one for one in self.world.members if one not in tried), member)

    def client(self) -> str:
        """The address of the newest client."""
        return f"198.18.{self._clients >> 8}.{self._clients & 255}"

    async def hurry(self, member: Member) -> None:
        """One client clicks more of one creative within a minute than a reader would: ten count."""
        groups: defaultdict[str, list[Served]] = defaultdict(list)
        for _ in range(22):
            if (one := await self.open(member)) is None:
                return
            groups[one.creative].append(one)
        clicked = max(groups.values(), key=len)
        if clicked[0].judge("c", None, int(self.world.clock())) != COUNT:
            return
        await self.world.until_keys()  # a client has another name under another key
        self._clients += 1
        headers = {"X-Forwarded-For": self.client()}
        answers = await asyncio.gather(*(self.until_answered(member, one.urls["c"], **headers) for one in clicked))
        assert {reply.status_code for reply, _, _ in answers} == {302}
        self.model.burst(clicked, committed=all(committed for _, committed, _ in answers))

    async def forge(self, back: int, kind: str, member: Member, place: int, how: str) -> None:
        """What is no token of ours for this purpose is refused, and HEAD consumes none."""
        if (served := self._served(back)) is None:
            return
        path, _, token = served.urls[kind].rpartition("/")
        if how == "head":
            reply = await member.api.http.head(served.urls[kind])
            assert reply.status_code in ((302, 400, 410, 503) if kind == "c" else (405,))
            return
        if how == "flip":
            other = "A" if token[place] != "A" else "B"
            token = token[:place] + other + token[place + 1 :]
        elif how == "cross":
            token = served.urls["ivc"[("ivc".index(kind) + 1 + place % 2) % 3]].rpartition("/")[2]
        elif how == "cut":
            token = token[:place]
        else:
            own = Signer([Key.derive(served.key.encode())]).verify(token, kind)
            token = FOREIGN.mint(own)["ivc".index(kind)]
        reply = await member.api.http.get(f"{path}/{token}")
        assert reply.status_code in (400, 404), ("P1", how)
        assert "location" not in reply.headers

    async def kill(self, victim: Member, kind: str, flying: list[int], turns: int) -> None:
        """A worker dies while these events are on their way to it; another takes its place."""
        sending = [asyncio.create_task(self.send(back, kind, victim)) for back in flying]
        for _ in range(turns):
            await asyncio.sleep(0)
        if not victim.holds_counts():
            self.safe(victim)
        victim.cut()
        self.world.members.remove(victim)
        await self.world.start()
        await asyncio.gather(*sending)
        await victim.bury()

    async def restart(self, member: Member) -> None:
        """An orderly end, after another has taken the place."""
        await self.world.start()
        self.world.members.remove(member)
        await member.end()
        self.safe(member)

    async def review(self, creative: str) -> None:
        """A rejected creative is approved, another is rejected unless it is the last one."""
        if creative in self.rejected:
            await self.world.review(creative, "approve")
            self.rejected.remove(creative)
        elif not self.rejected:
            self.rejected.add(creative)
            await self.world.review(creative, "reject")

    async def linger(self) -> None:
        """Until all served counts are in the store or in a spool."""
        await until(lambda: not any(one.holds_counts() for one in self.world.members))
        for one in self.world.members:
            self.safe(one)

    def safe(self, member: Member) -> None:
        """What this worker served is in the store or in the spool."""
        for one in self.model.serves:
            one.safe |= one.worker == member.number
        self.model.empty_least += self._empty.pop(member.number, 0)

    async def check(self) -> None:
        """What must hold at any moment, as far as the store can be read."""
        found: Any = None if self.world.frozen else await self.world.report()
        if found is not None:
            self.model.compare(found, at_rest=False)

    async def rest(self) -> None:
        """Every fault ends, everything is counted: the report is the model, and the audit agrees."""
        await self.world.rest()
        for one in self.world.members:
            self.safe(one)
            assert one.held.worker.clicks_uncounted == 0, "P5"
            assert (one.held.worker.ledger.spool.refused, one.held.worker.ledger.spool.torn) == (0, 0)
        self.model.settle()
        self.model.compare(await self.world.report(), at_rest=True)
        verdict = await self.world.audit()
        assert (verdict["agrees"], verdict["pending"]) == (True, 0), verdict["differences"]


def _signed(key: str, token: str) -> bool:
    try:
        Signer([Key.derive(key.encode())]).verify(token, "i")
    except BadToken:
        return False
    return True
