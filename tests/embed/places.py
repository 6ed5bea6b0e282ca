"""The demo's slots as places, and what is printed for them."""

from __future__ import annotations

from typing import Any

from adserve.core.model import Slot
from adserve.demo.catalog import SITE, SLOTS
from adserve.embed.markup import Embedding, Order, embed
from adserve.embed.place import Place

URL = "https://serve.example"


def slot(name: str = "top", **fields: Any) -> Slot:
    given = {"sizes": ("728x90", "320x50"), **fields}
    return Slot(id=f"news/{name}", serial=1, version=1, site="news", name=name, **given)


def place(name: str = "top", **fields: Any) -> Place:
    return Place.of(slot(name, **fields))


DEMO = tuple(
    place(one["name"], sizes=tuple(one["sizes"]), title=one["title"], label=one["label"], rank=one["rank"])
    for one in SLOTS
)


def made(kind: str, *places: Place, url: str = URL, **more: Any) -> Embedding:
    return embed(kind, Order(url, "news", places or DEMO, title=SITE["name"], **more))


def text(kind: str, *places: Place, **more: Any) -> str:
    """The text of a kind that is one."""
    (part,) = made(kind, *places, **more).parts
    return part.text
