"""Real stores of every kind: the embedded one, Debian's Redis, a Cluster of three, one under Sentinels.

`ADSERVE_TEST_STORE` chooses which of them the tests of counting talk to.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from adserve.store.binary import find_binary
from adserve.store.embedded import EmbeddedStore
from tests.needs import need
from tests.service import free_port

SLOTS = 16384
LOGGED = (
    "--save",
    "",
    "--repl-diskless-sync-delay",
    "0",
    "--appendonly",
    "yes",
    "--appendfsync",
    "no",
    "--maxmemory-policy",
    "noeviction",
)
KINDS = ("embedded", "redis", "cluster", "sentinel")


class Node:
    """One server on a loopback port."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        binary: str | None = None,
        config: str = "",
        cluster: bool = False,
        port: int = 0,
    ) -> None:
        self.folder, self.port = folder, port or free_port()
        self.bus = free_port()
        """Where the nodes of a Cluster talk to each other."""
        self.options, self._binary, self._config = options, binary or str(find_binary()), config
        if cluster:
            self.options = ("--cluster-enabled", "yes", "--cluster-port", str(self.bus), *options)
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.start()

    def start(self) -> None:
        """Also again, after a kill, with the same data and port."""
        arguments: list[str] = [self._binary]
        if self._config:
            path = self.folder / "server.conf"
            if not path.exists():
                path.write_text(self._config)
            arguments.append(str(path))
        arguments += ["--port", str(self.port), "--bind", "127.0.0.1", *self.options]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(arguments, cwd=self.folder, stdout=log, stderr=log)
        until(lambda: self.call("PING") in ("PONG", True))

    def call(self, *command: Any) -> Any:
        with self.client() as client:
            return client.execute_command(*command)

    def text(self, *command: Any) -> str:
        """The reply of a command that describes something, as text, however the client reads it."""
        found = self.call(*command)
        return found if isinstance(found, str) else "\n".join(f"{name}:{value}" for name, value in found.items())

    def client(self, **more: Any) -> Redis:
        options: dict[str, Any] = {"socket_timeout": 2, "retry": Retry(NoBackoff(), 0), "protocol": 2}
        return Redis(port=self.port, decode_responses=True, **options, **more)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)


def until(holds: Callable[[], object], within_s: float = 30.0) -> None:
    """Errors of a store that is not there yet are no answer."""
    deadline = time.monotonic() + within_s
    while True:
        with contextlib.suppress(RedisError, OSError):
            if holds():
                return
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


@contextlib.contextmanager
def nodes() -> Iterator[list[Node]]:
    """A list to put servers in; none of them is left at the end."""
    found: list[Node] = []
    try:
        yield found
    finally:
        for node in found:
            node.kill()


class Cluster:
    """Three primaries, and a replica of each if wanted."""

    def __init__(self, members: Sequence[Node]) -> None:
        self.nodes = list(members)

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def move(self, slot: int, source: Node, target: Node) -> Iterator[None]:
        """Moves a slot with its keys, a step at a time: `next` goes on by some keys."""
        from_id, to_id = source.call("CLUSTER", "MYID"), target.call("CLUSTER", "MYID")
        target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", from_id)
        source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", to_id)
        yield
        while keys := source.call("CLUSTER", "GETKEYSINSLOT", slot, 3):
            source.call("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
            yield
        for node in (target, source, *(one for one in self.nodes if one not in (source, target))):
            node.call("CLUSTER", "SETSLOT", slot, "NODE", to_id)


def _knows(node: Node, others: int) -> bool:
    lines = node.text("CLUSTER", "NODES").splitlines()
    return len(lines) == others and not any("handshake" in line for line in lines)


@contextlib.contextmanager
def cluster(folder: Path, *, replicas: bool = False) -> Iterator[Cluster]:
    with nodes() as members:
        options = ("--cluster-node-timeout", "1500", *LOGGED)
        for number in range(6 if replicas else 3):
            members.append(Node(folder / f"node-{number}", *options, cluster=True))
        first = members[0]
        for number, node in enumerate(members[:3]):
            node.call("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            node.call("CLUSTER", "ADDSLOTSRANGE", number * SLOTS // 3, (number + 1) * SLOTS // 3 - 1)
        for node in members[1:]:
            node.call("CLUSTER", "MEET", "127.0.0.1", first.port, first.bus)
        until(lambda: all(_knows(node, len(members)) for node in members))
        for replica, primary in zip(members[3:], members[:3], strict=False):
            replica.call("CLUSTER", "REPLICATE", primary.call("CLUSTER", "MYID"))
        until(lambda: all("cluster_state:ok" in node.text("CLUSTER", "INFO") for node in members))
        until(lambda: all("master_link_status:up" in node.text("INFO", "replication") for node in members[3:]))
        yield Cluster(members)


class Watched:
    """A primary, its replica, and three Sentinels."""

    def __init__(self, primary: Node, replica: Node, sentinels: list[Node]) -> None:
        self.primary, self.replica, self.sentinels = primary, replica, sentinels

    @property
    def url(self) -> str:
        return "redis+sentinel://" + ",".join(f"127.0.0.1:{node.port}" for node in self.sentinels) + "/main"


@contextlib.contextmanager
def watched(folder: Path) -> Iterator[Watched]:
    with nodes() as members:
        primary = Node(folder / "primary", *LOGGED)
        members.append(primary)
        replica = Node(folder / "replica", *LOGGED, "--replicaof", f"127.0.0.1 {primary.port}")
        members.append(replica)
        until(lambda: "master_link_status:up" in replica.text("INFO", "replication"))
        config = (
            f"sentinel monitor main 127.0.0.1 {primary.port} 2\n"
            "sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n"
        )
        sentinels = [Node(folder / f"sentinel-{n}", "--sentinel", config=config) for n in range(3)]
        members.extend(sentinels)
        until(lambda: all(str(len(sentinels) - 1) in _raw_sentinel(one) for one in sentinels))
        yield Watched(primary, replica, sentinels)


def _raw_sentinel(node: Node) -> str:
    found = node.call("SENTINEL", "MASTER", "main")
    flat = found if isinstance(found, dict) else dict(zip(found[::2], found[1::2], strict=False))
    return str(flat.get("num-other-sentinels", ""))


@contextlib.contextmanager
def any_store(kind: str, folder: Path) -> Iterator[str]:
    """The URL of a running store of a kind."""
    if kind == "embedded":
        with EmbeddedStore.start(folder) as store:
            yield store.url
    elif kind == "redis":
        binary = need("redis-server", package="redis-server")
        with nodes() as members:
            members.append(Node(folder / "redis", *LOGGED, binary=binary))
            yield f"redis://127.0.0.1:{members[0].port}"
    elif kind == "cluster":
        with cluster(folder) as found:
            yield found.url
    else:
        with watched(folder) as found:
            yield found.url
