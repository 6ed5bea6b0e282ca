"""What of ours a page holds, as its HTML says it: no script runs and no style sheet of another address is read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

Attributes = dict[str, str]
MOST_ELEMENTS = 500
"""Of one kind, on one page."""
LONGEST_SELECTOR, MOST_RULES = 1_000, 5_000
DEEPEST = 40
"""Elements around one that are remembered."""
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_FRAME = re.compile(r"/v1/frames/([a-z0-9-]{1,64})/([a-z0-9-]{1,64})\Z")
_PAIR = re.compile(r"/v1/pairs/([a-z0-9-]{1,64})/([a-z0-9-]{1,64})/([^/]{1,64})(/link)?\Z")
_HEIGHT = re.compile(r"(?:^|;)\s*(?:min-)?height\s*:\s*([0-9]+(?:\.[0-9]+)?)px", re.IGNORECASE)
_COMPOUND = re.compile(r"([a-z][a-z0-9-]*|\*)?((?:[#.][\w-]+|\[[^\]]+\])*)\Z", re.IGNORECASE)
_SIMPLE = re.compile(r"#([\w-]+)|\.([\w-]+)|\[\s*([\w-]+)\s*(?:=\s*[\"']?([^\"'\]]*)[\"']?\s*)?\]")


@dataclass(frozen=True, slots=True)
class Element:
    """Something of ours at a line of the page. `url`: absolute, where it has one; so with `site` and `slot`."""

    line: int
    name: str
    attributes: Attributes
    url: str = ""
    site: str = ""
    slot: str = ""
    around: Element | None = None
    """What it stands in, where that was looked at: the place of an element may be kept by the one around it."""
    noscript: bool = False
    """Only readers without scripts get it."""


@dataclass(slots=True)
class Found:
    """`slots`: elements that the tag fills; `units`: what a server rendered; `pairs`: pictures and links by key."""

    slots: list[Element] = field(default_factory=list)
    units: list[Element] = field(default_factory=list)
    frames: list[Element] = field(default_factory=list)
    pairs: list[Element] = field(default_factory=list)
    scripts: list[Element] = field(default_factory=list)
    labels: list[Element] = field(default_factory=list)
    """What says what the page is about."""
    policies: list[str] = field(default_factory=list)
    """Of `meta` elements."""
    styles: list[str] = field(default_factory=list)
    """Of `style` elements; `nonces` are theirs, in the same order."""
    nonces: list[str] = field(default_factory=list)
    sheets: int = 0
    """Style sheets of other addresses."""
    ids: Counter[str] = field(default_factory=Counter)
    includes: list[int] = field(default_factory=list)
    """Lines of includes that no server has carried out."""
    more: bool = False
    """There are more of a kind than were looked at."""

    def __bool__(self) -> bool:
        return bool(self.slots or self.units or self.frames or self.pairs or self.scripts or self.includes)


def read(html: str, url: str) -> Found:
    """`url`: of the page, for what it writes relative."""
    reader = _Reader(url)
    reader.feed(html)
    reader.close()
    return reader.found


class _Reader(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found, self._base, self._templates, self._noscripts = Found(), url, 0, 0
        self._style: list[str] | None = None
        self._open: list[Element] = []

    def parse_marked_section(self, i: int, report: bool = True) -> int:
        """What is no section, as `<![foo[`, is a comment to browsers; the library's parser takes it for a defect."""
        try:
            return super().parse_marked_section(i, report)
        except AssertionError:
            return self.parse_bogus_comment(i)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "template":
            self._templates += 1
        self._noscripts += tag == "noscript"
        if self._templates:  # what stands in one is on the page only when somebody puts it there
            return
        given: Attributes = {}
        for name, value in attrs:
            given.setdefault(name, value or "")
        if given.get("id"):
            self.found.ids[given["id"]] += 1
        if tag == "style":
            self._style = []
            self.found.nonces.append(given.get("nonce", ""))
        elif tag == "base" and "href" in given:
            self._base = self._absolute(given["href"])
        elif tag == "link" and "stylesheet" in given.get("rel", "").lower().split():
            self.found.sheets += 1
        elif tag == "meta" and given.get("http-equiv", "").strip().lower() == "content-security-policy":
            self.found.policies.append(given.get("content", ""))
        self._ours(tag, given)
        if tag not in _VOID:
            self._open = [*self._open[1 - DEEPEST :], Element(self.getpos()[0], tag, given)]

    def _ours(self, tag: str, given: Attributes) -> None:
        line, found = self.getpos()[0], self.found
        url = self._absolute(given.get("src" if tag != "a" else "href", ""))
        path = _path(url)
        if tag == "script" and path.endswith("/slots.js"):
            self._add(found.scripts, Element(line, tag, given, url, given.get("data-site", "")))
        elif tag in ("iframe", "frame") and (match := _FRAME.search(path)):
            self._add(found.frames, Element(line, tag, given, url, match[1], match[2], noscript=bool(self._noscripts)))
        elif tag in ("img", "a") and (match := _PAIR.search(path)):
            self._add(found.pairs, Element(line, tag, given, url, match[1], match[2]))
        if "data-slot" in given and tag != "script":
            self._add(
                found.slots,
                Element(line, tag, given, slot=given["data-slot"], around=self._open[-1] if self._open else None),
            )
        if "data-labels" in given:
            self._add(found.labels, Element(line, tag, given))
        if "slot-unit" in given.get("class", "").split() and "data-view" in given:
            self._add(found.units, Element(line, tag, given, self._absolute(given["data-view"])))

    def _add(self, elements: list[Element], one: Element) -> None:
        if len(elements) < MOST_ELEMENTS:
            elements.append(one)
        else:
            self.found.more = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "template":
            self._templates = max(0, self._templates - 1)
        names = [one.name for one in self._open]
        if tag in names:
            del self._open[len(names) - 1 - names[::-1].index(tag) :]
        if tag == "noscript":
            self._noscripts = max(0, self._noscripts - 1)
        if tag == "style" and self._style is not None:
            self.found.styles.append("".join(self._style))
            self._style = None

    def handle_comment(self, data: str) -> None:
        if data.startswith("#") and "/slots/" in data:
            self.found.includes.append(self.getpos()[0])

    def handle_data(self, data: str) -> None:
        if self._style is not None:
            self._style.append(data)

    def _absolute(self, url: str) -> str:
        try:
            return urljoin(self._base, url.strip()) if url else ""
        except ValueError:
            return ""


def _path(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def height_rules(styles: Iterable[str]) -> dict[str, float]:
    """Selectors to the most pixels of height that they keep, at any width. Linear in what a page says, however it
    says it."""
    found: dict[str, float] = {}
    for style in styles:
        first, *rest = style.split("/*")
        plain = first + "".join(one.partition("*/")[2] for one in rest)
        for rule in plain.split("}"):
            before, _, body = rule.rpartition("{")
            heights = [float(text) for text in _HEIGHT.findall(body)]
            for selector in before.rpartition("{")[2].split(",") if heights else ():
                name = selector.strip()
                if len(name) <= LONGEST_SELECTOR and (name in found or len(found) < MOST_RULES):
                    found[name] = max(found.get(name, 0.0), *heights)
    return found


def reserved(element: Element, rules: Mapping[str, float]) -> float:
    """The most pixels of height that the page itself keeps for an element, or for the one around it, at any width. Of a
    selector only its last part is looked at."""
    kept = 0.0
    for one in filter(None, (element, element.around)):
        heights = [float(text) for text in _HEIGHT.findall(one.attributes.get("style", ""))]
        heights += [height for selector, height in rules.items() if _matches(selector, one)]
        kept = max(kept, *heights, 0.0)
    return kept


def _matches(selector: str, element: Element) -> bool:
    last = (re.split(r"[\s>+~]+(?![^\[]*\])", selector.strip()) or [""])[-1]
    compound = _COMPOUND.match(last)
    if not last or compound is None or (not compound[1] and not compound[2]):
        return False
    if compound[1] and compound[1] not in ("*", element.name):
        return False
    given = element.attributes
    for id_, class_, attribute, value in _SIMPLE.findall(compound[2]):
        if id_ and given.get("id") != id_:
            return False
        if class_ and class_ not in given.get("class", "").split():
            return False
        if attribute and (attribute not in given or (value and given[attribute] != value)):
            return False
    return bool(compound[2])
