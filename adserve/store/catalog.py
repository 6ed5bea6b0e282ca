"""The stored catalog: objects as JSON, one version for all, an audit line with every change.

DESIGN. One hash holds everything, a sorted set says what changed since which version, one script
does compare-and-set, version and audit at once: two writers of one object never both win, and no
change is without its line in the audit. Not chosen: a key an object (a load would have to scan).
Lists come from a snapshot that is brought up to date first, so they are as fresh as a full load and
cost what changed. Serials are taken before the object is stored: a lost race leaves a gap, no twin.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from adserve.core.model import Advertiser, Campaign, Creative, Site, Slot, Thing
from adserve.core.schedule import utc_label
from adserve.errors import Conflict, Stale
from adserve.store.client import Redis, Script, understood
from adserve.store.clock import StoreClock
from adserve.store.keys import Keys

TYPES: dict[str, type[Thing]] = {
    "site": Site,
    "slot": Slot,
    "advertiser": Advertiser,
    "campaign": Campaign,
    "creative": Creative,
}
PART = 500
"""Objects that are asked for and decoded in one go, which takes about 2 ms."""
BELOW_ARCHIVED = -2
Audit = list[dict[str, str]]


class CatalogStore:
    """Reads and writes of the stored catalog. `bad` names what could not be read, until it can. A `StoreClock`
    hears the store's time with each version that is asked for."""

    def __init__(self, client: Redis, keys: Keys, clock: Callable[[], float] = time.time) -> None:
        self._client, self._keys, self._clock = client, keys, clock
        self._put, self._version = Script("catalog_put"), Script("version")
        self._snapshot: tuple[int, dict[str, Thing]] = (0, {})
        self.bad: list[str] = []

    @understood
    async def version(self) -> int:
        """The version of the catalog; 0 when nothing was ever stored."""
        since = self._clock.steady() if isinstance(self._clock, StoreClock) else 0.0
        version, seconds, micros = await self._version.call(self._client, [self._keys.version], [])
        if isinstance(self._clock, StoreClock):
            self._clock.heard(int(seconds) + int(micros) / 1e6, since)
        return int(version)

    @understood
    async def load_all(self) -> tuple[int, dict[str, Thing]]:
        """`(version, things by "kind:id")`. The version is read first: a change in between comes again."""
        version = await self.version()
        found: dict[str, Thing] = {}
        self.bad.clear()
        cursor = 0
        while True:
            cursor, stored = await self._raw("HSCAN", self._keys.objects, cursor, "COUNT", PART)
            found.update(self._decode(stored))
            if not int(cursor):
                self._snapshot = (version, found)
                return version, found

    @understood
    async def changed_since(self, version: int) -> tuple[int, dict[str, Thing]]:
        """The same for what changed after `version`."""
        newest = await self.version()
        names = await self._raw("ZRANGEBYSCORE", self._keys.changed, version + 1, "+inf")
        found: dict[str, Thing] = {}
        for at in range(0, len(names), PART):
            part = names[at : at + PART]
            values = await self._raw("HMGET", self._keys.objects, *part)
            found.update(self._decode({name: value for name, value in zip(part, values, strict=True) if value}))
        return newest, found

    async def _raw(self, *command: Any) -> Any:
        """A reply as bytes: one object that is no UTF-8 must not stop the others from loading."""
        execute: Any = self._client.execute_command
        return await execute(*command, NEVER_DECODE=True)

    def _decode(self, stored: dict[bytes, bytes]) -> dict[str, Thing]:
        """What is as it was in the snapshot is the same object."""
        found: dict[str, Thing] = {}
        known = self._snapshot[1]
        for field, text in stored.items():
            name = field.decode("utf-8", "replace")
            try:
                thing = msgspec.json.decode(text, type=TYPES[name.partition(":")[0]])
                found[name] = known[name] if known.get(name) == thing else thing
            except (msgspec.MsgspecError, KeyError, UnicodeError):
                if name not in self.bad:
                    self.bad.append(name)
            else:
                if name in self.bad:
                    self.bad.remove(name)
        return found

    @understood
    async def get(self, kind: str, id_: str) -> Thing | None:
        """One object; None when there is none (or it cannot be read, which is no reason to take it off pages: the
        load decides that)."""
        text = await self._raw("HGET", self._keys.objects, f"{kind}:{id_}")
        with contextlib.suppress(msgspec.MsgspecError, UnicodeError):
            return msgspec.json.decode(text, type=TYPES[kind]) if text else None
        return None

    async def list(self, kind: str) -> list[Thing]:
        """All objects of a kind, by id."""
        things = await self.all()
        return sorted((t for name, t in things.items() if name.startswith(kind + ":")), key=lambda one: one.id)

    async def all(self) -> Mapping[str, Thing]:
        """All objects as of now, by `kind:id`. Each snapshot is a new dict: one that was handed out never changes."""
        return (await self.fresh())[1]

    async def fresh(self) -> tuple[int, Mapping[str, Thing]]:
        """The same with the version. Of what cannot be read any more nothing is left, not what it was before."""
        seen, things = self._snapshot
        version, changed = await self.changed_since(seen)
        if version < seen:  # another store, or an older backup of this one
            return await self.load_all()
        if changed:
            things = {**things, **changed}
        if self.bad:
            things = {name: thing for name, thing in things.items() if name not in self.bad}
        if version >= self._snapshot[0]:
            self._snapshot = (version, things)
        return version, things

    @understood
    async def serial(self, noun: str) -> int:
        """The next serial of a noun: site, slot, advertiser, campaign, creative or revision."""
        return int(await self._client.hincrby(self._keys.serials, noun, 1))

    @understood
    async def put(
        self, kind: str, thing: Thing, before: Thing | None, *, actor: str, action: str, as_of: int | None = None
    ) -> Thing:
        """Stores `thing` in place of `before` (None: it must not exist). Stale when another won, or when the catalog
        has another version than `as_of`; Conflict when it would be in use below what is archived."""
        expected = before.version if before is not None else 0
        after: Any = msgspec.structs.replace(thing, version=expected + 1)
        text = msgspec.json.encode(after).decode()
        earlier = fingerprint(msgspec.json.encode(before).decode()) if before is not None else ""
        parent = _parent(thing) if thing.state != "archived" else ""
        args = [f"{kind}:{thing.id}", expected, text, actor, action, earlier, fingerprint(text), int(self._clock())]
        args += [parent, "" if as_of is None else as_of]
        keys = [self._keys.objects, self._keys.changed, self._keys.version, self._keys.audit]
        done = int(await self._put.call(self._client, keys, args))
        if done == BELOW_ARCHIVED:
            raise Conflict(f"the {parent.partition(':')[0]} is archived: take it into use first")
        if done < 0:
            raise Stale("it was changed in between: read it again")
        stored: Thing = after
        return stored

    @understood
    async def audit(self, *, before: str = "+", limit: int = 100) -> Audit:
        """The newest changes first; `before` is an exclusive cursor."""
        last = before if before == "+" else f"({before}"
        entries: Any = await self._client.xrevrange(self._keys.audit, last, "-", count=limit)
        return [{"id": id_, **fields, "at": utc_label(int(fields["at"]))} for id_, fields in entries]


def _parent(thing: Thing) -> str:
    """`kind:id` of what a thing lies below, if it lies below anything."""
    if isinstance(thing, Slot):
        return f"site:{thing.site}"
    if isinstance(thing, Campaign):
        return f"advertiser:{thing.advertiser}"
    return f"campaign:{thing.campaign}" if isinstance(thing, Creative) else ""


def fingerprint(text: str) -> str:
    """What the audit says of an object before and after."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
