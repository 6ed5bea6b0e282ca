"""The secret file of a data dir: one, whole, or none."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from adserve.errors import SettingsError
from adserve.settings import Settings, load
from adserve.signing import make_secret, signing_keys, write_secret

CROWD = 8
OURS, THEIRS = f"{'a' * 40}\n", f"{'b' * 40}\n"


def settings_of(folder: Path) -> Settings:
    return load({}, {"ADSERVE_DATA_DIR": str(folder)})


def test_workers_that_start_together_have_one_secret(tmp_path: Path) -> None:
    """Each reads it as soon as it is there, also while another one makes it."""
    gate = Barrier(CROWD)

    def start(settings: Settings) -> bytes:
        gate.wait(30)
        make_secret(settings)
        (key,) = signing_keys(settings)
        return key.secret

    with ThreadPoolExecutor(CROWD) as workers:
        for turn in range(100):
            settings = settings_of(tmp_path / str(turn))
            assert len(set(workers.map(start, [settings] * CROWD))) == 1
            (path,) = settings.data_dir.iterdir()
            assert (path.name, path.stat().st_mode & 0o777) == ("secret", 0o600)


def test_a_secret_is_kept_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    for text, replace, found in ((OURS, False, OURS), (THEIRS, False, OURS), (THEIRS, True, THEIRS)):
        write_secret(settings, text, replace=replace)
        assert [path.name for path in tmp_path.iterdir()] == ["secret"]
        assert (tmp_path / "secret").read_text() == found


@pytest.mark.parametrize("before", [None, OURS])
def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str | None) -> None:
    settings = settings_of(tmp_path)
    if before is not None:
        write_secret(settings, before)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SettingsError, match=r"ADSERVE_DATA_DIR: .* cannot be used: No space left on device"):
        write_secret(settings, THEIRS, replace=before is not None)
    assert [path.read_text() for path in tmp_path.iterdir()] == [before] * (before is not None)
