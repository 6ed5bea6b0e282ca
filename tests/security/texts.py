"""Texts that would be something else if a template, a parser, a format or a spreadsheet took them at their word.

All of them may be stored: they hold no character that validation refuses, and are short enough for a slot's label.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

import html5lib

TEMPLATES = (
    "{{7*7}}", "{{config}}", "{{''.__class__.__mro__}}", "{% for i in range(10**9) %}x{% endfor %}", "${7*7}",
    "#{7*7}", "<%= 7*7 %>", "{#", "{{", "%}", "{{ click }}", "*{7*7}", "@(7*7)", "[[7*7]]",
)  # fmt: skip
MARKUP = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onfocus=alert(1) autofocus='",
    "x onmouseover=alert(1)", "`onload=alert(1)`", "</title></textarea></style></script><svg onload=alert(1)>",
    "<b><!--", "--><script>alert(1)</script>", "<plaintext>", "</div></div></body></html>", "<![CDATA[<b>]]>",
    "<base href=//evil.example>", "&lt;script&gt;", "&#60;b&#62;", "&quot; onload=x", "<a href='javascript:x'>", "&",
    "<p>x<table>", "</a></small></div><h1>", "\u2039script\u203a", "\uff1cscript\uff1e", "<\u0130mg>",
)  # fmt: skip
SCRIPTS = (
    "</script><script>alert(1)</script>", "\\';alert(1)//", "<!--<script>", "]]>", "\\u003cscript\\u003e", "\\", "'",
    '"', "*/alert(1)/*", "${alert(1)}", "\\x3c",
)  # fmt: skip
FORMATS = (
    "{0.__class__.__init__.__globals__}", "%(secret)s", "%s%n", "{}", "%", "%%", "{secret!r}", "$secret", "%c" * 9,
)  # fmt: skip
FORMULAS = (
    "=1+1", "+1", "-1", "@SUM(A1)", "=HYPERLINK(1)", '",=1+1,"', "=cmd|' /C calc'!A0", "'=1",
)  # fmt: skip
TEXTS = (*TEMPLATES, *MARKUP, *SCRIPTS, *FORMATS, *FORMULAS)


@dataclass
class Seen:
    """What a browser makes of HTML: the tree without its words, the words, the values of attributes."""

    tree: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    """By attribute; of several elements with one, the last."""


def read(html: str, *, within: str = "div") -> Seen:
    """A fragment as the HTML5 algorithm parses it, in an element."""
    tree = html5lib.parseFragment(html, container=within, treebuilder="etree", namespaceHTMLElements=False)
    return _walk(tree)


def read_page(html: str) -> Seen:
    """A whole document."""
    return _walk(html5lib.parse(html, treebuilder="etree", namespaceHTMLElements=False))


def _walk(tree: Element) -> Seen:
    found = Seen()

    def visit(element: Element, depth: int) -> None:
        tag: object = element.tag
        name = tag if isinstance(tag, str) else "<!-- -->"
        found.tree.append(f"{depth} {name} {' '.join(sorted(map(str, element.attrib)))}")
        found.values.update({str(key): str(value) for key, value in element.attrib.items()})
        found.words += filter(None, [element.text])
        for child in element:
            visit(child, depth + 1)
        found.words += filter(None, [element.tail])

    visit(tree, 0)
    return found

OWN_TAG = re.compile(rb'<script async src="http://[a-z0-9.]+:8000/slots\.js" data-site="news"></script>')
"""The tag at the end of the document of a frame."""
