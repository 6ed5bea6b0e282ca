"""The file of a backup: what was put in comes out, and whatever was cut, changed or newer is refused."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from adserve.core.records import Record
from adserve.store.archive import (
    FORMAT,
    ArchiveWriter,
    BadBackup,
    Header,
    NotWritten,
    check,
    records,
    replacing,
)
from adserve.store.schema import NEWEST

HEADER = Header(
    schema=1, adserve="1.2.3", prefix="adserve:", created_at="now", store="valkey 9", secret="s\n", proof="p"
)
KEYS = [
    Record(b"{cat}:objects", "hash", 0, 0, [b"site:news", bytes(range(256))]),
    Record(b"{s1}:l:iv:a:5", "string", 1_900_000_000, 0, [b"\x00\xff" * 100]),
    Record(b"{s1}:l:iv:a:5", "string", 1_900_000_000, 1, [b"\x80"]),
    Record(b"{cat}:audit", "stream", 0, 0, [b"1-1", b"2", b"f", b"v"], b"1-1"),
]


def file(keys: list[Record] = KEYS, header: Header = HEADER) -> bytes:
    raw = io.BytesIO()
    writer = ArchiveWriter(raw, header)
    for record in keys:
        writer.put(record)
    writer.close()
    return raw.getvalue()


def lines(data: bytes) -> list[bytes]:
    return gzip.decompress(data).splitlines(keepends=True)


def refused(data: bytes) -> str:
    with pytest.raises(BadBackup) as found:
        check(io.BytesIO(data))
    assert "Nothing was written" in str(found.value)
    return str(found.value)


def test_what_was_put_in_comes_out() -> None:
    """Any bytes, expiries, parts and the head; checked and read from one file."""
    raw = io.BytesIO(file())
    assert check(raw) == HEADER
    assert list(records(raw)) == KEYS


def test_a_file_that_was_cut_off_is_refused_wherever() -> None:
    """At every single byte."""
    whole = file()
    for size in range(len(whole)):
        refused(whole[:size])
    assert "torn" in refused(whole[:-20])


def test_a_file_that_was_altered_is_refused_wherever() -> None:
    """Every byte of the compressed file that carries content; a few of gzip's own head carry none."""
    whole = file()
    for at in range(10, len(whole)):
        refused(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])


@pytest.mark.parametrize("at", range(len(KEYS) + 2))
def test_a_line_that_is_missing_or_there_twice_is_refused(at: int) -> None:
    """Also when gzip's own checksum was made anew."""
    found = lines(file())
    refused(gzip.compress(b"".join(found[:at] + found[at + 1 :])))
    refused(gzip.compress(b"".join(found[: at + 1] + found[at:])))


def test_other_content_with_the_old_checksum_is_refused() -> None:
    """Although every line is a record."""
    found = lines(file())
    found[1] = lines(file([Record(KEYS[0].key, "hash", 0, 0, [b"site:news", b"other"])]))[1]
    assert "checksum" in refused(gzip.compress(b"".join(found)))


@pytest.mark.parametrize("text", [b"", b"\n", b"no\n", b"{}\n", b'{"format": "x"}\n', b'[1]\n{"sha256": ""}\n'])
def test_no_backup_is_refused(text: bytes) -> None:
    """Plain, and packed as one is."""
    assert "backup" in refused(text) or "torn" in refused(text)
    assert "backup" in refused(gzip.compress(text))


@pytest.mark.parametrize("newer", [{"format": FORMAT + 1}, {"schema": NEWEST + 1}])
def test_a_newer_file_says_which_version_wrote_it(newer: dict[str, int]) -> None:
    """Whatever else such a head holds, or no longer holds."""
    head = msgspec.json.encode({"format": FORMAT, "schema": NEWEST, "adserve": "9.9", "else": 1, **newer}) + b"\n"
    said = refused(gzip.compress(head + b"".join(lines(file())[1:])))
    assert "adserve 9.9" in said
    assert f"{next(iter(newer))} {next(iter(newer.values()))}" in said


def test_a_record_that_no_store_takes_is_refused() -> None:
    """Although the checksum is right."""
    assert "half a pair" in refused(file([Record(b"k", "hash", 0, 0, [b"a"])]))
    assert "part" in refused(file([KEYS[2]]))


def test_a_file_takes_its_place_whole_and_private(tmp_path: Path) -> None:
    """Mode 0600, whatever the umask and the file before it had."""
    path = tmp_path / "backup"
    path.write_bytes(b"before")
    path.chmod(0o644)
    mask = os.umask(0)
    try:
        with replacing(path) as raw:
            raw.write(b"after")
            raw.flush()
            assert path.read_bytes() == b"before"
            assert {one.stat().st_mode & 0o777 for one in tmp_path.iterdir() if one != path} == {0o600}
    finally:
        os.umask(mask)
    assert path.read_bytes() == b"after"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["backup"]


def test_what_fails_leaves_the_file_before_it(tmp_path: Path) -> None:
    """And nothing beside it."""
    path = tmp_path / "backup"
    path.write_bytes(b"before")
    half = replacing(path)
    half.__enter__().write(b"half")
    assert half.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None) is False
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("backup", b"before")]


def test_a_full_disk_leaves_no_half_file(tmp_path: Path) -> None:
    """A limit of the process stands for the disk's: the write fails in the same place."""
    script = f"""
import resource, secrets, sys
from pathlib import Path
from tests.store.test_archive import HEADER, ArchiveWriter, NotWritten, Record, replacing
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    with replacing(Path({str(tmp_path / "backup")!r})) as raw:
        writer = ArchiveWriter(raw, HEADER)
        for number in range(100):
            writer.put(Record(b"%d" % number, "string", 0, 0, [secrets.token_bytes(10_000)]))
        writer.close()
except NotWritten as problem:
    sys.exit(f"refused: {{problem}}")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr.startswith("refused: the file cannot be written: File too large"), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_place_for_a_file_is_said(tmp_path: Path) -> None:
    """A folder, and a folder that is not there."""
    for path in (tmp_path, tmp_path / "none" / "backup"):
        with pytest.raises(NotWritten), replacing(path):
            pytest.fail("it was begun")
