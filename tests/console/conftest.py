"""People at the console: over the real stack, each with a session of their own."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import html5lib
import httpx2
import pytest

from adserve.core.users import User
from adserve.web.console.cookies import SESSION, VISIT
from adserve.wiring import Running
from tests.conftest import Api

SAME = {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:8000"}
"""What a browser says of a form that a page of ours sends."""
CSRF = re.compile(r'name="csrf" value="([^"]+)"')


class Person:
    """A browser that is signed in, or not. It keeps cookies as browsers do, and follows no redirect by itself."""

    def __init__(self, api: Api, secret: str | None = None, user: User | None = None) -> None:
        self.http, self.user = api.http, user
        self.cookies: dict[str, str] = {} if secret is None else {SESSION: secret}

    async def call(self, method: str, path: str, **options: Any) -> httpx2.Response:
        headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items()), **options.pop("headers", {})}
        reply = await self.http.request(method, path, headers=headers, follow_redirects=False, **options)
        for line in reply.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            if name in (SESSION, VISIT):
                self.cookies[name] = value
        self.http.cookies.clear()
        return reply

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        return await self.call("GET", path, headers=headers)

    async def csrf(self, path: str = "/console/") -> str:
        """The token that the forms of a page carry."""
        found = CSRF.search((await self.get(path)).text)
        assert found is not None, f"{path} has no form"
        return found[1]

    async def post(
        self,
        path: str,
        data: Mapping[str, Any] | None = None,
        *,
        files: Any = None,
        token: str | None = None,
        **headers: str,
    ) -> httpx2.Response:
        """A form of ours, sent as a browser sends it."""
        sent = {"csrf": token if token is not None else await self.csrf(), **(data or {})}
        return await self.call("POST", path, data=sent, files=files, headers={**SAME, **headers})


Enter = Callable[..., Awaitable[Person]]


@pytest.fixture
async def enter(api: Api, held: Running) -> Enter:
    """Signs somebody in: `await enter("advertiser", "acme")`."""

    async def entered(role: str = "admin", advertiser: str | None = None) -> Person:
        name = f"{role}-{os.urandom(3).hex()}"
        user = User(id=f"u-{os.urandom(6).hex()}", name=name, role=role, advertiser=advertiser, signed_in=1)
        user = await held.services.users.put(user, None, actor="tests", action="create")
        return Person(api, await held.services.sessions.start(user, agent="tests"), user)

    return entered


def page(reply: httpx2.Response) -> Any:
    """The document of a page, which must be well-formed as browsers read it."""
    parser = html5lib.HTMLParser(namespaceHTMLElements=False)
    document = parser.parse(reply.text)
    assert not parser.errors, [(at, code) for at, code, _ in parser.errors][:5]
    return document
