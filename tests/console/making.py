"""Creatives for the tests of pages: pictures, texts and markup of a campaign `one` in `news/top`."""

from __future__ import annotations

import io
import re
from typing import Any

import html5lib
import httpx2
from PIL import Image

from tests.conftest import ADMIN, Api

LANDING = "https://shop.example/tea"
MARKUP = {
    "kind": "html", "name": "markup", "html": '<a href="{click}">Tea</a><script>1</script>', "width": "300",
    "height": "250", "click_url": LANDING,
}  # fmt: skip
TEXT = {"kind": "text", "name": "words", "title": "Tea", "body": "Loose, in tins", "click_url": LANDING}
IMAGE = {"kind": "image", "name": "picture", "alt": "Tea", "click_url": LANDING}


def png(width: int = 300, height: int = 250, shade: int = 90) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (width, height), (shade, 120, 60)).save(made, "PNG")
    return made.getvalue()


async def world(api: Api, *, slots: tuple[str, ...] = ("top",), **slot: Any) -> None:
    """A site with slots, the advertisers `acme` and `other`, and a campaign of each: `one` and `two`."""
    await api.world(slots=slots, **slot)
    await api.make("PUT", "/advertisers/other", {"name": "Other"})
    for campaign, advertiser in (("one", "acme"), ("two", "other")):
        body = {"advertiser": advertiser, "name": f"Campaign {campaign}", "slots": ["news/*"]}
        await api.make("PUT", f"/campaigns/{campaign}", body)


async def make(api: Api, fields: dict[str, str], campaign: str = "one", *, approve: bool = False) -> str:
    """The id of a new creative."""
    path = f"/api/v1/campaigns/{campaign}/creatives{'?approve=true' if approve else ''}"
    headers = {"Authorization": f"Bearer {ADMIN}"}
    if fields["kind"] == "image":
        files = {"file": ("a.png", png(), "image/png")}
        reply = await api.http.post(path, data=fields, files=files, headers=headers)
    else:
        body = {name: int(value) if name in ("width", "height") else value for name, value in fields.items()}
        reply = await api.http.post(path, json=body, headers=headers)
    assert reply.status_code == 201, reply.text
    return str(reply.json()["id"])


async def state(api: Api, id_: str) -> tuple[str, int, int | None]:
    """State, newest and live revision."""
    found = await api.make("GET", f"/creatives/{id_}")
    return found["state"], found["revision"], found["live_revision"]


def text_of(reply: httpx2.Response) -> str:
    """What a page says, without its markup."""
    document = html5lib.parse(reply.text, namespaceHTMLElements=False)
    return re.sub(r"\s+", " ", " ".join(document.itertext()))
