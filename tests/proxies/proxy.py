"""The example's nginx as a process of its own on loopback, as a user that is not root."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path

from tests.needs import need
from tests.service import free_port

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/nginx/adserve.conf"
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36"
HOSTS = ("serve.example", "news.example")


@dataclass
class Proxy:
    folder: Path
    port: int
    plain: int

    @property
    def root(self) -> Path:
        """Where the pages of news.example lie."""
        return self.folder / "www"

    def connect(self, host: str, *, source: str = "127.0.0.1") -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.folder / "certificate.pem"))
        raw = socket.create_connection(("127.0.0.1", self.port), 10, source_address=(source, 0))
        return context.wrap_socket(raw, server_hostname=host)

    def get(self, host: str, path: str, *, source: str = "127.0.0.1", **headers: str) -> tuple[HTTPResponse, str]:
        sent = {"Host": host, "User-Agent": AGENT, "Connection": "close"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
        with self.connect(host, source=source) as connection:
            connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            answer = HTTPResponse(connection)
            answer.begin()
            return answer, answer.read().decode("utf-8", "replace")


def ours(example: str, folder: Path, proxy: Proxy, upstream: int) -> str:
    """The example with this machine's ports and files; nothing else is changed."""
    changes = {
        r"listen 443 ssl http2;": f"listen 127.0.0.1:{proxy.port} ssl http2;",
        r"listen 80;": f"listen 127.0.0.1:{proxy.plain};",
        r"server 127\.0\.0\.1:8000;": f"server 127.0.0.1:{upstream};",
        r"/etc/ssl/\w+\.example\.pem": str(folder / "certificate.pem"),
        r"/etc/ssl/\w+\.example\.key": str(folder / "key.pem"),
        r"/var/www/news": str(proxy.root),
    }
    for pattern, replacement in changes.items():
        example, count = re.subn(pattern, lambda _, text=replacement: text, example)  # type: ignore[misc]
        assert count, pattern
    return example


@contextlib.contextmanager
def nginx(upstream: int, *, patient: bool = False) -> Iterator[Proxy]:
    """nginx over the service at a port of 127.0.0.1. `patient`: includes wait for seconds, where a test is about what
    they bring and the machine may be busy."""
    program, openssl = need("nginx", "/usr/sbin/nginx", package="nginx"), need("openssl", package="openssl")
    with tempfile.TemporaryDirectory(prefix="adserve-nginx-") as name:
        folder = Path(name)
        proxy = Proxy(folder, free_port(), free_port())
        proxy.root.mkdir()
        names = ",".join(f"DNS:{host}" for host in HOSTS)
        made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={HOSTS[0]}"]
        made += ["-addext", f"subjectAltName={names}", "-keyout", str(folder / "key.pem")]
        made += ["-out", str(folder / "certificate.pem")]
        subprocess.run([openssl, *made], check=True, capture_output=True, timeout=60)
        written = ours(EXAMPLE.read_text("utf-8"), folder, proxy, upstream)
        if patient:
            written, count = re.subn(r"(proxy_\w+_timeout\s+)\d+ms;", r"\g<1>9s;", written)
            assert count == 3
        (folder / "adserve.conf").write_text(written)
        (folder / "nginx.conf").write_text(_around(folder))
        user = _unprivileged(folder)
        command = [program, "-p", name, "-e", f"{name}/error.log", "-c", f"{name}/nginx.conf"]
        tested = subprocess.run([*command, "-t"], capture_output=True, text=True, timeout=20, user=user, group=user)
        assert tested.returncode == 0, tested.stderr
        assert "[warn]" not in tested.stderr, tested.stderr
        process = subprocess.Popen(command, user=user, group=user)
        try:
            _until_up(process, proxy, folder)
            yield proxy
        finally:
            process.terminate()
            process.wait(20)


def _around(folder: Path) -> str:
    """What a distribution has around the files of conf.d. Temporary files lie where an ordinary user may write."""
    temporary = "".join(
        f"{one}_temp_path {folder}/{one};" for one in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;"
        f" events {{ worker_connections 512; }} http {{ types {{ text/html html; }} access_log off; {temporary}"
        f" include {folder}/adserve.conf; }}"
    )


def _unprivileged(folder: Path) -> int | None:
    """As root, the number of `nobody`, to whom the folder then belongs."""
    if os.geteuid() != 0:
        return None
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, "nobody", "nogroup")
    return folder.stat().st_uid


def _until_up(process: subprocess.Popen[bytes], proxy: Proxy, folder: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", proxy.port), 1):
            return
        assert process.poll() is None, (folder / "error.log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.02)
