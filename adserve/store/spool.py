"""The spool of a worker: what the store did not take in time, on disk before it is answered.

DESIGN. A file of records, appended with one write(2) each, so that a killed process loses none; it is
synced every second, so that a power cut loses what the embedded store may lose too. A record is a
line: checksum, blank, JSON. A torn last line was never answered and is left out. The worker holds an
advisory lock on its file; a file that nobody holds belongs to a dead worker, and any living one of the
same data dir replays it.

    INCARNATION-N.events   being written
    INCARNATION-N.replay   being replayed: after a crash, each of its records may have been before
    refused.events         records that the store can never take, for an operator to look at

Not chosen: SQLite (an fsync or a journal per answer), one file per event.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from adserve.core.terms import Terms
from adserve.core.token import Serve
from adserve.errors import StoreUnavailable
from adserve.store.spaces import Place

VERSION = 1
REFUSED = "refused.events"
UNPRICED = "?"
"""The `cpm` of an event whose creative its worker could not look up: what it earns is found out when it is replayed."""


class Event(NamedTuple):
    """One event to count. `verdict`: `count`, `late`, or the reason it is set aside for."""

    kind: str
    serve: Serve
    verdict: str
    cpm: str = ""
    cpc: str = ""
    client: str = ""
    """Keyed hash of client and creative, for the click rate rule; empty: no rule."""
    campaign: int = 0
    """Its serial; 0 as long as that is not known."""
    day: int = 0
    """The ordinal of the campaign's local day of the serve."""
    limits: str = ""
    """Of the campaign, see `core.terms`."""
    reader: str = ""
    """Digest of the visitor on whom an impression counts; empty: on none."""
    window_s: int = 0
    """Of the campaign's frequency."""


def event_of(kind: str, serve: Serve, verdict: str, terms: Terms, *, client: str = "", reader: str = "") -> Event:
    """An event under the terms of its campaign."""
    cpm, cpc, campaign, limits, window_s, _ = terms
    day = terms.day(serve.issued) if campaign else 0
    return Event(kind, serve, verdict, cpm, cpc, client, campaign, day, limits, reader, window_s if reader else 0)


class Flush(NamedTuple):
    """A batch of counts of one incarnation and tag: of all its serves from `start` until before `end`."""

    incarnation: int
    tag: int
    sequence: int
    start: Place
    end: Place
    cells: dict[str, int]
    """`BUCKET CELL` to count."""


class SpooledEvent(NamedTuple):
    """`again`: the store may have it already, so a bit that is set is no duplicate."""

    event: Event
    arrival: int
    again: bool


class _Line(msgspec.Struct, array_like=True):
    """A record as JSON: version, key prefix, then an event or a flush."""

    version: int
    prefix: str
    event: Event | None = None
    arrival: int = 0
    again: bool = False
    flush: Flush | None = None


Record = SpooledEvent | Flush
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Line).decode


class Spool:
    """Where one worker writes. `limit` bounds the bytes of its directory."""

    def __init__(self, directory: Path, prefix: str, incarnation: int, *, limit: int = 256_000_000) -> None:
        self.directory, self.prefix, self._limit = directory, prefix, limit
        self._name, self._number = f"{incarnation:x}", 0
        self._file: int | None = None
        self._path = Path()
        self._bytes = 0
        """Of all files of the directory, as far as this worker knows."""
        self._dirty = False
        self._torn = False
        """The last record was written in part: the next one begins a line of its own."""
        self.events = 0
        """Events written since the start of the worker; below, what became of those it replayed."""
        self.replayed = self.refused = self.torn = 0
        self.expired = 0
        """Records too old to tell whether they had been counted: never counted twice, so not at all."""

    def put_event(self, event: Event, arrival: int, *, again: bool) -> None:
        """Writes an event. StoreUnavailable when it cannot be written: then it must not be answered."""
        self._append(_Line(VERSION, self.prefix, event, arrival, again))
        self.events += 1

    def put_flush(self, flush: Flush) -> None:
        self._append(_Line(VERSION, self.prefix, flush=flush))

    def _append(self, line: _Line) -> None:
        text = _encode(line)
        data = b"%s%08x %s\n" % (b"\n" if self._torn else b"", zlib.crc32(text), text)
        try:
            file = self._file if self._file is not None else self._open()
            if self._bytes + len(data) > self._limit:
                raise StoreUnavailable("the spool is full")
            written = os.write(file, data)
        except OSError as problem:
            raise StoreUnavailable("the spool cannot be written") from problem
        self._bytes += written
        self._torn = written != len(data)
        if self._torn:  # the disk is full
            raise StoreUnavailable("the spool cannot be written")
        self._dirty = True

    def _open(self) -> int:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._number += 1
        path = self.directory / f"{self._name}-{self._number}.events"
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        self._file, self._path, self._torn = file, path, False
        self._bytes = sum(one.stat().st_size for one in self.directory.iterdir())
        return file

    def unsynced(self) -> int | None:
        """A copy of the file, for another thread to sync and close; None when all of it is on the disk."""
        if not self._dirty or self._file is None:
            return None
        self._dirty = False
        return os.dup(self._file)

    def holds_files(self) -> bool:
        """Whether a file of this worker is there, written or half replayed."""
        return any(self.directory.glob(f"{self._name}-*.*"))

    def close(self) -> None:
        """Leaves the file to whoever replays it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def rotate(self) -> Replayable | None:
        """The file written so far, to be replayed, if there is one; the next record begins another."""
        if self._file is None:
            return None
        file, path = self._file, self._path
        self._file = None
        return Replayable(file, _renamed(path), again=False)

    def orphans(self) -> Iterator[Replayable]:
        """The files of dead workers, each locked before it is given out."""
        for path in sorted(self.directory.glob("*-*.*")):
            if path.suffix not in (".events", ".replay"):
                continue
            try:
                file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            except OSError:
                continue  # replayed meanwhile
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                same = os.path.samestat(os.fstat(file), path.stat())
            except OSError:
                same = False
            if not same:
                os.close(file)
                continue
            again = path.suffix == ".replay"
            yield Replayable(file, path if again else _renamed(path), again=again)

    def refuse(self, record: Record, reason: str) -> None:
        """Keeps a record that the store can never take."""
        event, flush = (record.event, None) if isinstance(record, SpooledEvent) else (None, record)
        line = {"reason": reason, "event": event, "flush": flush}
        with (self.directory / REFUSED).open("ab") as file:
            file.write(_encode(line) + b"\n")


class Lying(NamedTuple):
    """What stands in the spools of a directory: events, the arrival of the oldest (epoch s), records of another
    prefix and files that cannot be read."""

    events: int
    oldest: int | None
    others: int


def lying(directory: Path, prefix: str) -> Lying:
    """Whoever writes them; nothing is changed."""
    events, others = 0, 0
    oldest: int | None = None
    for path in directory.glob("*-*.*"):
        try:
            with path.open("rb") as file:
                for line in map(_read, file):
                    if line and line.prefix != prefix:
                        others += 1
                    elif line and line.event is not None:
                        events, oldest = events + 1, min(oldest or line.arrival, line.arrival)
        except FileNotFoundError:  # replayed meanwhile
            continue
        except OSError:
            others += 1
    return Lying(events, oldest, others)


def _renamed(path: Path) -> Path:
    new = path.with_suffix(".replay")
    path.rename(new)
    return new


class Replayable:
    """A locked file of records. `end` removes it, `leave` keeps it for the next try."""

    def __init__(self, file: int, path: Path, *, again: bool) -> None:
        self._file, self.path, self._again = file, path, again
        self.torn = 0
        """Lines that are no whole record, as far as was read."""

    def records(self, prefix: str) -> Iterator[Record]:
        """Everything written with this key prefix, in its order, a line at a time: an outage may fill the disk,
        not the memory."""
        self.torn = 0
        with self.path.open("rb") as file:
            for raw in file:
                line = _read(raw)
                if line is None:
                    self.torn += 1
                elif line.prefix == prefix:
                    if line.event is not None:
                        yield SpooledEvent(line.event, line.arrival, line.again or self._again)
                    elif line.flush is not None:
                        yield line.flush

    def end(self) -> None:
        """Everything is replayed: the file goes."""
        self.path.unlink(missing_ok=True)
        self.leave()

    def leave(self) -> None:
        os.close(self._file)


def _read(raw: bytes) -> _Line | None:
    checksum, _, text = raw.removesuffix(b"\n").partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        line = _decode(text)
    except msgspec.MsgspecError:
        return None
    return line if line.version == VERSION else None
