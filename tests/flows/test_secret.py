"""The secret file: rotated while the service runs, and never to something that cannot be used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from adserve import wiring
from adserve.core.token import Key, Serve, Signer
from adserve.errors import BadToken, SettingsError
from adserve.settings import Settings, load
from adserve.store.embedded import EmbeddedStore
from adserve.wiring import Running, running

OLD, NEW, FOREIGN = ("0123456789abcdef" * 2 + one for one in ("old", "new", "foreign"))
SERVE = Serve(1, 2, 1_800_000_000, 3, 4, 0, 5, 1, 1)


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - what is waited for is in another task, which tells nobody
            await asyncio.sleep(0.01)


def write(file: Path, text: str) -> None:
    file.write_bytes(text.encode("utf-8", "surrogateescape"))


def verifies(held: Running, token: str) -> bool:
    try:
        return held.worker.signer.verify(token, "i") == SERVE
    except BadToken:
        return False


def token(*keys: str) -> str:
    return Signer([Key.derive(key.encode()) for key in keys]).mint(SERVE)[0]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(f"{OLD}\n")
    return path


@pytest.fixture
def environment(tmp_path: Path, file: Path) -> dict[str, str]:
    return {
        "ADSERVE_DATA_DIR": str(tmp_path / "data"),
        "ADSERVE_SECRET_FILE": str(file),
        "ADSERVE_KEY_PREFIX": f"{tmp_path.name}:",
    }


async def test_a_new_key_verifies_at_once_and_signs_later(
    store: EmbeddedStore, environment: dict[str, str], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the old key still signs, tokens of both are ours; in the end the new one signs, and the
    old one is refused as soon as it is taken out. No restart."""
    settled = asyncio.Event()
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        await (settled.wait() if seconds == wiring.SETTLE_S else real(min(seconds, 0.01)))

    monkeypatch.setattr("asyncio.sleep", sleep)
    async with running(load({}, environment), store.url) as held:
        assert held.worker.signer.mint(SERVE)[0] == token(OLD)
        write(file, f"{NEW}\n{OLD}\n")
        await eventually(lambda: verifies(held, token(NEW)))
        assert held.worker.signer.mint(SERVE)[0] == token(OLD)
        settled.set()
        await eventually(lambda: held.worker.signer.mint(SERVE)[0] == token(NEW))
        assert verifies(held, token(OLD))
        write(file, f"{NEW}\n")
        await eventually(lambda: not verifies(held, token(OLD)))
        assert verifies(held, token(NEW))
    async with running(load({}, environment), store.url) as held:
        assert verifies(held, token(NEW))


@pytest.mark.parametrize("text", ["", "short\n", f"{OLD}\nshort\n", f"{FOREIGN}\n", "\udcff"])
async def test_a_file_that_cannot_be_used_changes_nothing(
    store: EmbeddedStore,
    environment: dict[str, str],
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str,
) -> None:
    """Empty, too short, foreign to the store or no text: the old key goes on, the log says why, and a
    start with it is refused."""
    monkeypatch.setattr(wiring, "POLL_S", 0.01)
    async with running(load({}, environment), store.url) as held:
        write(file, text)
        said = ""
        async with asyncio.timeout(10):
            while "secret_not_changed" not in said:
                await asyncio.sleep(0.01)
                said += "".join(capsys.readouterr())
        assert held.worker.signer.mint(SERVE)[0] == token(OLD)
        assert OLD not in said
        assert FOREIGN not in said
    with pytest.raises(SettingsError):
        async with running(load({}, environment), store.url):
            pass


async def test_a_first_start_changes_no_secret(
    store: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file that the start itself makes is no change of it, nor is one that is written again as it was."""
    monkeypatch.setattr(wiring, "POLL_S", 0.01)
    looks = 0
    real = wiring.signing_keys

    def signing_keys(settings: Settings) -> tuple[Key, ...]:
        nonlocal looks
        looks += 1
        return real(settings)

    monkeypatch.setattr(wiring, "signing_keys", signing_keys)
    given = load({}, {"ADSERVE_DATA_DIR": str(tmp_path / "data"), "ADSERVE_KEY_PREFIX": f"{tmp_path.name}:"})
    async with running(given, store.url):
        await eventually(lambda: looks == 2)
        write(tmp_path / "data" / "secret", (tmp_path / "data" / "secret").read_text())
        await eventually(lambda: looks == 3)
    assert "secret_changed" not in "".join(capsys.readouterr())


def test_keys_do_not_print() -> None:
    """Neither a key nor a signer shows its secret."""
    assert "secret" not in repr(Key.derive(OLD.encode()))
