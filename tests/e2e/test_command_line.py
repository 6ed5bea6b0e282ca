"""The command line as programs use it: JSON in and out, exit codes, and nothing made by looking."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from adserve.cli.main import cli
from adserve.cli.options import with_services, with_store
from adserve.core.token import empty_id
from adserve.flows import revisions, submit
from adserve.settings import Settings
from adserve.store.embedded import EmbeddedStore
from adserve.store.keys import Keys
from tests.conftest import Api
from tests.e2e.test_process import run
from tests.servers import client

SERVING = {"serve", "demo"}
READING = [("report",), ("creative", "list"), ("keys",), ("keys", "list"), ("creative", "approve", "x")]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A store that every command of this file shares."""
    with EmbeddedStore.start(tmp_path_factory.mktemp("store")) as store:
        yield store.url


def commands(group: click.Group, *above: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield " ".join((*above, name)), command
        if isinstance(command, click.Group):
            yield from commands(command, *above, name)


def failure(*arguments: str, **environment: str) -> tuple[int, Any]:
    """Exit code and error of a command that must fail and print nothing else."""
    done = run(*arguments, "--json", **environment)
    assert done.stdout == ""
    (error,) = json.loads(done.stderr).values()
    assert set(error) == {"code", "detail", "errors"}
    return done.returncode, error


def test_every_command_but_those_that_serve_takes_json() -> None:
    """Also a group that does something by itself."""
    acting = {
        name: command
        for name, command in commands(cli)
        if name not in SERVING
        and not command.hidden
        and (not isinstance(command, click.Group) or command.invoke_without_command)
    }
    assert {"audit", "keys", "keys revoke", "report", "bench"} <= set(acting)
    assert [name for name, command in acting.items() if "--json" not in str([p.opts for p in command.params])] == []


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_look_into_an_empty_folder_makes_nothing(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Exit 66 with the folder and both remedies: an empty store would have answered for another."""
    done = run(*command, ADSERVE_DATA_DIR=str(tmp_path / "data"))
    assert done.returncode == 66
    for part in (str(tmp_path / "data"), "--data-dir", "ADSERVE_DATA_DIR"):
        assert part in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_key_may_be_made_before_the_first_start(tmp_path: Path) -> None:
    """It is how a service gets its first one; from then on there is something to look at."""
    made = json.loads(run("keys", "create", "--name", "CI", "--json", "--data-dir", str(tmp_path / "data")).stdout)
    listed = json.loads(run("keys", "--json", "--data-dir", str(tmp_path / "data")).stdout)
    assert [one["id"] for one in listed] == [made["id"]]


def test_keys_are_made_listed_and_revoked_in_json(url: str) -> None:
    """`keys` alone is `keys list`; the time is RFC 3339 in both forms."""
    where = ("--redis-url", url, "--json")
    id_ = json.loads(run("keys", "create", "--name", "CI", *where).stdout)["id"]
    (listed,) = json.loads(run("keys", *where).stdout)
    assert listed["id"] == id_
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", listed["created"])
    assert listed["created"] in run("keys", "list", "--redis-url", url).stdout
    assert json.loads(run("keys", "revoke", id_, *where).stdout) == {"id": id_, "revoked": True}
    assert json.loads(run("keys", "list", *where).stdout) == []


@pytest.mark.parametrize(
    ("flags", "role", "scopes"),
    [((), "admin", []), (("--role", "reader"), "reader", []), (("--scope", "delivery"), None, ["delivery"])],
)
def test_a_key_has_the_role_and_scope_that_were_asked(
    url: str, flags: tuple[str, ...], role: str | None, scopes: list[str]
) -> None:
    """An admin's without a word about either; with a scope alone it has no role."""
    where = ("--redis-url", url, "--json")
    made = json.loads(run("keys", "create", "--name", "CI", *flags, *where).stdout)
    assert (made["role"], made["scopes"]) == (role, scopes)
    run("keys", "revoke", made["id"], *where)


def test_a_key_of_an_advertiser_that_is_not_there_is_not_made(url: str) -> None:
    """Told like the API tells it."""
    where = ("--redis-url", url)
    code, error = failure("keys", "create", "--name", "P", "--role", "advertiser", "--advertiser", "none", *where)
    assert (code, [one["pointer"] for one in error["errors"]]) == (1, ["/advertiser"])


def test_failures_are_json_where_json_was_asked_for(url: str) -> None:
    """One form for bad usage, bad settings, a bad question, nothing there and no store."""
    code, error = failure("report", "--tz", "Mars", "--by", "colour", "--redis-url", url)
    assert (code, error["code"]) == (1, "invalid")
    assert [(one["pointer"], one["code"]) for one in error["errors"]] == [("/tz", "unknown_tz"), ("/by", "unknown_by")]
    code, error = failure("keys", ADSERVE_PORT="x", ADSERVE_WORKERS="x")
    assert (code, error["code"], len(error["errors"])) == (78, "bad_settings", 2)
    code, error = failure("keys", "revoke", "k-none", "--redis-url", url)
    assert (code, error["code"], error["errors"]) == (1, "not_found", [])
    code, error = failure("creative", "list", "--redis-url", "redis://127.0.0.1:1")
    assert (code, error["code"]) == (69, "store_unavailable")
    code, error = failure("creative", "list", "--state", "nope")
    assert (code, error["code"]) == (2, "bad_usage")
    code, error = failure("keys", "--json", "list")
    assert "behind the command" in error["detail"]


def test_a_store_that_is_away_is_told_apart_from_what_else_does_not_answer(url: str) -> None:
    """A worker that is busy, or a copy's target, is no reason to look after the address of the store."""
    hint = "the store does not answer; check ADSERVE_REDIS_URL (Error 111 connecting to 127.0.0.1:1"
    for command in (("creative", "list"), ("report",)):
        code, error = failure(*command, "--redis-url", "redis://127.0.0.1:1")
        assert (code, error["detail"][: len(hint)]) == (69, hint)
    with client(url) as store:
        store.set(Keys("adserve:").alive("a1"), "1", ex=600)
    code, error = failure("explain", empty_id(0xA1, 1, 1_800_000_000, 1, 1, 0), "--redis-url", url)
    assert (code, error["detail"]) == (69, "the worker that has it does not answer; try again")
    code, error = failure("store", "copy", "--to", "redis://127.0.0.1:1", "--redis-url", url)
    assert (code, error["code"], "ADSERVE_REDIS_URL" in error["detail"]) == (69, "store_unavailable", False)
    assert error["detail"].startswith("a store does not answer or does not take it (Error 111 connecting")
    assert error["detail"].endswith("): mend that, and run the same again")


def test_a_file_that_fails_is_not_the_store(url: str, tmp_path: Path) -> None:
    async def work(*_: object) -> None:
        (tmp_path / "none").read_bytes()

    for begin in (with_store, with_services):
        with pytest.raises(click.ClickException, match=f"No such file or directory: '{tmp_path}/none'"):
            begin({"redis_url": url, "data_dir": str(tmp_path)}, work)


def test_a_report_has_one_form_and_takes_an_advertiser(url: str) -> None:
    code, error = failure("report", "--csv", "--redis-url", url)
    assert (code, "--csv and --json" in error["detail"]) == (2, True)
    code, error = failure("report", "--advertiser", "none", "--redis-url", url)
    assert (code, error["detail"]) == (1, "there is no advertiser with this id")


@pytest.mark.parametrize("url", ["redis://host:port", "redis://[::1"])
def test_a_store_url_is_looked_at_before_it_is_used(url: str) -> None:
    code, error = failure("keys", "--redis-url", url)
    assert (code, "ADSERVE_REDIS_URL" in error["detail"]) == (78, True)


def test_markup_is_added_from_a_file(url: str, tmp_path: Path) -> None:
    """It is of the kind html, as its name says; a size that is none, and what is no UTF-8, is bad usage."""
    where = {"ADSERVE_REDIS_URL": url, "ADSERVE_DATA_DIR": str(tmp_path)}
    file, strange = tmp_path / "moving.html", tmp_path / "strange.HTM"
    file.write_text("<b>Tea</b>\n")
    strange.write_bytes(b"<b>\xff</b>")
    add = ("creative", "add", "none", "--name", "x", "--click-url", "https://shop.example/")
    code, error = failure(*add, str(file), "--size", "300x250", **where)
    assert (code, error["code"]) == (1, "not_found"), error
    for arguments in ((str(file), "--size", "300"), (str(strange), "--size", "300x250")):
        code, error = failure(*add, *arguments, **where)
        assert (code, error["code"]) == (2, "bad_usage")


async def test_an_approval_tells_what_it_is_of(api: Api, settings: Settings, store_url: str) -> None:
    """Revision and hash, of one that was named or of the newest; where another is the newest, nothing is approved."""
    await api.world()
    id_ = await api.creative(approve=False)
    await api.make("PATCH", f"/creatives/{id_}", {"title": "Two"})
    where = {"ADSERVE_REDIS_URL": store_url, "ADSERVE_KEY_PREFIX": settings.key_prefix}
    approve = ("creative", "approve", id_)
    code, error = await asyncio.to_thread(failure, *approve, "--revision", "1", **where)
    assert (code, error["code"]) == (1, "conflict")
    done = await asyncio.to_thread(run, *approve, "--revision", "2", **where)
    head, row = (line.split() for line in done.stdout.splitlines())
    found = await api.make("GET", f"/creatives/{id_}")
    assert dict(zip(head, row, strict=True)).items() >= {"id": id_, "revision": "2", "hash": found["hash"]}.items()
    assert found["approved"]["hash"] == found["hash"]


async def test_what_is_added_and_approved_is_what_was_sent(
    api: Api, settings: Settings, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Content that comes in between waits for review."""
    await api.world()
    await api.creative("one", approve=False)
    place, real = "adserve.flows.review.get_creative", revisions.get_creative

    async def late(services: Any, id_: str) -> Any:
        monkeypatch.setattr(place, real)
        await submit.patch_creative(services, id_, {"title": "Other"}, actor="advertiser")
        return await real(services, id_)

    monkeypatch.setattr(place, late)
    where = {"ADSERVE_REDIS_URL": store_url, "ADSERVE_KEY_PREFIX": settings.key_prefix}
    add = ["creative", "add", "one", "--name", "x", "--title", "Shoes", "--click-url", "https://shop.example/"]
    add += ["--approve"]
    done = await asyncio.to_thread(CliRunner().invoke, cli, add, env=where)
    (found,) = [one for one in (await api.make("GET", "/creatives"))["items"] if one["name"] == "x"]
    assert (found["title"], found["state"], found["live_revision"]) == ("Other", "pending", None)
    assert (done.exit_code, found["id"] in str(done.exception)) == (1, True)
    done = await asyncio.to_thread(CliRunner().invoke, cli, add, env=where)
    assert (done.exit_code, "approved" in done.output) == (0, True)
