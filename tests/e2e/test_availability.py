"""`adserve availability`, beside a service and without one."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.test_process import run
from tests.service import service


def test_the_command_line_says_what_the_api_says(tmp_path: Path) -> None:
    with service(tmp_path) as running:
        running.world(1)
        data = {"ADSERVE_DATA_DIR": str(running.data)}
        told = json.loads(run("availability", "news/top", "--days", "3", "--json", **data).stdout)
        answer = running.call("GET", "/availability?slot=news/top&days=3")
        assert {**told, "generated_at": ""} == {**answer, "generated_at": ""}
        assert len(told["days"]) == 3
        assert running.stop() == 0
    text = run("availability", "news/top", **data).stdout
    assert "confidence: none" in text
    assert "there is no forecast" in text
    assert told["days"][0]["day"] in text
    for arguments, code in (
        (("news/none",), "not_found"),
        (("news/top", "--days", "0"), "bad_usage"),
        (("x",), "invalid"),
    ):
        done = run("availability", *arguments, "--json", **data)
        assert done.returncode != 0
        assert json.loads(done.stderr)["error"]["code"] == code
