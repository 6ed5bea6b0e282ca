"""The demo as a process: it keeps out of what is not its own, and leaves nothing when it is ended early."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.service import command, environment, fetch, free_port, service, until

PACKAGE = [sys.executable, "-m", "adserve"]


def demo(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """A demo that should not come up."""
    arguments = [*PACKAGE, "demo", "--port", str(free_port()), "--data-dir", str(folder), *more]
    return subprocess.run(arguments, env=environment(), capture_output=True, text=True, timeout=30, check=False)


@contextmanager
def running_demo(folder: Path, *more: str) -> Iterator[str]:
    with command(folder.parent, "demo", "--data-dir", str(folder), *more) as (_, origin):
        yield origin


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and "lock" not in path.name
    }


@pytest.mark.parametrize("more", [(), ("--reset",)])
def test_the_demo_keeps_out_of_a_services_data(tmp_path: Path, more: tuple[str, ...]) -> None:
    """Whether the service runs or not: refused with the remedy, and not a byte is another."""
    with service(tmp_path) as running:
        running.world()
        done = demo(running.data, *more)
        assert (done.returncode, "--data-dir of its own" in done.stderr) == (1, True), done.stderr
        assert running.call("GET", "/sites/news")["name"] == "News"
    before = files(running.data)
    done = demo(running.data, *more)
    assert (done.returncode, "--data-dir of its own" in done.stderr) == (1, True), done.stderr
    assert files(running.data) == before


def test_a_reset_waits_for_nobody_and_takes_nothing_from_a_running_demo(tmp_path: Path) -> None:
    """Refused while one runs; afterwards the catalog and the figures are as on the first day."""
    folder = tmp_path / "demo"
    with running_demo(folder) as origin:
        assert fetch(f"{origin}/demo/")[0] == 200
        done = demo(folder, "--reset")
        assert (done.returncode, "is in use by process" in done.stderr) == (69, True), done.stderr
        assert fetch(f"{origin}/demo/slots.csv")[1].count(b"\n") > 5
    secret = (folder / "secret").read_text()
    (folder / "mine.txt").write_text("kept")
    with running_demo(folder, "--reset") as origin:
        assert fetch(f"{origin}/demo/")[0] == 200
    assert (folder / "secret").read_text() != secret
    assert (folder / "mine.txt").read_text() == "kept"


@pytest.mark.parametrize("what", ["demo", "serve"])
def test_an_end_during_the_start_leaves_nothing(tmp_path: Path, what: str) -> None:
    """SIGTERM at any moment of it: exit 0, no traceback, no store, no worker, and the next start works."""
    for after_s in (0.3, 0.5, 0.8, 1.2, 2.0):
        arguments = [*PACKAGE, what, "--port", str(free_port()), "--data-dir", str(tmp_path / "data")]
        said = tmp_path / f"said-{after_s}"
        with said.open("w") as written:
            process = subprocess.Popen(arguments, env=environment(), stderr=written)
        time.sleep(after_s)
        if after_s > 1:
            until(lambda: catches(process.pid))  # noqa: B023 - asked at once; a busy machine takes long to import
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
        assert code in (0, -signal.SIGTERM), after_s
        assert "Traceback" not in said.read_text()
        assert left(tmp_path / "data") == [], after_s
        if after_s > 1:
            assert code == 0


def catches(pid: int) -> bool:
    """Whether a process handles SIGTERM by now."""
    _, _, mask = Path(f"/proc/{pid}/status").read_text().partition("SigCgt:")
    return bool(int(mask.split()[0], 16) >> signal.SIGTERM - 1 & 1)


def left(folder: Path) -> list[str]:
    """Processes that still work in a data dir."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder) in os.readlink(path / "cwd") or str(folder).encode() in (path / "cmdline").read_bytes():
                found.append(path.name)
        except OSError:
            continue
    return found
