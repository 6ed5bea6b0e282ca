"""What people read of a page: its words, its fields with what they hold, and what is said to be wrong with them."""

from __future__ import annotations

from typing import Any

import httpx2

from tests.console.conftest import page


class Reading:
    """A page, read as a browser reads it."""

    def __init__(self, reply: httpx2.Response) -> None:
        self.status = reply.status_code
        self.document = page(reply)

    @property
    def main(self) -> Any:
        return next(one for one in self.document.iter("main"))

    @property
    def words(self) -> str:
        """Of the content, with one space between words."""
        return " ".join(" ".join(self.main.itertext()).split())

    @property
    def links(self) -> dict[str, str]:
        """Words to address, of the content."""
        return dict(self.all_links)

    @property
    def all_links(self) -> list[tuple[str, str]]:
        return [(" ".join("".join(one.itertext()).split()), one.get("href")) for one in self.main.iter("a")]

    @property
    def actions(self) -> set[str]:
        """Where forms of the content lead."""
        return {one.get("action") for one in self.main.iter("form")}

    def field(self, name: str) -> Any:
        """What a field holds: text, or of boxes those that are ticked."""
        fields = (one for tag in ("input", "textarea", "select") for one in self.main.iter(tag))
        found = [one for one in fields if one.get("name") == name]
        assert found, f"there is no field {name}"
        first = found[0]
        if first.tag == "select":
            chosen = [one for one in first.iter("option") if one.get("selected") is not None]
            return (chosen or list(first.iter("option")))[0].get("value")
        if first.tag == "textarea":
            return (first.text or "").removeprefix("\n")
        if first.get("type") == "checkbox":
            return [one.get("value") for one in found if one.get("checked") is not None]
        return first.get("value")

    def has(self, name: str) -> bool:
        return any(one.get("name") == name for tag in ("input", "textarea", "select") for one in self.main.iter(tag))

    def wrong(self, name: str) -> str:
        """What is said to be wrong with a field, which refers to the words."""
        said = [one for one in self.main.iter("p") if one.get("id") == f"wrong-{name}"]
        return "".join(said[0].itertext()) if said else ""

    def code(self) -> list[str]:
        return ["".join(one.itertext()) for one in self.main.iter("pre")]
