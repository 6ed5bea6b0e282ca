"""The settings in force: where each comes from, through every process, and no secret in any of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from adserve.cli.settings import settings_command
from adserve.core.in_force import InForce
from adserve.in_force import in_force, place
from adserve.settings import SETTINGS, load
from adserve.sources import HANDED
from tests.conftest import Api

CANARY = "c4n4ry-0123456789-abcdefghijklmnopqrstuvwxyz"


def rows(folder: Path, flags: dict[str, str], **environment: str) -> dict[str, InForce]:
    given = {"DATA_DIR": str(folder), **environment}
    found = load(flags, {f"ADSERVE_{name}": value for name, value in given.items()}, folder / "adserve.toml")
    return {one.variable: one for one in in_force(found)}


def test_each_setting_says_where_it_comes_from(tmp_path: Path) -> None:
    """What goes before is named: the flag before the environment, the environment before the file."""
    file = tmp_path / "adserve.toml"
    file.write_text('port = 9001\nworkers = 3\nhost = "127.0.0.2"\n')
    found = rows(tmp_path, {"port": "9003"}, PORT="9002", WORKERS="2")
    assert {name: (found[name].value, found[name].source) for name in found if found[name].source != "default"} == {
        "ADSERVE_DATA_DIR": (str(tmp_path), "environment"),
        "ADSERVE_HOST": ("127.0.0.2", str(file)),
        "ADSERVE_PORT": ("9003", "flag"),
        "ADSERVE_WORKERS": ("2", "environment"),
    }
    assert found["ADSERVE_ALLOWANCE_S"].value == "60"
    assert found["ADSERVE_PUBLIC_URL"].value is None
    assert set(found) == {setting.env for setting in SETTINGS}


def test_a_worker_knows_what_its_supervisor_was_told(tmp_path: Path) -> None:
    """It gets everything by its environment, and still says where each was written."""
    (tmp_path / "adserve.toml").write_text("workers = 3\n")
    first = load({"port": "9003"}, {"ADSERVE_DATA_DIR": str(tmp_path)}, tmp_path / "adserve.toml")
    second = load({}, first.environment(), tmp_path / "none.toml")
    assert in_force(second) == in_force(first)
    assert second.sources["ADSERVE_PORT"] == "flag"


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"ADSERVE_PORT": 1}', "\ud800"])
def test_nonsense_about_sources_is_no_failure(tmp_path: Path, text: str) -> None:
    """The variable is between our own processes; whoever sets it misleads himself at most."""
    found = load({}, {"ADSERVE_DATA_DIR": str(tmp_path), "ADSERVE_PORT": "9", HANDED: text}, tmp_path / "none.toml")
    assert found.sources["ADSERVE_PORT"] == "environment"


def test_no_secret_is_shown(tmp_path: Path) -> None:
    """Not in the rows, not by `repr`, not by the command, whichever way it was given."""
    store = f"rediss://{CANARY}:{CANARY}@store.example:6380/2?password={CANARY}"
    given = {"REDIS_URL": store, "SECRET": CANARY, "ADMIN_KEY": CANARY}
    found = rows(tmp_path, {}, **given)
    assert CANARY not in repr(found)
    assert found["ADSERVE_REDIS_URL"].value == "rediss://store.example:6380/2"
    assert found["ADSERVE_SECRET"].value == found["ADSERVE_ADMIN_KEY"].value == "set, and not shown"
    assert [one.variable for one in found.values() if one.secret] == [
        "ADSERVE_REDIS_URL", "ADSERVE_SECRET", "ADSERVE_ADMIN_KEY",
    ]  # fmt: skip
    environment = {f"ADSERVE_{name}": value for name, value in given.items()}
    for arguments in ([], ["--json"]):
        shown = CliRunner(env=environment).invoke(settings_command, ["--data-dir", str(tmp_path), *arguments])
        assert shown.exit_code == 0, shown.output
        assert CANARY not in shown.output
        assert "store.example" in shown.output
    told = {one["variable"]: one for one in json.loads(shown.output)}
    assert told["ADSERVE_DATA_DIR"]["source"] == "flag"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1", "redis://127.0.0.1"),
        ("redis://user:p%40ss@127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("unix://user:word@/run/valkey.sock?db=1", "unix:///run/valkey.sock"),
        ("redis+sentinel://user:word@a:1,b:2/main/3", "redis+sentinel://a:1,b:2/main"),
    ],
)
def test_a_store_is_shown_by_its_place_alone(url: str, shown: str) -> None:
    """For every scheme."""
    assert place(url) == shown


async def test_services_know_them(api: Api) -> None:
    """So that a page can show them."""
    found = {one.variable: one for one in api.held.services.settings}
    assert found["ADSERVE_ADMIN_KEY"].value == "set, and not shown"
    assert found["ADSERVE_KEY_PREFIX"].source == "environment"
