"""The demo's pictures, the catalog that shows them and the pages around them."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markupsafe import Markup
from PIL import Image

import adserve.web.public
from adserve.core.model import TIERS
from adserve.demo.catalog import ADVERTISERS, CAMPAIGNS, CREATIVES, SITE, SLOTS
from adserve.demo.designs import DESIGNS
from adserve.demo.pages import blogger_page, picture, render_page
from adserve.demo.picks import Group, Row
from adserve.demo.pictures import draw

TAG = Path(adserve.web.public.__file__).parent / "static" / "slots.js"
NAMES = [slot["name"] for slot in SLOTS]


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=["PNG"])
    image.load()
    return image


@pytest.mark.parametrize("creative", CREATIVES, ids=lambda creative: f"{creative['brand']}-{creative['size']}")
def test_a_creative_is_drawn_in_its_size_and_within_its_slot_s_weight(creative: dict[str, str]) -> None:
    """PNG, under the 150 kB of a slot, and no plain area."""
    width, height = map(int, creative["size"].split("x"))
    data = draw(creative["brand"], width, height)
    image = opened(data)
    assert image.size == (width, height)
    assert len(data) < 60_000
    assert len(image.convert("RGB").getcolors(1 << 20) or []) > 40


def test_a_picture_is_the_same_each_time() -> None:
    """Media are stored by their hash: seeding twice must not store twice."""
    assert draw("kettle-gift", 336, 280) == draw("kettle-gift", 336, 280)
    assert draw("kettle-gift", 336, 280) != draw("kettle-harvest", 336, 280)


@pytest.mark.parametrize("brand", ["", "A brand that nobody knows", "x" * 300, "\ud800 ₹ चाय"])
@pytest.mark.parametrize("size", [(728, 90), (300, 250), (160, 600), (88, 31), (20, 20)])
def test_any_brand_can_be_drawn_at_any_size(brand: str, size: tuple[int, int]) -> None:
    """Other tests and benches draw what they need."""
    assert opened(draw(brand, *size)).size == size


def test_each_design_is_shown() -> None:
    """Nothing is drawn for no one."""
    assert {creative["brand"] for creative in CREATIVES} == set(DESIGNS)


@pytest.mark.parametrize("name", ["article-1.png", "article-8.png"])
def test_article_pictures(name: str) -> None:
    """Drawn once, then kept."""
    data = picture(name)
    assert data is not None
    assert opened(data).size == (960, 540)
    assert picture(name) is data


@pytest.mark.parametrize("name", ["", "article-0.png", "article-9.png", "article-1.jpg", "../article-1.png", "x\n"])
def test_no_other_name_is_a_picture(name: str) -> None:
    """Names come from a URL."""
    assert picture(name) is None


def shown(slot: dict[str, Any], width: int) -> tuple[str, list[int]]:
    """The tier that fills a slot of a box of `width` pixels, and the weights in it."""
    campaigns = {campaign["id"]: campaign for campaign in CAMPAIGNS}
    weights: dict[str, list[int]] = {tier: [] for tier in TIERS}
    for creative in CREATIVES:
        campaign = campaigns[creative["campaign"]]
        booked = f"{SITE['id']}/{slot['name']}" in campaign["slots"]
        fits = creative["size"] in slot["sizes"] and int(creative["size"].partition("x")[0]) <= width
        if booked and fits and creative["state"] == "approved":
            weights[campaign["tier"]].append(creative["weight"])
    assert weights["house"], (slot["name"], width)
    return next((tier, found) for tier, found in weights.items() if found)


@pytest.mark.parametrize("width", [1112, 744, 366, 320])
@pytest.mark.parametrize("slot", SLOTS, ids=NAMES)
def test_each_slot_rotates_two_creatives_of_unequal_weight_at_any_width(slot: dict[str, Any], width: int) -> None:
    """In one tier, on a desktop, a tablet and two phones; the house creatives wait behind them."""
    tier, weights = shown(slot, width)
    assert tier != "house"
    assert len(weights) >= 2
    assert len(set(weights)) > 1


def test_a_wide_page_never_shows_what_was_drawn_for_a_phone() -> None:
    """The pictures for phones stand in a lower tier, which a page that has room never reaches."""
    phone = {campaign["id"] for campaign in CAMPAIGNS if campaign["id"].endswith("-phone")}
    assert {creative["campaign"] for creative in CREATIVES if creative["size"] == "320x50"} - phone == {"courier-house"}
    assert {shown(slot, 744)[0] for slot in SLOTS} == {"sponsor", "standard"}


def test_no_campaign_but_the_house_is_in_two_slots() -> None:
    """So five slots can fill on one page although no campaign may show twice."""
    for campaign in CAMPAIGNS:
        assert len(campaign["slots"]) == 1 or campaign["tier"] == "house"


def test_the_catalog_hangs_together() -> None:
    """Every parent exists, one creative waits for review, nothing leads to a real site."""
    assert {campaign["advertiser"] for campaign in CAMPAIGNS} == {advertiser["id"] for advertiser in ADVERTISERS}
    assert {creative["campaign"] for creative in CREATIVES} == {campaign["id"] for campaign in CAMPAIGNS}
    assert [creative["state"] for creative in CREATIVES].count("pending") == 1
    assert all(re.match(r"https://[a-z]+\.example/", creative["click_url"]) for creative in CREATIVES)
    assert [slot["rank"] for slot in SLOTS] == [1, 2, 3, 4, 5]


class Slots(HTMLParser):
    """Collects the elements of the tag and the pictures asked for."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.slots: list[str | None] = []
        self.pictures: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if "data-slot" in found:
            self.slots.append(found["data-slot"])
        if tag == "img":
            self.pictures.append((found["src"] or "").rpartition("/")[2])


def test_the_server_s_page_shows_snippets_as_they_are_and_text_escaped() -> None:
    """Markup goes in, a creative's name does not."""
    snippets = {name: Markup('<i data-decision="{}"></i>').format(name) for name in NAMES}
    group = Group("top", "Tea", {"a": Row("<script>x</script>", 3, 30), "b": Row("Plain", 1, 10)})
    page = render_page(snippets, [group])
    assert all(f'<i data-decision="{name}"></i>' in page for name in NAMES)
    assert "<script>x" not in page
    assert "&lt;script&gt;x" in page
    assert "75.0&nbsp;%" in page
    assert Slots(page).slots == []
    assert all(picture(name) for name in Slots(page).pictures)


def test_the_server_s_page_does_without_snippets() -> None:
    """The paper's own words stand in, and nothing is asked for by the tag."""
    page = render_page({}, [])
    assert page.count('class="own"') == len(NAMES)
    assert "Nothing yet." in page
    assert "The store does not answer" in render_page({}, None)


def test_the_static_page_has_the_tag_s_elements() -> None:
    """Five placements, one script, room reserved, no template language left over."""
    page = blogger_page()
    assert Slots(page).slots == ["header", "top", "below-post", "sidebar", "footer"]
    assert page.count('<script async src="/slots.js" data-site="news"></script>') == 1
    assert page.count("min-height:") >= 5
    assert "{{" not in page
    assert "/* theme.css */" not in page
    assert "<!--" not in page
    assert all(picture(name) for name in Slots(page).pictures)


def test_both_pages_link_the_same() -> None:
    """Each page leads to the other and to the figures by slot, which have requests, and by creative."""
    links = {"/demo/", "/demo/blogger/", "/demo/slots.csv", "/demo/report.csv"}
    for page in (render_page({}, []), blogger_page()):
        (nav,) = re.findall(r'<nav aria-label="Demonstration">(.*?)</nav>', page, re.DOTALL)
        assert set(re.findall(r'href="([^"]*)"', nav)) == links


def test_no_name_of_ours_is_on_filter_lists() -> None:
    """Classes, ids, attributes and addresses stay neutral; the link relation alone says `sponsored`."""
    names = r"""(?:class|id|src|href|data-[\w-]+)=["']?([^"'>]*)"""
    for page in (render_page({}, []), blogger_page()):
        for value in re.findall(names, page):
            assert not re.search(r"\bad-|\bads\b|banner|sponsor", value), value
    assert not re.search(r"\bad-|\bads\b|banner|sponsor", TAG.read_text(encoding="utf-8"), re.IGNORECASE)


def test_the_tag_is_small() -> None:
    """At most 3 KB as it is served."""
    assert TAG.stat().st_size <= 3 * 1024
