"""The start page."""

from __future__ import annotations

from starlette.responses import Response

from adserve.web.console.page import EVERYONE, HOME, Call, Page


async def home(call: Call) -> Response:
    return call.show("home.html.j2", title="Overview")


PAGES = (Page("GET", HOME, home, EVERYONE, nav="Overview"),)
