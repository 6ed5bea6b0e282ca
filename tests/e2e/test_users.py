"""`adserve users` as a process, and the demo's link."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from adserve.settings import load
from tests.e2e.test_process import run
from tests.service import command


def done(folder: Path, *arguments: str, **environment: str) -> Any:
    found = run("users", *arguments, "--json", "--data-dir", str(folder), **environment)
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


def test_people_come_and_go_by_the_command_line(tmp_path: Path) -> None:
    """Invited into an empty data dir, with links under the public URL; every change is shown."""
    folder = tmp_path / "data"
    public = {"ADSERVE_PUBLIC_URL": "https://serve.example"}
    made = done(folder, "invite", "Ann@news.example", "--role", "admin", **public)
    assert re.fullmatch(r"https://serve\.example/console/invitation/[\w-]{43}", made["link"])
    assert (made["state"], made["role"]) == ("invited", "admin")
    for purpose, path in (("password", "reset"), ("sign-in", "link"), ("invitation", "invitation")):
        link = done(folder, "link", "ANN@news.example", "--for", purpose, "--data-dir", str(folder))["link"]
        assert re.fullmatch(rf"http://127\.0\.0\.1:8000/console/{path}/[\w-]{{43}}", link)
    assert "/invitation/" in done(folder, "link", made["id"])["link"]
    assert done(folder, "role", made["id"], "--role", "reader")["role"] == "reader"
    assert done(folder, "disable", "ann@news.example")["state"] == "disabled"
    refused = run("users", "link", made["id"], "--json", "--data-dir", str(folder))
    assert (refused.returncode, json.loads(refused.stderr)["error"]["code"]) == (1, "conflict")
    assert done(folder, "enable", made["id"])["state"] == "invited"
    for change in ("sign-out", "clear-second-factor"):
        assert done(folder, change, made["id"])["id"] == made["id"]
    assert [one["name"] for one in done(folder)] == ["Ann@news.example"]
    assert done(folder, "delete", made["id"])["deleted"]
    assert done(folder, "list") == []


def test_what_is_refused_says_all_of_it(tmp_path: Path) -> None:
    """Name and role at once, for programs and for people; a name that nobody has is told."""
    folder = str(tmp_path / "data")
    refused = run("users", "invite", "../x", "--role", "owner", "--json", "--data-dir", folder)
    errors = json.loads(refused.stderr)["error"]["errors"]
    assert {one["pointer"] for one in errors} == {"/name", "/role"}
    done(Path(folder), "invite", "ann", "--role", "admin")
    taken = run("users", "invite", "ANN", "--role", "admin", "--data-dir", folder)
    assert taken.returncode == 1
    assert "another user has this name" in taken.stderr
    missing = run("users", "disable", "bob", "--data-dir", folder)
    assert (missing.returncode, "no user bob" in missing.stderr) == (1, True)
    shown = run("users", "invite", "bob", "--role", "reader", "--data-dir", folder)
    assert "works once, until" in shown.stdout


def test_the_demo_prints_a_link_that_signs_in_once(tmp_path: Path) -> None:
    """Another one with each start, for the same admin."""
    links = set()
    for _ in range(2):
        with command(tmp_path, "demo", "--data-dir", str(tmp_path / "data")) as (_, origin):
            said = (tmp_path / "stderr").read_text()
        links |= set(re.findall(rf"sign in +({origin}/console/link/[\w-]{{43}})", said))
    assert len(links) == 2
    (user,) = done(tmp_path / "data")
    assert (user["name"], user["role"]) == ("demo", "admin")


def test_links_lead_where_people_can_go(tmp_path: Path) -> None:
    """To the public URL, else to a host that a browser can ask."""
    for host, shown in (("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("10.1.2.3", "10.1.2.3")):
        found = load({"host": host}, {"ADSERVE_DATA_DIR": str(tmp_path)}, tmp_path / "none")
        assert found.origin == f"http://{shown}:8000"
    public = {"ADSERVE_PUBLIC_URL": "https://serve.example/", "ADSERVE_DATA_DIR": str(tmp_path)}
    assert load({}, public, tmp_path / "none").origin == "https://serve.example"
