"""The Blogger theme: well-formed as a whole, and right on each kind of page of a blog."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import html5lib
import pytest

from tests.embed.blogger import B, parse, render
from tests.embed.places import made, place

THEME = (Path(__file__).resolve().parents[2] / "examples/blogger/theme.xml").read_text("utf-8")
LABELS = ["Lake & Hills", 'say "hi"', "Énergie", "<b>"]


def post(number: int, *labels: str) -> dict[str, Any]:
    named = [{"name": name, "url": f"/search/label/{number}"} for name in labels]
    return {"title": f"Post {number}", "url": f"/p/{number}.html", "body": "<p>Words.</p>", "labels": named}


def blog(kind: str, *posts: dict[str, Any]) -> dict[str, Any]:
    """What a theme knows on a page: `post`, `page` (a static one), `list` (home, labels, archive) or `error`."""
    view = {"isPost": kind == "post", "isPage": kind == "page", "isSingleItem": kind in ("post", "page")}
    view |= {"isMultipleItems": kind == "list", "isError": kind == "error"}
    about = {"title": "The Courier", "pageTitle": "T", "locale": "en", "languageDirection": "ltr"}
    return {"blog": about, "view": view, "posts": list(posts)}


def page(kind: str, *posts: dict[str, Any]) -> Any:
    return html5lib.parse(render(THEME, blog(kind, *posts)), namespaceHTMLElements=False)


def labels(within: Any) -> list[str]:
    """What stands in `data-labels` of what nobody sees."""
    said = [one for one in within.iter() if "data-labels" in one.attrib]
    assert all("hidden" in one.attrib for one in said)
    return [one.attrib["data-labels"] for one in said]


def slots(found: Any) -> list[str]:
    return [one.attrib["data-slot"] for one in found.iter("div") if "data-slot" in one.attrib]


def test_the_whole_theme_is_well_formed_and_every_widget_has_its_main() -> None:
    theme = parse(THEME)
    assert [one.attrib["type"] for one in theme.iter(f"{B}widget")] == ["Header", "Blog"]
    for widget in theme.iter(f"{B}widget"):
        assert "main" in [child.attrib["id"] for child in widget]
    ids = [one.attrib["id"] for one in theme.iter() if one.tag in (f"{B}widget", f"{B}section")]
    assert len(ids) == len({*ids})


@pytest.mark.parametrize("name", ["header", "top", "below-post", "sidebar", "footer", "elsewhere", "1st"])
def test_every_piece_is_well_formed_by_itself_in_a_theme(name: str) -> None:
    """Whatever is named, titled or sized: the piece stands as one sibling among others."""
    for part in made("blogger", place(name, title='"&<]]>', label="</b:if>")).parts:
        if part.name.startswith("theme-"):
            around = THEME[THEME.index("<html") : THEME.index("<head>")]
            whole = ElementTree.fromstring(f"{around}<body>{part.text}</body></html>")
            assert len(whole[0]) == 1


def test_a_post_has_all_five_and_tells_its_labels() -> None:
    found = page("post", post(1, *LABELS))
    assert slots(found) == ["header", "top", "below-post", "sidebar", "footer"]
    assert labels(found) == LABELS


def test_a_list_has_one_below_each_post_and_tells_the_labels_of_all() -> None:
    """Nothing above them."""
    found = page("list", post(1, "Lake"), post(2), post(3, "Hills", "Energy"))
    assert slots(found) == ["header", "below-post", "below-post", "below-post", "sidebar", "footer"]
    assert labels(found) == ["Lake", "Hills", "Energy"]


def test_a_static_page_has_no_slot_of_a_post() -> None:
    assert slots(page("page", post(1))) == ["header", "sidebar", "footer"]


@pytest.mark.parametrize("kind", ["post", "page", "list", "error"])
def test_the_script_is_there_once_on_every_kind_of_page(kind: str) -> None:
    found = page(kind, *([] if kind == "error" else [post(1, "Lake")]))
    assert len(list(found.iter("script"))) == 1
