"""Settings hold data too: whatever bytes they are made of, they mean what was written or are refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adserve.errors import SettingsError
from adserve.settings import SETTINGS, Setting, Settings, load
from tests.security.texts import FORMATS, TEMPLATES

GOOD = {
    "redis_url": "redis://user:pass@127.0.0.1:6379/0", "data_dir": "data", "host": "127.0.0.1", "port": "8000",
    "workers": "2", "public_url": "https://serve.example/x", "secret": "0123456789abcdef0123456789abcdef",
    "secret_file": "secret", "admin_key": "an-admin-key-of-this-test", "trusted_proxies": "10.0.0.1",
    "country_header": "CF-IPCountry", "key_prefix": "adserve:", "embedded_sync": "second",
}  # fmt: skip
"""One good value of each setting that is no plain number; a character of each test stands in the middle of it."""
BYTES = [bytes([number]).decode("utf-8", "surrogateescape") for number in range(1, 256)]
"""As an environment hands them over. A zero byte ends a variable, so none can hold one."""


def try_load(folder: Path, setting: Setting, text: str, *, as_file: bool) -> Settings | str:
    """The settings with this one, or what was said of it."""
    base = {"ADSERVE_DATA_DIR": str(folder)} if setting.name != "data_dir" else {}
    file = folder / "adserve.toml"
    if as_file:
        file.write_bytes(f"{setting.name} = {json.dumps(text)}".encode("utf-8", "surrogateescape"))
    else:
        file.unlink(missing_ok=True)
    try:
        return load({}, base if as_file else {**base, setting.env: text}, file)
    except SettingsError as refused:
        return str(refused)


def values(setting: Setting) -> list[str]:
    good = GOOD.get(setting.name, setting.default or "1")
    half = len(good) // 2
    return [good[:half] + one + good[half:] for one in (*BYTES, *FORMATS, *TEMPLATES, "${HOME}", "$(id)", "%(x)s")]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda one: one.name)
def test_a_setting_means_what_was_written_or_is_refused_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: Setting
) -> None:
    """With every byte and what is a format, a template or a variable elsewhere: nothing is filled in, and what was
    taken is handed to a process started from this one as it was given."""
    monkeypatch.chdir(tmp_path)
    for as_file in (False, True):
        for text in values(setting)[:: 4 if as_file else 1]:
            if as_file and not text.isascii():
                continue  # a file is UTF-8 as a whole, or refused as one
            found = try_load(tmp_path, setting, text, as_file=as_file)
            if isinstance(found, str):
                assert setting.env in found or "adserve.toml" in found, (text, found)
                continue
            assert found.environment()[setting.env] == text
            assert text.isprintable() or setting.name not in ("host", "admin_key"), repr(text)
            again = load({}, {**found.environment()}, tmp_path / "none.toml")
            assert getattr(again, setting.name) == getattr(found, setting.name)
            value: Any = getattr(found, setting.name)
            if isinstance(value, str | Path) and setting.name not in ("country_header", "public_url"):
                assert str(value) == text


def test_a_file_that_is_no_text_is_refused_whole(tmp_path: Path) -> None:
    file = tmp_path / "adserve.toml"
    for data in (
        b"\xff\xfe",
        b"host = '\xe9'",
        b'host = "\\ud800"',
        b"\0",
        b"port = 8000\x00",
        b"[host]\nx = 1\n",
        b"host" * 100_000,
    ):
        file.write_bytes(data)
        with pytest.raises(SettingsError, match="adserve"):
            load({}, {"ADSERVE_DATA_DIR": str(tmp_path)}, file)
