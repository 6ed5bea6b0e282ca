"""What a site pastes where it wants a slot, for each kind of page. Pure: the catalog's slots in, text out.

DESIGN. Every text is made by a template that escapes for HTML and XML by itself; what goes into another language (PHP,
Markdown) passes a filter of it. The address is brought to the characters that mean nothing anywhere first, so that
no kind needs a rule of its own for `$` or braces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from adserve.core.model import Site, Slot
from adserve.core.validate import nearest
from adserve.embed.blogger import CONDITIONS, PLACES, WHERE
from adserve.embed.place import Place
from adserve.errors import Invalid, Problem

ANY_KEY = "KEY"
"""What stands for a key that is not said."""
MOST_PAIRS = 10
"""Keyed pairs that are printed at once."""
_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PLAIN = "/:[]@!&'*+,;=-._~%"
"""What stays as it is in the address of a service, besides letters and digits; a quote is escaped where it stands."""


@dataclass(frozen=True, slots=True)
class Part:
    """Text to paste. `where`: to people."""

    name: str
    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Embedding:
    """`notes`: what whoever pastes it should know."""

    kind: str
    url: str
    site: str
    places: tuple[Place, ...]
    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "url": self.url,
            "site": self.site,
            "slots": [
                {
                    "slot": place.name,
                    "data_size": place.data_size,
                    "reserved": [{"from": step.from_px, "px": step.reserved} for step in place.steps],
                }
                for place in self.places
            ],
            "parts": [{"name": part.name, "where": part.where, "text": part.text} for part in self.parts],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for. `key` and `count` are of keyed pairs: whose they are and how many."""

    url: str
    site: str
    places: tuple[Place, ...]
    key: str = ANY_KEY
    count: int = 1
    version: str = ""
    title: str = ""

    @classmethod
    def of(cls, url: str, site: Site, slots: Sequence[Slot], version: str, **wanted: Any) -> Order:
        """What the catalog says of slots of a site; `wanted`: key and count."""
        return cls(url, site.id, tuple(map(Place.of, slots)), version=version, title=site.name, **wanted)


def embed(kind: str, order: Order) -> Embedding:
    """Invalid for a kind that is none, a key or a count. `order.url` begins with http and has passed the settings'
    check; the slots are of one site."""
    problems = []
    if kind not in KINDS:
        problems.append(Problem("/for", f"takes one of {', '.join(KINDS)}{nearest(kind, KINDS)}"))
    if not _KEY.fullmatch(order.key):
        problems.append(Problem("/key", "takes 1 to 64 of A-Z, a-z, 0-9, _ and -"))
    if not 1 <= order.count <= MOST_PAIRS:
        problems.append(Problem("/count", f"takes a whole number from 1 to {MOST_PAIRS}"))
    if problems:
        raise Invalid(problems)
    url = quote(order.url.rstrip("/"), safe=_PLAIN)
    parts = KINDS[kind](url, order)
    return Embedding(kind, url, order.site, order.places, tuple(parts), tuple(_notes(kind, order)))


def _php(text: object) -> Markup:
    """The inside of a PHP string in single quotes."""
    return Markup(str(text).replace("\\", "\\\\").replace("'", "\\'"))  # noqa: S704 (escaped for PHP, not for HTML)


def _comment(text: object) -> Markup:
    """The inside of a comment of PHP or C, on one line."""
    return Markup(" ".join(str(text).split()).replace("*/", "* /").replace("?>", "? >"))  # noqa: S704 (escaped for that)


def _markdown(text: object) -> Markup:
    """The inside of a link's text on one line: what Markdown or HTML could take for its own is escaped."""
    words = " ".join(str(text).split())
    return Markup(re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", words))  # noqa: S704 (escaped for Markdown)


def _style(places: Sequence[Place], attribute: str = "data-slot") -> Markup:
    """Rules for all places. Names of slots are letters, digits and hyphens, so that there is nothing to escape."""
    rules = [place.style(f'[{attribute}="{place.name}"]') for place in places if place.steps]
    return Markup("\n".join(rules))  # noqa: S704 (see above)


templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
templates.globals["style_of"] = _style
templates.filters |= {"php": _php, "markdown": _markdown, "comment": _comment}


def _render(name: str, url: str, order: Order, **more: Any) -> str:
    shown = {"base": url, "site": order.site, "places": order.places, "key": order.key, "version": order.version}
    shown |= {
        "title": order.title or order.site,
        "numbers": range(1, order.count + 1),
    }
    return templates.get_template(f"{name}.j2").render(**shown, **more)


def _whole(name: str, where: str, **more: Any) -> Callable[[str, Order], list[Part]]:
    """A kind that is one text for all slots."""
    return lambda url, order: [Part(name, where, _render(name, url, order, **more))]


def _blogger(url: str, order: Order) -> list[Part]:
    """The gadgets, and then the theme's pieces in the order in which they stand in it."""
    pieces = [
        *(
            Part(f"gadget-{place.name}", f"HTML/JavaScript gadget: {place.name}", _gadget(url, order, place))
            for place in order.places
        ),
        Part("theme-style", "theme, before </head>", _render("blogger-style", url, order)),
    ]
    in_order = sorted(order.places, key=lambda one: PLACES.index(one.name) if one.name in PLACES else len(PLACES))
    for place in in_order:
        where = WHERE.get(place.name, "where it is to stand, outside of every <b:section>")
        text = _render("blogger-place", url, order, place=place, condition=CONDITIONS.get(place.name))
        pieces.append(Part(f"theme-{place.name}", f"theme, {where}", text))
    for name, where in (
        ("theme-labels", "theme, in the widget of type Blog, at the end of the includable `post`"),
        ("theme-script", "theme, before </body>"),
    ):
        pieces.append(Part(name, where, _render(name.replace("theme", "blogger"), url, order)))
    return pieces


def _gadget(url: str, order: Order, place: Place) -> str:
    return _render("html", url, Order(order.url, order.site, (place,)), frame=False)


KINDS: dict[str, Callable[[str, Order], list[Part]]] = {
    "html": _whole("html", "in the page", frame=False),
    "noscript": _whole("html", "in the page", frame=True),
    "frame": _whole("frame", "in the page"),
    "jinja2": _whole("jinja2", "in the template"),
    "django": _whole("django", "in the template"),
    "flask": _whole("flask", "in the template"),
    "nginx": _whole("nginx", "in the page that nginx serves with `ssi on`"),
    "blogger": _blogger,
    "wordpress": _whole("wordpress", "in wp-content/plugins/slots/slots.php"),
    "email": _whole("email", "in the mail"),
    "rss": _whole("rss", "in an <item>"),
    "readme": _whole("readme", "in a README.md"),
}
_PAIRS = ("email", "rss", "readme")


def _notes(kind: str, order: Order) -> list[str]:
    """What the text cannot say by itself."""
    notes = [
        f"{one.name} has no sizes: no height is reserved for it; give the slot sizes"
        for one in order.places
        if not one.sizes
    ]
    if kind in _PAIRS:
        wrong: Sequence[str] = [one.name for one in order.places if one.count_on != "serve"]
        notes += [f"{name} counts impressions: keyed pairs want a slot with count_on serve" for name in wrong]
        if order.key == ANY_KEY:
            notes.append(
                f"put something of your own for {ANY_KEY}, one a mail, item or page: 1 to 64 of A-Z, a-z, 0-9, _ and -"
            )
    if order.url.startswith("http://"):
        notes.append("the address is plain http: a page on https cannot load it")
    return notes


def kinds() -> Sequence[str]:
    return tuple(KINDS)


def lines_of(made: Embedding, part: str | None = None) -> list[str]:
    """What is printed: one part as it is, several each below a line that says where it goes."""
    parts = [one for one in made.parts if part in (None, one.name)]
    if len(parts) == 1:
        return [parts[0].text.rstrip("\n")]
    return [line for one in parts for line in (f"== {one.where} ({one.name})", one.text)]
