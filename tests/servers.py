"""Stores as others run them: the real binary with options of its own, on a unix socket."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from adserve.store.binary import find_binary

SAFE = ("--appendonly", "yes", "--appendfsync", "always")


@contextmanager
def server(*options: str) -> Iterator[str]:
    """The URL of a running store, gone at the end; `{folder}` in an option is its directory."""
    with tempfile.TemporaryDirectory(prefix="adserve-test-") as folder:
        path = f"{folder}/s"
        own = ["--port", "0", "--unixsocket", path, "--dir", folder, "--save", "", "--logfile", f"{folder}/log"]
        given = [option.replace("{folder}", folder) for option in options]
        process = subprocess.Popen([str(find_binary()), *own, *given], stdout=subprocess.DEVNULL)
        try:
            _until_up(process, f"unix://{path}", Path(folder) / "log")
            yield f"unix://{path}"
        finally:
            process.kill()
            process.wait(10)


def client(url: str) -> Any:
    return Redis.from_url(url, decode_responses=True, protocol=2, retry=Retry(NoBackoff(), 0))


def _until_up(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + 10
    while True:
        with contextlib.suppress(RedisError, OSError), client(url) as asked:
            asked.ping()
            return
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until
        time.sleep(0.01)
