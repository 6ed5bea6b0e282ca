"""`Idempotency-Key`: what is sent again makes nothing again, whoever was killed in between."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from typing import Any

import httpx2
import pytest
from PIL import Image

from adserve.flows import review
from adserve.store.once import CLAIM_S, KEPT_S
from tests.conftest import ADMIN, Api, Clock

UPLOADS = "/campaigns/spring/creatives"
TEXT = {"kind": "text", "name": "t", "title": "Tea", "click_url": "https://shop.example/tea"}
KEY = {"role": "reader", "name": "CI"}


@pytest.fixture(autouse=True)
async def world(api: Api) -> None:
    await api.world()
    body = {"advertiser": "acme", "name": "Spring", "slots": ["news/top"]}
    await api.make("PUT", "/campaigns/spring", body)


async def send(api: Api, key: str, body: Any = None, path: str = UPLOADS, **headers: str) -> httpx2.Response:
    return await api.call("POST", path, TEXT if body is None else body, **{"Idempotency-Key": key, **headers})


def whole(answer: httpx2.Response) -> tuple[int, dict[str, str], bytes]:
    return answer.status_code, dict(answer.headers), answer.content


async def made(api: Api, path: str = "/creatives") -> int:
    return len((await api.call("GET", path)).json()["items"])


@pytest.mark.parametrize("query", ["", "?approve=true"])
async def test_an_upload_that_is_sent_again_is_answered_like_the_first(api: Api, query: str) -> None:
    """Status, body, Location and ETag, whatever became of the creative since; there is one creative."""
    first = await send(api, "a-1", path=UPLOADS + query)
    assert (first.status_code, first.json()["state"]) == (201, "approved" if query else "pending")
    await api.make("PATCH", f"/creatives/{first.json()['id']}", {"name": "Other"})
    for _ in range(3):
        assert whole(await send(api, "a-1", path=UPLOADS + query)) == whole(first)
    assert await made(api) == 1


async def test_a_form_is_the_same_under_another_boundary(api: Api) -> None:
    """As clients send it again; another picture is another request."""
    out = io.BytesIO()
    Image.new("RGB", (300, 250), (9, 99, 199)).save(out, "PNG")
    fields = {"name": "One", "alt": "A shoe", "click_url": "https://shop.example/1"}
    headers = {"Authorization": f"Bearer {ADMIN}", "Idempotency-Key": "form"}

    async def post(data: bytes) -> httpx2.Response:
        files = {"file": ("a.png", data, "image/png")}
        return await api.http.post(f"/api/v1{UPLOADS}", data=fields, files=files, headers=headers)

    first = await post(out.getvalue())
    assert first.status_code == 201, first.text
    again = await post(out.getvalue())
    assert first.request.headers["content-type"] != again.request.headers["content-type"]
    assert whole(first) == whole(again)
    assert (await post(out.getvalue() + b"x")).json()["code"] == "idempotency_key_reused"


async def test_a_key_is_for_one_call_of_one_caller(api: Api) -> None:
    """Another body, address or parameter is refused; another caller's key is another one."""
    await api.make("PUT", "/campaigns/autumn", {"advertiser": "acme", "name": "Autumn", "slots": ["news/top"]})
    first = await send(api, "a-1")
    for body, path in (
        ({**TEXT, "name": "u"}, UPLOADS),
        (TEXT, "/campaigns/autumn/creatives"),
        (TEXT, f"{UPLOADS}?approve=true"),
        (KEY, "/keys"),
    ):
        refused = await send(api, "a-1", body, path)
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
        assert refused.json()["errors"][0]["pointer"] == "/Idempotency-Key"
    other = (await api.make("POST", "/keys", {"role": "admin", "name": "other"}))["key"]
    second = await send(api, "a-1", Authorization=f"Bearer {other}")
    assert second.status_code == 201
    assert second.json()["id"] != first.json()["id"]
    assert whole(await send(api, "a-1", json.loads(json.dumps(TEXT, sort_keys=True)))) == whole(first)


@pytest.mark.parametrize("key", ["", " ", "a b", "a" * 256, "caf\xe9"])
async def test_what_can_be_no_key_is_refused(api: Api, key: str) -> None:
    """So are two of them."""
    sent = [(b"Authorization", f"Bearer {ADMIN}".encode()), (b"Content-Type", b"application/json")]
    for keys in ([key], ["a", "b"]):
        lines = [*sent, *((b"Idempotency-Key", one.encode("latin-1")) for one in keys)]
        refused = await api.http.post(f"/api/v1{UPLOADS}", content=json.dumps(TEXT), headers=lines)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid")
        assert refused.json()["errors"][0]["pointer"] == "/Idempotency-Key"
    assert await made(api) == 0


async def test_what_is_refused_leaves_the_key_free(api: Api) -> None:
    """The body is put right and sent again."""
    assert (await send(api, "a-1", {**TEXT, "title": ""})).status_code == 422
    assert (await send(api, "a-1")).status_code == 201


async def test_of_many_at_once_one_makes_it(api: Api) -> None:
    """The others are told that it is being made, or how it went."""
    answers = await asyncio.gather(*(send(api, "a-1") for _ in range(12)))
    statuses = {answer.status_code for answer in answers}
    assert statuses <= {201, 409}
    for answer in answers:
        if answer.status_code == 409:
            assert (answer.json()["code"], answer.headers["retry-after"]) == ("idempotency_key_in_use", "1")
    assert len({whole(answer)[2] for answer in answers if answer.status_code == 201}) == 1
    assert await made(api) == 1


class Killed(BaseException):
    """A worker ends where it stands."""


async def killed(api: Api, monkeypatch: pytest.MonkeyPatch, where: str, path: str = UPLOADS, body: Any = None) -> None:
    """A call with the key `a-1` by a worker that is killed in a method of what it has open."""

    async def end(*_: Any, **__: Any) -> Any:
        raise Killed

    with monkeypatch.context() as broken:
        broken.setattr(where, end)
        with pytest.raises(Killed):
            await send(api, "a-1", body, path)


@pytest.mark.parametrize(
    "where",
    [
        "adserve.store.catalog.CatalogStore.serial",
        "adserve.flows.submit.refresh",
        "adserve.flows.review.move",
        "adserve.store.once.Once.keep",
    ],
    ids=["before it was made", "when it was stored", "before it was approved", "before the answer was kept"],
)
async def test_a_worker_that_is_killed_stands_in_the_way_for_a_moment_only(
    api: Api, monkeypatch: pytest.MonkeyPatch, clock: Clock, where: str
) -> None:
    """Until the claim ends the call is in use; after it there is one creative, approved, and no second one."""
    path = f"{UPLOADS}?approve=true"
    await killed(api, monkeypatch, where, path)
    assert (await send(api, "a-1", path=path)).json()["code"] == "idempotency_key_in_use"
    clock.now += CLAIM_S
    second = await send(api, "a-1", path=path)
    assert (second.status_code, second.json()["state"]) == (201, "approved")
    assert whole(await send(api, "a-1", path=path)) == whole(second)
    assert await made(api) == 1


async def test_nothing_is_approved_that_came_in_after_a_worker_was_killed(
    api: Api, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """The creative that was made is answered as it is by then."""
    path = f"{UPLOADS}?approve=true"
    await killed(api, monkeypatch, "adserve.flows.review.move", path)
    (one,) = (await api.call("GET", "/creatives")).json()["items"]
    await api.make("PATCH", f"/creatives/{one['id']}", {"title": "Casino"})
    clock.now += CLAIM_S
    second = await send(api, "a-1", path=path)
    assert (second.status_code, second.json()["id"], second.json()["state"]) == (201, one["id"], "pending")


async def test_a_slow_worker_and_the_one_that_takes_over_make_one(
    api: Api, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """Both answer with it."""
    slow: list[asyncio.Task[httpx2.Response]] = []
    serial, go = api.held.services.catalog.serial, asyncio.Event()

    async def wait(noun: str) -> int:
        if asyncio.current_task() in slow:
            await go.wait()
        return await serial(noun)

    monkeypatch.setattr(api.held.services.catalog, "serial", wait)
    slow.append(asyncio.create_task(send(api, "a-1")))
    while not [key async for key in api.held.services.client.scan_iter(f"{api.held.settings.key_prefix}*:once")]:
        assert not slow[0].done()
    clock.now += CLAIM_S
    second = await send(api, "a-1")
    go.set()
    first = await slow[0]
    assert first.json()["id"] == second.json()["id"]
    assert await made(api) == 1


async def test_a_store_that_went_away_in_between_makes_no_second_one(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The creative is stored and the review fails: 503, and the call may be made again at once."""
    move, failures = review.move, iter([OSError()])

    async def fail_once(*given: Any, **named: Any) -> Any:
        for failure in failures:
            raise failure
        return await move(*given, **named)

    monkeypatch.setattr("adserve.flows.review.move", fail_once)
    path = f"{UPLOADS}?approve=true"
    assert (await send(api, "a-1", path=path)).status_code == 503
    assert (await send(api, "a-1", path=path)).json()["state"] == "approved"
    assert await made(api) == 1


async def test_a_key_that_was_made_is_named_and_its_secret_is_stored_nowhere(api: Api) -> None:
    """409 with the id, so that it can be revoked."""
    first = await send(api, "a-1", KEY, "/keys")
    assert first.status_code == 201
    again = await send(api, "a-1", KEY, "/keys")
    assert (again.status_code, again.json()["code"]) == (409, "already_made")
    assert again.json()["id"] == first.json()["id"]
    assert len([one for one in (await api.call("GET", "/keys")).json()["items"] if one["name"] == "CI"]) == 1
    stored = b"".join((await api.contents()).values())
    assert first.json()["key"].encode() not in stored
    assert first.json()["id"].encode() in stored


async def test_a_key_whose_worker_was_killed_is_made_once(
    api: Api, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """The secret is lost with the worker: the call says which key to revoke, also when it is sent a third time."""
    await killed(api, monkeypatch, "adserve.store.once.Once.keep", "/keys", KEY)
    for _ in range(2):
        clock.now += CLAIM_S
        again = await send(api, "a-1", KEY, "/keys")
        assert (again.status_code, again.json()["code"]) == (409, "already_made")
        assert (await api.call("DELETE", f"/keys/{again.json()['id']}")).status_code in (204, 404)


async def test_records_end_after_a_day_and_hold_nothing_from_outside(api: Api) -> None:
    """Neither the key nor the caller stands in the name of one."""
    await send(api, "from-outside")
    client, prefix = api.held.services.client, api.held.settings.key_prefix
    (name,) = [key async for key in client.scan_iter(f"{prefix}*:once")]
    digest = hashlib.blake2b(b"bootstrap\0from-outside", digest_size=16).hexdigest()
    assert name == f"{prefix}{{o:{digest}}}:once"
    assert KEPT_S - 60 < await client.ttl(name) <= KEPT_S
    await client.delete(name)
    await client.hset(name, mapping={"print": "x", "answer": "no JSON"})
    assert (await send(api, "from-outside")).status_code == 422
