"""The memory that workers share: whole states, whoever is killed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from adserve.metrics import board as board_module
from adserve.metrics.board import ROOM, Board

WRITER = """
import sys
from adserve.metrics.board import Board

board = Board.inherited(int(sys.argv[1]))
number = 0
while True:
    number += 1
    board.write(1, bytes([number % 251]) * (1 + number * 37 % 9000))
    if number == 1000:
        print("warm", flush=True)
"""


def test_a_writer_that_is_killed_at_any_moment_leaves_a_whole_state() -> None:
    """One writes without a pause while it is read, and is killed; each state that is seen is one that it wrote."""
    for _ in range(5):
        board = Board.shared(2)
        command = [sys.executable, "-c", WRITER, str(board.file)]
        with subprocess.Popen(command, pass_fds=(board.file,), stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"warm\n"
            seen: set[bytes] = set()
            try:
                while len(seen) < 100:  # on a busy machine the two take turns
                    seen.add(board.read(1))
            finally:
                process.kill()
        seen.add(board.read(1))
        os.close(board.file)
        assert all(data and data == data[:1] * len(data) for data in seen)
        assert board.read(0) == b""


def test_what_was_not_turned_to_is_not_there() -> None:
    """A writer that dies before its last store changes nothing."""
    board = Board(1)
    board.write(0, b"first")
    turns = board._turns
    board._turns = memoryview(bytearray(turns)).cast("Q")
    board.write(0, b"second, which is cut off")
    board._turns = turns
    assert board.read(0) == b"first"
    board.write(0, b"third")
    assert board.read(0) == b"third"


def test_a_state_that_another_processor_shows_in_part_is_not_taken() -> None:
    """The turn came through, the bytes did not: the reader waits, and says so when they never come."""
    board = Board(1)
    board.write(0, b"whole")
    board._memory[8 + board_module._HALF + board_module._HEAD.size] ^= 1
    with pytest.raises(RuntimeError):
        board.read(0)


def test_a_row_takes_what_it_has_room_for() -> None:
    """More is refused and changes nothing."""
    board = Board(2)
    board.write(1, b"x" * ROOM)
    with pytest.raises(ValueError, match="do not fit"):
        board.write(1, b"y" * (ROOM + 1))
    assert board.read(1) == b"x" * ROOM
    assert board.read(0) == b""
