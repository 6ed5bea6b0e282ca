"""The real process: start, serve, count, drain, and every bad setting at once."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.service import command, environment, fetch, free_port, until, until_up


def run(*arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "adserve", *arguments]
    return subprocess.run(command, env=environment(**extra), capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str, Path]]:
    """A running demo: the process, its origin, its data dir."""
    with command(tmp_path, "demo", "--data-dir", str(tmp_path / "data")) as (process, origin):
        yield process, origin, tmp_path


def figures(folder: Path) -> dict[str, Any]:
    """Today's totals by the command line, which shares the running store."""
    done = run(
        "report", "--period", "today", "--by", "slot", "--site", "news", "--json", "--data-dir", str(folder / "data")
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["totals"]
    return found


def test_the_demo_fills_counts_drains_and_comes_back(demo: tuple[subprocess.Popen[str], str, Path]) -> None:
    """Twenty pages, every impression fired twice: 100 counted, also after SIGTERM and a new start."""
    process, origin, folder = demo
    for _ in range(20):
        status, body = fetch(f"{origin}/v1/pages/news")
        slots = json.loads(body)["slots"]
        assert status == 200
        assert len(slots) == 5
        for decision in slots.values():
            for _ in range(2):
                assert fetch(decision["impression_url"])[0] == 200
    status, page = fetch(f"{origin}/demo/")
    assert status == 200
    assert page.count(b"data-decision=") == 5
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert "drained" in (folder / "stderr").read_text()
    totals = figures(folder)
    assert (totals["impressions"], totals["duplicates"], totals["serves"]) == (100, 100, 105)


def test_a_kill_right_after_the_answers_loses_no_impression(demo: tuple[subprocess.Popen[str], str, Path]) -> None:
    """`kill -9` before the serves are flushed: each impression is there, with its serve and its
    request, and what the next process counts is added in full."""
    process, origin, folder = demo
    for _ in range(10):
        decision = json.loads(fetch(f"{origin}/v1/slots/news/top", Accept="application/json")[1])
        assert fetch(decision["impression_url"])[0] == 200
    process.kill()
    process.wait(10)
    totals = figures(folder)
    assert totals["impressions"] == 10
    assert 10 == totals["serves"] == totals["requests"] - totals["empty"]


def test_all_bad_settings_are_reported_at_once() -> None:
    """Exit 78, each by name, with the nearest right one for a misspelt name."""
    done = run("serve", ADSERVE_PORT="99999", ADSERVE_ADMIN_KEY="short", ADSERVE_SECRET="x", ADSERVE_PROT="1")
    assert done.returncode == 78
    for name in ("ADSERVE_PORT", "ADSERVE_ADMIN_KEY", "ADSERVE_SECRET", "ADSERVE_PROT", "did you mean"):
        assert name in done.stderr
    assert "Traceback" not in done.stderr


def test_a_busy_port_names_its_holder_and_the_next_free_one(tmp_path: Path) -> None:
    """The remedy stands in the message."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        done = run("serve", "--port", str(port), "--data-dir", str(tmp_path))
    assert done.returncode == 1
    assert f"port {port} is taken" in done.stderr
    assert "next free one" in done.stderr


def test_a_poor_secret_ends_the_start_before_it_listens(tmp_path: Path) -> None:
    """78 for the secret, not 1 for the port, which is taken here."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = str(held.getsockname()[1])
        done = run("serve", "--port", port, ADSERVE_DATA_DIR=str(tmp_path), ADSERVE_SECRET="changeme" * 5)
    assert (done.returncode, "ADSERVE_SECRET" in done.stderr) == (78, True)
    assert "changemechangeme" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_demo_that_cannot_start_leaves_no_folder(tmp_path: Path) -> None:
    """Its throw-away data goes also when the port is taken or a setting is bad."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        for port, code in ((str(held.getsockname()[1]), 1), ("99999", 78)):
            assert run("demo", "--port", port, TMPDIR=str(tmp_path)).returncode == code
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_adds_approves_and_rejects(demo: tuple[subprocess.Popen[str], str, Path]) -> None:
    """Against the store of a running service; each with --json."""
    _, _, folder = demo
    where = ("--data-dir", str(folder / "data"), "--json")
    text = ("--name", "Spring", "--title", "Tea", "--click-url", "https://shop.example/")
    made = run("creative", "add", "kettle-first-flush", *text, *where)
    assert made.returncode == 0, made.stderr
    id_ = json.loads(made.stdout)["id"]
    assert json.loads(run("creative", "approve", id_, *where).stdout)["state"] == "approved"
    assert json.loads(run("creative", "reject", id_, "--reason", "Blurred", *where).stdout)["state"] == "rejected"
    rejected = json.loads(run("creative", "list", "--state", "rejected", *where).stdout)
    assert [one["id"] for one in rejected] == [id_]
    bad = run(
        "creative", "add", "kettle-first-flush", "--name", "x", "--title", "x", "--click-url", "javascript:1", *where
    )
    assert bad.returncode == 1
    assert "click_url" in bad.stderr
    key = json.loads(run("keys", "create", "--name", "deploy", *where).stdout)
    assert key["key"] not in run("keys", "list", *where).stdout


@pytest.mark.parametrize("command", [("serve",), ("report",), ("demo",)])
def test_a_data_dir_that_cannot_be_used_is_a_setting_to_mend(tmp_path: Path, command: tuple[str, ...]) -> None:
    """A file in its place, or above it: exit 78 with the name of the setting, no traceback."""
    (tmp_path / "file").write_text("kept")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        done = run(*command, "--data-dir", str(place), ADSERVE_PORT=str(free_port()))
        assert done.returncode == 78, done.stderr
        assert "ADSERVE_DATA_DIR" in done.stderr
        assert "Traceback" not in done.stderr
    assert (tmp_path / "file").read_text() == "kept"


def test_a_service_takes_over_while_the_old_one_stops(
    demo: tuple[subprocess.Popen[str], str, Path], tmp_path: Path
) -> None:
    """The second one says that it shares the store; when the first goes, nothing fails or is lost."""
    old, origin, folder = demo
    beside = tmp_path / "beside"
    beside.mkdir()
    with command(beside, "serve", "--data-dir", str(folder / "data")) as (_, there):
        until(lambda: f"process {old.pid} uses this data directory too" in (beside / "stderr").read_text())
        assert old.poll() is None
        counted = 0
        old.send_signal(signal.SIGTERM)
        while old.poll() is None or counted < 20:
            decision = json.loads(fetch(f"{there}/v1/slots/news/top", Accept="application/json")[1])
            assert fetch(decision["impression_url"].replace(origin, there))[0] == 200
            counted += 1
        assert fetch(f"{there}/readyz") == (200, b'{"status":"ready","warnings":[]}')
    totals = figures(folder)
    assert (totals["impressions"], totals["serves"]) == (counted, counted)


def test_the_access_log_holds_no_address_no_query_and_no_whole_token(tmp_path: Path) -> None:
    """Off unless asked for; then a line a request, of a token the part that names the serve."""
    port, token = free_port(), "A" * 48
    origin, command = f"http://127.0.0.1:{port}", [sys.executable, "-m", "adserve", "serve", "--port", str(port)]
    for asked in ("0", "1"):
        said = tmp_path / asked
        settings = environment(ADSERVE_ACCESS_LOG=asked, ADSERVE_DATA_DIR=str(tmp_path / "data"))
        with said.open("w") as out:
            process = subprocess.Popen(command, env=settings, stderr=out, stdout=out, text=True)
        until_up(process, origin, said)
        fetch(f"{origin}/v1/slots/news/top?url=https://secret.example/")
        fetch(f"{origin}/e/i/{token}")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        lines = [json.loads(line) for line in said.read_text().splitlines() if '"request"' in line]
        assert [(one["method"], one["path"], one["status"]) for one in lines if "health" not in one["path"]] == (
            [("GET", "/v1/slots/news/top", 200), ("GET", f"/e/i/{token[:36]}", 400)] if asked == "1" else []
        )
        assert "secret.example" not in said.read_text()
        assert "127.0.0.1" not in "".join(map(str, lines))
