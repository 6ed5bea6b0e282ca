"""The file of a backup: one gzip stream of lines, checked whole before anything of it is used.

    {"format": 1, "schema": 1, "adserve": "0.1.0", "prefix": "adserve:", ...}      a `Header`
    ["e3NVfTpi...", "hash", 0, 0, ["...", "..."], ""]      a record of `core.records`, bytes in base64
    {"sha256": "..."}      of all lines before

A file without its last line is torn. The checksum finds what was altered by chance, not by intent:
whoever can write the file can write another checksum.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from adserve.core.records import Record, flaw
from adserve.errors import AdserveError
from adserve.store.disk import sync_folder
from adserve.store.schema import NEWEST

FORMAT = 1
LEVEL = 4
"""Of compression: a third of the time of the default, a twentieth more bytes."""
LINE_MAX = 1 << 30
"""Bytes of a line: the largest value that a store takes, in base64, and what stands beside it."""


class BadBackup(AdserveError):
    code = "bad_backup"


class NotWritten(AdserveError):
    code = "not_written"


class Header(msgspec.Struct, kw_only=True):
    format: int = FORMAT
    schema: int
    """The store's, or that which it was being brought to."""
    adserve: str
    """The version that wrote the file."""
    prefix: str
    created_at: str
    store: str
    """As `valkey 9.1.0`."""
    secret: str | None
    """The signing secret, as its file holds it; None when that is kept elsewhere."""
    proof: str | None
    """The check value of the secret; None for a store that no service has used yet."""


class Trailer(msgspec.Struct, forbid_unknown_fields=True):
    sha256: str


class _Versions(msgspec.Struct):
    format: int
    schema: int = 0
    adserve: str = "a newer version"


_encode = msgspec.json.Encoder().encode
_record = msgspec.json.Decoder(Record).decode


class ArchiveWriter:
    """Writes a file; without `close` it has no end and is refused."""

    def __init__(self, raw: BinaryIO, header: Header) -> None:
        self._gzip = gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=LEVEL, mtime=0)
        self._sha = hashlib.sha256()
        self.keys = self.bytes = 0
        self._line(header)

    def _line(self, value: Any) -> None:
        line = _encode(value) + b"\n"
        self._sha.update(line)
        with _writing():
            self._gzip.write(line)

    def put(self, record: Record) -> None:
        self._line(record)
        self.keys += record.part == 0
        self.bytes += record.size

    def close(self) -> Trailer:
        trailer = Trailer(self._sha.hexdigest())
        self._line(trailer)
        with _writing():
            self._gzip.close()
        return trailer


def check(file: BinaryIO) -> Header:
    """Reads all of a file. BadBackup with what is wrong: newer, torn, altered, or none of ours."""
    sha, before = hashlib.sha256(), Record(b"", "", 0, 0, [])
    file.seek(0)
    lines = _lines(file)
    first = next(lines, b"")
    header = _header(first)
    sha.update(first)
    for number, line in enumerate(lines, 2):
        if line.startswith(b"{"):
            trailer = _trailer(line, number)
            if trailer.sha256 != sha.hexdigest():
                raise BadBackup("the file was altered: its checksum is another. Nothing was written; take another copy")
            if next(lines, None) is not None:
                raise BadBackup("the file goes on behind its end. Nothing was written; take another copy")
            return header
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
        seen = msgspec.json.decode(line, type=_Versions)
        if seen.format > FORMAT or seen.schema > NEWEST:
            raise BadBackup(
                f"the file was made by adserve {seen.adserve} in format {seen.format} and schema {seen.schema}; this"
                f" version reads up to format {FORMAT} and schema {NEWEST}: restore it with that version or a newer"
                " one. Nothing was written"
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
    """A file that takes the place of `path` when all of it is on the disk, readable by its owner alone. NotWritten."""
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        raise NotWritten(f"{path} is there and no regular file")
    with _writing():
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            with _writing():
                file.flush()
                os.fsync(file.fileno())
        with _writing():
            os.replace(name, path)
            sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise NotWritten(f"the file cannot be written: {problem.strerror}. Nothing was kept of it") from None
