"""A publisher with something in every place and every state, somebody of each role, and what their pages hold.

Advertiser `acme`'s user must not learn of `zeta`'s things. `Town.paths(page, whose)` leads every line of the table of
pages to what it is about; `forms_of` reads forms as a browser does, so that a test knows all fields there are.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from html.parser import HTMLParser
from typing import Any, NamedTuple
from urllib.parse import urlencode, urljoin, urlsplit
from xml.etree.ElementTree import Element, TreeBuilder

import httpx2
from PIL import Image

from adserve.core.access import OPERATOR, ROLES
from adserve.core.model import State
from adserve.core.users import User
from adserve.flows.share import make_share
from adserve.web.console.cookies import SESSION
from adserve.web.console.page import Page
from tests.conftest import ADMIN, QUICK, Api
from tests.console.conftest import Person

KINDS = (
    ("/console/users/", "user"), ("/console/keys/", "key"), ("/console/account/sessions/", "session"),
    ("/console/explain/", "decision"),
)  # fmt: skip
"""Beginnings of paths to the kind of the object that they name, for lines that say none themselves."""
NONE = {
    "creative": "c-000000000000", "user": "u-000000000000", "key": "k-000000000000", "slot": "nobody-s/none",
    "session": "s-0000000000000000", "decision": "0" * 36,
}  # fmt: skip
"""Ids that nobody has, in the form of their kind."""
TEXT = {"kind": "text", "name": "t", "title": "Tea", "body": "Hot.", "click_url": "https://shop.example/tea"}
CONTENT = {"title": "Tea", "body": "Hot.", "click_url": "https://shop.example/tea"}
MARKUP = {"kind": "html", "name": "h", "html": "<p>Tea</p>", "width": 300, "height": 250,
          "click_url": "https://shop.example/tea"}  # fmt: skip
HASHED = QUICK.hash("a sentence")
"""Everybody's password."""
STATES = ("approved", State.PENDING, State.REJECTED, State.PAUSED, State.ARCHIVED, "html", "image")
"""What the creatives of a campaign are, in their order."""
UNUSED = {
    "idle": {"site": ["empty"], "slot": ["idle/top"], "advertiser": ["idle"]},
    "archived": {"site": ["old"], "slot": ["idle/old"], "advertiser": ["old"], "campaign": ["old"]},
}
"""What nobody's campaign books."""
MOST_PAGES = 1000
VOID = {"input", "img", "br", "hr", "meta", "link", "source", "col", "wbr", "area", "track", "embed"}
PEOPLE = {role: "acme" if role == "advertiser" else None for role in ROLES}


class Field(NamedTuple):
    """`kind`: the type of an `input`, or its tag. `options`: what may be chosen of it, `chosen` what is."""

    kind: str
    value: str
    options: tuple[str, ...] = ()
    chosen: tuple[str, ...] = ()


class Sent(NamedTuple):
    """A form of a page: where it goes, by which method, and what is in it."""

    action: str
    method: str
    fields: dict[str, Field]
    buttons: tuple[tuple[str, str], ...] = ()

    def filled(self) -> dict[str, Any]:
        """What a browser sends that changes nothing: boxes that are not ticked are left out."""
        found: dict[str, Any] = {}
        for name, one in self.fields.items():
            if one.kind in ("checkbox", "radio"):
                found |= {name: list(one.chosen)} if one.chosen else {}
            elif one.kind not in ("file", "submit"):
                found[name] = one.value
        return found


@dataclass
class Town:
    api: Api
    people: dict[str, Person] = field(default_factory=dict)
    """By role; the advertiser is acme's."""
    own: dict[str, list[str]] = field(default_factory=dict)
    """Ids by kind that acme may see."""
    theirs: dict[str, list[str]] = field(default_factory=dict)
    """Ids by kind that it may not."""
    inner: dict[str, dict[str, str]] = field(default_factory=dict)
    """By id, what else a path of it names: a link that was made to it, say."""
    shared: list[str] = field(default_factory=list)
    """Addresses of reports that somebody without an account reads."""
    secrets: set[str] = field(default_factory=set)
    picture: bytes = b""

    @property
    def services(self) -> Any:
        return self.api.held.services

    async def person(self, role: str, advertiser: str | None = None, **more: Any) -> Person:
        """Somebody new, signed in."""
        name = f"{role}-{os.urandom(3).hex()}"
        known = {"id": f"u-{os.urandom(6).hex()}", "password": HASHED, "signed_in": 1, **more}
        user = User(name=name, role=role, advertiser=advertiser, **known)
        user = await self.services.users.put(user, None, actor="tests", action="create")
        secret = await self.services.sessions.start(user, agent="tests")
        self.secrets.add(secret)
        return Person(self.api, secret, user)

    def paths(self, page: Page, ids: Mapping[str, list[str]] | None = None) -> list[str]:
        """Where a line leads, one path an id of its kind; one without an object leads to one place."""
        kind = kind_of(page)
        if kind is None:
            return [page.path.replace("{secret}", "x" * 43).replace("{token}", "x" * 43)]
        return [self.filled(page.path, id_) for id_ in (self.own if ids is None else ids).get(kind, ())]

    def states(self, state: str) -> dict[str, list[str]]:
        """Ids by kind of what is in a state; `idle`: nothing depends on it."""
        creatives = {"creative": [self.own["creative"][STATES.index(state)]]} if state in STATES else {}
        return {**UNUSED.get(state, {}), **creatives}

    def missing(self, page: Page) -> str:
        """The same about nothing."""
        return self.filled(page.path, NONE.get(kind_of(page) or "", "nobody-s"))

    def filled(self, path: str, id_: str, inner: str | None = None) -> str:
        """A path with an id (`site/slot` of a slot). `inner`: whose things it names beyond that, where not its own."""
        site, _, slot = id_.partition("/")
        path = path.replace("{site}", site).replace("{slot}", slot).replace("{id}", id_)
        for name, value in self.inner.get(inner or id_, {}).items():
            path = path.replace(f"{{{name}}}", value)
        return re.sub(r"\{[a-z_]+\}", "1", path)


def kind_of(page: Page) -> str | None:
    """Of which kind the object is that a path names."""
    if page.about is not None or "{" not in page.path:
        return page.about
    return next((kind for start, kind in KINDS if page.path.startswith(start)), None)


def named(page: Page) -> str:
    return f"{page.method} {page.path}"


def picture(width: int = 300, height: int = 250) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (9, 99, 199)).save(out, "PNG")
    return out.getvalue()


async def built(api: Api) -> Town:
    """The town. Nothing of it is signed in by a page, so it costs no password."""
    town = Town(api, picture=picture())
    await api.world(slots=("top", "side"))
    await api.make("PUT", "/sites/blog", {"name": "Blog"})
    await api.make("PUT", "/sites/blog/slots/top", {"sizes": ["300x250"]})
    for id_ in ("old", "idle", "empty"):
        await api.make("PUT", f"/sites/{id_}", {"name": id_})
        await api.make("PUT", f"/advertisers/{id_}", {"name": id_})
    for name in ("top", "old"):
        await api.make("PUT", f"/sites/idle/slots/{name}", {"sizes": ["300x250"]})
    await api.make("PUT", "/campaigns/old", {"advertiser": "acme", "name": "Old", "slots": ["news/top"]})
    for path in ("sites/old", "sites/idle/slots/old", "advertisers/old", "campaigns/old"):
        await api.call("DELETE", f"/{path}")
    await api.make("PUT", "/advertisers/zeta", {"name": "Zeta"})
    await api.creative("of-acme", slots=["news/top"], goal={"impressions": 1000})
    await api.creative("of-zeta", advertiser="zeta", slots=["news/side", "blog/*"])
    town.own = {
        "site": ["news"], "slot": ["news/top"], "advertiser": ["acme"], "campaign": ["of-acme"],
        "creative": await _creatives(town, "of-acme"),
    }  # fmt: skip
    town.theirs = {
        "site": ["blog"], "slot": ["news/side", "blog/top"], "advertiser": ["zeta"], "campaign": ["of-zeta"],
        "creative": await _creatives(town, "of-zeta"),
    }  # fmt: skip
    for campaign in ("of-acme", "of-zeta"):
        share, secret = await make_share(town.services, OPERATOR, campaign, note="for the tests")
        town.inner[campaign] = {"share": share.id}
        town.shared.append(f"/share/{secret}")
        town.secrets.add(secret)
    for role, advertiser in PEOPLE.items():
        town.people[role] = await town.person(role, advertiser)
    zeta = await town.person("advertiser", "zeta")
    assert zeta.user is not None
    town.people["zeta"] = zeta
    key = await api.make("POST", "/keys", {"role": "advertiser", "advertiser": "zeta", "name": "z"})
    town.theirs |= {"key": [key["id"]], "user": [zeta.user.id], "session": await _sessions(town, zeta)}
    spare, admin = await town.person("reader"), town.people["admin"]
    assert spare.user is not None
    assert admin.user is not None
    own = await api.make("POST", "/keys", {"role": "reader", "name": "own"})
    town.secrets.add(await town.services.sessions.start(admin.user, agent="elsewhere"))
    town.own |= {"key": [own["id"]], "user": [spare.user.id], "session": await _sessions(town, admin)}
    town.secrets |= {ADMIN, key["key"], own["key"]}
    town.own["decision"] = [(await api.decide())["decision"]]
    await api.settle()
    return town


async def _sessions(town: Town, person: Person) -> list[str]:
    """Where a person is signed in, but for this browser."""
    here = await town.services.sessions.find(person.cookies[SESSION])
    found = [one.id for one in await town.services.sessions.of(person.user)]
    return [id_ for id_ in found if here is None or id_ != here[1].id or len(found) == 1]


async def _creatives(town: Town, campaign: str) -> list[str]:
    """One of each kind, and of a text one in each state; the one that serves comes first."""
    api = town.api
    listed = await api.make("GET", f"/creatives?campaign={campaign}")
    found = [one["id"] for one in listed["items"]]
    await api.make("PUT", f"/creatives/{found[0]}/content", {**CONTENT, "title": "Green tea"})
    await api.make("POST", f"/creatives/{found[0]}/approve")
    moves: dict[str, tuple[str, ...]] = {
        State.PENDING: (), State.REJECTED: ("reject",), State.PAUSED: ("approve", "pause"), State.ARCHIVED: ("",),
    }  # fmt: skip
    for actions in moves.values():
        made = await api.make("POST", f"/campaigns/{campaign}/creatives", TEXT)
        for action in actions:
            body = {"reason": "no"} if action == "reject" else None
            path = f"/creatives/{made['id']}"
            await api.make(*(("POST", f"{path}/{action}", body) if action else ("DELETE", path)))
        found.append(made["id"])
    found.append((await api.make("POST", f"/campaigns/{campaign}/creatives", MARKUP))["id"])
    fields = {"kind": "image", "name": "p", "alt": "A cup", "click_url": "https://shop.example/cup"}
    reply = await api.http.post(
        f"/api/v1/campaigns/{campaign}/creatives", data=fields, files={"file": ("p.png", town.picture)},
        headers={"Authorization": f"Bearer {ADMIN}"},
    )  # fmt: skip
    assert reply.status_code == 201, reply.text
    return [*found, reply.json()["id"]]


# ---- what pages hold


class _Tree(HTMLParser):
    """A tree of a document that is well-formed: a twentieth of the time that reading it as browsers do takes."""

    def __init__(self) -> None:
        super().__init__()
        self.builder, self.open = TreeBuilder(), 0
        self.builder.start("document", {})

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.builder.start(tag, {name: value or "" for name, value in attrs})
        if tag in VOID:
            self.builder.end(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.builder.start(tag, {name: value or "" for name, value in attrs})
        self.builder.end(tag)

    def handle_endtag(self, tag: str) -> None:
        self.builder.end(tag)

    def handle_data(self, data: str) -> None:
        self.builder.data(data)


@lru_cache(16)
def tree_of(html: str) -> Element:
    """The elements of a page of ours."""
    tree = _Tree()
    tree.feed(html)
    tree.builder.end("document")
    return tree.builder.close()


def forms_of(html: str, at: str) -> Iterator[Sent]:
    """The forms of a document, as a browser would send them."""
    for form in tree_of(html).iter("form"):
        fields: dict[str, Field] = {}
        buttons = []
        for one in form.iter():
            name = one.get("name")
            if one.tag == "button" and name:
                buttons.append((name, one.get("value", "")))
            if not name or one.tag not in ("input", "select", "textarea"):
                continue
            found = _field(one)
            if found.kind in ("checkbox", "radio") and name in fields:
                before = fields[name]
                found = Field(found.kind, "", before.options + found.options, before.chosen + found.chosen)
            fields[name] = found
        action = urlsplit(urljoin(at, form.get("action") or at))
        where = action.path + (f"?{action.query}" if action.query else "")
        yield Sent(where, (form.get("method") or "get").upper(), fields, tuple(buttons))


def _field(one: Any) -> Field:
    if one.tag == "textarea":
        return Field("textarea", "".join(one.itertext()))
    if one.tag == "select":
        options = tuple(choice.get("value", "".join(choice.itertext())) for choice in one.iter("option"))
        chosen = [choice.get("value", "") for choice in one.iter("option") if choice.get("selected") is not None]
        return Field("select", chosen[-1] if chosen else options[0] if options else "", options)
    kind, value = one.get("type", "text"), one.get("value", "")
    if kind in ("checkbox", "radio"):
        options = (value or "on",)
        return Field(kind, "", options, options if one.get("checked") is not None else ())
    return Field(kind, value)


def links_of(html: str, at: str, origin: str = "http://localhost:8000") -> Iterator[str]:
    """Addresses of ours that a document leads to or loads, without those of files."""
    for one in tree_of(html).iter():
        for attribute in ("href", "src", "hx-get"):
            target = one.get(attribute)
            if target is None or target.startswith(("#", "data:")):
                continue
            found = urlsplit(urljoin(f"{origin}{at}", target))
            if f"{found.scheme}://{found.netloc}" == origin and not found.path.startswith("/console/static/"):
                yield found.path + (f"?{found.query}" if found.query else "")


def asked_by(form: Sent) -> Iterator[str]:
    """What a form asks a page for, with each of its choices."""
    for name, one in form.fields.items() if form.method == "GET" else ():
        for choice in one.options:
            yield f"{form.action.partition('?')[0]}?{urlencode({name: choice})}"


async def crawl(town: Town, person: Person, *, choices: bool = False) -> dict[str, httpx2.Response]:
    """All that a person reaches by links from the start page, by path and query. `choices`: also by what each form
    that asks something of a page offers."""
    found: dict[str, httpx2.Response] = {}
    waiting = ["/console/"]
    while waiting:
        path = waiting.pop(0)
        if path in found:
            continue
        assert len(found) < MOST_PAGES, f"links without end, as {waiting[-3:]}"
        framed = {"Sec-Fetch-Dest": "iframe"} if path.endswith("/markup") else {}  # what is for frames alone
        found[path] = reply = await person.get(path, **framed)
        if "html" in reply.headers.get("content-type", "") and path.startswith("/console"):
            waiting += [one for one in links_of(reply.text, path) if one not in found]
            if choices and "?" not in path:
                waiting += [one for form in forms_of(reply.text, path) for one in asked_by(form)]
    return found


def matches(page: Page, path: str) -> bool:
    """Whether a path is one of a line of the table."""
    pieces = re.split(r"\{[^}]*\}", page.path)
    return re.fullmatch("[^/]+".join(map(re.escape, pieces)), path.partition("?")[0]) is not None


def line_of(pages: tuple[Page, ...], method: str, path: str) -> Page | None:
    """The line that a call of a method and path reaches: of the first path that fits, as the router does it."""
    first = next((one.path for one in pages if matches(one, path)), None)
    return next((one for one in pages if one.path == first and one.method == method), None)
