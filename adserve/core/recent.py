"""What was asked for last, by name, and no more than a limit of it."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """`limit` at most: whenever half as many were asked for, those go that were not asked for since the time before."""

    def __init__(self, limit: int) -> None:
        self._half = limit // 2
        self.latest: dict[int, T] = {}
        self._earlier: dict[int, T] = {}

    def __len__(self) -> int:
        return len(self.latest) + len(self._earlier)

    def get(self, name: int) -> T | None:
        found = self.latest.get(name)
        if found is None and name in self._earlier:
            found = self.put(name, self._earlier[name])
        return found

    def put(self, name: int, one: T) -> T:
        if len(self.latest) >= self._half:
            self._earlier, self.latest = self.latest, {}
        self._earlier.pop(name, None)
        self.latest[name] = one
        return one
