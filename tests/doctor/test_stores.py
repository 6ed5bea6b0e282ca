"""What the doctor says of stores: of one that is well, and of each fault."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from adserve.doctor import machine
from adserve.doctor.findings import worst
from adserve.store.embedded import EmbeddedStore
from adserve.store.keys import Keys
from adserve.store.schema import NEWEST
from tests.doctor.looking import OWN, SECRET, look, of, used
from tests.servers import SAFE, client, server
from tests.service import free_port
from tests.stores import cluster, watched


@pytest.mark.parametrize("skew_s", [-60.0, 60.0, 5.0])
def test_a_clock_that_is_off_is_found(folder: Path, skew_s: float) -> None:
    with used() as url:
        found = look(folder, skew_s=skew_s, ADSERVE_REDIS_URL=url)
    said = of(found, "clock", "warning")
    assert ("ahead" if skew_s > 0 else "behind") in said
    assert f"{abs(skew_s):.0f} s" in said


def test_a_store_that_can_lose_what_it_answered_is_a_problem(folder: Path) -> None:
    """Until it is accepted; each fault is a line of its own."""
    with used("--appendonly", "no", "--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru") as url:
        found = look(folder, ADSERVE_REDIS_URL=url)
        accepted = look(folder, ADSERVE_REDIS_URL=url, ADSERVE_UNSAFE_STORE="1")
    said = " ".join(one.remedy for one in found if (one.check, one.status) == ("durability", "problem"))
    assert "set appendonly to yes" in said
    assert "set maxmemory-policy to noeviction" in said
    assert [one.status for one in accepted if one.check == "durability"] == ["warning", "warning"]


def test_what_a_store_does_not_tell_is_a_warning(folder: Path) -> None:
    """The other checks go on."""
    with used(*SAFE, "--rename-command", "INFO", "", "--rename-command", "TIME", "") as url:
        found = look(folder, ADSERVE_REDIS_URL=url)
    assert worst(found) == "warning"
    assert "could not be checked" in of(found, "clock", "warning")
    assert "could not be checked" in of(found, "durability", "warning")
    of(found, "schema", "ok")


def test_a_newer_schema_is_a_problem(folder: Path) -> None:
    with used() as url:
        with client(url) as asked:
            asked.mset({Keys().schema: NEWEST + 1, Keys().schema_by: "7.8.9"})
        assert "adserve 7.8.9" in of(look(folder, ADSERVE_REDIS_URL=url), "schema")
        with client(url) as asked:
            assert asked.get(Keys().schema) == str(NEWEST + 1)


def test_another_secret_is_a_problem(folder: Path) -> None:
    with used() as url:
        (folder / "secret").write_text(f"{SECRET[::-1]}\n")
        found = look(folder, ADSERVE_REDIS_URL=url)
        with client(url) as asked:
            assert asked.get(Keys().secret) == OWN
    said = of(found, "secret")
    assert "another secret" in said
    assert SECRET not in said


def test_a_secret_that_is_gone_is_a_problem(folder: Path) -> None:
    """A start would make another one, and be refused."""
    (folder / "secret").unlink()
    with used() as url:
        assert "is gone" in of(look(folder, ADSERVE_REDIS_URL=url), "secret")
    assert not (folder / "secret").exists()


def test_a_store_that_does_not_answer_is_a_problem_and_not_waited_for(folder: Path) -> None:
    """Neither one that refuses nor one that is silent; a password in its address is not printed."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for port in (free_port(), silent.getsockname()[1]):
            begun = time.monotonic()
            found = look(folder, ADSERVE_REDIS_URL=f"redis://user:hush-hush@127.0.0.1:{port}")
            assert time.monotonic() - begun < 8
            said = of(found, "store")
            assert ("within 2 s" in said) is (port == silent.getsockname()[1])
            assert "hush-hush" not in str(found)


def test_a_wrong_password_is_told_from_silence(folder: Path) -> None:
    """And not printed."""
    with server(*SAFE) as url, client(url) as asked:
        asked.config_set("requirepass", "right-one")
        said = of(look(folder, ADSERVE_REDIS_URL=f"{url}?password=hush-hush"), "store")
    assert "refuses the user or password" in said
    assert "hush-hush" not in said


def test_every_primary_of_a_cluster_is_asked(folder: Path) -> None:
    """What one of them can lose and one that is away are problems; the rest is told all the same."""
    with cluster(folder.parent / "cluster") as found:
        names = [f"127.0.0.1:{node.port}" for node in found.nodes]
        healthy = look(folder, ADSERVE_REDIS_URL=found.url)
        assert worst(healthy) == "warning"
        assert "a Cluster of 3 primaries" in of(healthy, "store", "ok")
        for check in ("latency", "clock", "schema"):
            of(healthy, check, "ok")
        found.nodes[1].call("CONFIG", "SET", "appendonly", "no")
        found.nodes[2].kill()
        said = look(folder, ADSERVE_REDIS_URL=found.url)
    assert of(said, "durability").startswith(f"{names[1]}: appendonly is no")
    assert f"{names[2]} does not answer" in of(said, "store")
    assert "a Cluster of 2 primaries" in of(said, "store", "ok")


def test_sentinels_that_do_not_answer_are_told_in_a_line(folder: Path) -> None:
    """The client library would print its whole pool."""
    said = of(look(folder, ADSERVE_REDIS_URL="redis+sentinel://127.0.0.1:1/main"), "store")
    assert "No master found for 'main')" in said


def test_the_store_under_sentinels_is_asked(folder: Path) -> None:
    with watched(folder.parent / "watched") as found:
        said = look(folder, ADSERVE_REDIS_URL=found.url)
        assert worst(said) == "warning"
        for check in ("store", "latency", "clock", "schema"):
            of(said, check, "ok")
        found.primary.call("CONFIG", "SET", "appendonly", "no")
        assert "appendonly is no" in of(look(folder, ADSERVE_REDIS_URL=found.url), "durability")


def test_an_embedded_store_that_hangs_is_named_and_a_dead_one_is_none(folder: Path) -> None:
    """The lock file of a killed one still names its socket."""
    with EmbeddedStore.start(folder) as store:
        os.kill(store.pid, signal.SIGSTOP)
        try:
            assert f"process {store.pid} holds" in of(look(folder), "store")
        finally:
            os.kill(store.pid, signal.SIGKILL)
        until = time.monotonic() + 10
        while "does not run" not in str(found := look(folder)):
            assert time.monotonic() < until, found


def test_a_server_that_could_not_read_the_running_stores_data_is_a_problem(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service of a newer one still runs; the next start would take an older one."""
    old = folder.parent / "valkey-server"
    old.write_text("#!/bin/sh\necho 'Valkey server v=7.2.5 sha=0'\n")
    old.chmod(0o755)
    with EmbeddedStore.start(folder):
        monkeypatch.setattr(machine, "find_binary", lambda: old)
        assert "7.2.5" in of(look(folder), "store_binary")
