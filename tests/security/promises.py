"""What holds for every hostile request, whatever else its test is about.

    async with promises(world):
        ...                      # walk; check what the test is about

At its end nothing was counted (save what `counts` names), the objects that must stay as they are did, no key is
in the store but those of the table in `adserve.store.keys`, each with its type and expiry, no address, secret or whole
token stands in a log line or in the store, no log line is long, no file is left. `check(answer)` is for each answer.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from adserve import __version__
from adserve.store import keys
from tests.security.world import CLIENT_V4, CLIENT_V6, Answer, World

TELLTALE = re.compile(
    re.escape(os.fsencode(Path(__file__).parents[2]))
    + rb"|Traceback|File \"|/usr/|/tmp/|site-packages|\.py\b|redis|valkey|EVALSHA|NOSCRIPT|WRONGTYPE|CROSSSLOT|"
    rb"starlette|uvicorn|httptools|Exception|\bERR ",
    re.IGNORECASE,
)
"""Words that tell what stands behind the service; inputs of walks should not hold them."""
TELLS_ITS_VERSION = (b'{"version":', b"adserve_build_info")
"""Of `/version` and `/metrics`, which say it to whoever asks."""
FIGURES = (
    "requests", "serves", "impressions", "views", "clicks", "clicks_unseen", "filtered", "late", "duplicates",
    "passbacks",
)  # fmt: skip
FREE = ("requests", "serves", "duplicates")
"""Figures that any walk over the routes may raise: slots are asked, good tokens are sent again."""
MAX_LINE = 1_000
LAST_MOMENT_S = 30 * 86_400 + 3600
"""When the last key goes that expires: a keyed pair."""
KNOWN_FILES = re.compile(
    r"secret|(store|owner|users)\.lock|media/[0-9a-f]{40}\.\w+|spool/[0-9a-f]+-[0-9]+\.events|store/.*"
)


class Declared(NamedTuple):
    """A line of the table of keys. `shape` matches a whole key without the prefix."""

    shape: re.Pattern[str]
    type: str
    lasting: bool


_PARTS = {
    "HASH": r"[0-9a-f]{40}", "sK": r"s(?:\d|1[0-5])", "WHAT": r"[ivc][vfpl]", "INCARNATION": r"[0-9a-f]{1,10}",
    "HOUR": r"\d{6}", "BUCKET": r"\d{1,12}", "YYYYMMDD": r"\d{8}", "CLIENT": r"[0-9a-f]{24}",
    "READER": r"[0-9a-f]{24}", "WEEK": r"\d{4}",
    "DIGEST": r"[0-9a-f]{32}", "CALLER": r"(?:bootstrap|k-[0-9a-f]{12}|[0-9a-f]{24})",
    "CAMPAIGN": r"\d{1,8}", "CREATIVE": r"\d{1,8}", "DAY": r"\d{6}",
    "WORKER": r"(?:any|[0-9a-f]{1,10})", "QUESTION": r"[0-9a-f]{32}",
    "pK": r"p(?:\d|1[0-5])", "SITE": r"\d{1,8}",
}  # fmt: skip
_TYPES = {"hash": "hash", "sorted": "zset", "stream": "stream", "list": "list", "set": "set"}


def declared() -> list[Declared]:
    """The table in the docstring of `adserve.store.keys`."""
    found = []
    for line in (keys.__doc__ or "").splitlines():
        if line.startswith("| `"):
            name, type_, expires = (cell.strip() for cell in line.strip("|").split("|")[:3])
            pieces = re.split(f"({'|'.join(_PARTS)})", name.strip("`"))
            shape = "".join(_PARTS.get(piece, re.escape(piece)) for piece in pieces)
            lasting = expires == "never" or expires.startswith("rolled up")
            found.append(Declared(re.compile(shape), _TYPES.get(re.split(r"\W", type_)[0], "string"), lasting))
    return found


@asynccontextmanager
async def promises(world: World, *, counts: Collection[str] = ()) -> AsyncIterator[None]:
    """All of the above around a walk. `counts`: figures that it means to change."""
    outside = await _strangers(world)
    before = await world.api.totals()
    objects = await _objects(world)
    yield
    after = await world.api.totals()
    held = [name for name in FIGURES if name not in (*FREE, *counts)]
    assert {name: after[name] for name in held} == {name: before[name] for name in held}
    assert await _objects(world) == objects
    assert await _strangers(world) <= outside, "a key without the prefix"
    await check_keys(world)
    check_log(world)
    assert list(world.temporary.iterdir()) == []
    folder = world.api.held.settings.data_dir
    files = [str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()]
    assert [name for name in files if not KNOWN_FILES.fullmatch(name)] == []


def check(answer: Answer, who: object = "", *, tells: bytes = b"") -> None:
    """Of one answer: there is one, it is no failure of ours, and it says nothing of what stands behind it. `tells`:
    what of the telltale words the input held itself."""
    assert 200 <= answer.status < 500, (who, answer)
    said = answer.head.encode() + answer.body
    match = TELLTALE.search(said)
    assert match is None or match[0] in tells, (who, match, said)
    named = __version__.encode() in said and not any(word in said for word in TELLS_ITS_VERSION)
    assert not named, (who, said)
    assert "server" not in dict(answer.headers), who
    assert "set-cookie" not in dict(answer.headers), who
    assert "x-powered-by" not in dict(answer.headers), who


async def check_keys(world: World) -> None:
    """Every key of the real store under our prefix is one of the table."""
    client, prefix = world.api.held.services.client, world.api.held.settings.key_prefix
    lines = declared()
    async for key in client.scan_iter(f"{prefix}*"):
        name = key.removeprefix(prefix)
        line = next((one for one in lines if one.shape.fullmatch(name)), None)
        assert line is not None, f"{name} is not in the table of keys"
        assert await client.type(key) == line.type, name
        left_s = await client.ttl(key)
        gone_at = time.time() + left_s - world.api.held.worker.clock()  # the service's clock is not the store's here
        assert left_s == -1 if line.lasting else left_s > 0 and gone_at <= LAST_MOMENT_S, (name, left_s)
    for value in (await world.api.contents()).values():
        for text in private(world):
            assert text.encode() not in value, text


def check_log(world: World) -> None:
    """Lines that a machine reads, none long, without what is nobody's business."""
    for line in world.lines():
        assert len(line) <= MAX_LINE, line[:200]
        assert line.startswith("{"), line
        assert isinstance(json.loads(line), dict), line
        assert line.isprintable(), line
        for text in private(world):
            assert text not in line, (text, line)


def private(world: World) -> set[str]:
    """What may stand neither in the log nor in the store: secrets, whole tokens, addresses and their plain digests."""
    found = {*world.secrets, *world.tokens.values()}
    for address in (CLIENT_V4, CLIENT_V6, "2001:db8:1:2::/64"):
        found.add(address)
        for make in (hashlib.md5, hashlib.sha1, hashlib.sha256, hashlib.blake2b, hashlib.blake2s):
            found.add(make(address.encode()).hexdigest())
    return found


async def _strangers(world: World) -> set[str]:
    """Keys of the store that no test's prefix begins."""
    client: Any = world.api.held.services.client
    return {key async for key in client.scan_iter("*") if not re.match(r"t[0-9a-f]+:", key)}


async def _objects(world: World) -> dict[str, str]:
    """What must stay as it is: everything stored that is none of the spare things."""
    client, names = world.api.held.services.client, world.api.held.services.keys
    found: dict[Any, Any] = await client.hgetall(names.objects)
    own = ("site:news", "slot:news/", "advertiser:acme", "campaign:one")
    served = {name: text for name, text in found.items() if name.startswith("creative:") and '"campaign":"one"' in text}
    return {name: text for name, text in found.items() if name.startswith(own)} | served
