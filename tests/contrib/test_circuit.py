"""When a server that does not answer is tried again."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from adserve.contrib.circuit import Circuit


def opened(rest_s: float = 5.0) -> Circuit:
    """A circuit that has just opened, at moment 100."""
    circuit = Circuit(3, rest_s)
    assert [circuit.failed(100.0) for _ in range(3)] == [False, False, True]
    return circuit


def test_it_opens_after_failures_in_a_row_alone() -> None:
    """A success between them begins the row anew."""
    circuit = Circuit(3, 5.0)
    for _ in range(4):
        circuit.failed(0.0)
        circuit.failed(0.0)
        assert circuit.admits(0.0)
        assert not circuit.succeeded()
    for _ in range(3):
        circuit.failed(0.0)
    assert not circuit.admits(0.0)


def test_after_a_rest_one_probe_decides() -> None:
    """Nothing is tried in the rest; after it one, whose failure begins another rest and whose success ends it."""
    circuit = opened()
    assert not circuit.admits(104.9)
    assert [circuit.admits(105.0) for _ in range(3)] == [True, False, False]
    assert not circuit.failed(105.05)  # it was open already: nothing to tell an operator
    assert not circuit.admits(110.0)
    assert circuit.admits(110.05)
    assert circuit.succeeded()
    assert all(circuit.admits(110.1) for _ in range(3))


def test_a_probe_that_never_reports_costs_one_rest() -> None:
    """Its caller was killed or cancelled."""
    circuit = opened()
    assert circuit.admits(105.0)
    assert not circuit.admits(109.9)
    assert circuit.admits(110.0)


def test_of_many_threads_one_gets_the_probe() -> None:
    circuit = opened()
    start, admitted = threading.Barrier(20), []

    def ask() -> None:
        start.wait()
        if circuit.admits(105.0):
            admitted.append(1)

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(admitted) == 1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # newer Pythons warn of forks beside threads
def test_a_fork_begins_anew_even_while_another_thread_is_inside() -> None:
    """The child has a lock of its own, and no failures yet."""
    circuit = opened()
    circuit._lock.acquire()
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # one that waits for ever is ended
        os._exit(0 if circuit.admits(100.0) else 1)
    circuit._lock.release()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not circuit.admits(100.0)
