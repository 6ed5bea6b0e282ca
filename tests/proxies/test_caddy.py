"""The lines for Caddy: read by the real one, and run before a service that notes what it is asked."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from pathlib import Path

from tests.needs import need
from tests.proxies.proxy import EXAMPLE
from tests.proxies.test_slow import Upstream
from tests.service import environment, free_port

CADDYFILE = EXAMPLE.parents[1] / "caddy/Caddyfile"


def test_caddy_reads_the_file(tmp_path: Path) -> None:
    command = [need("caddy", package="caddy"), "validate", "--adapter", "caddyfile", "--config", str(CADDYFILE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, env=environment(HOME=str(tmp_path)))
    assert done.returncode == 0, done.stderr


def test_it_tells_readers_apart_and_keeps_figures_in(tmp_path: Path) -> None:
    """The address is that of the connection, cookies stay behind, and `/metrics` is for this machine."""
    caddy, upstream, port = need("caddy", package="caddy"), Upstream(), free_port()
    text = CADDYFILE.read_text("utf-8").replace("127.0.0.1:8000", f"127.0.0.1:{upstream.port}")
    text, count = re.subn(r"^serve\.example \{", f"http://127.0.0.1:{port} {{", text, flags=re.MULTILINE)
    assert count == 1
    (tmp_path / "Caddyfile").write_text("{\n\tadmin off\n}\n" + text)
    command = [caddy, "run", "--adapter", "caddyfile", "--config", str(tmp_path / "Caddyfile")]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, stderr=log, stdout=log, env=environment(HOME=str(tmp_path)))
    try:
        until = time.monotonic() + 20
        while not _status(port, "/up", "127.0.0.1"):
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < until
            time.sleep(0.05)
        assert _status(port, "/metrics", "127.0.0.2") == 403
        assert _status(port, "/api/v1/sites", "127.0.0.2") == 403
        assert _status(port, "/metrics", "127.0.0.1") == 200
        assert _status(port, "/v1/slots/news/top", "127.0.0.2") == 200
        assert _status(port, "/console/", "127.0.0.2") == 200
    finally:
        process.terminate()
        process.wait(20)
        upstream.close()
    asked = {head.split(" ")[1]: head.lower() for head in upstream.heads}
    assert {*asked} == {"/up", "/metrics", "/v1/slots/news/top", "/console/"}
    assert re.findall(r"^x-forwarded-for: (.*?)\r", asked["/v1/slots/news/top"], re.MULTILINE) == ["127.0.0.2"]
    assert "cookie:" not in asked["/v1/slots/news/top"]
    assert "\r\ncookie: " in asked["/console/"]


def _status(port: int, path: str, source: str) -> int:
    """0 while nobody listens."""
    try:
        connection = socket.create_connection(("127.0.0.1", port), 10, source_address=(source, 0))
    except ConnectionRefusedError:
        return 0
    with connection:
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Forwarded-For: 198.51.100.1\r\nCookie: a=1\r\n"
        connection.sendall(f"{head}Connection: close\r\n\r\n".encode())
        return int(connection.makefile("rb").readline().split()[1])
