"""Every method on every address: what is not named for it runs nothing, and no HEAD counts."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from adserve.app import create_app
from tests.conftest import ADMIN, Api
from tests.security.table import methods
from tests.wire import request, said, serving, status_of

METHODS = [
    "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "PURGE",
    "DISPATCH", "METHOD_NOT_ALLOWED", "__INIT__", "get", "head", "post", "Get", "GET\t", "GETGET", "EVENT",
]  # fmt: skip


@pytest.mark.parametrize("key", [False, True], ids=["stranger", "admin"])
async def test_a_method_that_an_address_does_not_name_runs_nothing(api: Api, key: bool) -> None:
    """400 or 405 with what it takes, by the stack that serves; HEAD answers like GET or is refused, without
    a body. The store is bit for bit as it was, also for a caller who may do everything."""
    await api.world()
    creative = await api.creative()
    one = await api.decide()
    tokens = {kind: one[name].rpartition("/")[2] for kind, name in zip("ivc", EVENTS, strict=True)}
    place = {"/sites/{id}": "news", "/advertisers/{id}": "acme", "/campaigns/{id}": "one", "/creatives/{id}": creative}
    await api.settle()
    before = await api.contents()
    app: Any = create_app(api.held)
    header = [f"authorization: Bearer {ADMIN}"] if key else []
    async with serving(app) as port:

        async def ask(method: str, path: str, takes: set[str]) -> None:
            target = path
            for collection, id_ in place.items():
                target = target.replace(collection, collection.replace("{id}", id_))
            if path.startswith(("/e/", "/c/")):
                target = target.replace("{token}", tokens["c" if path.startswith("/c/") else path[3]])
            target = target.replace("{site}", "news").replace("{slot}", "top")
            target = re.sub(r"\{[^}]*\}", "x", target)
            target += "?site=news&slot=top" if target.endswith("/explain") else ""
            target += "?slot=news/top" if target.endswith("/availability") else ""
            answer = await said(port, request(method, target, *header, "content-length: 0"))
            head, _, body = answer.partition(b"\r\n\r\n")
            if method in takes:
                assert (method, body) == ("HEAD", b"")
                assert status_of(answer) in (200, 302, 307, 400, 401, 404), (target, answer[:80])
            else:
                assert status_of(answer) in (400, 405), (method, target, answer[:80])
                assert status_of(answer) == 400 or b"\r\nallow: " in head.lower(), (method, target)
                assert b"Traceback" not in body

        found = methods(app)
        assert len(found) > 25
        for path, takes in found.items():
            some = [method for method in METHODS if method == "HEAD" or method not in takes]
            await asyncio.gather(*(ask(method, path, takes) for method in some))
    await api.settle()
    assert await api.contents() == before
    assert (await api.http.get(one["impression_url"])).status_code == 200, "no token is used up"
    totals = await api.totals()
    assert [totals[name] for name in ("impressions", "views", "clicks", "duplicates", "filtered")] == [1, 0, 0, 0, 0]


EVENTS = ("impression_url", "view_url", "click_url")
