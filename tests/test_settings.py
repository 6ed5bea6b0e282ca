"""Settings: what is refused, with what remedy, and that nothing hides behind something else."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from adserve.errors import SettingsError
from adserve.settings import load

NOBODY = 65534


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


POOR = {
    "31 bytes": "0123456789abcdef0123456789abcde", "a word": "secret", "a byte": "x", "all the same": "a" * 64,
    "hardly two letters": "ab" * 32, "the sample of a manual": "changeme-changeme-changeme-changeme-changeme",
    "an example": "this-is-only-an-EXAMPLE-secret-0123456789abcdef", "blanks": " " * 40,
}  # fmt: skip


@pytest.mark.parametrize("secret", POOR.values(), ids=POOR)
@pytest.mark.parametrize("place", ["environment", "file", "toml", "below a good one"])
def test_a_poor_secret_is_refused_wherever_it_stands(tmp_path: Path, place: str, secret: str) -> None:
    """With how to make a good one, and without repeating what it was."""
    file, toml = tmp_path / "keys", tmp_path / "adserve.toml"
    if place == "environment":
        (said,) = problems(tmp_path, SECRET=secret)
    elif place == "toml":
        toml.write_text(f'secret = "{secret}"')
        (said,) = problems(tmp_path)
    else:
        good = "0123456789abcdef" * 2 + "-and-a-good-one\n"
        file.write_text(f"{good if place != 'file' else ''}{secret}\n")
        if secret.strip():
            (said,) = problems(tmp_path, SECRET_FILE=str(file))
        elif place == "file":
            (said,) = problems(tmp_path, SECRET_FILE=str(file))
            assert "holds no key" in said
            return
        else:
            return  # an empty line is no key
    assert "make one with `openssl rand -hex 32`" in said
    assert len(secret) < 8 or secret not in said


def test_a_secret_file_is_read_before_the_start(tmp_path: Path) -> None:
    """None there, a folder, a pipe (which nobody waits for), no text, nothing in it."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "binary").write_bytes(b"\xff" * 40)
    (tmp_path / "empty").write_text("\n\n")
    for name, reason in (("none", "no file"), (".", "no file"), ("pipe", "no file"), ("empty", "no key")):
        assert reason in problems(tmp_path, SECRET_FILE=str(tmp_path / name))[0]
    assert "cannot be read" in problems(tmp_path, SECRET_FILE=str(tmp_path / "binary"))[0]


def test_a_data_dir_that_is_not_writable_is_found_by_looking() -> None:
    """By whoever it is not writable for: root, who may write everywhere, looks as another user."""
    with TemporaryDirectory() as folder:  # pytest's own is closed to others
        Path(folder).chmod(0o755)
        (Path(folder) / "closed").mkdir(mode=0o555)
        for name in ("closed", "closed/below"):
            said = as_nobody(lambda: problems(Path(folder), DATA_DIR=f"{folder}/{name}"))  # noqa: B023 - run at once
            assert "is not writable" in said, said


def as_nobody(look: Callable[[], list[str]]) -> str:
    """What somebody sees who is not root, in a child of this process."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads: the child only looks and ends
        child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            os.write(writer, "\n".join(look()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        said = told.read()
    os.waitpid(child, 0)
    return said


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


@pytest.mark.parametrize(
    "url",
    [
        "redis+cluster://h:1",
        "redis+cluster://user:p%40ss%2Fword@h:1,[::1]:2",
        "redis+sentinel://h:1,i:2/main",
        "redis+sentinel://:secret@h:1/main/3",
    ],
)
def test_stores_of_several_nodes_are_addresses(tmp_path: Path, url: str) -> None:
    assert problems(tmp_path, REDIS_URL=url) == []


@pytest.mark.parametrize(
    "url",
    [
        "redis+cluster://user:hidden/word@h:1",
        "redis+cluster://user:hid@den@h",
        "redis+cluster://hidden",
        "redis+cluster://h:hidden",
        "redis+cluster://h:\u0661",
        "redis+cluster://h:\u00b2",
        "redis+cluster://h:0",
        "redis+cluster://h:65536",
        "redis+cluster://h:1,",
        "redis+cluster://h:1/0",
        "redis+sentinel://h:1",
        "redis+sentinel://h:1/",
        "redis+sentinel://h:1/main/\u0661",
        "redis+sentinel://user:hidden/word@h:1/main",
    ],
)
def test_an_address_that_is_none_is_refused_and_not_repeated(tmp_path: Path, url: str) -> None:
    """A piece of it can be a piece of the password."""
    (said,) = problems(tmp_path, REDIS_URL=url)
    assert said.startswith("ADSERVE_REDIS_URL (environment): ")
    assert "hid" not in said
    assert "literal" not in said


def test_rates_are_whole_numbers_and_named_together(tmp_path: Path) -> None:
    """A rate of 0 is none; a burst of 0 would let nobody in."""
    wrong = {"API_RATE": "-1", "API_BURST": "0", "API_RATE_WITHOUT_KEY": "1.5", "API_BURST_WITHOUT_KEY": "many"}
    said = problems(tmp_path, **wrong)
    assert [one.partition(" ")[0] for one in said] == [f"ADSERVE_{name}" for name in wrong]
    assert problems(tmp_path, API_RATE="0", API_RATE_WITHOUT_KEY="0", API_BURST="1") == []
