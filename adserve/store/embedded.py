"""A Valkey (or Redis) server of our own: one per data dir, on a unix socket, outliving a crash of ours.

DESIGN. Three advisory locks in the data dir decide everything.
    store.lock   held by the server alone, by inheritance: as long as it lives. Names its pid and socket.
    owner.lock   held by one launcher, the owner, whose pid it names. Only an owner starts, restarts or syncs.
    users.lock   shared by all launchers that use the server; held alone by the last one, which ends it.
A launcher that finds the server running adopts it. It is a guest while the owner lives, and the
owner once that is gone: at start, or at its next `restart_if_dead`. So a new service may start while
the old one still drains, and a command may run beside it: whoever goes first leaves the server on.

Guarantee: never two servers on one directory, whoever is killed when (do not delete the lock files).
An answered write survives the death of the server and of every launcher. `second`: a power cut
loses what was written since `last_sync`, about a second; `always`: nothing.

Not chosen: `appendfsync everysec`. It postpones the *write* while a sync is slow, yet answers, so a
killed server loses what it acknowledged. With `no` the write comes before the answer. Nor pid
files: pids are used again. No text of a user is in the server's arguments: it runs in its directory.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, RedisError
from redis.retry import Retry

from adserve.errors import StoreError
from adserve.store.binary import find_binary
from adserve.store.locks import alone as alone_in
from adserve.store.locks import facts, take, write_facts

Fsync = Literal["second", "always"]
APPENDFSYNC: dict[Fsync, str] = {"second": "no", "always": "always"}
DURABILITY = {"no": "synced to disk every second", "always": "synced to disk before every answer"}
OPTIONS = """--port 0 --unixsocketperm 700 --protected-mode yes --daemonize no --dir . --logfile store.log
    --maxmemory-policy noeviction --save '' --appendonly yes --aof-load-truncated yes"""
SILENCE_S = 20.0  # how long a server may say nothing while it starts; one that says LOADING is waited for
STOP_S, SYNC_S, POLL_S = 10.0, 1.0, 0.02
PLAIN_SOCKET = re.compile(r"/[A-Za-z0-9/._-]{1,102}")  # no escape needed in a URL, short enough everywhere


def _socket_for(directory: Path) -> Path:
    """A socket in `directory`, or in a private runtime dir where that path is too long or not plain."""
    if PLAIN_SOCKET.fullmatch(str(directory / "store.sock")):
        return directory / "store.sock"
    name = f"adserve-{os.geteuid()}-{hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]}"
    for base in (os.environ.get("XDG_RUNTIME_DIR", ""), "/tmp"):  # noqa: S108 - checked below
        place = Path(base) / name
        if PLAIN_SOCKET.fullmatch(str(place / "store.sock")):
            with contextlib.suppress(OSError):
                place.mkdir(mode=0o700, exist_ok=True)
                seen = place.lstat()
                if seen.st_uid == os.geteuid() and seen.st_mode & 0o170077 == 0o040000:
                    return place / "store.sock"  # a directory, ours, closed to others
    raise StoreError(f"no private place for the store's socket: {place} cannot be made or is not ours")


class EmbeddedStore:
    """A running server and this process's part in it. Made by `start`."""

    def __init__(self, data_dir: Path, fsync: Fsync) -> None:
        self.data_dir = data_dir.resolve()
        self.directory = self.data_dir / "store"
        self.log_path = self.directory / "store.log"
        self.socket_path, self.url, self.pid = Path(), "", 0
        self.version = self.durability = ""
        self.owner = self.adopted = False  # adopted: the server was running before this launcher came
        self.last_sync = 0.0  # monotonic: what was written before it is on disk (owner, `second`)
        self.sync_errors, self.last_error = 0, ""  # the error is that of `restart_if_dead`
        self._ready = False  # brought up as what it is now: guest or owner
        self._fsync: Fsync = fsync
        self._owner_lock: int | None = None
        self._user_lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None  # None too for an adopted server
        self._syncer: threading.Thread | None = None
        self._mutex, self._stopping = threading.Lock(), threading.Event()

    @classmethod
    def start(cls, data_dir: Path, *, fsync: Fsync = "second") -> Self:
        """Blocks until a server answers: the one that runs, or one started here."""
        store = cls(data_dir, fsync)
        try:
            store.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            store.directory.chmod(0o700)
            store._join()
            store._bring_up()
            return store
        except BaseException as error:
            with contextlib.suppress(StoreError):
                store.stop()
            if isinstance(error, OSError):
                raise StoreError(f"the embedded store cannot use {store.data_dir}: {error}") from error
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def restart_if_dead(self) -> bool:
        """Whether the server had died and runs again. Call it every second or so. A guest becomes the
        owner here when that is gone. Does not raise StoreError: the next call tries again."""
        with self._mutex:
            try:
                if self._stopping.is_set() or not self._claim():
                    return False
                dead = self._dead()
                if dead or not self._ready:
                    self._bring_up()
                return dead
            except (StoreError, OSError) as error:
                self.last_error = str(error)
                return False

    @property
    def owner_pid(self) -> int:
        """The process that owns the server, this one or another; 0 while that is not known."""
        return int(facts(self.data_dir / "owner.lock").get("pid", 0))

    def keep_others_out(self) -> bool:
        """Whether nobody else uses the server; from then on nobody can begin to, until this one stops."""
        return self._user_lock is not None and alone_in(self._user_lock)

    def stop(self) -> None:
        """Leaves the server, and ends it if nobody else uses it."""
        self._stopping.set()
        if self._syncer is not None:
            self._syncer.join(STOP_S)
        with self._mutex:
            if self._user_lock is None:
                return
            os.close(self._user_lock)
            last = take(self.data_dir / "users.lock")
            self._user_lock = None
            if last is None:
                self.sync()  # what was written until here; whoever stays owns it within a second
                if self._owner_lock is not None:
                    os.close(self._owner_lock)
                    self._owner_lock, self.owner = None, False
                return
            try:
                with self.claimed():
                    pass
            finally:
                os.close(last)

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Owned, with its server ended, by one who holds `users.lock` alone."""
        until = time.monotonic() + STOP_S
        while not self._claim() and time.monotonic() < until:  # one that is leaving too gives way
            time.sleep(POLL_S)
        try:
            self._end_server()
            yield
        finally:
            if self._owner_lock is not None:
                os.close(self._owner_lock)
                self._owner_lock, self.owner = None, False

    def _join(self) -> None:
        """Becomes one of the users; waits for one that is just ending the server."""
        until = time.monotonic() + SILENCE_S
        while (lock := take(self.data_dir / "users.lock", fcntl.LOCK_SH)) is None:
            if time.monotonic() > until:
                raise StoreError(f"{self.directory} is being stopped by another process, which does not end")
            time.sleep(POLL_S)
        self._user_lock = lock

    def sync(self) -> None:
        """Brings the log to the disk. Looks for its files each time: a rewrite starts new ones."""
        try:
            begun = time.monotonic()
            logs = [*self.directory.glob("appendonlydir/*.incr.aof"), *self.directory.glob("appendonly.aof")]
            for log in logs:
                with contextlib.suppress(FileNotFoundError), log.open("rb") as file:  # rewritten: synced
                    if sys.platform == "darwin":
                        fcntl.fcntl(file, fcntl.F_FULLFSYNC)
                    else:
                        os.fdatasync(file.fileno())
            self.last_sync = begun if logs else self.last_sync
        except OSError:
            self.sync_errors += 1

    def _sync_loop(self) -> None:
        due = 0.0
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            due = time.monotonic() + SYNC_S
            self.sync()

    def _claim(self) -> bool:
        if not self.owner and (lock := take(self.data_dir / "owner.lock")) is not None:
            write_facts(lock, pid=os.getpid())
            self._owner_lock, self.owner, self._ready = lock, True, False
        return self.owner

    def _dead(self) -> bool:
        if (lock := take(self.data_dir / "store.lock")) is not None:
            os.close(lock)
        return lock is not None

    def _bring_up(self) -> None:
        """Until a server answers: starts one if this is the owner and none lives, else waits for it."""
        self._process = self._process if self._process and self._process.poll() is None else None
        self.adopted, self._ready, until = True, False, time.monotonic() + SILENCE_S
        while True:
            lock = take(self.data_dir / "store.lock") if self._claim() and self._process is None else None
            if lock is not None:
                self._spawn(lock)
            if self._process is not None and self._process.poll() is not None:
                words = self.log_path.read_text(errors="replace").strip()[-500:].splitlines()[-1:]
                raise StoreError(f"the embedded store ended as it started: {words} ({self.log_path})")
            try:
                self._learn()
            except BusyLoadingError:
                until = time.monotonic() + SILENCE_S
            except (RedisError, OSError) as error:
                if time.monotonic() > until:
                    holder = f"process {self._record().get('pid', 'unknown')}, which does not answer"
                    raise StoreError(f"{self.directory} is held by {holder} ({error}): end it") from error
            else:
                break
            if self._stopping.wait(POLL_S):
                raise StoreError("stopped while starting")
        self._ready = True
        if self.owner and self._fsync == "second" and self._syncer is None:
            self._syncer = threading.Thread(target=self._sync_loop, name="store-sync", daemon=True)
            self._syncer.start()

    def _record(self) -> dict[str, Any]:
        """What store.lock says about the server."""
        return facts(self.data_dir / "store.lock")

    def _spawn(self, lock: int) -> None:
        """Starts the server with `lock` as its inheritance; ours is closed, so that only it holds it."""
        try:
            if not self.socket_path.name:  # else the same one again: clients know it
                self.socket_path = _socket_for(self.directory)
            socket, env = str(self.socket_path), os.environ.items()
            own = f"--unixsocket {socket} --appendfsync {APPENDFSYNC[self._fsync]}"
            command = [str(find_binary()), *shlex.split(f"{OPTIONS} {own}")]
            write_facts(lock, socket=socket)
            with open(self.log_path, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as log:
                self._process = subprocess.Popen(
                    command, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
                    env={k: v for k, v in env if not k.startswith("ADSERVE_")} | {"LC_ALL": "C"},
                    start_new_session=True, umask=0o077, pass_fds=(lock,),
                )  # fmt: skip
            self.pid, self.adopted = self._process.pid, False
            write_facts(lock, socket=socket, pid=self.pid)
        finally:
            os.close(lock)

    def _learn(self) -> None:
        """Asks the server of this directory who it is. Raises while there is none that answers."""
        if not (place := self._record().get("socket")):
            raise ConnectionError("no server has named its socket")
        options: dict[str, Any] = {"decode_responses": True, "encoding_errors": "surrogateescape", "protocol": 2}
        options |= {"socket_timeout": 1.0, "socket_connect_timeout": 1.0, "retry": Retry(NoBackoff(), 0)}
        client: Any = Redis(unix_socket_path=place, **options)
        with client:
            client.ping()
            info = client.info("server")
            if not os.path.samefile(client.config_get("dir")["dir"], self.directory):
                raise ConnectionError(f"{place} is the socket of another data dir")
            if self.owner:
                client.config_set("appendfsync", APPENDFSYNC[self._fsync])
            mode = client.config_get("appendfsync")["appendfsync"]
        self.socket_path, self.url, self.pid = Path(place), f"unix://{place}", int(info["process_id"])
        self.version = str(info.get("valkey_version") or info["redis_version"])
        self.durability = DURABILITY.get(mode, f"appendfsync {mode}")

    def _end_server(self) -> None:
        self.pid = int(self._record().get("pid", self.pid))  # another owner may have started it again
        gone = self.pid <= 0 or self._dead()
        for number, patience_s in ((signal.SIGTERM, STOP_S), (signal.SIGKILL, 2.0)):
            until = time.monotonic() + patience_s
            if not gone:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, number)
            while not (gone := gone or self._dead()) and time.monotonic() < until:
                time.sleep(POLL_S)
        if not gone:
            raise StoreError(f"the embedded store (process {self.pid}) does not end")
        self.sync()
        if self._process is not None:
            self._process.wait(STOP_S)
        if self.socket_path.name and self.socket_path.parent != self.directory:
            with contextlib.suppress(OSError):
                self.socket_path.parent.rmdir()  # the server has removed its socket, or the next one will


@contextlib.contextmanager
def alone(data_dir: Path) -> Iterator[None]:
    """Nobody uses the embedded store of this data dir meanwhile, and no server runs; one that a killed
    launcher has left is ended. StoreError names who does use it."""
    if (lock := take(data_dir / "users.lock")) is None:
        pid = facts(data_dir / "owner.lock").get("pid", "unknown")
        raise StoreError(f"{data_dir} is in use by process {pid}: stop that first")
    try:
        with EmbeddedStore(data_dir, "second").claimed():
            yield
    finally:
        os.close(lock)
