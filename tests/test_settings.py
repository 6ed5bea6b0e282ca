"""Settings: what is refused, with what remedy, and that nothing hides behind something else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adserve.errors import SettingsError
from adserve.settings import load


def problems(folder: Path, **environment: str) -> list[str]:
    """What is said of these settings; none when they are good."""
    given = {"DATA_DIR": str(folder), **environment}
    try:
        load({}, {f"ADSERVE_{name}": value for name, value in given.items()}, folder / "adserve.toml")
    except SettingsError as refused:
        return refused.problems
    return []


@pytest.mark.parametrize("host", ["999.1.1.1", "127.0.0", "1", "1.2.3.4.5", "::1::", "[::1]", "fe80::x"])
def test_a_host_that_looks_like_an_address_is_one(tmp_path: Path, host: str) -> None:
    (said,) = problems(tmp_path, HOST=host)
    assert said.startswith("ADSERVE_HOST (environment): ")
    assert "write it as 127.0.0.1" in said


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::", "::1", "localhost", "serve.example", "1and1.example"])
def test_addresses_and_names_are_hosts(tmp_path: Path, host: str) -> None:
    assert problems(tmp_path, HOST=host) == []


@pytest.mark.parametrize("prefix", [" ", "a b", "a{b}", "a*", "a?", "a[b]", "\u00e4:", "a\n", "x" * 65])
def test_a_key_prefix_is_plain(tmp_path: Path, prefix: str) -> None:
    """Braces are hash tags, globs are patterns; both would reach the keys of others."""
    (said,) = problems(tmp_path, KEY_PREFIX=prefix)
    assert said == "ADSERVE_KEY_PREFIX (environment): takes 1 to 64 of letters, digits and _ . : / -, as adserve:"


def test_an_empty_variable_is_unset_and_an_empty_prefix_in_the_file_is_refused(tmp_path: Path) -> None:
    assert problems(tmp_path, KEY_PREFIX="") == []
    (tmp_path / "adserve.toml").write_text('key_prefix = ""')
    assert "ADSERVE_KEY_PREFIX" in problems(tmp_path)[0]


def test_secrets_and_folders_are_named_beside_everything_else(tmp_path: Path) -> None:
    """One start finds the file that is no TOML, two secrets of which both are bad, and a data dir that is a file."""
    (tmp_path / "file").write_text("short\n")
    (tmp_path / "adserve.toml").write_text("= no TOML")
    given = {"PORT": "0", "SECRET": "x", "SECRET_FILE": str(tmp_path / "file"), "DATA_DIR": str(tmp_path / "file")}
    said = "\n".join(problems(tmp_path, **given))
    for part in (
        "adserve.toml: ",
        "ADSERVE_PORT ",
        "ADSERVE_SECRET (environment): takes at least 32 bytes",
        "ADSERVE_SECRET and ADSERVE_SECRET_FILE are both set",
        f"ADSERVE_SECRET_FILE: {tmp_path / 'file'}, line 1: takes at least 32 bytes",
        f"ADSERVE_DATA_DIR: {tmp_path / 'file'} cannot be used: ",
    ):
        assert part in said


def test_a_secret_file_is_read_before_the_start(tmp_path: Path) -> None:
    """None there, a folder, a pipe (which nobody waits for), no text, nothing in it."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "binary").write_bytes(b"\xff" * 40)
    (tmp_path / "empty").write_text("\n\n")
    for name, reason in (("none", "no file"), (".", "no file"), ("pipe", "no file"), ("empty", "no key")):
        assert reason in problems(tmp_path, SECRET_FILE=str(tmp_path / name))[0]
    assert "cannot be read" in problems(tmp_path, SECRET_FILE=str(tmp_path / "binary"))[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_data_dir_that_is_not_writable_is_found_by_looking(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    for name in ("closed", "closed/below"):
        assert "is not writable" in problems(tmp_path, DATA_DIR=str(tmp_path / name))[0]


def test_a_data_dir_is_not_asked_for_where_another_store_is(tmp_path: Path) -> None:
    """A container without a disk needs none."""
    (tmp_path / "file").touch()
    assert problems(tmp_path, DATA_DIR=str(tmp_path / "file"), REDIS_URL="redis://127.0.0.1") == []


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("PROT", " (did you mean ADSERVE_PORT?)"),
        ("ADMINKEY", " (did you mean ADSERVE_ADMIN_KEY?)"),
        ("REDIS", " (did you mean ADSERVE_REDIS_URL?)"),
        ("DEBUG", ""),
        ("LOG_LEVEL", ""),
        ("STORE_URL", ""),
        ("X", ""),
    ],
)
def test_a_suggestion_is_near_or_absent(tmp_path: Path, name: str, hint: str) -> None:
    """What all variables begin with is no likeness."""
    assert problems(tmp_path, **{name: "1"}) == [f"ADSERVE_{name} is no setting{hint}"]
