"""Passwords: hashed and compared in threads, a few at a time, and as much work for a name that nobody has.

One hash takes 32 MiB and some 90 ms of a core. That is above what OWASP asks for (19 MiB and two passes), and two
at a time leave the event loop and the other workers their share.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TypeVar, TypeVarTuple

from argon2 import PasswordHasher, Type
from argon2.exceptions import Argon2Error, InvalidHashError

from adserve.core.users import NFC_GROWTH, PASSWORD, normal
from adserve.errors import TooMany

AT_ONCE = 2
WAITING = 40
"""Who may stand in line: some four seconds."""
HASHER = PasswordHasher(time_cost=3, memory_cost=32 * 1024, parallelism=1, type=Type.ID)
T = TypeVar("T")
Ts = TypeVarTuple("Ts")
_THREADS = ThreadPoolExecutor(AT_ONCE, "passwords")


class Hashing:
    """The line of one worker. `hasher` says how much work a hash is."""

    def __init__(self, hasher: PasswordHasher = HASHER) -> None:
        self._hasher = hasher
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """Of a password that was checked. TooMany when the line is long."""
        return await self._run(self._hasher.hash, password)

    async def matches(self, stored: str, password: str) -> bool:
        """Whether a stored hash is of a password. Empty: of nobody, which takes as long to find out."""
        if len(password) > PASSWORD[1] * NFC_GROWTH:
            return False
        return await self._run(self._verify, stored, normal(password)) and bool(stored)

    def is_old(self, stored: str) -> bool:
        """Whether a hash was made with other parameters than hashes are made with now."""
        return self._hasher.check_needs_rehash(stored)

    @cached_property
    def _nobodys(self) -> str:
        """A hash that no password is of."""
        return self._hasher.hash(b"\0")

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored or self._nobodys, password.encode("utf-8", "surrogatepass"))
        except (Argon2Error, InvalidHashError):
            return False

    async def _run(self, call: Callable[[*Ts], T], *args: *Ts) -> T:
        if self._waiting >= WAITING:
            raise TooMany("many people sign in at this moment: try again", 5)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(_THREADS, call, *args)
        finally:
            self._waiting -= 1
