"""A data dir to look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doctor.looking import SECRET


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data dir as a start leaves it, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "secret").write_text(f"{SECRET}\n")
    (data / "secret").chmod(0o600)
    return data
