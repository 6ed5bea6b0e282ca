"""Memory that the processes of a service share: a fixed number of rows, each with one writer.

DESIGN. A row holds bytes of any length up to `ROOM`, in two halves: the writer fills the one that is not
in use and then turns, with one store of eight bytes, so a writer that is killed at any moment leaves its
last whole state, and readers need no lock. They look whether the row turned meanwhile, and at a checksum,
because some processors show another's stores in another order.

The memory is a file without a name, handed down to each worker: nothing lies on a disk, nothing has to
be cleaned up, and it is gone with the last process. Workers of newer code write into the board of
an older supervisor, so `ROOM` and the form of a row stay as they are; what stands in a row says its names.

Not chosen: prometheus_client's multiprocess mode. It writes files of a process id each and never
removes those of counters, so that a service whose workers are replaced often gets slower with every
scrape; it merges them before a custom collector is asked, so it holds only what is counted through its
own objects, at the price of a lock, a dictionary and a write for each addition; and it decides at
import, by the environment, for the whole process.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
import zlib
from typing import Self

ROOM = 16_376
"""Bytes that a row may hold."""
_HEAD = struct.Struct("=II")
"""Before the bytes: their number and checksum."""
_HALF = _HEAD.size + ROOM
_ROW = 8 + 2 * _HALF
TRIES = 1000


class Board:
    """The rows of a file, or of this process alone when there is none."""

    def __init__(self, rows: int, file: int = -1) -> None:
        self.rows, self.file = rows, file
        self._memory = mmap.mmap(file, rows * _ROW)
        self._turns = memoryview(self._memory).cast("Q")

    @classmethod
    def shared(cls, rows: int) -> Self:
        """One whose `file` other processes can be given."""
        if hasattr(os, "memfd_create"):
            file = os.memfd_create("adserve-figures")
            os.ftruncate(file, rows * _ROW)
        else:
            with tempfile.TemporaryFile() as made:
                made.write(bytes(rows * _ROW))  # a full disk shows here, not when somebody writes a row
                made.flush()
                file = os.dup(made.fileno())
        return cls(rows, file)

    @classmethod
    def inherited(cls, file: int) -> Self:
        return cls(os.fstat(file).st_size // _ROW, file)

    def write(self, row: int, data: bytes) -> None:
        """Replaces what a row holds. Nobody else may write in it. ValueError when it is too long."""
        if len(data) > ROOM:
            raise ValueError(f"{len(data)} bytes do not fit into a row")
        place = row * _ROW
        turn = self._turns[place // 8] + 1
        half = place + 8 + turn % 2 * _HALF
        self._memory[half + _HEAD.size : half + _HEAD.size + len(data)] = data
        _HEAD.pack_into(self._memory, half, len(data), zlib.crc32(data))
        self._turns[place // 8] = turn

    def read(self, row: int) -> bytes:
        """What was last written into a row; empty when nothing ever was."""
        place = row * _ROW
        for _ in range(TRIES):
            turn = self._turns[place // 8]
            if turn == 0:
                return b""
            half = place + 8 + turn % 2 * _HALF
            length, checksum = _HEAD.unpack_from(self._memory, half)
            data = self._memory[half + _HEAD.size : half + _HEAD.size + length]
            if self._turns[place // 8] == turn and zlib.crc32(data) == checksum:
                return data
        raise RuntimeError("a row of the board never came to rest")
