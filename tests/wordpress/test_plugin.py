"""The WordPress plugin in a real PHP, with small stand-ins for what it calls of WordPress."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import html5lib
import pytest

from adserve.embed.place import Place
from tests.embed.places import DEMO, place
from tests.wordpress.php import WordPress

HOSTILE = "\"'><script>alert(1)</script>'.phpinfo().'\\"


@pytest.fixture
def wordpress(tmp_path: Path) -> WordPress:
    return WordPress(tmp_path)


def tree(html: str) -> Any:
    return html5lib.HTMLParser(namespaceHTMLElements=False).parse(html, scripting=False)


def element(html: str) -> dict[str, str]:
    """The attributes of the one slot in a piece of HTML."""
    (found,) = [one for one in tree(html).iter("div") if "data-slot" in one.attrib]
    return dict(found.attrib)


@pytest.mark.parametrize("places", [(), (place(title=HOSTILE, label=HOSTILE),), (place("404"),)])
def test_php_reads_it(wordpress: WordPress, places: tuple[Place, ...]) -> None:
    """Whatever slots are called, and whatever their titles hold."""
    wordpress.write(*places)
    done = subprocess.run([wordpress.php, "-l", str(wordpress.plugin)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout


def test_it_uses_nothing_that_is_younger_than_php_7_4(wordpress: WordPress) -> None:
    """No named arguments, `match`, nullsafe calls, union types, attributes or functions of PHP 8."""
    code = wordpress.plugin.read_text("utf-8")
    assert not re.search(
        r"\?->|\bmatch\s*\(|^\s*#\[|\bstr_(contains|starts_with|ends_with)\b|: \w+\|\w+ \{", code, re.MULTILINE
    )


def test_it_calls_nobody_and_stores_nothing_by_itself(wordpress: WordPress) -> None:
    code = wordpress.plugin.read_text("utf-8")
    assert not re.search(
        r"wp_remote|curl_|file_get_contents|fsockopen|setcookie|update_option|\$wpdb|\$_(GET|POST|COOKIE|SERVER)", code
    )


def test_a_shortcode_is_the_slot_s_element_with_a_frame_for_readers_without_scripts(wordpress: WordPress) -> None:
    (html,) = wordpress.ask(("shortcode", {"name": "top"}))
    assert element(html) == {"data-slot": "top", "data-size": "728x90@728 320x50"}
    (frame,) = tree(html).iter("iframe")
    assert frame.attrib["src"] == "https://serve.example/v1/frames/news/top"
    assert (frame.attrib["width"], frame.attrib["height"]) == ("728", "108")


def test_a_block_is_the_same_and_its_editor_knows_the_slots(wordpress: WordPress) -> None:
    block, shortcode, made = wordpress.ask(("block", {"name": "top"}), ("shortcode", {"name": "top"}), ("made", None))
    assert block == shortcode
    assert made["block"]["attributes"] == {"name": {"type": "string", "default": ""}}
    assert made["block"]["editor_script"] == "slots-block"
    assert {"wp-blocks", "wp-block-editor", "wp-components", "wp-element"} == {*made["after"]["slots-block"]}
    names = json.loads(made["inline"]["slots-block"].rpartition(")(")[2].removesuffix(");"))
    assert names == [one.name for one in DEMO]


@pytest.mark.parametrize("given", [{}, {"name": "nowhere"}, {"name": HOSTILE}, {"x": "y"}, ""])
def test_a_name_that_is_no_slot_prints_nothing(wordpress: WordPress, given: Any) -> None:
    """And no warning of PHP: the page stays whole."""
    assert wordpress.ask(("shortcode", given)) == [""]


def test_categories_and_tags_are_the_labels(wordpress: WordPress) -> None:
    """As their owner wrote them, escaped once; a comma would part one in two."""
    names = {"category": ["World & Us", 'say "hi"'], "post_tag": ["Énergie", "salt, pepper", "<b>"]}
    html, head = wordpress.ask(("shortcode", {"name": "top"}), ("action", "wp_head"), page="post", post=7, terms=names)
    said = 'World & Us,say "hi",Énergie,salt  pepper,<b>'
    assert element(html)["data-labels"] == said
    (script,) = tree(head).iter("script")
    assert script.attrib["data-labels"] == said
    assert script.attrib["src"] == "https://serve.example/slots.js"
    assert script.attrib["data-site"] == "news"


def test_a_list_of_posts_has_no_labels_of_its_own(wordpress: WordPress) -> None:
    (head,) = wordpress.ask(("action", "wp_head"), page="list", post=7, terms={"category": ["World"]})
    (script,) = tree(head).iter("script")
    assert "data-labels" not in script.attrib


def test_the_head_reserves_the_room(wordpress: WordPress) -> None:
    (head,) = wordpress.ask(("action", "wp_head"))
    (style,) = tree(head).iter("style")
    assert '@media (min-width:728px){[data-slot="top"]{min-height:108px}}' in style.text


PLACES = {"header": "header", "above_content": "top", "below_content": "below-post", "footer": "footer"}
EVERYWHERE = [("action", "wp_body_open"), ("content", "<p>Words.</p>"), ("action", "wp_footer")]


def test_nothing_is_placed_before_somebody_chose(wordpress: WordPress) -> None:
    assert wordpress.ask(*EVERYWHERE, page="post", post=7) == ["", "<p>Words.</p>", ""]


@pytest.mark.parametrize(
    "state",
    [
        {"options": {"slots_places": PLACES}},
        {"constants": {"SLOTS_PLACES": PLACES}},
        {"filters": {"slots_places": PLACES}},
    ],
    ids=["option", "constant", "filter"],
)
def test_what_was_chosen_is_placed_around_a_post(wordpress: WordPress, state: dict[str, Any]) -> None:
    header, content, footer = wordpress.ask(*EVERYWHERE, page="post", post=7, **state)
    assert element(header)["data-slot"] == "header"
    assert element(footer)["data-slot"] == "footer"
    above, words, below = content.partition("<p>Words.</p>")
    assert words
    assert (element(above)["data-slot"], element(below)["data-slot"]) == ("top", "below-post")


@pytest.mark.parametrize(("page", "loop"), [("static", True), ("list", True), ("feed", True), ("post", False)], ids=str)
def test_only_the_words_of_a_post_on_its_own_page_have_slots_around_them(
    wordpress: WordPress, page: str, loop: bool
) -> None:
    """No static page, list, feed or widget that asks for the words of a post."""
    found = wordpress.ask(("content", "x"), page=page, loop=loop, post=7, options={"slots_places": PLACES})
    assert found == ["x"]


def test_a_feed_has_no_slot(wordpress: WordPress) -> None:
    assert wordpress.ask(("shortcode", {"name": "top"}), page="feed") == [""]


def test_constants_and_filters_settle_address_and_site(wordpress: WordPress) -> None:
    constants = {"SLOTS_URL": "https://other.example/s/", "SLOTS_SITE": "blog"}
    html, head = wordpress.ask(("shortcode", {"name": "top"}), ("action", "wp_head"), constants=constants)
    assert 'src="https://other.example/s/v1/frames/blog/top"' in html
    assert 'src="https://other.example/s/slots.js" data-site="blog"' in head
    assert wordpress.ask(("shortcode", {"name": "top"}), filters={"slots_markup": "<i>"}) == ["<i>"]


def test_an_address_that_is_none_runs_nothing(wordpress: WordPress) -> None:
    (head,) = wordpress.ask(("action", "wp_head"), constants={"SLOTS_URL": "javascript:alert(1)//"})
    (script,) = tree(head).iter("script")
    assert script.attrib["src"] == ""


def test_hostile_titles_and_labels_stay_text(wordpress: WordPress) -> None:
    """In PHP, and in the HTML that it prints."""
    wordpress.write(place(title=HOSTILE, label=HOSTILE))
    names = {"category": [HOSTILE]}
    html, head = wordpress.ask(("shortcode", {"name": "top"}), ("action", "wp_head"), page="post", post=7, terms=names)
    (frame,) = tree(html).iter("iframe")
    assert frame.attrib["title"] == HOSTILE
    assert element(html)["data-labels"] == HOSTILE
    assert [one.tag for one in tree(html + head).iter() if one.tag == "script"] == ["script"]


def test_only_known_slots_and_places_are_kept_of_what_a_form_sends(wordpress: WordPress) -> None:
    sent = {"header": "top", "footer": HOSTILE, "elsewhere": "top", "above_content": ["top"]}
    assert wordpress.ask(("sanitize", sent), ("sanitize", "text"), ("sanitize", None)) == [{"header": "top"}, [], []]


def test_a_slot_whose_name_is_a_number_works(wordpress: WordPress) -> None:
    """PHP makes numbers of such keys."""
    wordpress.write(place("404"))
    chosen = {"slots_places": {"header": "404"}}
    html, header, form = wordpress.ask(
        ("shortcode", {"name": "404"}), ("action", "wp_body_open"), ("page", None), options=chosen
    )
    assert element(html) == element(header)
    assert '<option value="404" selected>404</option>' in form


def test_the_form_shows_what_is_chosen(wordpress: WordPress) -> None:
    (form,) = wordpress.ask(("page", None), options={"slots_places": PLACES})
    selected = [one.attrib["value"] for one in tree(form).iter("option") if "selected" in one.attrib]
    assert selected == ["header", "top", "below-post", "footer"]


def test_a_second_copy_breaks_nothing(wordpress: WordPress) -> None:
    """Two plugins of two sites in one WordPress: the first one loaded works."""
    (html,) = wordpress.ask(("shortcode", {"name": "top"}), twice=True)
    assert element(html)["data-slot"] == "top"
