"""The diagnosis: a healthy service has no problem, each planted fault is found, and nothing is changed by looking."""

from __future__ import annotations

import json
import os
import resource
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
from adserve.core.token import Serve
from adserve.doctor import machine, network
from adserve.doctor.files import LEAST_BYTES
from adserve.doctor.findings import within, worst
from adserve.doctor.run import diagnose
from adserve.settings import load
from adserve.store.embedded import EmbeddedStore
from adserve.store.spool import Event, Spool, SpooledEvent, lying
from tests.doctor.looking import bad, look, of, used
from tests.servers import client
from tests.service import free_port

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


def test_a_country_header_that_nobody_may_send_is_told(folder: Path) -> None:
    """It is believed from trusted proxies, and without any it does nothing."""
    found = look(folder, ADSERVE_COUNTRY_HEADER="CF-IPCountry")
    assert "ADSERVE_TRUSTED_PROXIES" in of(found, "settings", "warning")
    found = look(folder, ADSERVE_COUNTRY_HEADER="CF-IPCountry", ADSERVE_TRUSTED_PROXIES="10.0.0.0/8")
    assert "settings" not in bad(found)


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
