"""The one way to every page: nobody gets by it, and no form of somebody else's gets through it."""

from __future__ import annotations

import pytest

from adserve.core.access import ROLES
from adserve.http import told
from adserve.web.console.cookies import SESSION, own_path
from adserve.web.console.gate import HEADERS
from adserve.web.console.page import ANYONE, Page
from adserve.web.console.pages import PAGES
from adserve.web.console.shared import SHARED
from tests.conftest import ADMIN, Api
from tests.console.conftest import SAME, Enter, Person, page

UNSAFE = [one for one in PAGES if one.method != "GET"]
BEHIND = [one for one in PAGES if one.roles is not ANYONE]
IDS = {
    "id": "news", "site": "news", "slot": "top", "secret": "x" * 43, "revision": "1", "share": "l-1",
    "decision": "d" * 36,
}  # fmt: skip


def path_of(one: Page) -> str:
    return one.path.format_map({**IDS, **{"id": "acme" if one.about == "advertiser" else "news"}})


def named(one: Page) -> str:
    return f"{one.method} {one.path}"


@pytest.mark.parametrize("one", BEHIND, ids=named)
async def test_who_is_not_signed_in_is_asked_to(api: Api, one: Page) -> None:
    """Of every page that has a role, whatever else comes with the call; a key of the API opens none."""
    await api.world()
    before = await api.contents()
    stranger = Person(api)
    for headers in ({}, {"Authorization": f"Bearer {ADMIN}"}, {"Cookie": f"{SESSION}={'x' * 43}"}):
        reply = await stranger.call(one.method, path_of(one), headers={**SAME, **headers})
        assert (reply.status_code, reply.headers["location"].partition("?")[0]) == (303, "/console/sign-in")
    assert await api.contents() == before


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_gets_what_the_table_gives_it(api: Api, enter: Enter, role: str) -> None:
    """403 for all else, before anything is looked up."""
    await api.world()
    person = await enter(role, "acme" if role == "advertiser" else None)
    token = await person.csrf()
    for one in BEHIND:
        if role not in one.roles:
            reply = await person.call(one.method, path_of(one), data={"csrf": token}, headers=SAME)
            assert reply.status_code == 403, named(one)
    assert any(role not in one.roles for one in BEHIND) or role == "admin"


FORGED = {
    "no token": ({}, {}),
    "an empty token": ({"csrf": ""}, {}),
    "a token of somebody else": ({"csrf": "0" * 48}, {}),
    "from another site": (None, {"Sec-Fetch-Site": "cross-site"}),
    "from a sibling host": (None, {"Sec-Fetch-Site": "same-site", "Origin": "http://evil.localhost:8000"}),
    "by an address that was typed": (None, {"Sec-Fetch-Site": "none"}),
    "from nowhere": (None, {"Origin": "null"}),
    "from another origin": (None, {"Origin": "http://evil.example"}),
    "as text": (None, {"Content-Type": "text/plain"}),
    "as JSON": (None, {"Content-Type": "application/json"}),
}


@pytest.mark.parametrize("one", UNSAFE, ids=named)
async def test_no_form_of_somebody_else_changes_anything(api: Api, enter: Enter, one: Page) -> None:
    """Every unsafe page, with each way in which a foreign page could have it sent."""
    await api.world()
    person = await enter() if one.roles is not ANYONE else Person(api)
    token = await person.csrf("/console/" if one.roles is not ANYONE else "/console/sign-in")
    other = await (await enter()).csrf()
    before = await stored(api)
    cases = {**FORGED, "a token of another session": ({"csrf": other}, {})}
    for why, (form, headers) in cases.items():
        sent = {"csrf": token} if form is None else form
        reply = await person.call("POST", path_of(one), data=sent, headers={**SAME, **headers})
        assert reply.status_code in (403, 415), why
    in_query = await person.call("POST", f"{path_of(one)}?csrf={token}", data={}, headers=SAME)
    assert in_query.status_code == 403
    assert await stored(api) == before


async def stored(api: Api) -> dict[str, bytes]:
    """All that is stored but the audit, which tells of what was refused."""
    return {key: value for key, value in (await api.contents()).items() if not key.endswith("}:audit")}


async def test_the_audit_tells_of_refused_forms(api: Api, enter: Enter) -> None:
    """Of somebody who is there, and no more than a few: a page elsewhere could send thousands."""
    person = await enter()
    for _ in range(9):
        assert (await person.post("/console/sites/new", {"id": "x"}, token="0" * 48)).status_code == 403
    lines = (await api.call("GET", "/audit")).json()["items"]
    noted = [one for one in lines if one["action"] == "form_refused"]
    assert person.user is not None
    assert {one["what"] for one in noted} == {f"user:{person.user.id}"}
    assert 1 <= len(noted) <= 3


async def test_every_answer_has_its_headers(api: Api, enter: Enter) -> None:
    """Also those of failures; no page is kept, framed, or runs a script that is not ours."""
    await api.world()
    person = await enter()
    for path in ("/", "/sites", "/sites/none", "/nothing", "/sign-in", "", "/static/none", "/static/console.css"):
        path = f"/console{path}"
        reply = await person.get(path)
        if path.endswith(".css"):
            assert reply.headers["content-type"] == "text/css; charset=utf-8"
            continue
        for name, value in HEADERS.items():
            assert reply.headers[name] == value, (path, name)
    refused = await person.call("DELETE", "/console/sites")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


async def test_pages_are_whole_documents(api: Api, enter: Enter) -> None:
    """Of every page that needs no object, as a parser of browsers' kind reads them."""
    await api.world()
    person = await enter()
    for one in PAGES:
        if one.method == "GET" and "{" not in one.path:
            reply = await person.get(one.path)
            if reply.status_code == 200 and "html" in reply.headers["content-type"]:
                page(reply)


@pytest.mark.parametrize(
    "text",
    [
        "//evil.example", "/\\evil.example", "/%5cevil.example", "https://evil.example", "/console/../../x",
        "javascript:x", "/console//evil.example", "/console/\nx", "", "/demo/", "/console/sign-in",
        "/console/%2f%2fevil.example", "?/console/", "//evil.example?x=/console/", "/\\evil.example?/console/",
        "https://evil.example/?/console/", "/console?x=//evil.example", "/console/..%2f?x=1", "/console/%5c?",
        "\t/console/?x", "/console/?x=\r\nLocation: //evil.example", "/console/sign-in?next=%2Fconsole%2F",
        "/console/\u2215evil?x=1", f"/console/?x={'y' * 500}",
    ],
)  # fmt: skip
def test_next_leads_nowhere_else(text: str) -> None:
    """What is no page of the console becomes the start page."""
    assert own_path(text) == "/console/"


def test_next_leads_back() -> None:
    """A page of the console, with its query, whatever that says: it is no place to go to."""
    for query in ("state=pending", "place=news%2Ftop", "q=a..b", "url=https://shop.example/x", "q=%5C\\", "x=?", ""):
        assert own_path(f"/console/review?{query}") == f"/console/review?{query}"


def test_the_access_log_holds_no_secret_of_an_address() -> None:
    """Of every route that has one in its path, the console's and those that need no session; nor what comes behind."""
    known = [one.path for one in PAGES if "secret}" in one.path or "token}" in one.path]
    others = [SHARED, "/preview/{token}", "/preview/{token}/markup", "/f/{token}", "/c/{token}", "/e/i/{token}"]
    for path in {*known, *others}:
        secret = "cr-a.1.1800000000." + "5ec2e7" * 8 if path.startswith("/preview") else "p" * 36 + "5ec2e7" * 8
        line = told(path.format_map({"secret": secret, "token": secret}) + "?q=5ec2e7")
        assert "5ec2e7" not in line, path
        assert line.startswith(path.partition("{")[0])
    assert told("/console/creatives/cr-a?q=1") == "/console/creatives/cr-a"


URL, PARTS = "application/x-www-form-urlencoded", "multipart/form-data; boundary=edge"
PART = '--edge\r\nContent-Disposition: form-data; name="x"{}\r\n\r\n1\r\n'
FILE = PART.format('; filename="x"')
TOO_MUCH = {
    "too many fields": (URL, "x=1&" * 4_000, "over 4,000 fields"),
    "no text": (URL, "x=%ff", "no UTF-8"),
    "too many parts": (PARTS, PART.format("") * 4_001, "over 4,000 fields"),
    "too many files": (PARTS, FILE * 41, "over 40 files"),
    "a long name": (PARTS, PART.format(f'; filename="{"x" * 5_000}"'), "over 4,000 characters"),
    "a torn form": (PARTS, PART.format("")[:-3], "before its last boundary"),
    "a long text": (PARTS, PART.format("").replace("1", "1" * 257_000), "over 256,384 bytes"),
}


@pytest.mark.parametrize("what", TOO_MUCH)
async def test_a_form_that_cannot_be_read_says_why(api: Api, enter: Enter, what: str) -> None:
    """400 with words, before anybody has signed in and after."""
    kind, body, words = TOO_MUCH[what]
    for person, path in ((Person(api), "/console/sign-in"), (await enter(), "/console/sites/new")):
        await person.get("/console/sign-in")
        reply = await person.call("POST", path, content=body, headers={**SAME, "Content-Type": kind})
        assert reply.status_code == 400, path
        page(reply)
        assert words in reply.text


LONG = "9" * 5_000


async def test_numbers_without_end_are_no_failure(api: Api, enter: Enter) -> None:
    """In a form's version and in the numbers of addresses."""
    await api.world()
    person = await enter()
    reply = await person.post("/console/advertisers/acme/edit", {"name": "Acme", "version": LONG})
    assert reply.status_code in (303, 422)
    for path in ("creatives?page=", "campaigns?from=", "campaigns?page=", "live?limit=", "reports?days="):
        for number in (LONG, "\u0661", "\u00b2", "-1"):
            assert (await person.get(f"/console/{path}{number}")).status_code in (200, 422), path


async def test_what_stands_beside_no_field_names_its_member(api: Api, enter: Enter) -> None:
    """In words, on the page that says why a form could not be read."""
    body = b'--edge\r\nContent-Disposition: form-data; name="more_sizes"\r\n\r\n' + b"\xff\r\n--edge--\r\n"
    headers = {**SAME, "Content-Type": PARTS}
    reply = await (await enter()).call("POST", "/console/sites/new", content=body, headers=headers)
    assert reply.status_code == 422
    assert "more sizes: is no UTF-8" in reply.text


async def test_a_form_that_is_too_large_says_what_to_do(enter: Enter) -> None:
    """With the limit, on a page as all others."""
    reply = await (await enter()).post("/console/sites/new", {"name": "x" * 300_000})
    assert reply.status_code == 413
    page(reply)
    assert "over 262,144 bytes: send less of it at once" in reply.text
