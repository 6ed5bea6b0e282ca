"""The keys that sign tokens: the file that holds them, and what the store knows of them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterable
from pathlib import Path

from adserve.core.token import Key
from adserve.errors import SettingsError
from adserve.settings import Settings, read_keys
from adserve.store.disk import sync_folder

Stamp = tuple[int, int, int] | None


def secret_path(settings: Settings) -> Path | None:
    """The file that holds the signing keys; None when the secret is a setting."""
    return None if settings.secret is not None else settings.secret_file or settings.data_dir / "secret"


def own_path(settings: Settings) -> Path:
    """Where the secret of a data dir is, if no setting names another."""
    return settings.data_dir / "secret"


def make_secret(settings: Settings) -> None:
    """Makes the secret of a first start, kept 0600 in the data dir. Never later: a file that is gone is
    an accident, and another secret in its place would refuse every token that is out."""
    if secret_path(settings) == own_path(settings):
        write_secret(settings, secrets.token_hex(32) + "\n")


def write_secret(settings: Settings, text: str, *, replace: bool = False) -> None:
    """Writes the secret file of the data dir, where there is none yet or to `replace` it. It is there whole and on the
    disk, or not at all: workers that start together make one and read it while it is made."""
    path = own_path(settings)
    if os.path.lexists(path) and not replace:
        return
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".secret.", dir=settings.data_dir)  # 0600
        try:
            with os.fdopen(handle, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            if replace:
                os.replace(name, path)
            else:
                with contextlib.suppress(FileExistsError):
                    os.link(name, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
        sync_folder(settings.data_dir)
    except OSError as problem:
        raise SettingsError([f"ADSERVE_DATA_DIR: {settings.data_dir} cannot be used: {problem.strerror}"]) from None


def signing_keys(settings: Settings) -> tuple[Key, ...]:
    """The keys as they are now, from the setting or its file."""
    path = secret_path(settings)
    if path is None:
        return (Key.derive(str(settings.secret).encode()),)
    return tuple(Key.derive(key.encode()) for key in read_keys(path))


def proofs(signing: Iterable[Key]) -> list[str]:
    """A check value for each key: the store holds that of the first, and learns no key from it."""
    return [hashlib.blake2b(key.secret, digest_size=8, person=b"adserve-proof").hexdigest() for key in signing]


def proofs_of(text: str) -> list[str]:
    """The same for what a secret file holds."""
    return proofs(Key.derive(line.strip().encode()) for line in text.splitlines() if line.strip())


def stamp_of(settings: Settings) -> Stamp:
    """What changes when the secret file does; None without one. Taken before the file is read."""
    path = secret_path(settings)
    try:
        found = path.stat() if path is not None else None
    except OSError:
        return None
    if found is None:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
