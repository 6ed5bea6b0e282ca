"""`adserve explain`, beside a service of several workers and without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.e2e.test_process import run
from tests.service import BROWSER, fetch, service


def told(*arguments: str, data: Path) -> Any:
    done = run("explain", *arguments, "--json", ADSERVE_DATA_DIR=str(data))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_command_line_asks_the_workers_and_can_do_without(tmp_path: Path) -> None:
    """Whichever of two workers decided, the API and the command line tell the same of it, also through the worker that
    did not; with the service gone a slot is explained by the stored catalog, and says so, and a decision is unknown."""
    with service(tmp_path, workers=2) as running:
        ids = running.world(1, 3)
        made = []
        for _ in range(12):
            _, body = fetch(f"{running.origin}/v1/slots/news/top", Accept="application/json", **{"User-Agent": BROWSER})
            made.append(json.loads(body))
        for one in made:
            answer = running.call("GET", f"/explain/{one['decision']}")
            assert (answer["outcome"], answer["same"], answer["by"]) == (one["creative"], True, "worker")
        assert told(made[0]["decision"], data=running.data) == running.call("GET", f"/explain/{made[0]['decision']}")
        live = told("news/top", "--device", "mobile", data=running.data)
        assert (live["by"], live["request"]["width"], live["request"]["device"]) == ("worker", 360, "mobile")
        assert {one["creative"]: one["share"] for one in live["candidates"]} == {ids[0]: 0.25, ids[1]: 0.75}
        table = run("explain", "news/top", ADSERVE_DATA_DIR=str(running.data)).stdout
        assert all(word in table for word in (*ids, "25.00 %", "75.00 %", "would show"))
        data = running.data
        assert running.stop() == 0
    alone = told("news/top", data=data)
    assert (alone["by"], alone["reason"], alone["same"]) == ("catalog", "chosen", True)
    text = run("explain", "news/top", ADSERVE_DATA_DIR=str(data)).stdout
    assert "no worker answers" in text
    for arguments, code, detail in (
        ((made[0]["decision"],), "not_found", "remembers"),
        (("news/none",), "not_found", "no slot"),
        (("news/top", "--device", "fridge", "--limit", "0"), "invalid", "device"),
        ((made[0]["decision"], "--width", "300"), "bad_usage", "--width"),
        (("nonsense",), "not_found", "no id of a decision"),
    ):
        done = run("explain", *arguments, "--json", ADSERVE_DATA_DIR=str(data))
        assert done.returncode != 0
        (error,) = json.loads(done.stderr).values()
        assert error["code"] == code
        assert detail in error["detail"]
