"""What is another's is not there: every page, with every id of another advertiser in its path, query and form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx2
import pytest

from adserve.core.access import ROLES
from adserve.web.console.page import ANYONE, Page
from adserve.web.console.pages import PAGES
from tests.console.conftest import SAME
from tests.console.forms import GOOD, IN_AND_OUT
from tests.console.town import NONE, Town, crawl, kind_of, line_of, named
from tests.security.pages import check, fields_of, good_fields, heard, parameters, texts_of

__all__ = ["heard"]
MINE = [one for one in PAGES if "advertiser" in one.roles]


class Aim(NamedTuple):
    """A call about something of another's, and the same about nothing."""

    page: Page
    path: str
    missing: str


def aims(town: Town) -> Iterator[Aim]:
    """Every page about an object of zeta's, in each state; and about an own one with something of zeta's below it."""
    for one in MINE:
        kind = kind_of(one)
        if kind is None:
            continue
        for path in town.paths(one, town.theirs):
            yield Aim(one, path, town.missing(one))
        for own, other in zip(town.own.get(kind, ()), town.theirs.get(kind, ()), strict=False):
            if town.inner.get(other) and "{" in one.path.replace("{id}", ""):
                yield Aim(one, town.filled(one.path, own, other), town.filled(one.path, own, "nobody"))


def plain(reply: httpx2.Response, *ids: str) -> tuple[int, str, dict[str, str]]:
    """An answer without the ids that were asked for, and without the number of a form, which each page gives anew."""
    text = re.sub(r'name="once" value="[\w-]+"', "", reply.text)
    heads = {name: value for name, value in reply.headers.items() if name not in ("date", "content-length")}
    for id_ in ids:
        text = text.replace(id_, "ID")
        heads = {name: value.replace(id_, "ID") for name, value in heads.items()}
    return reply.status_code, text, heads


async def test_what_is_another_s_is_not_there(town: Town) -> None:
    """404 with the page of an id that nobody has, for every method; the store is the same to the bit."""
    person = town.people["advertiser"]
    token = await person.csrf()
    before = await town.api.contents()
    seen = 0
    for aim in aims(town):
        good = {**GOOD[aim.page.path].fields, "csrf": token} if aim.page.method == "POST" else None
        for method in dict.fromkeys((aim.page.method, "HEAD" if aim.page.method == "GET" else "POST")):
            options: dict[str, Any] = {"data": good, "headers": SAME} if good is not None else {}
            real = await person.call(method, aim.path, **options)
            none = await person.call(method, aim.missing, **options)
            assert real.status_code == 404, (method, aim)
            assert plain(real) == plain(none), aim
            seen += 1
    assert seen
    assert await town.api.contents() == before


async def test_another_s_id_in_a_query_is_nobody_s(town: Town, heard: set[str]) -> None:
    """In every parameter that any page reads, alone and beside the filters of an own thing."""
    person = town.people["advertiser"]
    await person.get("/console/account/second-factor")  # its session keeps the secret that it shows
    before = await town.api.contents()
    seen = 0
    for one in MINE:
        if one.method != "GET":
            continue
        for path in town.paths(one)[:1]:
            for name in await parameters(person, path, heard):
                for kind, ids in town.theirs.items():
                    for own in ids:
                        id_, nobody = own, NONE.get(kind, "nobody-s")
                        if name == "what":
                            id_, nobody = f"{kind}:{own}", f"{kind}:{nobody}"
                        real = await person.call("GET", path, params={name: id_})
                        none = await person.call("GET", path, params={name: nobody})
                        check(real, (path, name, id_))
                        assert plain(real, *_said(id_)) == plain(none, *_said(nobody)), (path, name, id_)
                        seen += 1
    assert seen
    assert await town.api.contents() == before


def _said(text: str) -> tuple[str, ...]:
    """How a page may say again what it was asked."""
    quoted = "".join(one if re.fullmatch(r"[\w.~-]", one) else f"%{ord(one):02X}" for one in text)
    return (text, quoted) if quoted != text else (text,)


async def test_another_s_id_in_a_form_is_nobody_s(town: Town) -> None:
    """In every field of every form that an advertiser meets, also in those that it could not fill by hand."""
    person = town.people["advertiser"]
    token = await person.csrf()
    theirs = {kind: ids[:1] for kind, ids in town.theirs.items()}
    for path, (line, form) in (await fields_of(town, person)).items():
        good = good_fields(line, form)
        for name in (*form.fields, "campaign", "advertiser", "creative", "id", "user"):
            for kind, ids in theirs.items():
                if name in ("csrf", "version"):
                    continue
                untouched = await _of_zeta(town)
                real = await person.post(path, {**good, name: ids[0]}, token=token)
                check(real, (path, name, ids))
                assert await _of_zeta(town) == untouched, (path, name, kind)
                free = name in texts_of(form) and form.fields[name].kind != "hidden"
                assert real.status_code != 303 or free or name not in form.fields, (path, name, ids)


async def _of_zeta(town: Town) -> dict[str, Any]:
    """Everything in the catalog that is zeta's or the publisher's."""
    client, names = town.services.client, town.services.keys
    found: dict[Any, Any] = await client.hgetall(names.objects)
    return {name: text for name, text in found.items() if "acme" not in text and not _owned(town, name)}


def _owned(town: Town, name: str) -> bool:
    return name.startswith("creative:") and name.partition(":")[2] not in town.theirs["creative"]


async def test_an_advertiser_s_pages_name_nothing_of_another_s(town: Town) -> None:
    """Nor of what the publisher keeps to itself: no id and no name, on any page that it can reach and in no export."""
    words = {"zeta", "blog", *(id_ for kind, ids in town.theirs.items() if kind != "slot" for id_ in ids)}
    seen = await crawl(town, town.people["advertiser"])
    assert len(seen) > 1
    for path, reply in seen.items():
        found = [word for word in words if word in (reply.text + str(reply.headers)).lower()]
        assert found == [], (path, found)


@pytest.mark.parametrize("role", ["nobody", *ROLES])
async def test_a_role_that_may_not_changes_nothing(town: Town, role: str) -> None:
    """Every line with a good form: 403, or the way to the sign-in, before anything is looked up."""
    person = town.people.get(role)
    token = await person.csrf() if person is not None else ""
    before = await town.api.contents()
    closed = [one for one in PAGES if one.roles is not ANYONE and role not in one.roles]
    for one in closed:
        for path in (*town.paths(one)[:1], *town.paths(one, town.theirs)[:1], town.missing(one)):
            data = {**GOOD[one.path].fields, "csrf": token} if one.method == "POST" else None
            if person is None:
                reply = await town.api.http.request(one.method, path, data=data, headers=SAME)
                assert (reply.status_code, reply.headers["location"].partition("?")[0]) == (303, "/console/sign-in")
                continue
            reply = await person.call(one.method, path, **({"data": data, "headers": SAME} if data else {}))
            assert reply.status_code == 403, (named(one), role)
    assert closed or role == "admin"
    assert await town.api.contents() == before
    assert line_of(PAGES, "POST", IN_AND_OUT[0]) is not None
