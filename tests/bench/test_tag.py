"""The bench of the browser tag: it runs, and says so where it cannot."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from adserve.bench.tag import bench_tag, kind_of, render, time_in
from tests.needs import need


def told(_: str) -> None:
    """A bench says how far it is; nobody listens here."""


def test_a_visit_of_the_demo_is_measured(tmp_path: Path) -> None:
    """One page call for five slots, nothing shifts; the tag is as heavy as it is served."""
    need("chromium", "chromium-browser", "google-chrome", package="chromium")
    found = bench_tag(folder=tmp_path, rounds=1, say=told)
    assert found["slots"] == 5
    assert found["requests_until_filled"]["page calls"] == 1
    assert found["requests_until_filled"]["tag"] == 1
    assert found["cls"] == 0
    assert found["files"]["slots.js"]["brotli_bytes"] < found["files"]["slots.js"]["bytes"] <= 3_072
    assert 0 < found["main_thread_ms"] < found["filled_ms"] + 10_000
    assert len(render(found)) == 4


@pytest.mark.parametrize("module", ["playwright.sync_api", "brotli"])
def test_without_a_browser_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    """Of a server's own installation neither is a part."""
    monkeypatch.setitem(sys.modules, module, None)
    (line,) = render(bench_tag(folder=tmp_path, rounds=1, say=told))
    assert line.startswith("skipped: ")
    assert "apt install chromium" in line


def test_without_a_chromium_it_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the system's nor one of Playwright's own."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    assert "apt install chromium" in bench_tag(folder=tmp_path, rounds=1, say=told)["skipped"]


def test_time_is_that_of_the_script_and_of_what_the_browser_does_for_it() -> None:
    """Not that of another script that listens to its events."""

    def node(id_: int, url: str, *children: int) -> dict[str, Any]:
        return {"id": id_, "callFrame": {"url": url}, "children": list(children)}

    nodes = [node(1, "", 2, 5), node(2, "https://s.example/slots.js", 3, 4), node(3, ""), node(4, "https://n.example/"),
             node(5, "https://n.example/", 6), node(6, "")]  # fmt: skip
    profile = {"nodes": nodes, "samples": [1, 2, 3, 4, 5, 6], "timeDeltas": [1, 10, 100, 1_000, 10_000, 100_000]}
    assert time_in(profile, "/slots.js") == 110


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/slots.js", "tag"), ("/slots-more.js", "tag"), ("/v1/pages/news", "page calls"), ("/m/1.png", "pictures"),
        ("/e/i/x", "beacons"), ("/e/v/x", "beacons"), ("/demo/blogger/", ""), ("/demo/picks.html", ""),
    ],
)  # fmt: skip
def test_a_request_is_of_one_kind(path: str, kind: str) -> None:
    assert kind_of(path) == kind
