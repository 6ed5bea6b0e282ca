"""Media bytes: in the store, so that any number of hosts needs no shared disk, and cached on disk."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

from adserve.core.pictures import ENDINGS, kind_of
from adserve.store.client import Redis, understood
from adserve.store.keys import Keys

DIGEST = 40
"""Hex characters of the SHA-256 that names a file."""
MEMORY_BYTES = 32_000_000
_FILE = re.compile(r"[0-9a-f]{40}\.(png|jpg|gif|webp|avif)")


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:DIGEST]


def _names(file: str, data: bytes) -> bool:
    """Whether this is the one name of these bytes."""
    return _FILE.fullmatch(file) is not None and file == f"{digest_of(data)}.{ENDINGS.get(kind_of(data))}"


class MediaStore:
    """Files by content hash, with the ending of their kind. What is not what its name says is not given out."""

    def __init__(self, client: Redis, keys: Keys, folder: Path | None) -> None:
        self._client, self._keys, self._folder = client, keys, folder
        self._memory: OrderedDict[str, bytes] = OrderedDict()
        self._held = 0

    async def put(self, file: str, data: bytes) -> None:
        """Keeps a file (`<hash>.<ending>`); the same file again changes nothing. ValueError for a name
        that is not the hash and kind of `data`."""
        if not _names(file, data):
            raise ValueError("a media file is named by the hash of its bytes, and by their kind")
        await understood(self._client.set)(self._keys.media(file.partition(".")[0]), base64.b64encode(data).decode())
        self._remember(file, data)

    async def get(self, file: str) -> bytes | None:
        """The bytes of a file; None when there is none, it was tampered with or is of another kind."""
        if not _FILE.fullmatch(file):
            return None
        if file in self._memory:
            self._memory.move_to_end(file)
            return self._memory[file]
        data = await asyncio.to_thread(self._read, file)
        if data is None or not _names(file, data):
            data = await self._stored(file.partition(".")[0])
            if data is None or not _names(file, data):
                return None
            await asyncio.to_thread(self._write, file, data)
        self._remember(file, data)
        return data

    @understood
    async def _stored(self, digest: str) -> bytes | None:
        execute: Any = self._client.execute_command
        text = await execute("GET", self._keys.media(digest), NEVER_DECODE=True)
        with contextlib.suppress(binascii.Error):
            return base64.b64decode(text) if text else None
        return None

    def _remember(self, file: str, data: bytes) -> None:
        self._held += len(data) - len(self._memory.pop(file, b""))
        self._memory[file] = data
        while self._held > MEMORY_BYTES:
            _, dropped = self._memory.popitem(last=False)
            self._held -= len(dropped)

    def _read(self, file: str) -> bytes | None:
        if self._folder is None:
            return None
        with contextlib.suppress(OSError):
            return (self._folder / file).read_bytes()
        return None

    def _write(self, file: str, data: bytes) -> None:
        if self._folder is None:
            return
        with contextlib.suppress(OSError):  # a cache: a full disk must not stop a picture
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # in place: a kill leaves no temporary file, and a file in parts does not hash to its name, so whoever
            # reads it asks the store and writes it again
            (self._folder / file).write_bytes(data)
