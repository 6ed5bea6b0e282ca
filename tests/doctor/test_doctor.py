"""The diagnosis: a healthy service has no problem, each planted fault is found, and nothing is changed by looking."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from adserve import __version__
from adserve.core.token import Key, Serve
from adserve.doctor import machine, network
from adserve.doctor.files import LEAST_BYTES
from adserve.doctor.findings import Finding, within, worst
from adserve.doctor.run import diagnose
from adserve.settings import load
from adserve.signing import proofs
from adserve.store.embedded import EmbeddedStore
from adserve.store.keys import Keys
from adserve.store.spool import Event, Spool, SpooledEvent, lying
from tests.servers import SAFE, client, server
from tests.service import free_port
from tests.stores import cluster, watched

SECRET = "0123456789abcdef" * 2 + "own"
OWN = proofs([Key.derive(SECRET.encode())])[0]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data dir as a start leaves it, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "secret").write_text(f"{SECRET}\n")
    (data / "secret").chmod(0o600)
    return data


def look(folder: Path, *, flags: dict[str, Any] | None = None, skew_s: float = 0.0, **settings: str) -> list[Finding]:
    port = {} if "port" in (flags or {}) else {"ADSERVE_PORT": str(free_port())}
    environment = {"ADSERVE_DATA_DIR": str(folder), **port, **settings}
    return diagnose(flags or {}, environment, clock=lambda: time.time() + skew_s)


def of(findings: list[Finding], check: str, status: str = "problem") -> str:
    """What is said of a check in this status, with its remedy; it must be said once."""
    (found,) = [one for one in findings if (one.check, one.status) == (check, status)]
    assert status == "ok" or found.remedy
    return f"{found.detail} -> {found.remedy}"


def bad(findings: list[Finding]) -> set[str]:
    return {one.check for one in findings if one.status != "ok"}


@contextmanager
def used(*options: str) -> Iterator[str]:
    """The URL of a store that a service with SECRET has used."""
    with server(*(options or SAFE)) as url:
        with client(url) as asked:
            asked.mset({Keys().schema: "1", Keys().secret: OWN})
        yield url


# ---- all is well


def test_a_data_dir_without_a_service_has_no_problem(folder: Path) -> None:
    """No store runs, and none is started to look; what depends on it is not asked."""
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    found = look(folder)
    assert bad(found) - {"files"} == set()
    assert "does not run" in of(found, "store", "ok")
    assert not {"clock", "latency", "schema", "durability"} & {one.check for one in found}
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_data_dir_that_is_not_there_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = look(tmp_path / "none")
    assert worst(one for one in found if one.check != "files") == "ok"
    assert list(tmp_path.iterdir()) == []


def test_a_running_embedded_store_is_asked_as_a_guest(folder: Path) -> None:
    """It is found well, and neither joined nor ended by looking."""
    with EmbeddedStore.start(folder) as store:
        found = look(folder)
        assert bad(found) - {"files"} == set()
        assert f"process {os.getpid()}" in of(found, "store", "ok")
        for check in ("latency", "durability", "clock", "schema"):
            of(found, check, "ok")
        assert not store.restart_if_dead()
        with client(store.url) as asked:
            assert asked.dbsize() == 0


def test_a_configured_store_that_keeps_its_word_has_no_problem(folder: Path) -> None:
    with used() as url:
        found = look(folder, ADSERVE_REDIS_URL=url)
    assert bad(found) - {"files"} == set()
    assert "the store knows it" in " ".join(one.detail for one in found if one.check == "secret")


def test_the_store_of_a_copied_data_dir_is_not_taken_for_its_own(folder: Path, tmp_path: Path) -> None:
    """The lock file of the copy names the store of the origin."""
    with EmbeddedStore.start(folder):
        other = tmp_path / "copy"
        (other / "store").mkdir(mode=0o700, parents=True)
        other.chmod(0o700)
        (other / "store.lock").write_bytes((folder / "store.lock").read_bytes())
        assert "does not run" in of(look(other), "store", "ok")


# ---- settings and files


def test_every_bad_setting_is_a_problem(folder: Path) -> None:
    found = look(folder, flags={"port": "x"}, ADSERVE_WORKERS="0", ADSERVE_PUBIC_URL="x")
    said = [one.detail for one in found if one.check == "settings"]
    assert [any(name in one for one in said) for name in ("PORT", "WORKERS", "PUBIC_URL")] == [True] * 3
    assert worst(found) == "problem"


@pytest.mark.parametrize(("mode", "status"), [(0o755, "warning"), (0o770, "problem"), (0o777, "problem")])
def test_a_data_dir_that_is_open_to_others_is_found(folder: Path, mode: int, status: str) -> None:
    folder.chmod(mode)
    assert "chmod 700" in of(look(folder), "data_dir", status)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_secret_that_others_may_read_is_a_problem(folder: Path, mode: int) -> None:
    (folder / "secret").chmod(mode)
    assert "chmod 600" in of(look(folder), "secret")
    assert stat.S_IMODE((folder / "secret").stat().st_mode) == mode


def test_a_data_dir_of_another_user_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root, who may use it all the same, is only warned."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with monkeypatch.context() as patch:
        patch.setattr("os.geteuid", lambda: folder.stat().st_uid + 1)
        assert "belongs to" in of(look(folder), "data_dir")
    if os.getuid() == 0:
        os.chown(folder, 12345, -1)
        assert "belongs to user 12345" in of(look(folder), "data_dir", "warning")


@pytest.mark.parametrize(("left", "status"), [(LEAST_BYTES - 1, "problem"), (LEAST_BYTES, "warning"), (10**12, "ok")])
def test_a_disk_that_is_nearly_full_is_found(folder: Path, left: int, status: str) -> None:
    found = diagnose({}, {"ADSERVE_DATA_DIR": str(folder), "ADSERVE_PORT": str(free_port())}, free=lambda _: left)
    assert "free" in of(found, "disk", status)


def spooled(folder: Path, *, arrival: float, prefix: str = "adserve:") -> Spool:
    spool = Spool(folder / "spool", prefix, 7)
    serve = Serve(7, 2, int(arrival), 3, 4, 0, 5, 1, 1)
    spool.put_event(Event("i", serve, "count"), int(arrival), again=False)
    return spool


def test_events_that_wait_are_told_with_the_oldest(folder: Path) -> None:
    """Fresh ones are nothing to worry about."""
    spooled(folder, arrival=time.time()).close()
    assert "1 event waiting" in of(look(folder), "spool", "ok")
    for path in (folder / "spool").iterdir():
        path.unlink()
    spooled(folder, arrival=1_800_000_000 - 100).close()
    found = diagnose({}, {"ADSERVE_DATA_DIR": str(folder), "ADSERVE_PORT": str(free_port())}, clock=lambda: 1.8e9)
    assert "1 event waiting since 2027-01-15T07:58:20Z" in of(found, "spool", "warning")


def test_a_full_spool_is_a_problem(folder: Path) -> None:
    spooled(folder, arrival=time.time()).close()
    size = sum(path.stat().st_size for path in (folder / "spool").iterdir())
    of(look(folder, ADSERVE_SPOOL_MAX_BYTES=str(size)), "spool")
    of(look(folder, ADSERVE_SPOOL_MAX_BYTES=str(size + 10)), "spool", "warning")


def test_refused_records_are_a_problem(folder: Path) -> None:
    spool = spooled(folder, arrival=time.time())
    for _ in range(3):
        serve = Serve(7, 2, 1_800_000_000, 3, 4, 0, 5, 1, 1)
        spool.refuse(_record(serve), "spoilt")
    spool.close()
    assert "3 records" in of(look(folder), "spool")


def _record(serve: Serve) -> Any:
    return SpooledEvent(Event("i", serve, "count"), 1_800_000_000, False)


def test_records_of_another_prefix_are_found(folder: Path) -> None:
    spooled(folder, arrival=time.time(), prefix="other:").close()
    assert "ADSERVE_KEY_PREFIX" in of(look(folder), "spool", "warning")
    assert lying(folder / "spool", "adserve:") == (0, None, 1)
    assert lying(folder / "spool", "other:").events == 1


# ---- the store


@pytest.mark.parametrize("skew_s", [-60.0, 60.0, 5.0])
def test_a_clock_that_is_off_is_found(folder: Path, skew_s: float) -> None:
    with used() as url:
        found = look(folder, skew_s=skew_s, ADSERVE_REDIS_URL=url)
    said = of(found, "clock", "problem" if abs(skew_s) > 30 else "warning")
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
            asked.mset({Keys().schema: "2", Keys().schema_by: "7.8.9"})
        assert "adserve 7.8.9" in of(look(folder, ADSERVE_REDIS_URL=url), "schema")
        with client(url) as asked:
            assert asked.get(Keys().schema) == "2"


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
            assert "ADSERVE_REDIS_URL" in of(found, "store")
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


# ---- the network and the machine


def test_a_port_of_somebody_else_is_a_problem(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = of(look(folder, flags={"port": port}), "port")
    assert f"process {os.getpid()}" in said


class _Answer(BaseHTTPRequestHandler):
    body = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def answering(body: Any) -> Iterator[int]:
    """A server on this machine that answers everything with one body; its port."""
    handler = type("_One", (_Answer,), {"body": body if isinstance(body, bytes) else json.dumps(body).encode()})
    with HTTPServer(("127.0.0.1", 0), handler) as found:
        thread = Thread(target=found.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield found.server_address[1]
        finally:
            found.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"version": __version__}, "ok"),
        ({"version": "0.0.1"}, "warning"),
        (b"<html>", "problem"),
        ([], "problem"),
        ({}, "problem"),
    ],
)
def test_whoever_holds_the_port_is_asked_for_its_version(folder: Path, body: Any, status: str) -> None:
    with answering(body) as port:
        of(look(folder, flags={"port": port}), "port", status)


def test_the_public_url_is_asked_and_compared(folder: Path) -> None:
    """This version is well, another a warning, nobody too: readers may reach what this machine does not."""
    for body, status in (({"version": __version__}, "ok"), ({"version": "9"}, "warning"), (b"?", "warning")):
        with answering(body) as port:
            of(look(folder, ADSERVE_PUBLIC_URL=f"http://127.0.0.1:{port}"), "public_url", status)
    of(look(folder, ADSERVE_PUBLIC_URL=f"http://127.0.0.1:{free_port()}"), "public_url", "warning")


def test_a_public_url_of_no_host_is_a_problem(folder: Path) -> None:
    said = of(look(folder, ADSERVE_PUBLIC_URL="https://no-such-host.invalid"), "public_url")
    assert "does not resolve" in said


def test_a_public_url_without_tls_or_without_being_set_is_a_warning(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "within", lambda _, __: (_ for _ in ()).throw(OSError("offline")))
    said = list(network.check_public_url(_settings(folder, ADSERVE_PUBLIC_URL="http://serve.example")))
    assert (said[0].status, "https" in said[0].remedy) == ("warning", True)
    (unset,) = network.check_public_url(_settings(folder, ADSERVE_HOST="0.0.0.0"))
    assert (unset.status, "not set" in unset.detail) == ("warning", True)


def _settings(folder: Path, **settings: str) -> Any:
    return load({}, {"ADSERVE_DATA_DIR": str(folder), **settings})


@pytest.mark.parametrize(
    ("proxies", "url", "status"),
    [
        ("", "", "ok"),
        ("", "https://serve.example", "warning"),
        ("", "http://localhost:9", "warning"),
        ("10.0.0.1", "https://serve.example", "ok"),
        ("0.0.0.0/0", "https://serve.example", "problem"),
        ("10.0.0.1,::/0", "", "problem"),
    ],
)
def test_trusted_proxies_fit_the_public_url(folder: Path, proxies: str, url: str, status: str) -> None:
    settings = _settings(folder, ADSERVE_TRUSTED_PROXIES=proxies, ADSERVE_PUBLIC_URL=url)
    (found,) = network.check_proxies(settings)
    assert found.status == status


@pytest.mark.parametrize(
    ("limit", "status"), [(100, "problem"), (1024, "warning"), (65_536, "ok"), (resource.RLIM_INFINITY, "ok")]
)
def test_too_few_open_files_are_found(monkeypatch: pytest.MonkeyPatch, limit: int, status: str) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (limit, limit))
    (found,) = machine.check_files(0)
    assert found.status == status


def test_too_many_workers_are_found(folder: Path) -> None:
    of(look(folder, ADSERVE_WORKERS="200"), "workers", "warning")


def test_a_question_without_an_answer_ends_in_time() -> None:
    """Also one that cannot be cancelled."""
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        within(0.05, lambda: time.sleep(3))
    assert time.monotonic() - begun < 2
    with pytest.raises(ZeroDivisionError):
        within(1, lambda: 1 // 0)
