"""Backup, restore and copy as an operator runs them, and what a restored or moved service counts."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from adserve.store.load import UNFINISHED
from tests.service import Crowd, Service, environment, fetch, free_port, service, until
from tests.stores import any_store

SECRET = "0123456789abcdef0123456789abcdef-from-outside"
OTHER = "fedcba9876543210fedcba9876543210-of-another"


def adserve(*words: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "adserve", *map(str, words)],
        env=environment(**settings), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def done(*words: str | Path, **settings: str) -> Any:
    """What a command that works says, as JSON; for a terminal it says something too."""
    found = adserve(*words, "--json", **settings)
    assert found.returncode == 0, found.stderr + found.stdout
    assert found.stderr == ""
    return json.loads(found.stdout)


def refused(status: int, code: str, *words: str | Path, **settings: str) -> str:
    found = adserve(*words, "--json", **settings)
    assert found.returncode == status, found.stderr + found.stdout
    failure = json.loads(found.stderr)["error"]
    assert failure["code"] == code
    return str(failure["detail"])


class Shown:
    """What browsers were shown, and what of it had counted: every fourth view and no click."""

    def __init__(self, one: Service) -> None:
        async def browse() -> list[Any]:
            crowd = Crowd(one.origin)
            found = await crowd.serves(40)
            await asyncio.gather(*(crowd.get(ad["impression_url"]) for ad in found))
            await asyncio.gather(*(crowd.get(ad["view_url"]) for ad in found[::4]))
            await crowd.http.aclose()
            return found

        self.ads = asyncio.run(browse())
        self.totals = one.at_rest()
        assert (self.totals["impressions"], self.totals["views"], self.totals["clicks"]) == (40, 10, 0)

    def check(self, one: Service, *, key: str) -> None:
        """The other service has the same figures; what had counted is a duplicate there, the rest counts once."""
        assert one.at_rest() == self.totals
        for ad in self.ads:
            for _ in range(2):
                for url in (ad["impression_url"], ad["view_url"]):
                    path = "/" + url.split("/", 3)[3]
                    assert fetch(one.origin + path)[0] == 200
        totals = one.at_rest()
        assert (totals["impressions"], totals["views"], totals["serves"]) == (40, 40, 40)
        assert totals["duplicates"] == self.totals["duplicates"] + 40 * 2 + 10 * 2 + 30
        assert one.audit()["agrees"]
        assert fetch(f"{one.origin}/api/v1/sites", Authorization=f"Bearer {key}")[0] == 200


@pytest.fixture
def used(tmp_path: Path) -> Iterator[tuple[Service, Shown, str]]:
    """A service that runs, with figures and an API key."""
    with service(tmp_path / "first") as one:
        one.world(2, 1)
        key = one.call("POST", "/keys", {"role": "admin", "name": "k"})["key"]
        yield one, Shown(one), key


@pytest.fixture(autouse=True)
def folders(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()


def test_a_backup_of_a_running_service_starts_on_a_new_machine(
    used: tuple[Service, Shown, str], tmp_path: Path
) -> None:
    """Store and secret are in the file, which is for its owner alone."""
    one, shown, key = used
    file, data = tmp_path / "backup", tmp_path / "second" / "data"
    made = done("backup", file, "--data-dir", one.data)
    assert made["with_secret"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert one.stop() == 0
    found = done("restore", file, "--data-dir", data)
    assert (found["agrees"], found["signing"], found["keys"]) == (True, "written", made["keys"])
    assert {"catalog", "ledger", "quarter-hours", "indexes", "flushes"} <= {*found["kinds"]}
    assert (data / "secret").read_text() == (one.data / "secret").read_text()
    assert (data / "secret").stat().st_mode & 0o777 == 0o600
    assert "--replace" in refused(1, "not_empty", "restore", file, "--data-dir", data)
    with service(tmp_path / "second") as two:
        shown.check(two, key=key)
        said = refused(1, "in_use", "restore", file, "--data-dir", data, "--replace")
        assert "Nothing was written" in said
    again = done("restore", file, "--data-dir", data, "--replace")
    assert again["signing"] == "matches"
    with service(tmp_path / "second") as two:
        shown.check(two, key=key)


def test_a_move_from_embedded_to_redis(used: tuple[Service, Shown, str], tmp_path: Path) -> None:
    """Refused while the service runs; then with the same data dir it goes on where it was."""
    one, shown, key = used
    with any_store("redis", tmp_path) as url:
        said = refused(1, "in_use", "store", "copy", "--to", url, "--data-dir", one.data)
        assert str(one.data) in said
        assert one.stop() == 0
        found = done("store", "copy", "--to", url, "--data-dir", one.data)
        assert found["agrees"]
        assert found["kinds"]["ledger"]["source"] == found["kinds"]["ledger"]["target"]
        assert refused(1, "not_empty", "store", "copy", "--to", url, "--data-dir", one.data)
        one.settings["ADSERVE_REDIS_URL"] = url
        one.start()
        shown.check(one, key=key)
        assert one.stop() == 0


def test_a_copy_says_what_differs_for_people_too(used: tuple[Service, Shown, str], tmp_path: Path) -> None:
    """A table of both sides, what to do next, and no password."""
    one, _, _ = used
    one.stop()
    with any_store("redis", tmp_path) as url:
        with Redis.from_url(url) as client:
            client.config_set("requirepass", "a-password")
        named = url.replace("://", "://:a-password@")
        found = adserve("store", "copy", "--to", named, "--data-dir", one.data)
        assert found.returncode == 0, found.stderr
        assert re.search(r"^ledger +source +\d+ +\d+ +[0-9a-f]{32} +yes$", found.stdout, re.MULTILINE)
        assert f"set ADSERVE_REDIS_URL to {url} " in found.stdout
        assert "a-password" not in found.stdout + found.stderr
        refusal = adserve("store", "copy", "--to", url, "--data-dir", one.data)
        assert refusal.returncode == 69
        assert "uthentication" in refusal.stderr


def filled(url: str, keys: int) -> None:
    """Pictures enough that a restore takes a while."""
    with Redis.from_url(url) as client, client.pipeline(transaction=False) as pipe:
        for number in range(keys):
            pipe.set(f"adserve:{{m:{number:x}}}:media", os.urandom(40))
        pipe.set("adserve:{cat}:secret", "a check value")
        pipe.execute()


def test_a_restore_that_is_killed_runs_again(tmp_path: Path) -> None:
    """No service starts on the part that is there; the second run needs no flag."""
    file = tmp_path / "backup"
    with any_store("redis", tmp_path / "a") as first, any_store("redis", tmp_path / "b") as second:
        filled(first, 20_000)
        settings = {"ADSERVE_DATA_DIR": str(tmp_path / "data"), "ADSERVE_SECRET": SECRET}
        assert done("backup", file, "--redis-url", first, **settings)["keys"] == 20_001
        process = subprocess.Popen(
            [sys.executable, "-m", "adserve", "restore", str(file), "--redis-url", second],
            env=environment(**settings),
        )
        with Redis.from_url(second) as client:
            until(lambda: int(client.dbsize()) > 500)
            process.kill()
            assert process.wait(10) == -signal.SIGKILL
            assert client.get("adserve:{cat}:secret") == UNFINISHED.encode()
            assert int(client.dbsize()) < 20_001
            start = adserve("serve", "--port", str(free_port()), ADSERVE_REDIS_URL=second, **settings)
            assert start.returncode == 78
            assert "not finished" in start.stderr
            doctor = adserve("doctor", "--json", ADSERVE_REDIS_URL=second, **settings)
            assert "a restore or copy to the store was not finished" in doctor.stdout
            found = done("restore", file, "--redis-url", second, **settings)
            assert found["agrees"]
            assert found["removed"] > 0
            assert client.get("adserve:{cat}:secret") == b"a check value"
            assert client.dbsize() == 20_001


def test_a_file_that_is_cut_off_or_foreign_makes_nothing(used: tuple[Service, Shown, str], tmp_path: Path) -> None:
    """Not even a data dir."""
    one, _, _ = used
    file, data = tmp_path / "backup", tmp_path / "second" / "data"
    done("backup", file, "--data-dir", one.data)
    whole = file.read_bytes()
    for bad in (whole[:-1], whole[: len(whole) // 2], b"", b"text", gzip.compress(b"{}\n")):
        file.write_bytes(bad)
        assert "Nothing was written" in refused(1, "bad_backup", "restore", file, "--data-dir", data)
    assert not data.exists()
    refused(1, "error", "restore", tmp_path / "none", "--data-dir", data)
    refused(1, "not_written", "backup", tmp_path / "none" / "backup", "--data-dir", one.data)
    refused(66, "no_data", "backup", file, "--data-dir", data)


def test_a_secret_from_outside_is_not_in_the_file(tmp_path: Path) -> None:
    """It is said, at the backup and where it is missing at the restore; nor is one that the store does not know."""
    file, data = tmp_path / "backup", tmp_path / "second" / "data"
    with service(tmp_path / "first", ADSERVE_SECRET=SECRET) as one:
        one.world()
        found = adserve("backup", file, "--data-dir", one.data, ADSERVE_SECRET=SECRET)
        assert "ADSERVE_SECRET" in found.stdout
        (one.data / "secret").write_text(OTHER + "\n")
        for settings in ({}, {"ADSERVE_SECRET": SECRET}):
            assert done("backup", file, "--data-dir", one.data, **settings)["with_secret"] is False
    for secret in (SECRET, OTHER):
        assert secret.encode() not in gzip.decompress(file.read_bytes())
    found = adserve("restore", file, "--data-dir", data)
    assert found.returncode == 0
    assert "before the first start put the signing secret" in found.stdout
    assert not (data / "secret").exists()
    assert done("restore", file, "--data-dir", data, "--replace", ADSERVE_SECRET=SECRET)["signing"] == "matches"
    with service(tmp_path / "second", ADSERVE_SECRET=SECRET) as two:
        assert two.call("GET", "/sites")["items"][0]["id"] == "news"


def test_another_secret_in_its_place_is_kept(used: tuple[Service, Shown, str], tmp_path: Path) -> None:
    """Nothing is written over it without --replace; one that was rotated on and holds the old key too is left."""
    one, shown, key = used
    file, data = tmp_path / "backup", tmp_path / "second" / "data"
    done("backup", file, "--data-dir", one.data)
    own = (one.data / "secret").read_text()
    data.mkdir()
    (data / "secret").write_text(OTHER + "\n")
    assert "secret" in refused(1, "conflict", "restore", file, "--data-dir", data)
    assert (data / "secret").read_text() == OTHER + "\n"
    assert done("restore", file, "--data-dir", data, "--replace")["signing"] == "written"
    assert (data / "secret").read_text() == own
    (data / "secret").write_text(f"{OTHER}\n{own}")
    assert done("restore", file, "--data-dir", data, "--replace")["signing"] == "matches"
    assert (data / "secret").read_text() == f"{OTHER}\n{own}"
    with service(tmp_path / "second") as two:
        shown.check(two, key=key)


def test_progress_on_a_terminal_and_nowhere_else(tmp_path: Path) -> None:
    """A line that changes and is gone at the end; the result is on stdout as always."""
    with any_store("redis", tmp_path) as url:
        filled(url, 5000)
        main, side = pty.openpty()
        words = [sys.executable, "-m", "adserve", "backup", str(tmp_path / "backup"), "--redis-url", url, "--json"]
        made = subprocess.run(words, stdout=subprocess.PIPE, stderr=side, env=environment(), timeout=60, check=False)
        os.close(side)
        said, until_ = b"", time.monotonic() + 10
        with contextlib.suppress(OSError):  # the end of a terminal
            while time.monotonic() < until_ and (some := os.read(main, 65536)):
                said += some
        os.close(main)
        assert json.loads(made.stdout)["keys"] == 5001
        assert re.search(rb"\r\x1b\[Kbackup: [\d,]+ keys, [\d.]+ MB", said)
        assert said.endswith(b"\r\x1b[K")
        assert done("backup", tmp_path / "backup", "--redis-url", url)["keys"] == 5001
