"""`adserve simulate`: catalogs and traffic from files, tables, JSON and the picture."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from adserve.cli.simulate import first_moment, simulate_command
from adserve.core.schedule import parse_moment, zone
from adserve.errors import Invalid
from adserve.simulation.catalog import read_catalog
from adserve.simulation.log import Log
from adserve.simulation.profile import read_profile
from tests.simulation.worlds import START, world

CATALOG = world([{"id": "one", "target": {"labels": {"none": ["conflict"]}}}])


def simulate(folder: Path, *arguments: str) -> Result:
    (folder / "catalog.json").write_bytes(CATALOG)
    return CliRunner().invoke(simulate_command, ["--catalog", str(folder / "catalog.json"), *arguments])


def test_generated_traffic_gives_a_table_json_and_a_picture(tmp_path: Path) -> None:
    """The same figures in all of them."""
    options = ("--page-views", "300", "--start", "2026-11-02")
    shown = simulate(tmp_path, *options, "--svg", str(tmp_path / "x.svg"))
    assert shown.exit_code == 0, shown.output
    found = json.loads(simulate(tmp_path, *options, "--json").output)
    assert found["decisions"] == sum(one["requests"] for one in found["slots"]) > 300
    assert f"{found['decisions']:,} decisions" in shown.output
    assert ElementTree.parse(tmp_path / "x.svg").getroot().tag.endswith("svg")


def test_a_log_is_played_in_either_form(tmp_path: Path) -> None:
    """Labels decide, robots are served, what is no call of this catalog is counted."""
    lines = [
        '{"at": "2026-11-24T09:30:00Z", "path": "/v1/slots/news/top?labels=conflict"}',
        '{"at": 1795510000, "path": "/v1/pages/news?slots=top,side&labels=world", "country": "in"}',
        '203.0.113.9 - - [24/Nov/2026:09:31:00 +0000] "GET /v1/slots/news/top HTTP/1.1" 200 812 "-" "Googlebot"',
        '203.0.113.9 - - [24/Nov/2026:09:31:00 +0000] "GET /e/i/abc HTTP/1.1" 200 43 "-" "Mozilla"',
        '{"at": "never", "path": "/v1/slots/news/top"}',
        '{"at": 1795510000, "path": "/v1/slots/other/top"}',
        "nonsense",
        "",
    ]
    (tmp_path / "traffic.log").write_text("\n".join(lines))
    found = json.loads(simulate(tmp_path, "--traffic", str(tmp_path / "traffic.log"), "--json").output)
    assert (found["decisions"], found["skipped_lines"]) == (4, 4)
    top = next(one for one in found["slots"] if one["slot"] == "news/top")
    assert (top["requests"], top["serves"], top["empty"]) == (3, 2, {"target_labels": 1})
    log = Log(lines, read_catalog(CATALOG, START))
    requests = [visit.request for part in log.arrivals() for visit in part.visits]
    assert sorted(one.countable for one in requests) == [False, True, True]
    assert {one.context.country for one in requests} == {None, "IN"}


@pytest.mark.parametrize(
    ("text", "pointers"),
    [
        (b"[", [""]),
        (b"[]", [""]),
        (b'{"sights": []}', ["/sights"]),
        (world([{"id": "one", "goal": {"impressions": 0}}, {"id": "two", "pacing": "even"}]),
         ["/campaigns/0/goal", "/campaigns/1/pacing"]),
        (world([], creatives=[{"campaign": "none", "kind": "image"}]), ["/creatives/0/campaign", "/creatives/0/width"]),
    ],
)  # fmt: skip
def test_a_catalog_file_tells_all_that_is_wrong(text: bytes, pointers: list[str]) -> None:
    with pytest.raises(Invalid) as raised:
        read_catalog(text, START)
    assert [problem.pointer for problem in raised.value.problems] == pointers


def test_a_profile_tells_what_is_wrong() -> None:
    with pytest.raises(Invalid) as raised:
        read_profile(b'{"rendered": 2, "day": [1, 2], "devices": {"watch": 1}}')
    assert {problem.pointer for problem in raised.value.problems} == {"/rendered", "/day", "/devices"}
    with pytest.raises(Invalid, match="is no profile"):
        read_profile(b'{"views": 1}')


def test_wrong_arguments_are_told(tmp_path: Path) -> None:
    missing = simulate(tmp_path, "--traffic", str(tmp_path / "none.log"))
    assert missing.exit_code == 2
    assert "there is no file" in missing.output
    (tmp_path / "empty.log").write_text("nothing\n")
    assert isinstance(simulate(tmp_path, "--traffic", str(tmp_path / "empty.log")).exception, Invalid)


@pytest.mark.parametrize("start", ["tomorrow", "2026-13-40", "2026-02-30", "2026-11-24T99:00:00Z", "0001-01-01"])
def test_a_start_that_is_none_is_told(tmp_path: Path, start: str) -> None:
    found = simulate(tmp_path, "--start", start)
    assert (found.exit_code, "--start" in found.output) == (2, True), found.output


def test_a_picture_that_cannot_be_written_costs_no_run(tmp_path: Path) -> None:
    """It is told before anything is simulated; what can go wrong later comes after the figures."""
    for place in ("missing/x.svg", "catalog.json/x.svg"):
        found = simulate(tmp_path, "--page-views", "300", "--svg", str(tmp_path / place))
        assert found.exit_code == 2
        assert "there is no directory" in found.output
        assert "decisions" not in found.output
    full = simulate(tmp_path, "--page-views", "300", "--svg", "/dev/full")
    assert full.exit_code == 1
    assert "decisions" in full.output
    assert "/dev/full: No space left on device" in full.output


def test_traffic_begins_on_the_day_of_the_site() -> None:
    """20:00 UTC is the next day in Kolkata."""
    evening = int(datetime(2026, 11, 24, 20, tzinfo=UTC).timestamp())
    for name, day in (("UTC", "2026-11-24T00:00:00Z"), ("Asia/Kolkata", "2026-11-25T00:00:00+05:30")):
        assert first_moment(None, zone(name), evening) == parse_moment(day, zone(name))
