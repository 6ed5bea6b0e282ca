"""A tiny model of Blogger: renders a theme's own tags over a blog, as far as ours use them.

Known: `b:if`, `b:elseif`, `b:else`, `b:loop`, `b:include`, `b:includable`, `b:section`, `b:widget`, `b:skin`,
`data:...` elements, `expr:` attributes, and expressions of paths, indices, sizes, texts, numbers, comparisons, sums,
`and`, `or`, `not` and choices. What else it meets is an error, so that a theme that needs more fails here.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

B, DATA, EXPR = (f"{{http://www.google.com/2005/gml/{name}}}" for name in ("b", "data", "expr"))
_TOKEN = re.compile(r'\s*(data:[\w.]+|"[^"]*"|\d+|and\b|or\b|not\b|==|!=|>=|<=|[><+?:()\[\]]|\.\w+)')
_VOID = {"meta", "link", "img", "br", "hr", "input"}
Names = dict[str, Any]


class Expression:
    """`Expression(text, names).value()`. Only what is chosen is looked at, as an index beyond the end is an error."""

    def __init__(self, text: str, names: Names) -> None:
        self.left: list[str] = []
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            assert found, f"no expression: {text[at:]!r}"
            self.left.append(found[1])
            at = found.end()
        self.names = names

    def value(self) -> Any:
        found = self.choice(live=True)
        assert not self.left, self.left
        return found

    def take(self, *tokens: str) -> str | None:
        return self.left.pop(0) if self.left and self.left[0] in tokens else None

    def choice(self, *, live: bool) -> Any:
        asked = self.either(live=live)
        if not self.take("?"):
            return asked
        first = self.choice(live=live and bool(asked))
        assert self.take(":")
        second = self.choice(live=live and not asked)
        return first if asked else second

    def either(self, *, live: bool) -> Any:
        found = self.both(live=live)
        while self.take("or"):
            found = self.both(live=live) or found
        return found

    def both(self, *, live: bool) -> Any:
        found = self.turned(live=live)
        while self.take("and"):
            found = self.turned(live=live) and found
        return found

    def turned(self, *, live: bool) -> Any:
        return not self.turned(live=live) if self.take("not") else self.compared(live=live)

    def compared(self, *, live: bool) -> Any:
        found = self.added(live=live)
        sign = self.take("==", "!=", ">", "<", ">=", "<=")
        if sign is None:
            return found
        other = self.added(live=live)
        if not live:
            return None
        return {"==": found == other, "!=": found != other, ">": sign == ">" and found > other,
                "<": sign == "<" and found < other, ">=": sign == ">=" and found >= other,
                "<=": sign == "<=" and found <= other}[sign]  # fmt: skip

    def added(self, *, live: bool) -> Any:
        found = self.one(live=live)
        while self.take("+"):
            more = self.one(live=live)
            found = found + more if live else None
        return found

    def one(self, *, live: bool) -> Any:
        if self.take("("):
            inner = self.choice(live=live)
            assert self.take(")")
            return inner
        token = self.left.pop(0)
        if token.startswith('"'):
            return token[1:-1]
        if token.isdigit():
            return int(token)
        assert token.startswith("data:"), token
        found: Any = look(token.removeprefix("data:"), self.names) if live else None
        while self.left and (self.left[0] == "[" or self.left[0].startswith(".")):
            if self.take("["):
                index = int(self.left.pop(0))
                assert self.take("]")
                found = found[index] if live else None
            else:
                name = self.left.pop(0)[1:]
                found = member(found, name) if live else None
        return found


def member(value: Any, name: str) -> Any:
    if name in ("size", "length") and isinstance(value, list):
        return len(value)
    return value.get(name) if isinstance(value, dict) else None


def look(path: str, names: Names) -> Any:
    first, *rest = path.split(".")
    found = names.get(first)
    for name in rest:
        found = member(found, name)
    return found


def parse(theme: str) -> ElementTree.Element:
    return ElementTree.fromstring(theme.encode())


def render(theme: str, names: Names) -> str:
    """A page of HTML as Blogger would answer it for a blog."""
    return "<!DOCTYPE html>\n" + "".join(_element(parse(theme), names, {}))


def _children(parent: ElementTree.Element, names: Names, known: Names) -> Iterator[str]:
    raw = parent.tag.rpartition("}")[2] in ("style", "script")
    yield (parent.text or "") if raw else html.escape(parent.text or "", quote=False)
    for child in parent:
        yield from _element(child, names, known)
        yield html.escape(child.tail or "", quote=False)


def _element(one: ElementTree.Element, names: Names, known: Names) -> Iterator[str]:
    if one.tag.startswith(DATA):
        found = look(one.tag.removeprefix(DATA), names)
        yield found if one.tag.endswith(".body") else html.escape(str("" if found is None else found))
    elif one.tag.startswith(B):
        yield from _tag(one.tag.removeprefix(B), one, names, known)
    else:
        name = one.tag.rpartition("}")[2]
        yield f"<{name}"
        for key, value in one.attrib.items():
            if key.startswith(EXPR):
                key, value = key.removeprefix(EXPR), str(Expression(value, names).value() or "")
            if not key.startswith("{"):
                yield f' {key}="{html.escape(value)}"'
        yield ">"
        if name not in _VOID:
            yield from _children(one, names, known)
            yield f"</{name}>"


def _tag(tag: str, one: ElementTree.Element, names: Names, known: Names) -> Iterator[str]:
    if tag == "if":
        yield from _chosen(one, names, known)
    elif tag == "loop":
        for item in Expression(one.attrib["values"], names).value() or []:
            yield from _children(one, {**names, one.attrib["var"]: item}, known)
    elif tag == "include":
        includable = known.get(one.attrib["name"])
        if includable is not None:
            data = {includable.attrib["var"]: look(one.attrib["data"], names)} if "data" in one.attrib else {}
            yield from _children(includable, {**names, **data}, known)
        else:
            assert one.attrib["name"] == "all-head-content", one.attrib
    elif tag == "section":
        yield f'<div class="section" id="{one.attrib["id"]}">'
        yield from _children(one, names, known)
        yield "</div>"
    elif tag == "widget":
        inside = {child.attrib["id"]: child for child in one if child.tag == f"{B}includable"}
        yield from _children(inside["main"], names, {**known, **inside}) if inside else ()
    elif tag == "skin":
        yield f"<style>{one.text}</style>"
    else:
        raise AssertionError(f"no tag that this model knows: b:{tag}")


def _chosen(one: ElementTree.Element, names: Names, known: Names) -> Iterator[str]:
    holds = bool(Expression(one.attrib["cond"], names).value())
    done = holds
    if holds:
        yield html.escape(one.text or "", quote=False)
    for child in one:
        if child.tag == f"{B}else":
            holds, done = not done, True
        elif child.tag == f"{B}elseif":
            holds = not done and bool(Expression(child.attrib["cond"], names).value())
            done = done or holds
        elif holds:
            yield from _element(child, names, known)
        if holds:
            yield html.escape(child.tail or "", quote=False)
