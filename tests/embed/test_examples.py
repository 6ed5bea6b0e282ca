"""The folder `examples` holds what is printed today, and nothing older."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from adserve import __version__
from adserve.embed.markup import KINDS, Part, lines_of
from tests.embed.places import DEMO, made, text

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TOP_AND_FOOTER = (DEMO[1], DEMO[4])


def example(name: str) -> str:
    return (EXAMPLES / name).read_text("utf-8")


def pieces(printed: str) -> list[str]:
    """Style, elements and script of what is printed for a page."""
    return re.findall(r"<style>.*?</style>|<div .*?</div>|<script.*?</script>", printed, re.DOTALL)


@pytest.mark.parametrize(("kind", "name", "count"), [("html", "html/page.html", 7), ("nginx", "nginx/page.html", 4)])
def test_the_page_holds_every_piece_once(kind: str, name: str, count: int) -> None:
    """And no other slot."""
    found = pieces(text(kind) if kind == "html" else text(kind, *TOP_AND_FOOTER))
    assert len(found) == count
    page = example(name)
    assert [page.count(piece) for piece in found] == [1] * count
    assert (
        len(
            re.findall(r"data-(?:slot|place)=\"[a-z-]+\"[ >]", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL))
        )
        == count - 2
    )


@pytest.mark.parametrize(
    "part", [one for one in made("blogger").parts if one.name.startswith("theme-")], ids=lambda one: one.name
)
def test_the_theme_holds_every_piece_once(part: Part) -> None:
    assert example("blogger/theme.xml").count(part.text) == 1


def test_what_is_printed_for_blogger_is_kept_as_it_is() -> None:
    assert example("blogger/printed.txt") == "\n".join(lines_of(made("blogger"), None)) + "\n"


def test_the_plugin_is_what_is_printed() -> None:
    assert example("wordpress/slots.php") == text("wordpress", version=__version__)


def test_what_the_documents_show_is_what_is_printed() -> None:
    """The page about HTML whole, the one about nginx its include."""
    docs = EXAMPLES.parent / "docs/integrations"
    assert f"```html\n{text('html', DEMO[1])}```" in (docs / "html.md").read_text("utf-8")
    place = pieces(text("nginx", *TOP_AND_FOOTER))[1]
    assert f"```html\n{place}\n```" in (docs / "nginx.md").read_text("utf-8")


def test_every_kind_has_its_page() -> None:
    """A reader of the table finds where to read on, and every kind that can be asked for."""
    table = (EXAMPLES.parent / "docs/integrations/README.md").read_text("utf-8")
    assert [kind for kind in KINDS if f"`{kind}`" not in table] == []
