"""What hostile callers of the console send, and what no answer to them may hold.

`Heard` notes which parameters of its query each page asks for, so that none has to be listed. `fields_of` finds every
field of every form by looking at the pages; `dangers(html)` is what a document must not come to hold.
"""

from __future__ import annotations

import re
from typing import Any

import html5lib
import httpx2
import pytest

from adserve.web.console import gate
from adserve.web.console.page import Page
from adserve.web.console.pages import PAGES
from tests.console.conftest import Person
from tests.console.forms import GOOD, IN_AND_OUT, RENEWING
from tests.console.town import Sent, Town, crawl, forms_of, line_of

MARKUP = (
    "\"'><img src=x onerror=XSS1>", "</script><script>XSS1</script>", "' onfocus=XSS1 autofocus='",
    "</title></textarea></style></select><svg onload=XSS1>",
)  # fmt: skip
MARKS = (
    " ".join((MARKUP[0], MARKUP[1], MARKUP[3], "{{7*7}}XSS1{0.__class__}%s")), "=1+1+XSS1", "javascript:XSS1",
    "\u2028XSS1\u202e",
)  # fmt: skip
"""What becomes something else where it is not escaped, as much as fits in one. All of them hold `XSS1`."""
TEXT_KINDS = ("text", "textarea", "search", "url", "email", "number", "date", "datetime-local", "tel", "hidden")
FRAMED = re.compile(r"/console/preview|/preview/")
"""Documents of their own, which have styles; what runs in them stands in a sandbox."""
TOLD = re.compile(
    rb"Traceback|File \"|/usr/|site-packages|EVALSHA|NOSCRIPT |WRONGTYPE|CROSSSLOT|\bERR |object at 0x"
)
"""Words of what stands behind the service; a page may name the server or the language in a sentence for people."""
OWN_SCRIPTS = re.compile(r"/console/static/[a-z.]+\.js\?v=[0-9a-f]+")


class Heard(dict[str, str]):
    """A query that notes which names are asked for."""

    names: set[str] = set()  # noqa: RUF012 - of all queries together, until `hearing` begins anew

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.names.add(str(name))
        return super().__contains__(name)


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of the parameters that pages asked for; clear it before a call."""
    real = gate._query
    monkeypatch.setattr(gate, "_query", lambda request: Heard(real(request)))
    Heard.names = set()
    return Heard.names


async def parameters(person: Person, path: str, heard: set[str]) -> set[str]:
    """Every parameter that a page reads: of what one makes it read, too."""
    found: set[str] = set()
    while True:
        heard.clear()
        await person.call("GET", path, params=dict.fromkeys(found, "1"))
        if heard <= found:
            return found
        found |= heard


async def fields_of(town: Town, person: Person) -> dict[str, tuple[Page, Sent]]:
    """The forms that a person meets, by their address, with the line that takes each; none of a session's ends."""
    found: dict[str, tuple[Page, Sent]] = {}
    for path, reply in (await crawl(town, person)).items():
        if "html" not in reply.headers.get("content-type", ""):
            continue
        for form in forms_of(reply.text, path):
            line = line_of(PAGES, form.method, form.action)
            if form.method == "POST" and line is not None and not line.path.startswith((*IN_AND_OUT, *RENEWING)):
                before = found.get(form.action)
                if before is None or len(form.fields) >= len(before[1].fields):
                    found[form.action] = (line, form)
    return found


def good_fields(line: Page, form: Sent) -> dict[str, Any]:
    """A form as it would work, however often, without its token."""
    found = {**form.filled(), **GOOD[line.path].fields}
    return {name: value for name, value in found.items() if name not in ("csrf", "once")}


def texts_of(form: Sent) -> list[str]:
    """The names of the fields that one could write anything into."""
    hidden = ("csrf", "version", "once")
    return [name for name, one in form.fields.items() if one.kind in TEXT_KINDS and name not in hidden]


def dangers(html: str, *, styled: bool = False) -> list[str]:
    """What stands in a document of the console and is none of our own elements, attributes and addresses. `styled`: of
    a creative, whose look is its own."""
    found = []
    for one in html5lib.parse(html, namespaceHTMLElements=False).iter():
        tag: Any = one.tag
        if not isinstance(tag, str):
            text = one.text or ""
            found += [f"a comment: {text}"] if "XSS1" in text else []
            continue
        if tag in ("base", "object", "embed", "applet"):
            found.append(f"<{tag}>")
        if tag == "script" and (not OWN_SCRIPTS.search(one.get("src", "")) or (one.text or "").strip()):
            found.append(f"a script: {one.attrib}")
        for name, value in one.attrib.items():
            plain = "".join(str(value).split()).lower()
            if str(name).startswith("on") or name in ("srcdoc", "xmlns") or (name == "style" and not styled):
                found.append(f"<{tag} {name}>")
            if name in ("href", "src", "action", "formaction", "srcset", "poster", "data") and not (
                plain.startswith(("/", "?", "#", "http://", "https://", "data:image/", "data:,")) or not plain
            ):
                found.append(f"<{tag} {name}={value}>")
            if "xss1" in str(name).lower():
                found.append(f"an attribute {name}")
    return found


def check(reply: httpx2.Response, who: object, status: range = range(200, 500)) -> None:
    """Of any answer to anything hostile: it is none of our failures, tells nothing, and nothing in it lives."""
    assert reply.status_code in status, (who, reply.status_code, reply.text[:300])
    head = "\n".join(f"{name}: {value}" for name, value in reply.headers.items())
    for bad in ("<", "\u2028", "XSS1>"):
        assert bad not in head, (who, head)
    if "text/html" in reply.headers.get("content-type", "") and "xss1" in reply.text.lower():
        styled = FRAMED.search(str(reply.url.path)) is not None
        boxed = "allow-scripts" in reply.headers.get("content-security-policy", "")  # an advertiser's own markup
        assert boxed or dangers(reply.text, styled=styled) == [], (who, dangers(reply.text, styled=styled))
        assert "49XSS1" not in reply.text, who
    told = TOLD.search(reply.text.encode())
    assert told is None, (who, told)
