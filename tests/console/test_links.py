"""The console as a whole: whoever follows its links finds pages, and no control that is not for them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from starlette.routing import compile_path

from adserve.core.access import ROLES
from adserve.web.console.page import ANYONE
from adserve.web.console.pages import PAGES
from tests.conftest import Api
from tests.console.conftest import Enter, page

POSTS = [(compile_path(one.path)[0], one.roles) for one in PAGES if one.method == "POST"]
MOST = 400
"""Pages that are looked at: filters and periods make endless addresses out of few pages."""


def addresses(document: Any, here: str) -> set[str]:
    """Where links and forms that ask lead within the console, without what only sorts or filters."""
    found = [one.get("href") for one in document.iter("a")]
    found += [one.get("action") for one in document.iter("form") if one.get("method", "get") == "get"]
    joined = {urlsplit(urljoin(here, one)) for one in found if one and not one.startswith("#")}
    return {one.path for one in joined if one.path.startswith("/console") and not one.netloc} | {
        f"{one.path}?{one.query}" for one in joined if one.query and not one.netloc and one.path.startswith("/console")
    }


@pytest.mark.parametrize("role", ROLES)
async def test_every_link_leads_to_a_page_and_every_button_is_the_roles(api: Api, enter: Enter, role: str) -> None:
    """From the start page on, for each role, with something of everything in the store."""
    await api.world(slots=("top", "side"))
    await api.make("PUT", "/advertisers/rival", {"name": "Rival"})
    await api.creative("one", goal={"impressions": 1000}, ends="2027-02-01")
    await api.creative("two", advertiser="rival", approve=False)
    gone = await api.creative("gone")
    await api.call("DELETE", f"/creatives/{gone}")
    await api.call("DELETE", "/campaigns/gone")
    await api.decide()
    await api.settle()
    person = await enter(role, "acme" if role == "advertiser" else None)
    waiting, seen = ["/console/"], set[str]()
    while waiting and len(seen) < MOST:
        path = waiting.pop(0)
        seen.add(path)
        reply = await person.get(path)
        assert reply.status_code == 200, path
        if "text/html" not in reply.headers["content-type"]:
            continue
        document = page(reply)
        waiting += sorted(one for one in addresses(document, path) if one not in seen and one not in waiting)
        for form in document.iter("form"):
            if form.get("method") == "post":
                action = urlsplit(urljoin(path, form.get("action", path))).path
                roles = [roles for matches, roles in POSTS if matches.match(action)]
                assert roles, f"{path} has a form to {action}, which is no page"
                assert roles[0] is ANYONE or role in roles[0], f"{path} has a form to {action}, which {role} may not"
    wanted = {"/console/campaigns", "/console/campaigns/one", "/console/creatives"}
    wanted |= {"/console/sites/news/slots/top/embed", "/console/advertisers/acme"} if role != "advertiser" else set()
    wanted |= {"/console/campaigns/one/edit", "/console/campaigns/one/clone"} if role == "admin" else set()
    assert wanted <= seen
