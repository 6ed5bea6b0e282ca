"""`adserve doctor` beside a running service, as operators call it."""

from __future__ import annotations

import json
from pathlib import Path

from adserve.store.embedded import EmbeddedStore
from tests.e2e.test_process import run
from tests.service import service


def test_a_healthy_service_has_no_problem_and_is_not_disturbed(tmp_path: Path) -> None:
    """Both forms say the same; the service runs on, counts and ends in order."""
    with service(tmp_path, workers=2) as found:
        found.world()
        where = {**found.settings, "ADSERVE_PUBLIC_URL": found.origin}
        flags = ("--port", str(found.port), "--workers", "2")
        done = run("doctor", "--json", *flags, **where)
        said = json.loads(done.stdout)
        assert (done.returncode, said["healthy"]) == (0, True), done.stdout
        by = {one["check"]: one for one in said["findings"]}
        assert found.process is not None
        assert f"process {found.process.pid}" in by["store"]["detail"]
        assert "an adserve answers" in by["port"]["detail"]
        assert "an adserve answers" in by["public_url"]["detail"]
        assert "the service" in by["files"]["detail"]
        assert {one["status"] for one in said["findings"] if one["check"] != "files"} == {"ok"}
        text = run("doctor", *flags, **where)
        assert (text.returncode, "0 problems" in text.stdout) == (0, True)
        assert found.stop() == 0
    assert EmbeddedStore(found.data, "second").pid == 0


def test_a_fault_ends_with_one_and_says_the_remedy(tmp_path: Path) -> None:
    """And bad settings are its findings, not its end."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "secret").write_text("0123456789abcdef" * 3 + "\n")
    (data / "secret").chmod(0o644)
    done = run("doctor", "--data-dir", str(data))
    assert done.returncode == 1
    assert f"chmod 600 {data / 'secret'}" in done.stdout
    done = run("doctor", "--json", "--port", "x", "--workers", "x")
    assert (done.returncode, json.loads(done.stdout)["healthy"]) == (1, False)
    assert sum(one["check"] == "settings" for one in json.loads(done.stdout)["findings"]) == 2
