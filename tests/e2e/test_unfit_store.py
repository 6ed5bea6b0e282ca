"""`adserve serve` on a store that it must not count on: loud, with 78, and with the remedy."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from adserve.store.keys import Keys
from adserve.store.schema import NEWEST
from tests.e2e.test_process import run
from tests.servers import SAFE, client, server
from tests.service import Crowd, fetch, free_port, service, until


def test_a_store_without_a_log_stops_the_start(tmp_path: Path) -> None:
    """Unless that is accepted, which is then said at every start."""
    with server("--appendonly", "no") as url:
        done = run("serve", "--port", str(free_port()), "--data-dir", str(tmp_path / "data"), "--redis-url", url)
        assert done.returncode == 78, done.stderr
        for part in ("appendonly is no", "set appendonly to yes", "ADSERVE_UNSAFE_STORE=1"):
            assert part in done.stderr
        assert "Traceback" not in done.stderr
        with service(tmp_path, ADSERVE_REDIS_URL=url, ADSERVE_UNSAFE_STORE="1") as found:
            (said,) = json.loads(fetch(f"{found.origin}/readyz")[1])["warnings"]
            assert json.dumps(said)[1:-1] in found.said.read_text()  # in the log too
            assert found.stop() == 0


async def test_a_store_that_turns_unfit_is_not_counted_on_and_stops_nothing(tmp_path: Path) -> None:
    """Pages fill and events wait in the spool, also after a worker was killed; all are counted when it is mended."""
    with server(*SAFE) as url, service(tmp_path, workers=2, ADSERVE_REDIS_URL=url) as running:
        running.world()
        crowd = Crowd(running.origin)
        with client(url) as asked:
            asked.config_set("appendonly", "no")
        until(lambda: running.said.read_text().count("not_counting_on_this_store") >= 2)
        victim = running.worker_pids()[0]
        os.kill(victim, signal.SIGKILL)
        until(lambda: victim not in running.worker_pids() and len(running.worker_pids()) == 2)
        until(lambda: running.said.read_text().count("not_counting_on_this_store") >= 3)
        made = await crowd.serves(40)
        assert {(await crowd.get(one["impression_url"])).status_code for one in made} == {200}
        assert running.spooled()
        with client(url) as asked:
            asked.config_set("appendonly", "yes")
        totals = running.at_rest()
        assert (totals["impressions"], totals["duplicates"]) == (40, 0)
        assert running.audit()["agrees"]
        assert running.stop() == 0
        await crowd.http.aclose()


def test_a_service_that_is_overtaken_by_a_later_one_ends(tmp_path: Path) -> None:
    """Every worker notices by itself, drains, and the service exits with 78 and says which version it met."""
    with server(*SAFE) as url, service(tmp_path, workers=2, ADSERVE_REDIS_URL=url) as found:
        until(lambda: "listening" in found.said.read_text())  # said when all workers accept
        with client(url) as asked:
            asked.mset({Keys().schema: f"{NEWEST}>{NEWEST + 1}", Keys().schema_by: "7.8.9"})
        assert found.process is not None
        assert found.process.wait(40) == 78
        said = found.said.read_text()
        assert f"the store was written by adserve 7.8.9 in schema {NEWEST + 1}" in said
        assert "Traceback" not in said
        died = [json.loads(line) for line in said.splitlines() if "worker_died" in line]
        assert {one["code"] for one in died} == {78}
        done = run("keys", "--redis-url", url)
        assert (done.returncode, "7.8.9" in done.stderr) == (78, True)
