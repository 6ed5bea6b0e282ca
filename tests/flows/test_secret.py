"""The secret file: rotated while the service runs, and never to something that cannot be used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from adserve import following, signing, wiring
from adserve.core.token import Key, Serve, Signer
from adserve.errors import BadToken, SettingsError
from adserve.flows.admit import knows_secret
from adserve.settings import Settings, load
from adserve.signing import proofs
from adserve.store.client import Redis
from adserve.store.embedded import EmbeddedStore
from adserve.store.keys import Keys
from adserve.wiring import Running, running
from tests.faults import proxy

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
        await (settled.wait() if seconds == following.SETTLE_S else real(min(seconds, 0.01)))

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


async def until_said(capsys: pytest.CaptureFixture[str], what: str) -> str:
    """All that the log says until it says this."""
    said = ""
    async with asyncio.timeout(10):
        while what not in said:
            await asyncio.sleep(0.01)
            said += "".join(capsys.readouterr())
    return said


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
    monkeypatch.setattr(following, "POLL_S", 0.01)
    async with running(load({}, environment), store.url) as held:
        write(file, text)
        said = await until_said(capsys, "secret_not_changed")
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
    monkeypatch.setattr(following, "POLL_S", 0.01)
    looks = 0
    real = signing.signing_keys

    def signing_keys(settings: Settings) -> tuple[Key, ...]:
        nonlocal looks
        looks += 1
        return real(settings)

    for module in (following, wiring):
        monkeypatch.setattr(module, "signing_keys", signing_keys)
    given = load({}, {"ADSERVE_DATA_DIR": str(tmp_path / "data"), "ADSERVE_KEY_PREFIX": f"{tmp_path.name}:"})
    async with running(given, store.url):
        assert looks == 1
        write(tmp_path / "data" / "secret", (tmp_path / "data" / "secret").read_text())
        await eventually(lambda: looks == 2)
    assert "secret_changed" not in "".join(capsys.readouterr())


async def test_a_deleted_file_is_not_made_anew(
    store: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The old key goes on and the log says why; another secret in its place would end every token."""
    monkeypatch.setattr(following, "POLL_S", 0.01)
    path = tmp_path / "data" / "secret"
    given = load({}, {"ADSERVE_DATA_DIR": str(tmp_path / "data"), "ADSERVE_KEY_PREFIX": f"{tmp_path.name}:"})
    async with running(given, store.url) as held:
        keys, text = held.worker.keys, path.read_text()
        path.unlink()
        await until_said(capsys, "secret_not_changed")
        assert not path.exists()
        assert held.worker.keys == keys
        write(path, text)
    async with running(given, store.url) as held:
        assert held.worker.keys == keys


async def test_while_the_store_is_away_a_change_waits(
    store: EmbeddedStore,
    environment: dict[str, str],
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nobody can say then whether a key is the store's: a foreign one is refused when it is back."""
    monkeypatch.setattr(following, "POLL_S", 0.01)
    looks = 0

    async def counted(client: Redis, keys: Keys, ours: Sequence[str]) -> bool:
        nonlocal looks
        looks += 1
        return await knows_secret(client, keys, ours)

    async with proxy(str(store.socket_path)) as between, running(load({}, environment), between.url) as held:
        monkeypatch.setattr(following, "knows_secret", counted)
        between.set("refuse")
        write(file, f"{FOREIGN}\n")
        await eventually(lambda: looks > 3)
        assert held.worker.signer.mint(SERVE)[0] == token(OLD)
        between.set("pass")
        await until_said(capsys, "secret_not_changed")
        assert held.worker.signer.mint(SERVE)[0] == token(OLD)


def test_keys_do_not_print() -> None:
    """Neither a key nor a signer shows its secret."""
    assert "secret" not in repr(Key.derive(OLD.encode()))


async def test_keys_that_reach_another_host_first_stop_nobody(
    store: EmbeddedStore, environment: dict[str, str], file: Path
) -> None:
    """The store knows a newer key already: a worker whose file is still the old one goes on, and leaves that as it
    is. Whose store was away meanwhile too, and one that starts with both keys."""
    (newer,) = proofs([Key.derive(NEW.encode())])
    async with proxy(str(store.socket_path)) as between, running(load({}, environment), between.url) as held:
        client, key = held.services.client, held.services.keys.secret
        await client.set(key, newer)
        await held.admission.ask()
        between.set("refuse")
        await eventually(lambda: not held.admission.given)
        between.set("pass")
        await eventually(lambda: held.admission.given)
        assert held.failure is None
        assert await client.get(key) == newer
    write(file, f"{NEW}\n{OLD}\n")
    async with running(load({}, environment), store.url) as held:
        assert await held.services.client.get(held.services.keys.secret) == newer


@pytest.mark.parametrize("own", [True, False])
async def test_a_store_that_comes_later_is_asked_for_its_secret(
    store: EmbeddedStore, environment: dict[str, str], file: Path, own: bool
) -> None:
    """A worker with another secret than the store's must not go on when it started before the store: the others
    would refuse its tokens. One with the right secret goes on, and its secret is the store's from then on."""
    if not own:
        async with running(load({}, environment), store.url):
            pass
        write(file, f"{FOREIGN}\n")
    async with proxy(str(store.socket_path)) as between:
        between.set("refuse")
        async with running(load({}, environment), between.url) as held:
            between.set("pass")
            if not own:
                async with asyncio.timeout(10):
                    await held.failed.wait()
                assert "another secret" in str(held.failure)
                assert held.worker.catalog is None
                return
            await eventually(lambda: held.worker.catalog is not None)
            client, key = held.services.client, held.services.keys.secret
            async with asyncio.timeout(10):
                while await client.get(key) is None:  # noqa: ASYNC110 - what is waited for is in the store
                    await asyncio.sleep(0.01)
            assert held.failure is None
    write(file, f"{FOREIGN}\n")
    with pytest.raises(SettingsError):
        async with running(load({}, environment), store.url):
            pass
