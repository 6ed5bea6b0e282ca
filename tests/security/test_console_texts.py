"""Markup, templates and formulas in every parameter and every field of the console, and what all pages make of them."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from adserve.web.console.page import ANYONE
from adserve.web.console.pages import PAGES
from tests.console.conftest import Person
from tests.console.forms import GOOD, IN_AND_OUT
from tests.console.town import Town, crawl
from tests.security.pages import (
    MARKS,
    MARKUP,
    check,
    dangers,
    fields_of,
    good_fields,
    heard,
    parameters,
    texts_of,
)

INNER = ("self", "path", "call", "name")
"""What our own functions call what they are called with."""
READ = [one for one in PAGES if one.method == "GET"]
__all__ = ["heard"]


async def test_nothing_of_a_query_lives_in_an_answer(town: Town, heard: set[str]) -> None:
    """Of every parameter that any page reads, and of one that none does, alone and all together."""
    asked: set[str] = set()
    for one in READ:
        person = Person(town.api) if one.roles is ANYONE else town.people["admin"]
        for path in town.paths(one)[:1]:
            names = await parameters(person, path, heard)
            asked |= names
            for name in (*sorted(names), "unknown", "csrf", *INNER):
                check(await person.call("GET", path, params={name: MARKS[0]}), (path, name))
            everything = dict.fromkeys((*names, *INNER), MARKS[0])
            check(await person.call("GET", path, params=everything), path)
    assert {"done", "next", "state", "format"} <= asked


async def test_nothing_of_a_path_lives_in_an_answer(town: Town) -> None:
    """In place of every id, and where there is no page at all."""
    person = town.people["admin"]
    for one in READ:
        if "{" in one.path:
            path = "/".join("\0" if "{" in piece else piece for piece in one.path.split("/"))
            check(await person.get(path.replace("\0", _quoted(MARKS[0]))), one.path)
    for mark in MARKS:
        check(await person.get(f"/console/{_quoted(mark)}"), mark)
        check(await person.get(f"/console/static/{_quoted(mark)}"), mark)


async def test_pages_without_an_account_hold_nothing_of_their_address(town: Town) -> None:
    """Of links that are altered, and with words behind good ones."""
    for mark in MARKS:
        for path in ("/share/", "/preview/", "/console/link/", "/console/invitation/", "/console/reset/"):
            reply = await town.api.http.get(path + _quoted(mark), follow_redirects=False)
            check(reply, (path, mark))
            if "/" not in mark:  # else it is no address of ours at all
                assert reply.headers["x-robots-tag"].startswith("noindex"), path
        for path in town.shared:
            check(await town.api.http.get(path, params={"format": mark, "done": mark, mark: "1"}), (path, mark))


HOSTS = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example",
         "X-Forwarded-Proto": "javascript", "X-Forwarded-Prefix": '/x"'}  # fmt: skip


async def test_the_host_of_a_request_stands_on_no_page(town: Town) -> None:
    """Nor in a link that a page makes: those name the address that was set, or this machine."""
    person = town.people["admin"]
    token = await person.csrf()
    for line in PAGES:
        path = town.paths(line)[0]
        if line.method == "GET":
            reply = await person.call("GET", path, headers=HOSTS)
        elif GOOD[line.path].status == 200:
            form = {**GOOD[line.path].fields, "csrf": token}
            sent = {**HOSTS, "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"}
            reply = await person.call("POST", path, data=form, headers=sent)
            assert reply.status_code == 200, path
        else:
            continue
        said = reply.text + str(reply.headers)
        assert "evil.example" not in said, path
        assert "javascript:" not in said, path


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


@pytest.mark.parametrize("mark", MARKS)
async def test_nothing_that_was_typed_lives_on_any_page(town: Town, mark: str) -> None:
    """Every field of every form with the mark, one at a time and as many together as are taken; then every page as
    everybody sees it, and every export."""
    person = town.people["admin"]
    token = await person.csrf()
    kept = 0
    for path, (line, form) in (await fields_of(town, person)).items():
        names = texts_of(form)
        good, files = good_fields(line, form), _files(town, line.path)
        taken: dict[str, Any] = {}
        for name in names:
            reply = await person.post(path, {**good, name: mark}, files=files, token=token)
            check(reply, (path, name))
            if reply.status_code == GOOD[line.path].status:
                taken[name] = mark
        if taken:
            kept += len(taken)
            check(await person.post(path, {**good, **taken}, files=files, token=token), path)
    assert kept, "no field takes any text"
    found = 0
    for role in ("admin", "advertiser"):
        for path, reply in (await crawl(town, town.people[role])).items():
            check(reply, (role, path))
            found += "XSS1" in reply.text
            if "text/csv" in reply.headers.get("content-type", ""):
                for row in csv.reader(io.StringIO(reply.text)):
                    assert not [cell for cell in row if cell.startswith(("=", "+", "@", "\t", "\r"))], (path, row)
    for path in town.shared:
        check(await town.api.http.get(path), path)
        check(await town.api.http.get(f"{path}?format=csv"), path)
    assert found or mark == MARKS[-1], "what was typed is shown nowhere"  # that one is taken nowhere


def _files(town: Town, path: str) -> Any:
    file = GOOD[path].file
    return {file: ("p.png", town.picture, "image/png")} if file else None


def test_the_look_for_dangers_sees_them() -> None:
    """Each of the marks that is markup, where it was not escaped."""
    for mark in MARKUP:
        assert dangers(f"<p>{mark}</p>") or dangers(f"<title>{mark}</title>") or dangers(f"<p title='{mark}'>"), mark
    assert dangers(f"<a href='{MARKS[2]}'>x</a>")
    assert dangers("<p>fine <a href='/console/'>x</a></p>") == []
    assert IN_AND_OUT
