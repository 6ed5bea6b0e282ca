"""Recorded traffic: slot and page calls from a log, as the engine takes them.

Two forms, line by line. JSON, what a template or a proxy can write:

    {"at": "2026-11-24T09:30:00Z", "path": "/v1/slots/news/top?labels=world", "agent": "Mozilla/5.0", "country": "IN"}

and the common or combined format of web servers, of which time, request and user agent are read. Other lines are
counted and left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from adserve.core.catalog import Catalog, CompiledSlot
from adserve.core.model import DEVICES
from adserve.core.schedule import bucket_of
from adserve.core.slot import SlotRequest
from adserve.core.traffic import device_of
from adserve.flows.serve import MOBILE_WIDTH
from adserve.simulation.profile import Arrivals, Visit
from adserve.web.context import context_of, country_of
from adserve.web.parameters import Query, parameters, text

_COMBINED = re.compile(
    r'\S+ \S+ \S+ \[([^\]]{20,32})\] "GET (\S{1,8000}) [^"]*" [0-9]{3} \S+(?: "[^"]*" "([^"]*)")?.*'
)
_ROBOT = re.compile(r"bot|crawl|spider|slurp|headless", re.IGNORECASE)


class Line(msgspec.Struct, frozen=True):
    at: str | float
    path: str
    agent: str = "Mozilla/5.0"
    country: str | None = None


class Log:
    """The calls of a log that this catalog can answer, in the order of their times."""

    def __init__(self, lines: Iterable[str], catalog: Catalog) -> None:
        self._catalog = catalog
        self.skipped = 0
        """Lines that are no slot or page call, or of a site that is not here."""
        found: list[tuple[int, Visit]] = []
        for line in lines:
            visit = self._visit(line)
            if visit is None:
                self.skipped += bool(line.strip())
            else:
                found.append(visit)
        found.sort(key=lambda one: one[0])
        self._visits = found

    def __len__(self) -> int:
        return len(self._visits)

    @property
    def start(self) -> int:
        """The moment of the first call, epoch seconds."""
        return self._visits[0][0]

    @property
    def end(self) -> int:
        return self._visits[-1][0] + 1

    def arrivals(self) -> Iterator[Arrivals]:
        """Quarter-hour by quarter-hour; those in which nothing came are left out."""
        moments: list[int] = []
        visits: list[Visit] = []
        for moment, visit in self._visits:
            if moments and bucket_of(moment) != bucket_of(moments[0]):
                yield Arrivals(bucket_of(moments[0]), moments, visits)
                moments, visits = [], []
            moments.append(moment)
            visits.append(visit)
        if moments:
            yield Arrivals(bucket_of(moments[0]), moments, visits)

    def _visit(self, line: str) -> tuple[int, Visit] | None:
        read = _json(line) if line.lstrip().startswith("{") else _combined(line)
        if read is None:
            return None
        path, _, query = read.path.partition("?")
        asked = parameters(query.encode("utf-8", "replace"))
        slots = self._slots(path, asked)
        moment = _moment(read.at)
        if not slots or moment is None:
            return None
        device = device_of(read.agent, "", "")
        told = text(asked, b"device")
        if told in DEVICES[1:]:
            device = DEVICES.index(told)
        width = text(asked, b"width")
        box = int(width) if width is not None and width.isascii() and width.isdigit() and len(width) < 6 else None
        if box is None and DEVICES[device] == "mobile":
            box = MOBILE_WIDTH
        context, _ = context_of(asked, device, country_of(read.country or ""), b"")
        return moment, Visit(slots, SlotRequest(box, context, not _ROBOT.search(read.agent)))

    def _slots(self, path: str, query: Query) -> tuple[CompiledSlot, ...]:
        """The slots of a call, in the order in which they choose."""
        if path.startswith("/v1/slots/"):
            one = self._catalog.slots.get(path.removeprefix("/v1/slots/"))
            return () if one is None else (one,)
        if not path.startswith("/v1/pages/"):
            return ()
        of_site = self._catalog.pages.get(path.removeprefix("/v1/pages/"), ())
        names = text(query, b"slots")
        wanted = None if names is None else {name.partition(":")[0] for name in names.split(",")}
        return tuple(one for one in of_site if wanted is None or one.slot.name in wanted)


def _json(line: str) -> Line | None:
    try:
        return msgspec.json.decode(line, type=Line)
    except msgspec.MsgspecError:
        return None


def _combined(line: str) -> Line | None:
    found = _COMBINED.match(line)
    return None if found is None else Line(found[1], found[2], found[3] or "Mozilla/5.0")


def _moment(at: str | float) -> int | None:
    if isinstance(at, (int, float)):
        return int(at) if 0 <= at < 2**33 else None
    for read in (datetime.fromisoformat, lambda text: datetime.strptime(text, "%d/%b/%Y:%H:%M:%S %z")):
        try:
            moment = read(at)
        except ValueError:
            continue
        return int(moment.timestamp()) if moment.tzinfo is not None else None
    return None
