"""Forms of the console that no browser sends: torn, swollen, in other types and characters. They are refused, cheaply,
and what was refused has changed nothing."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import pytest

from adserve.app import create_app
from adserve.web.console.cookies import SESSION
from adserve.web.console.form import LIMIT, MAX_FIELDS
from adserve.web.console.page import ANYONE, Page
from adserve.web.console.pages import PAGES
from tests.console.conftest import SAME
from tests.console.forms import GOOD
from tests.console.town import Town, named
from tests.security.pages import check
from tests.wire import said, serving, status_of

FORMS = [one for one in PAGES if one.method == "POST"]
PLAIN = "application/x-www-form-urlencoded"
PARTS = "multipart/form-data; boundary=edge"
CPU_S = 2.0
"""What one form may take, however it is made."""


class Bad(NamedTuple):
    """`{csrf}` stands for the token of the session. `status`: what it is answered with."""

    kind: str
    body: bytes
    status: tuple[int, ...] = (400, 403, 413, 415, 422)


def part(name: str, value: bytes = b"x", head: str = "") -> bytes:
    return f'--edge\r\nContent-Disposition: form-data; name="{name}"{head}\r\n\r\n'.encode() + value + b"\r\n"


TOKEN = b"csrf={csrf}&"
TOKEN_PART = part("csrf", b"{csrf}")
BAD = {
    "10,000 fields": Bad(PLAIN, TOKEN + b"&".join(b"f%d=1" % at for at in range(10_000)), (400,)),
    "10,000 fields of one name": Bad(PLAIN, TOKEN + b"name=1&" * 10_000, (400,)),
    "one field more than there may be": Bad(PLAIN, TOKEN + b"&".join(b"f=1" for _ in range(MAX_FIELDS)), (400,)),
    "a field of 2 MB": Bad(PLAIN, TOKEN + b"name=" + b"x" * 2_000_000, (413, 400, 422)),
    "a form as large as one may be": Bad(PLAIN, TOKEN + b"x=" + b"%41" * (LIMIT // 3 - 200)),
    "half a character": Bad(PLAIN, TOKEN + b"name=%ED%A0%80", (400,)),
    "bytes that are no text": Bad(PLAIN, TOKEN + b"name=\xff\xfe&x=%ff", (400,)),
    "semicolons": Bad(PLAIN, b"a=1;csrf={csrf};name=x", (403,)),
    "a form that is torn": Bad(PARTS, TOKEN_PART + part("name")[:-9], (400,)),
    "a form without an end": Bad(PARTS, TOKEN_PART, (400,)),
    "another boundary": Bad(PARTS, TOKEN_PART.replace(b"--edge", b"--hedge") + b"--hedge--\r\n", (400, 403)),
    "no boundary": Bad("multipart/form-data", TOKEN_PART + b"--edge--\r\n", (400, 415)),
    "10,000 parts": Bad(PARTS, TOKEN_PART + part("name") * 10_000 + b"--edge--\r\n", (400, 413)),
    "50 files": Bad(PARTS, TOKEN_PART + part("file", head='; filename="x"') * 50 + b"--edge--\r\n", (400,)),
    "a part of 2 MB": Bad(PARTS, TOKEN_PART + part("name", b"x" * 2_000_000) + b"--edge--\r\n", (400, 413)),
    "bytes in a part": Bad(PARTS, TOKEN_PART + part("name", b"\xff\xfe") + b"--edge--\r\n", (400, 422)),
    "a token as a file": Bad(PARTS, part("csrf", b"{csrf}", '; filename="x"') + b"--edge--\r\n", (403,)),
    "JSON": Bad("application/json", b'{"csrf": "{csrf}"}', (415,)),
    "text": Bad("text/plain", TOKEN + b"name=x", (415,)),
    "no type": Bad("", TOKEN + b"name=x", (415,)),
}


@pytest.mark.parametrize("what", BAD)
async def test_a_hostile_form_is_refused(town: Town, what: str) -> None:
    """By every page that takes one, with the token of the session and without a change."""
    person = town.people["admin"]
    token = (await person.csrf()).encode()
    bad = BAD[what]
    before = await _objects(town)
    for line in FORMS:
        if line.roles is ANYONE or line.path == "/console/sign-out":
            continue
        headers = {**SAME, **({"Content-Type": bad.kind} if bad.kind else {})}
        began = time.process_time()
        reply = await person.call(
            "POST", _path(town, line), content=bad.body.replace(b"{csrf}", token), headers=headers
        )
        assert time.process_time() - began < CPU_S, named(line)
        check(reply, (named(line), what))
        if what != "a form as large as one may be":
            assert reply.status_code in bad.status, (named(line), reply.status_code)
    if what != "a form as large as one may be":
        assert await _objects(town) == before


def _path(town: Town, line: Page) -> str:
    state = GOOD[line.path].state
    return (town.paths(line, town.states(state)) if state else town.paths(line))[0]


async def _objects(town: Town) -> Any:
    """The catalog, its keys and its people."""
    client, names = town.services.client, town.services.keys
    return [await client.hgetall(name) for name in (names.objects, names.accounts, names.users, names.shares)]


ODD = ("", " ", "-1", "1e9", "9" * 400, "NaN", "\u0661\u0662", "\u0000", "a\u0000b", "\u202etxt", "\u0301" * 3000,
       "x" * 60_000, "../../etc/passwd", "%00", "\r\nSet-Cookie: a=b", "2026-02-30", "9999-12-31",
       "https://[", "https://a@b")  # fmt: skip


async def test_odd_words_in_any_field_are_told_about(town: Town) -> None:
    """In every field of every good form, twice too: an answer that says what is wrong, or the thing is done."""
    person = town.people["admin"]
    token = await person.csrf()
    for line in FORMS:
        fields = GOOD[line.path].fields
        if line.roles is ANYONE or line.path.startswith(("/console/sign-out", "/console/account/", "/console/users/")):
            continue
        for name in (*fields, "version", "unknown"):
            for odd in ODD:
                form = {**fields, name: [odd, odd]}
                check(await person.post(_path(town, line), form, token=token), (named(line), name, odd[:20]))


async def test_on_the_wire_nothing_hostile_is_answered_by_a_failure(town: Town) -> None:
    """Heads that a client library would not send: lengths that lie, two of them, pieces that do not end, other words
    for the method, names of other hosts."""
    session, token = town.people["admin"].cookies[SESSION], await town.people["admin"].csrf()
    body = f"csrf={token}&name=x"
    common = f"Cookie: {SESSION}={session}\r\nContent-Type: {PLAIN}\r\nSec-Fetch-Site: same-origin\r\n"
    heads = {
        "a length that lies": f"Content-Length: {len(body) + 9}\r\n",
        "two lengths": f"Content-Length: {len(body)}\r\nContent-Length: 5\r\n",
        "a length and pieces": f"Content-Length: {len(body)}\r\nTransfer-Encoding: chunked\r\n",
        "a packed body": f"Content-Length: {len(body)}\r\nContent-Encoding: gzip\r\n",
        "another method beside it": f"Content-Length: {len(body)}\r\nX-HTTP-Method-Override: DELETE\r\n",
        "a long head": f"Content-Length: {len(body)}\r\nX: {'y' * 70_000}\r\n",
        "900 heads": f"Content-Length: {len(body)}\r\n" + "".join(f"X{at}: y\r\n" for at in range(900)),
    }
    async with serving(create_app(town.api.held)) as port:
        for what, head in heads.items():
            text = f"POST /console/sites/news/pause HTTP/1.1\r\nHost: localhost:8000\r\n{common}{head}\r\n{body}"
            text = text.replace(f"\r\n\r\n{body}", f"\r\nConnection: close\r\n\r\n{body}")
            answer = await said(port, text.encode(), within_s=40)
            assert status_of(answer) in (0, 303, 400, 403, 411, 413, 415, 431), (what, answer[:200])
            assert b"Traceback" not in answer
        for target in ("http://evil.example/console/", "//evil.example/console/", "/console/..;/x", "/console%2f"):
            hosts = "Host: evil.example\r\nX-Forwarded-Host: evil.example\r\nConnection: close\r\n"
            text = f"GET {target} HTTP/1.1\r\n{hosts}\r\n"
            answer = await said(port, text.encode())
            assert status_of(answer) in (0, 303, 307, 400, 404), (target, answer[:200])
            location = [line for line in answer.split(b"\r\n") if line.lower().startswith(b"location:")]
            assert all(b"evil" not in line for line in location), location


ORIGINS = ("https://evil.example", "null", "https://localhost:8000.evil.example", "http://evillocalhost:8000")


@pytest.mark.parametrize("origin", ORIGINS)
async def test_no_other_origin_may_read_a_page(town: Town, origin: str) -> None:
    """Asked plainly or with a preflight, of every page: no answer lets another origin in."""
    person = town.people["admin"]
    preflight = {
        "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-csrf-token",
        "Access-Control-Request-Private-Network": "true",
    }  # fmt: skip
    for line in PAGES:
        for method, more in (("GET", {}), ("OPTIONS", preflight)):
            path = _path(town, line) if line.method == "POST" else town.paths(line)[0]
            reply = await person.call(method, path, headers={"Origin": origin, **more})
            assert not [name for name in reply.headers if name.lower().startswith("access-control-")], named(line)
            assert reply.status_code < 500
