"""What `adserve embed` prints for every kind of page: right, and nothing from outside leaves its place."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import html5lib
import pytest
from jinja2 import Environment
from markdown_it import MarkdownIt

from adserve.embed.markup import KINDS, Order, embed
from adserve.errors import Invalid
from tests.embed.places import DEMO, URL, made, place, text

HOSTILE = "\"'><script>alert(1)</script>&amp;]]>*/?><?php x() ?>{{ 7*7 }}{% raw %}](http://evil.example/)`$x\\\n#!"
TREES = html5lib.HTMLParser(strict=False, namespaceHTMLElements=False)


def tree(html: str) -> Any:
    return html5lib.parse(html, namespaceHTMLElements=False)


def test_html_is_style_elements_and_one_line_of_script() -> None:
    """With the host, the site, the sizes by viewport and the room."""
    page = tree(text("html"))
    (script,) = page.iter("script")
    assert script.attrib == {"async": "async", "src": f"{URL}/slots.js", "data-site": "news"}
    found = {one.attrib["data-slot"]: one.attrib["data-size"] for one in page.iter("div")}
    assert found == {one.name: one.data_size for one in DEMO}
    (style,) = page.iter("style")
    assert '@media (min-width:728px){[data-slot="top"]{min-height:108px}}' in (style.text or "")


def test_a_slot_without_sizes_is_told_of() -> None:
    """Its element says no size, no rule is written, and whoever pastes it hears why."""
    found = made("html", place(sizes=()))
    assert "data-size" not in found.parts[0].text
    assert "min-height" not in found.parts[0].text
    assert found.notes == ("top has no sizes: no height is reserved for it; give the slot sizes",)


@pytest.mark.parametrize(("kind", "inside"), [("frame", "body"), ("noscript", "noscript")])
def test_a_frame_has_the_slot_s_address_and_box(kind: str, inside: str) -> None:
    """Without JavaScript it is the frame alone that a reader sees."""
    (frame,) = (
        html5lib.HTMLParser(namespaceHTMLElements=False).parse(text(kind, DEMO[1]), scripting=False).iter("iframe")
    )
    given = {name: frame.attrib[name] for name in ("src", "width", "height", "title", "loading")}
    assert given == {
        "src": f"{URL}/v1/frames/news/top",
        "width": "728",
        "height": "108",
        "title": "Advertisement",
        "loading": "lazy",
    }
    assert inside in ("body", "noscript")


def test_a_mail_has_picture_and_link_of_one_key_and_others_by_number() -> None:
    page = tree(text("email", DEMO[1], key="news-48", count=3))
    links = [one.attrib["href"] for one in page.iter("a")]
    pictures = [one.attrib["src"] for one in page.iter("img")]
    at = f"{URL}/v1/pairs/news/top/news-48"
    assert pictures == [at, f"{at}?n=2", f"{at}?n=3"]
    assert links == [f"{at}/link", f"{at}/link?n=2", f"{at}/link?n=3"]


def test_a_pair_of_one_size_has_its_box_and_of_several_none() -> None:
    """A picture of another size would be bent."""
    assert 'width="300" height="250"' in text("email", place(sizes=("300x250",)))
    assert "width=" not in text("email", place(sizes=("300x250", "728x90")))


def test_a_slot_that_counts_impressions_is_told_of_where_a_pair_is_printed() -> None:
    assert any("count_on serve" in note for note in made("email", place()).notes)
    assert not any("count_on" in note for note in made("email", place(count_on="serve"), key="k").notes)


def test_a_feed_s_markup_is_one_description() -> None:
    """As XML, with HTML as its text."""
    item = ElementTree.fromstring(text("rss", place(label=HOSTILE)))
    assert item.tag == "description"
    (picture,) = tree(item.text or "").iter("img")
    assert picture.attrib["alt"] == HOSTILE


def test_nginx_gets_one_include_a_slot_and_all_of_them_plan_one_page() -> None:
    found = re.findall(r'<!--# include virtual="([^"]+)" -->', text("nginx", DEMO[0], DEMO[1]))
    assert found == [f"/slots/news/{name}?pv=$request_id&plan=header,top" for name in ("header", "top")]


@pytest.mark.parametrize("kind", ["jinja2", "flask"])
def test_jinja2_s_text_is_a_template_that_calls_the_helper(kind: str) -> None:
    """The real engine reads it: one slot is one call, and so are several."""
    called: list[Any] = []

    def slot(name: str, size: str) -> str:
        called.append((name, size))
        return name

    def page(names: list[str], sizes: dict[str, str]) -> dict[str, str]:
        called.append((names, sizes))
        return dict(zip(names, names, strict=True))

    template = Environment(autoescape=True).from_string
    assert '<div data-place="top">top</div>' in template(text(kind, DEMO[1])).render(slot=slot)
    assert '<div data-place="below-post">below-post</div>' in template(text(kind)).render(page=page)
    names = [one.name for one in DEMO]
    assert called == [("top", DEMO[1].data_size), (names, {one.name: one.data_size for one in DEMO})]


def test_hostile_text_stays_the_text_of_a_link_in_markdown() -> None:
    """As a real reader of Markdown makes HTML of it: one link, one picture, and every character told."""
    (paragraph,) = tree(MarkdownIt().render(text("readme", place(label=HOSTILE)))).iter("p")
    assert [one.tag for one in paragraph.iter()] == ["p", "a", "img"]
    assert paragraph[0][0].attrib["alt"] == " ".join(HOSTILE.split())
    assert paragraph[0].attrib["href"] == f"{URL}/v1/pairs/news/top/KEY/link?every=day"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("wordpress", "readme")])
def test_hostile_text_stays_text(kind: str) -> None:
    """Title and label of a slot and name of a site may hold anything: in no kind do they begin code or markup."""
    hostile = place(title=HOSTILE, label=HOSTILE)
    found = embed(kind, Order(URL, "news", (hostile,), title=HOSTILE, version="1"))
    plain = embed(kind, Order(URL, "news", (place(title="t", label="l"),), title="t", version="1"))
    for part, same in zip(found.parts, plain.parts, strict=True):
        assert [one.tag for one in tree(part.text).iter()] == [one.tag for one in tree(same.text).iter()]
        assert "{{ 7*7" not in part.text or kind in ("frame", "noscript", "email", "rss")


@pytest.mark.parametrize("kind", KINDS)
def test_no_character_of_an_address_means_anything(kind: str) -> None:
    """What the settings let through is brought to letters, digits and what is plain in all languages."""
    url = "https://serve.example/{{7*7}}/$x/`a`/{%b%}/|^/'c"
    for part in made(kind, place(), url=url).parts:
        for address in re.findall(r"https://serve[^\s\"]+", part.text):
            assert not re.search(r"[{}$`|^]", address), address
        if "serve.example" in part.text:
            assert "https://serve.example/%7B%7B7*7%7D%7D/%24x/%60a%60/%7B%" in part.text


@pytest.mark.parametrize(
    ("kind", "more", "says"),
    [
        ("bloger", {}, "/for: takes one of html, noscript"),
        ("bloger", {}, "(did you mean blogger?)"),
        ("email", {"key": "a b"}, "/key: takes 1 to 64 of"),
        ("email", {"count": 0}, "/count: takes a whole number from 1 to 10"),
        ("email", {"count": 11}, "/count: takes a whole number from 1 to 10"),
    ],
)
def test_what_cannot_be_printed_names_the_field(kind: str, more: dict[str, Any], says: str) -> None:
    with pytest.raises(Invalid, match=re.escape(says)):
        made(kind, **more)


@pytest.mark.parametrize("kind", KINDS)
def test_names_stay_neutral(kind: str) -> None:
    """No filter list finds a class, attribute or path of ours."""
    plain = place(title="Place", label="")
    for part in made(kind, plain).parts:
        assert not re.search(r"\bads?\b|\bads?-|banner|sponsor", part.text.replace("adserve", ""), re.IGNORECASE), (
            part.text
        )
