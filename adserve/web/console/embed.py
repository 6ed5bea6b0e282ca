"""What to paste into a page for a slot, or for all slots of a site: what `adserve embed` prints."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from adserve import __version__
from adserve.embed.markup import Order, embed, kinds
from adserve.flows.places import slots_of
from adserve.web.console.page import STAFF, Call, Page
from adserve.web.console.sites import SITES

WORDS = {
    "html": "Any web page",
    "noscript": "Page, also without script",
    "frame": "Frame",
    "jinja2": "Jinja2",
    "django": "Django",
    "flask": "Flask",
    "nginx": "nginx (SSI)",
    "blogger": "Blogger",
    "wordpress": "WordPress",
    "email": "E-mail",
    "rss": "Feed (RSS)",
    "readme": "README",
}
"""Kind of page to what people call it; a kind that is missing here is shown by its name."""


async def embed_code(call: Call) -> Response:
    """Each part as it is pasted, with the command that prints the same."""
    site, slot = call.path.get("site", call.path.get("id", "")), call.path.get("slot")
    kind = call.query.get("for", "html")
    named, found = await slots_of(call.services, site, (slot,) if slot else ())
    made = embed(kind, Order.of(call.origin, named, found, __version__))
    command = f"adserve embed --site {site}{f' --slot {slot}' if slot else ''} --for {kind} --url {call.origin}"
    path = f"{SITES}/{site}/slots/{slot}" if slot else f"{SITES}/{site}"
    whose = (found[0].title or found[0].name) if slot else named.name
    tabs = [(one, WORDS.get(one, one)) for one in kinds()]
    shown: dict[str, Any] = {"made": made, "tabs": tabs, "kind": kind, "command": command, "path": path}
    shown |= {"slot": slot, "whose": whose, "local": call.console.worker.public_url is None}
    return call.show("embed.html.j2", title=f"Code for {whose}", **shown)


PAGES = (
    Page("GET", f"{SITES}/{{id}}/embed", embed_code, STAFF, "site"),
    Page("GET", f"{SITES}/{{site}}/slots/{{slot}}/embed", embed_code, STAFF, "slot"),
)
