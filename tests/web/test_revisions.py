"""Revisions of a creative over the API: kept, listed, compared, restored; and approvals that pin what they saw."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from adserve.core import lifecycle
from adserve.core.model import Creative
from adserve.flows import submit
from tests.conftest import Api

TEXT = {"kind": "text", "name": "t", "title": "Tea", "click_url": "https://shop.example/tea"}


async def edited(api: Api, *titles: str) -> str:
    """An approved creative that is changed once for each title."""
    await api.world()
    id_ = await api.creative()
    for title in titles:
        await api.make("PATCH", f"/creatives/{id_}", {"title": title})
    return id_


async def revisions(api: Api, id_: str, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await api.make("GET", f"/creatives/{id_}/revisions{query}"))["items"]
    return found


async def store(api: Api, creative: Creative) -> None:
    """Writes an object as somebody would who got at the store, and lets the workers hear of it."""
    services = api.held.services
    client, keys = services.client, services.keys
    name = f"creative:{creative.id}"
    version = await client.incr(keys.version)
    await client.hset(keys.objects, name, msgspec.json.encode(creative).decode())
    await client.zadd(keys.changed, {name: version})
    await services.refresh()


async def stored(api: Api, id_: str) -> Creative:
    found = await api.held.services.catalog.get("creative", id_)
    assert isinstance(found, Creative)
    return found


async def test_every_revision_is_listed_with_its_state_and_maker(api: Api) -> None:
    """Newest first, a page at a time; what a review came to stands with the one that it was about."""
    id_ = await edited(api, "Two", "Three")
    await api.make("POST", f"/creatives/{id_}/reject", {"reason": "Too loud"})
    found = await revisions(api, id_)
    assert [(one["revision"], one["state"]) for one in found] == [(3, "rejected"), (2, "past"), (1, "past")]
    assert all(one["by"] and one["at"].startswith("2027-01-15T") for one in found)
    assert [one["reviewed"] and one["reviewed"]["state"] for one in found] == ["rejected", None, "approved"]
    assert found[0]["reviewed"]["reason"] == "Too loud"
    assert len({one["hash"] for one in found}) == 3
    first = await api.call("GET", f"/creatives/{id_}/revisions?limit=2")
    assert [one["revision"] for one in first.json()["items"]] == [3, 2]
    assert 'after=2>; rel="next"' in first.headers["link"]
    assert [one["revision"] for one in await revisions(api, id_, "?limit=2&after=2")] == [1]


async def test_a_revision_is_shown_with_what_it_changed(api: Api) -> None:
    """Against the one before it, or another that is named; the first one changed nothing."""
    id_ = await edited(api, "Two", "Three")
    third = await api.make("GET", f"/creatives/{id_}/revisions/3")
    assert third["content"]["title"] == "Three"
    assert third["changes"] == [{"member": "title", "before": "Two", "after": "Three"}]
    against = await api.make("GET", f"/creatives/{id_}/revisions/3?against=1")
    assert (against["against"], against["changes"][0]["before"]) == (1, "Tea")
    first = await api.make("GET", f"/creatives/{id_}/revisions/1")
    assert (first["against"], first["changes"]) == (None, [])
    for path in ("4", "0", "x", "-1"):
        assert (await api.call("GET", f"/creatives/{id_}/revisions/{path}")).status_code == 404


async def test_a_restored_revision_waits_like_any_other(api: Api) -> None:
    """It is a new one with the old content; what serves goes on until it is approved."""
    id_ = await edited(api, "Two")
    await api.make("POST", f"/creatives/{id_}/approve")
    made = await api.make("POST", f"/creatives/{id_}/restore", {"revision": 1})
    assert (made["revision"], made["live_revision"], made["state"], made["title"]) == (3, 2, "pending", "Tea")
    assert "Two" in (await api.decide())["html"]
    lines = (await api.make("GET", f"/audit?what=creative:{id_}"))["items"]
    assert lines[0]["action"] == "restore"
    await api.make("POST", f"/creatives/{id_}/approve")
    assert "Tea" in (await api.decide())["html"]


async def test_what_serves_or_is_newest_is_not_restored(api: Api) -> None:
    """409, and there is no revision more; so is a creative that is archived, and a number that is none is 404."""
    id_ = await edited(api, "Two")
    for number in (1, 2):
        got = await api.call("POST", f"/creatives/{id_}/restore", {"revision": number})
        assert got.status_code == 409, got.text
    assert (await api.call("POST", f"/creatives/{id_}/restore", {"revision": 9})).status_code == 404
    assert (await api.call("POST", f"/creatives/{id_}/restore", {})).status_code == 422
    await api.make("POST", f"/creatives/{id_}/reject", {"reason": "Loud"})
    got = await api.call("POST", f"/creatives/{id_}/restore", {"revision": 2})
    assert (got.status_code, got.json()["detail"]) == (409, "revision 2 is the same as the newest, which is rejected")
    assert len(await revisions(api, id_)) == 2


async def test_only_what_was_looked_at_is_approved(api: Api) -> None:
    """By hash or by number; another one is in the way of neither rejection nor an approval that names nothing."""
    id_ = await edited(api, "Two")
    waiting, live = await revisions(api, id_)
    for said in ({"hash": live["hash"]}, {"revision": 1}, {"revision": 2, "hash": "0" * 64}):
        assert (await api.call("POST", f"/creatives/{id_}/approve", said)).status_code == 409, said
    assert (await api.call("POST", f"/creatives/{id_}/approve", {"hash": "x"})).status_code == 422
    made = await api.make("POST", f"/creatives/{id_}/approve", {"hash": waiting["hash"], "revision": 2})
    assert made["approved"]["hash"] == made["hash"] == waiting["hash"]
    assert (made["approved"]["revision"], made["live_revision"]) == (2, 2)


async def test_content_that_was_altered_in_the_store_never_serves(api: Api) -> None:
    """Text, landing or the pin itself: it is skipped, counted, warned of and its clicks lead nowhere; others serve.
    An approval of what stands there then is one of what a reviewer sees."""
    await api.world(slots=("top", "side"))
    await api.make("PUT", "/campaigns/other", {"advertiser": "acme", "name": "o", "slots": ["news/side"]})
    await api.make("POST", "/campaigns/other/creatives?approve=true", TEXT | {"title": "Sound"})
    id_ = await api.creative(slots=["news/top"])
    sound = await stored(api, id_)
    assert sound.live is not None
    assert sound.pin is not None
    click = (await api.decide())["click_url"]
    replace = msgspec.structs.replace
    for altered in (
        replace(sound, live=replace(sound.live, title="Evil")),
        replace(sound, live=replace(sound.live, click_url="https://evil.example/")),
        replace(sound, pin=replace(sound.pin, hash="0" * 64)),
        replace(sound, kind="passback"),
    ):
        await store(api, altered)
        assert not (await api.decide())["filled"]
        assert (await api.decide()).get("fallback") is None
        assert (await api.http.get(click)).status_code == 410
        assert "Sound" in (await api.decide("side"))["html"]
        assert "adserve_bad_creatives 1.0" in (await api.http.get("/metrics")).text
        (warning,) = [w for w in (await api.http.get("/readyz")).json()["warnings"] if "approved" in w]
        assert id_ not in warning
        await store(api, sound)
        assert (await api.decide())["filled"]
    assert not [w for w in (await api.http.get("/readyz")).json()["warnings"] if "approved" in w]


async def test_a_creative_from_before_pins_serves_and_is_pinned_by_its_next_approval(api: Api) -> None:
    """Nothing of it was kept: its content stays known when an edit replaces it."""
    id_ = await edited(api)
    services = api.held.services
    old = await stored(api, id_)
    await services.client.delete(services.keys.revisions(old.serial))
    await store(api, msgspec.structs.replace(old, pin=None))
    assert (await api.decide())["filled"]
    assert (await api.make("GET", f"/creatives/{id_}"))["approved"] is None
    await api.make("PATCH", f"/creatives/{id_}", {"title": "Two"})
    made = await api.make("POST", f"/creatives/{id_}/approve")
    assert made["approved"]["revision"] == 2
    newest, first = await revisions(api, id_)
    assert (first["state"], first["at"], first["by"]) == ("past", None, None)
    assert newest["by"]
    assert (await api.make("GET", f"/creatives/{id_}/revisions/1"))["content"]["title"] == "Tea"


async def test_what_an_upload_keeps_to_is_told_before_it(api: Api) -> None:
    """Slots with their sizes and weights, kinds of files, and how long texts may be."""
    await api.world(max_kb=80, title="Top")
    await api.creative()
    found = await api.make("GET", "/campaigns/one/limits")
    assert found["slots"] == [{"slot": "news/top", "title": "Top", "sizes": ["300x250"], "max_kb": 80}]
    assert (found["texts"]["title"], found["texts"]["alt"], found["animation"]["max_seconds"]) == (120, 300, 30)
    assert "image/png" in found["types"]
    assert found["max_upload_bytes"] == api.held.settings.max_upload_bytes


async def test_revisions_and_creatives_have_an_end(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """409 with what to do instead, for an edit, a restored one, an upload and a look at one; archived creatives count,
    and what is no content still changes."""
    monkeypatch.setattr(lifecycle, "MAX_REVISIONS", 3)
    monkeypatch.setattr(submit, "MAX_CREATIVES", 2)
    id_ = await edited(api, "Two", "Three")
    path = f"/creatives/{id_}"
    for method, where, body in (("PATCH", path, {"title": "Four"}), ("POST", f"{path}/restore", {"revision": 2})):
        got = await api.call(method, where, body)
        assert (got.status_code, "another creative" in got.text) == (409, True), got.text
    assert (await api.make("PATCH", path, {"weight": 7}))["revision"] == 3
    other = await api.make("POST", "/campaigns/one/creatives", TEXT)
    await api.make("DELETE", f"/creatives/{other['id']}")
    for query in ("", "?check=true"):
        got = await api.call("POST", f"/campaigns/one/creatives{query}", TEXT)
        assert (got.status_code, "another campaign" in got.text) == (409, True), got.text
    await api.creative("two")
