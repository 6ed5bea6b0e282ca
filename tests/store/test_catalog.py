"""The stored catalog, the keys and the media, on a real store."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from adserve.core.model import Advertiser, Site
from adserve.errors import Stale
from adserve.store.catalog import PART, CatalogStore
from adserve.store.client import Redis, connect
from adserve.store.keys import Keys
from adserve.store.media import MediaStore, digest_of

BY: dict[str, Any] = {"actor": "tests", "action": "create"}


@pytest.fixture
def catalog(client: Redis, keys: Keys) -> CatalogStore:
    return CatalogStore(client, keys)


def site(id_: str = "news", **fields: Any) -> Site:
    return Site(**{"id": id_, "serial": 1, "version": 0, "name": "News", **fields})


async def test_what_is_stored_comes_back(catalog: CatalogStore) -> None:
    """With its version; the catalog's version rises with every change."""
    assert await catalog.load_all() == (0, {})
    made = await catalog.put("site", site(), None, **BY)
    assert (made.version, await catalog.get("site", "news")) == (1, made)
    changed = await catalog.put("site", replace(made, name="Café"), made, **BY)
    assert changed.version == 2
    assert await catalog.load_all() == (2, {"site:news": changed})
    assert await catalog.get("site", "other") is None


async def test_a_worker_loads_what_changed(catalog: CatalogStore) -> None:
    """Nothing more, and nothing is missed."""
    first = await catalog.put("site", site("a"), None, **BY)
    seen = await catalog.version()
    second = await catalog.put("advertiser", Advertiser(id="b", serial=1, version=0, name="B"), None, **BY)
    assert await catalog.changed_since(seen) == (seen + 1, {"advertiser:b": second})
    assert await catalog.changed_since(0) == (seen + 1, {"site:a": first, "advertiser:b": second})
    assert await catalog.changed_since(seen + 1) == (seen + 1, {})


async def test_a_large_catalog_comes_in_parts(catalog: CatalogStore, client: Redis, keys: Keys) -> None:
    """None of which is missed, read whole or by what changed; what did not change is the same object again."""
    made = {f"site:s{at}": site(f"s{at}", serial=at, version=1) for at in range(2 * PART + 1)}
    await client.hset(keys.objects, mapping={name: msgspec.json.encode(one) for name, one in made.items()})
    await client.zadd(keys.changed, {name: at for at, name in enumerate(made, 1)})
    await client.set(keys.version, len(made))
    assert await catalog.changed_since(0) == (len(made), made)
    version, first = await catalog.load_all()
    assert (version, first) == (len(made), made)
    changed = await catalog.put("site", replace(made["site:s7"], name="Other"), made["site:s7"], **BY)
    for again in (await catalog.fresh(), await catalog.load_all()):
        assert again == (version + 1, {**made, "site:s7": changed})
        assert all(again[1][name] is one for name, one in first.items() if name != "site:s7")


async def test_of_racing_writers_one_wins(store_url: str, keys: Keys) -> None:
    """Fifty creations of one id, then fifty changes of one version: one of each is stored."""
    clients = [connect(store_url) for _ in range(10)]
    stores = [CatalogStore(one, keys) for one in clients]
    for round_ in range(2):
        before = await stores[0].get("site", "news")
        tries = [stores[at % 10].put("site", site(name=f"{round_}-{at}"), before, **BY) for at in range(50)]
        done = await asyncio.gather(*tries, return_exceptions=True)
        winners = [one for one in done if isinstance(one, Site)]
        assert len(winners) == 1
        assert sum(isinstance(one, Stale) for one in done) == 49
        assert await stores[0].get("site", "news") == winners[0]
    assert await stores[0].version() == 2
    assert len(await stores[0].audit()) == 2
    await asyncio.gather(*(one.aclose() for one in clients))


async def test_serials_are_given_once(catalog: CatalogStore) -> None:
    """Each noun counts for itself."""
    given = await asyncio.gather(*(catalog.serial("campaign") for _ in range(20)))
    assert sorted(given) == list(range(1, 21))
    assert await catalog.serial("revision") == 1


async def test_lists_are_as_fresh_as_the_store(catalog: CatalogStore, client: Redis, keys: Keys) -> None:
    """What another worker wrote a moment ago is in the list; a list that was given out does not change."""
    other = CatalogStore(client, keys)
    made = await other.put("site", site("b"), None, **BY)
    given = await catalog.list("site")
    assert given == [made]
    await other.put("site", site("a", serial=2), None, **BY)
    changed = await other.put("site", replace(made, name="Two"), made, **BY)
    assert [one.id for one in await catalog.list("site")] == ["a", "b"]
    assert (await catalog.list("site"))[1] == changed
    assert given == [made]
    assert await catalog.list("slot") == []


async def test_a_store_that_was_set_back_is_read_anew(catalog: CatalogStore, client: Redis, keys: Keys) -> None:
    """An older backup has a lower version: what it does not hold is gone."""
    await catalog.put("site", site("a"), None, **BY)
    made = await catalog.put("site", site("b"), None, **BY)
    assert len(await catalog.list("site")) == 2
    await client.delete(keys.objects, keys.changed, keys.version)
    assert await catalog.list("site") == []
    await CatalogStore(client, keys).put("site", site("b"), None, **BY)
    assert await catalog.list("site") == [made]


@pytest.mark.parametrize(
    "bad", [b"", b"{", b"[]", b"{}", b'{"version":"x"}', b"\xff\xfe", b'{"id":"x","serial":1,"version":1}', b"\x00" * 9]
)
async def test_one_bad_object_hides_alone(catalog: CatalogStore, client: Redis, keys: Keys, bad: bytes) -> None:
    """It is skipped and named in `bad`; the others load, in full and by what changed."""
    good = await catalog.put("site", site("good"), None, **BY)
    raw: dict[Any, Any] = {"site:x": bad, "strange:x": b"{}", b"site:\xff": b"{}"}
    await client.hset(keys.objects, mapping=raw)
    await client.zadd(keys.changed, {"site:x": 2})
    assert (await catalog.load_all())[1] == {"site:good": good}
    assert "site:x" in catalog.bad
    assert (await catalog.changed_since(0))[1] == {"site:good": good}
    assert await catalog.get("site", "x") is None
    assert len(catalog.bad) == 3


async def test_what_cannot_be_read_can_be_put_right(catalog: CatalogStore, client: Redis, keys: Keys) -> None:
    """It counts as absent, and is no longer named when it is good."""
    await client.hset(keys.objects, "site:x", "{")
    assert await catalog.get("site", "x") is None
    made = await catalog.put("site", site("x"), None, **BY)
    assert (await catalog.get("site", "x"), catalog.bad) == (made, [])


async def test_members_of_a_newer_version_do_not_stop_an_older_one(
    catalog: CatalogStore, client: Redis, keys: Keys
) -> None:
    """Two versions run side by side during an upgrade."""
    body = {"id": "x", "serial": 1, "version": 3, "name": "X", "colour": "red"}
    await client.hset(keys.objects, "site:x", json.dumps(body))
    found = await catalog.get("site", "x")
    assert found is not None
    assert (await catalog.put("site", found, found, **BY)).version == 4


async def test_the_audit_says_who_did_what(catalog: CatalogStore) -> None:
    """Newest first, by cursor; hashes chain from one change to the next."""
    made = await catalog.put("site", site(), None, actor="anna", action="create")
    await catalog.put("site", replace(made, name="B"), made, actor="ben", action="replace")
    newest, oldest = await catalog.audit()
    assert (newest["actor"], newest["what"], newest["action"]) == ("ben", "site:news", "replace")
    assert newest["before"] == oldest["after"] != newest["after"]
    assert oldest["before"] == ""
    assert await catalog.audit(before=newest["id"]) == [oldest]
    assert await catalog.audit(limit=1) == [newest]


async def test_a_script_that_the_store_forgot_is_loaded_again(catalog: CatalogStore, client: Redis) -> None:
    """A restart of the store forgets scripts."""
    await catalog.put("site", site("a"), None, **BY)
    await client.script_flush()
    assert (await catalog.put("site", site("b"), None, **BY)).version == 1


# ------------------------------------------------------------------ media

DATA = b"\x89PNG\r\n\x1a\n" + b"picture" * 1000
FILE = f"{digest_of(DATA)}.png"


async def test_media_live_in_the_store_and_are_cached_on_disk(client: Redis, keys: Keys, tmp_path: Path) -> None:
    """Another host finds them in the store, and the next time without it."""
    await MediaStore(client, keys, tmp_path / "a").put(FILE, DATA)
    assert await MediaStore(client, keys, tmp_path / "b").get(FILE) == DATA
    assert [one.name for one in (tmp_path / "b").iterdir()] == [FILE]
    away = connect("redis://127.0.0.1:1")
    assert await MediaStore(away, keys, tmp_path / "b").get(FILE) == DATA
    await away.aclose()
    assert await MediaStore(client, keys, None).get(FILE) == DATA


@pytest.mark.parametrize("garbage", [b"", DATA[:-1], b"PICTURE" * 1000, b"<script>", b"\xff\xfe\x00"])
async def test_tampered_media_are_not_given_out(client: Redis, keys: Keys, tmp_path: Path, garbage: bytes) -> None:
    """Neither from disk nor from the store; a bad copy on disk is mended from the store."""
    await MediaStore(client, keys, tmp_path).put(FILE, DATA)
    (tmp_path / FILE).write_bytes(garbage)
    assert await MediaStore(client, keys, tmp_path).get(FILE) == DATA
    assert (tmp_path / FILE).read_bytes() == DATA
    (tmp_path / FILE).write_bytes(garbage)
    await client.set(keys.media(digest_of(DATA)), garbage)
    assert await MediaStore(client, keys, tmp_path).get(FILE) is None


async def test_a_file_has_one_name(client: Redis, keys: Keys, tmp_path: Path) -> None:
    """Under the ending of another kind it is not kept, given out, held or written, nor read where it was written."""
    media = MediaStore(client, keys, tmp_path)
    await media.put(FILE, DATA)
    for ending in ("gif", "jpg", "webp", "avif"):
        other = FILE.replace("png", ending)
        assert await media.get(other) is None
        with pytest.raises(ValueError, match="kind"):
            await media.put(other, DATA)
        assert os.listdir(tmp_path) == []
    (tmp_path / other).write_bytes(DATA)
    assert await media.get(other) is None
    assert await media.get(FILE) == DATA


@pytest.mark.parametrize(
    "name",
    ["", "x.png", "../../etc/passwd", FILE.upper(), FILE + "\n", FILE[:-3] + "svg", "a" * 40, "/" + FILE, "a{b}.png"],
)
async def test_other_names_reach_neither_key_nor_disk(client: Redis, keys: Keys, tmp_path: Path, name: str) -> None:
    """Nothing is given, nothing is kept."""
    media = MediaStore(client, keys, tmp_path)
    assert await media.get(name) is None
    with pytest.raises(ValueError, match="hash"):
        await media.put(name, DATA)
    assert os.listdir(tmp_path) == []


async def test_a_file_is_named_by_its_bytes(client: Redis, keys: Keys) -> None:
    """Whoever stores other bytes under a name is refused."""
    with pytest.raises(ValueError, match="hash"):
        await MediaStore(client, keys, None).put(FILE, DATA + b"x")


async def test_a_full_disk_stops_no_picture(client: Redis, keys: Keys, tmp_path: Path) -> None:
    """The cache is only a cache: here its folder cannot be made."""
    (tmp_path / "file").write_bytes(b"")
    await MediaStore(client, keys, None).put(FILE, DATA)
    assert await MediaStore(client, keys, tmp_path / "file" / "media").get(FILE) == DATA
