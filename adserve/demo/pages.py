"""The demo's pages: one filled by this server's template, one static page that the tag fills."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from adserve.demo.catalog import SITE, SLOTS
from adserve.demo.landscapes import SCENES, draw_article
from adserve.demo.picks import Group
from adserve.web.api.documents import TEMPLATES as SHARED
from adserve.web.preview import Place, news_page

TEMPLATES = Path(__file__).parent / "templates"
_NAMES = {slot["name"] for slot in SLOTS}
_PICTURE = re.compile(r"article-([1-9])\.png")

_env = Environment(
    loader=FileSystemLoader([TEMPLATES, SHARED]),
    autoescape=True,  # for every name: the default of Jinja's selectors skips endings like .j2
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render_page(slots: Mapping[str, Markup], picks: Sequence[Group] | None) -> str:
    """The news page. A slot without HTML shows the paper's own words."""
    return _env.get_template("page.html.j2").render(slots=slots, picks=picks, preview="")


def preview_page(places: Sequence[Place], said: str) -> str:
    """The same page with a creative in its slots, for previews; that of no paper for the slots of other sites."""
    if any(one.slot.site != SITE["id"] or one.slot.name not in _NAMES for one in places):
        return news_page(places, said)
    slots = {one.slot.name: one.html for one in places}
    return _env.get_template("page.html.j2").render(slots=slots, picks=None, preview=said)


def render_picks(picks: Sequence[Group] | None) -> str:
    """The table of picks alone, for a page that was there before its slots were filled."""
    return _env.get_template("picks.html.j2").render(picks=picks)


@cache
def blogger_page() -> str:
    """The static page, its theme put in as blog hosts have it."""
    paths = (TEMPLATES / "blogger.html", SHARED / "news.css", TEMPLATES / "links.html")
    page, theme, links = (path.read_text(encoding="utf-8") for path in paths)
    return page.replace("/* news.css */", theme).replace("<!-- links.html -->", links.rstrip())


def picture(name: str) -> bytes | None:
    """`article-1.png` and so on, drawn when first asked for; None for any other name."""
    known = _PICTURE.fullmatch(name)
    return _drawn(int(known[1])) if known and int(known[1]) <= len(SCENES) else None


@cache
def _drawn(number: int) -> bytes:
    return draw_article(number, 960, 540)
