"""The file of a backup: one gzip stream of lines, checked whole before anything of it is used.

    {"format": 1, "adserve": "0.1.0", "prefix": "adserve:", "created_at": "...", "store": "valkey 9.1.0"}
    ["e3NVfTpi...", "hash", 0, 0, ["...", "..."], ""]      a record of `core.records`, bytes in base64
    {"keys": {"hash": {"keys": 1, "bytes": 40}}, "sha256": "..."}      of all lines before

A file without its last line is torn. The checksum finds what was altered by chance, not by intent:
whoever can write the file can write another checksum.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import stat
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from adserve.core.records import Record, Tallies, flaw
from adserve.errors import AdserveError

FORMAT = 1
LEVEL = 4
"""Of compression: a third of the time of the default, a twentieth more bytes."""
LINE_MAX = 1 << 30
"""Bytes of a line: the largest value that a store takes, in base64, and what stands beside it."""


class BadBackup(AdserveError):
    code = "bad_backup"


class Header(msgspec.Struct):
    format: int
    adserve: str
    prefix: str
    created_at: str
    store: str


class Trailer(msgspec.Struct, forbid_unknown_fields=True):
    keys: dict[str, dict[str, int]]
    sha256: str


class _Format(msgspec.Struct):
    format: int
    adserve: str = "a newer adserve"


_encode = msgspec.json.Encoder().encode
_record = msgspec.json.Decoder(Record).decode


class ArchiveWriter:
    """Writes a file; without `close` it has no end and is refused."""

    def __init__(self, raw: BinaryIO, header: Header) -> None:
        self._gzip = gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=LEVEL, mtime=0)
        self._sha = hashlib.sha256()
        self.tallies = Tallies(digests=False)
        self._line(header)

    def _line(self, value: Any) -> None:
        line = _encode(value) + b"\n"
        self._sha.update(line)
        self._gzip.write(line)

    def put(self, record: Record) -> None:
        self._line(record)
        self.tallies.add(record)

    def close(self) -> Trailer:
        trailer = Trailer(self.tallies.as_json(), self._sha.hexdigest())
        self._line(trailer)
        self._gzip.close()
        return trailer


def check(file: BinaryIO) -> tuple[Header, Trailer]:
    """Reads all of a file. BadBackup with what is wrong: newer, torn, altered, or none of ours."""
    sha, tallies, before = hashlib.sha256(), Tallies(digests=False), Record(b"", "", 0, 0, [])
    file.seek(0)
    lines = _lines(file)
    first = next(lines, b"")
    header = _header(first)
    sha.update(first)
    for number, line in enumerate(lines, 2):
        if line.startswith(b"{"):
            trailer = _trailer(line, number)
            if trailer.sha256 != sha.hexdigest() or trailer.keys != tallies.as_json():
                raise BadBackup("the file was altered: its checksum is another. Nothing was written; take another copy")
            if next(lines, None) is not None:
                raise BadBackup("the file goes on behind its end. Nothing was written; take another copy")
            return header, trailer
        sha.update(line)
        try:
            record = _record(line)
        except msgspec.MsgspecError as problem:
            raise BadBackup(f"line {number} of the file is no record ({problem}). Nothing was written") from None
        wrong = flaw(record)
        if wrong is None and record.part and (record.key, record.part) != (before.key, before.part + 1):
            wrong = "a part without the one before"
        if wrong is not None:
            raise BadBackup(f"line {number} of the file is no record ({wrong}). Nothing was written")
        tallies.add(record)
        before = record
    raise BadBackup("the file is torn: its last line is missing. Nothing was written; take a whole copy")


def records(file: BinaryIO) -> Iterator[Record]:
    """The records of a file that was checked."""
    file.seek(0)
    lines = _lines(file)
    next(lines)
    for line in lines:
        if line.startswith(b"{"):
            return
        yield _record(line)


def _header(line: bytes) -> Header:
    try:
        seen = msgspec.json.decode(line, type=_Format)
        if seen.format > FORMAT:
            raise BadBackup(
                f"the file was made by {seen.adserve} in format {seen.format}, and this version reads up to {FORMAT}:"
                " restore it with that version or a newer one. Nothing was written"
            )
        return msgspec.json.decode(line, type=Header)
    except msgspec.MsgspecError:
        raise BadBackup("the file does not begin as a backup of adserve does. Nothing was written") from None


def _trailer(line: bytes, number: int) -> Trailer:
    try:
        return msgspec.json.decode(line, type=Trailer)
    except msgspec.MsgspecError:
        raise BadBackup(f"line {number} of the file is no end of a backup. Nothing was written") from None


def _lines(file: BinaryIO) -> Iterator[bytes]:
    try:
        with gzip.GzipFile(fileobj=file, mode="rb") as stream:
            while line := stream.readline(LINE_MAX):
                if not line.endswith(b"\n"):
                    raise BadBackup("the file is torn. Nothing was written; take a whole copy")
                yield line
    except EOFError:
        raise BadBackup("the file is torn. Nothing was written; take a whole copy") from None
    except (gzip.BadGzipFile, zlib.error) as problem:
        raise BadBackup(f"the file is damaged, or no backup: {problem}. Nothing was written") from None


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` when all of it is on the disk, readable by its owner alone."""
    path = Path(os.path.realpath(path))
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(path.stat().st_mode):
            raise FileExistsError(f"{path} is there and no regular file")
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
