"""Every page of the table as each role finds it: who may, where links and forms lead; looking changes nothing."""

from __future__ import annotations

import pytest

from adserve.core.access import ROLES
from adserve.web.console.once import SENT
from adserve.web.console.page import ANYONE, Page
from adserve.web.console.pages import PAGES
from tests.console.conftest import page as parsed
from tests.console.forms import GOOD, IN_AND_OUT, UNLINKED
from tests.console.town import Town, crawl, forms_of, line_of, named

FORMS = [one for one in PAGES if one.method != "GET"]


@pytest.mark.parametrize("role", ROLES)
async def test_every_link_and_form_leads_where_its_reader_may_go(town: Town, role: str) -> None:
    """Nobody is shown a way that is closed to them, or that leads nowhere; looking at all of it, by GET and HEAD,
    changes nothing; each page is a whole document."""
    person = town.people[role]
    await person.get("/console/account/second-factor")  # its session keeps the secret that it shows
    before = await town.api.contents()
    looked: list[Page | None] = []
    seen = await crawl(town, person, choices=True)
    for path, reply in seen.items():
        assert reply.status_code in (200, 303), (path, reply.status_code)
        if not path.startswith("/console") or reply.status_code == 303:
            continue
        line = line_of(PAGES, "GET", path)
        if line not in looked:
            looked.append(line)
            head = await person.call("HEAD", path)
            assert (head.status_code, head.content) == (reply.status_code, b""), path
            if "html" in reply.headers.get("content-type", ""):
                parsed(reply)
        if "html" not in reply.headers.get("content-type", ""):
            continue
        for form in forms_of(reply.text, path):
            line = line_of(PAGES, form.method, form.action)
            assert line is not None, (path, form)
            assert line.roles is ANYONE or role in line.roles, (path, form.action)
    assert await town.api.contents() == before
    reached = {named(line) for line in (line_of(PAGES, "GET", path) for path in seen) if line is not None}
    wanted = {named(one) for one in PAGES if one.method == "GET" and role in one.roles and one.path not in UNLINKED}
    assert wanted - reached == set()


async def form_for(town: Town, one: Page, path: str) -> dict[str, object]:
    """What the form of a path is sent with: what the page that has it fills in, and what stands in GOOD."""
    person = town.people["admin"]
    for at in (path, path.rpartition("/")[0], path.partition("/report/")[0] + "/report"):
        reply = await person.get(at)
        if reply.status_code == 200:
            for form in forms_of(reply.text, at):
                if form.action == path:
                    return {**form.filled(), **GOOD[one.path].fields}
    return dict(GOOD[one.path].fields)


@pytest.mark.parametrize("one", [one for one in FORMS if not one.path.startswith(IN_AND_OUT)], ids=named)
async def test_every_good_form_works(town: Town, one: Page) -> None:
    """It is answered by an address, which shows a page, or by what is shown this once, and a reload of that makes
    nothing."""
    good = GOOD[one.path]
    path = town.paths(one, town.states(good.state))[0] if good.state else town.paths(one)[0]
    files = {good.file: ("p.png", town.picture, "image/png")} if good.file else None
    person = town.people["admin"]
    form = await form_for(town, one, path)
    form.pop("csrf", None)
    reply = await person.post(path, form, files=files)
    assert reply.status_code == good.status, reply.text
    if good.status == 303:
        assert (await person.get(reply.headers["location"])).status_code == 200
    elif good.status == 200:
        before = await town.api.contents()
        again = await person.post(path, form, files=files)
        assert (again.status_code, SENT.partition(",")[0] in again.text) == (422, True)
        assert await town.api.contents() == before
