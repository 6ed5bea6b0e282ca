"""Previews: what would serve, and nothing of it counted; documents that can do nothing to the page around them."""

from __future__ import annotations

import re
from collections import defaultdict
from urllib.parse import urlencode

import msgspec
import pytest

from adserve.core.model import Creative
from adserve.core.preview import LIFETIME_S, Link, write
from adserve.web.console.pages import PAGES
from adserve.web.preview import FRAME_ENDED, FRAME_S
from tests.conftest import ADMIN, Api, Clock
from tests.console.conftest import Enter, page
from tests.console.making import IMAGE, LANDING, MARKUP, TEXT, make, png, text_of, world

CREATIVES = ("/console/creatives/{id}", "/console/preview/{id}", "/console/review/{id}")
HOSTILE = "\"'><img src=x onerror=alert(1)>{{1347*7919}}</title></style>"


def address(id_: str, **query: str) -> str:
    return f"/console/preview/{id_}?{urlencode({'slot': 'news/top', **query})}"


def plain(served: str) -> str:
    """What was served, with neither tokens nor origin."""
    served = re.sub(r'data-decision="[^"]*" data-view="[^"]*"', 'data-decision="preview" data-view=""', served)
    return re.sub(r'href="[^"]*/c/[^"]*"', f'href="{LANDING}"', served).replace("http://localhost:8000/m/", "/m/")


def link(api: Api, id_: str, revision: int = 1, lasts_s: int = LIFETIME_S) -> str:
    worker = api.held.worker
    return f"/preview/{write(Link(id_, revision, int(worker.clock()) + lasts_s), worker.keys[0])}"


@pytest.mark.parametrize("fields", [IMAGE, TEXT])
async def test_a_preview_is_what_serves_without_its_tokens(api: Api, enter: Enter, fields: dict[str, str]) -> None:
    """The same markup but for the places of tokens; the click leads straight to the landing page."""
    await world(api)
    id_ = await make(api, fields, approve=True)
    served = (await api.decide())["html"]
    shown = (await (await enter()).get(address(id_))).text
    assert shown.partition("<body>")[2].partition("</body>")[0] == plain(served)


@pytest.mark.parametrize("fields", [IMAGE, TEXT, MARKUP], ids=["image", "text", "html"])
async def test_looking_changes_nothing(api: Api, enter: Enter, fields: dict[str, str]) -> None:
    """No count, no token, no key in the store: not of a frame, of the page of a link, nor of markup."""
    await world(api)
    id_ = await make(api, fields)
    person = await enter()
    before, figures = await api.contents(), await api.totals()
    for path in (address(id_), address(id_, scheme="dark"), link(api, id_), f"{link(api, id_)}/markup"):
        reply = await person.get(path, **{"Sec-Fetch-Dest": "iframe"})
        assert reply.status_code == (200 if fields is MARKUP or not path.endswith("/markup") else 404)
        assert not re.search(r"/(c|e|f)/", reply.text.replace("https://shop.example", ""))
    await api.settle()
    assert await api.contents() == before
    assert await api.totals() == figures


async def several(api: Api) -> str:
    """A picture of two sizes, one of them with another for dark pages."""
    files = [
        ("file", ("a.png", png(728, 90), "image/png")),
        ("file_dark", ("b.png", png(728, 90, 5), "image/png")),
        ("sizes", ("c.png", png(320, 50), "image/png")),
    ]
    path, headers = "/api/v1/campaigns/one/creatives?approve=true", {"Authorization": f"Bearer {ADMIN}"}
    reply = await api.http.post(path, data=IMAGE, files=files, headers=headers)
    assert reply.status_code == 201, reply.text
    return str(reply.json()["id"])


async def test_each_form_is_the_one_that_serves_at_its_width(api: Api, enter: Enter) -> None:
    """Of a picture of several sizes, and of a text that is laid out for each room; frames are as wide as these."""
    await world(api, sizes=["728x90", "320x50"])
    person = await enter()
    for fields in (IMAGE, TEXT):
        id_ = await several(api) if fields is IMAGE else await make(api, fields, approve=True)
        shown = await person.get(f"/console/creatives/{id_}")
        assert set(re.findall(r'<iframe src="[^"]*" width="(\d+)"', shown.text)) == {"728", "320"}
        bodies = set()
        for width in ("728", "320"):
            served = (await api.decide(width=width))["html"]
            body = (await person.get(address(id_, width=width))).text.partition("<body>")[2].partition("</body>")[0]
            assert re.sub(r"<source[^>]*>", "", plain(served)) == re.sub(r"<source[^>]*>", "", body)
            bodies.add(body)
        assert len(bodies) == 2
        await api.make("DELETE", f"/creatives/{id_}")
    phone = await api.http.get(link(api, await several(api)), headers={"User-Agent": "Mozilla/5.0 (Android) Mobile"})
    assert "max-width:320px" in phone.text
    assert "max-width:728px" not in phone.text.partition("<body>")[2]


async def test_a_picture_for_dark_pages_stands_in_the_dark_frame_alone(api: Api, enter: Enter) -> None:
    """Whatever scheme the reviewer's own browser is in."""
    await world(api, sizes=["728x90", "320x50"])
    id_ = await several(api)
    person = await enter()
    for scheme, taken in (("light", "(max-width:0)"), ("dark", "(min-width:0)")):
        shown = (await person.get(address(id_, scheme=scheme))).text
        assert f'<source media="{taken}"' in shown
        assert "prefers-color-scheme" not in shown
    assert '<source media="(prefers-color-scheme:dark)"' in (await api.http.get(link(api, id_))).text


async def test_a_framed_preview_is_locked_up(api: Api, enter: Enter) -> None:
    """A sandbox of its own, no script but in the frame of markup, framed by our own pages alone; in the scheme that
    was asked for."""
    await world(api)
    person = await enter()
    for fields, script in ((IMAGE, False), (TEXT, False), (MARKUP, True)):
        reply = await person.get(address(await make(api, fields), scheme="dark"))
        policy = reply.headers["content-security-policy"]
        assert ("allow-scripts" in policy) is script
        assert "allow-same-origin" not in policy
        assert "allow-top" not in policy
        assert {"default-src 'none'", "form-action 'none'", "frame-ancestors 'self'"} <= {*policy.split("; ")}
        assert "script-src" not in policy
        assert reply.headers["x-frame-options"] == "SAMEORIGIN"
        assert '<meta name="color-scheme" content="dark">' in reply.text
        page(reply)


async def test_markup_stands_in_a_document_of_its_own(api: Api, enter: Enter) -> None:
    """Found by a signed link, without a session; sandboxed by its own header; its click leads to the landing page."""
    await world(api)
    id_ = await make(api, MARKUP)
    shown = (await (await enter()).get(address(id_))).text
    assert "<script" not in shown
    frame = re.search(r'<iframe src="([^"]+)"', shown)
    assert frame is not None
    alone = await api.http.get(frame[1], headers={"Sec-Fetch-Dest": "document"})
    assert (alone.status_code, "<script" in alone.text) == (404, False)
    reply = await api.http.get(frame[1], headers={"Sec-Fetch-Dest": "iframe"})
    assert reply.status_code == 200
    assert f'<a href="{LANDING}">Tea</a><script>1</script>' in reply.text
    assert reply.headers["content-security-policy"].startswith("sandbox allow-scripts allow-popups")


async def test_archived_markup_is_looked_at_in_the_console_alone(api: Api, enter: Enter) -> None:
    """The frame of its page has its document; a link has the words for whoever frames it, and the address of a frame is
    no link to a page."""
    await world(api)
    id_, frames = await make(api, MARKUP), {"Sec-Fetch-Dest": "iframe"}
    of_link = f"{link(api, id_)}/markup"
    await api.make("DELETE", f"/creatives/{id_}")
    frame = re.search(r'<iframe src="([^"]+)"', (await (await enter()).get(address(id_))).text)
    assert frame is not None
    shown = await api.http.get(frame[1], headers=frames)
    assert (shown.status_code, "<script>1</script>" in shown.text) == (200, True)
    said = await api.http.get(of_link, headers=frames)
    assert (said.status_code, "was archived" in said.text) == (410, True)
    assert "frame-ancestors" not in said.headers["content-security-policy"]
    alone = await api.http.get(frame[1].removesuffix("/markup"))
    assert (alone.status_code, "frame-ancestors 'none'" in alone.headers["content-security-policy"]) == (404, True)


async def test_the_words_of_a_frame_that_ended_are_framed(api: Api, enter: Enter, clock: Clock) -> None:
    """An hour after its page was made."""
    await world(api)
    frame = re.search(r'<iframe src="([^"]+)"', (await (await enter()).get(address(await make(api, MARKUP)))).text)
    assert frame is not None
    clock.now += FRAME_S
    said = await api.http.get(frame[1], headers={"Sec-Fetch-Dest": "iframe"})
    assert (said.status_code, FRAME_ENDED in said.text) == (410, True)
    assert "frame-ancestors" not in said.headers["content-security-policy"]


async def test_hostile_words_stay_words(api: Api, enter: Enter) -> None:
    """In the frame, on the page of the link, and on every page of the console that shows them."""
    await world(api)
    words = {"name": HOSTILE[:150], "title": HOSTILE[:120], "body": HOSTILE}
    id_ = await make(api, TEXT | words | {"click_url": LANDING + "?a=%22%27&b={slot}"})
    await make(api, IMAGE | {"name": HOSTILE[:150], "alt": HOSTILE})
    await api.make("PATCH", f"/creatives/{id_}", {"title": HOSTILE[:40]})
    person = await enter()
    paths = [address(id_), link(api, id_), "/console/creatives", "/console/review", "/console/creatives?state=<script>"]
    paths += [f"/console/creatives/{id_}{rest}" for rest in ("", "/edit", "/revisions/1", "/revisions/2")]
    for path in (*paths, f"/console/review/{id_}", "/console/creatives/new", "/console/campaigns/one/creatives/new"):
        reply = await person.get(path)
        assert reply.status_code == 200, path
        document = page(reply)
        assert not [one for one in document.iter("img") if one.get("onerror") or one.get("src") == "x"], path
        assert str(1347 * 7919) not in text_of(reply), path


async def test_altered_data_leads_nowhere(api: Api, enter: Enter) -> None:
    """A landing address that could run script, put into the store by hand, is no link in a preview."""
    await world(api)
    id_ = await make(api, TEXT)
    services = api.held.services
    before = await services.catalog.get("creative", id_)
    assert isinstance(before, Creative)
    evil = msgspec.structs.replace(before.content, click_url="javascript:alert(1)")
    after = msgspec.structs.replace(before, content=evil)
    await services.catalog.put("creative", after, before, actor="tests", action="edit")
    person = await enter()
    for path in (address(id_), link(api, id_)):
        reply = await person.get(path)
        assert reply.status_code == 200
        assert "javascript" not in reply.text


async def test_what_is_anothers_is_not_there(api: Api, enter: Enter) -> None:
    """Every page about a creative, a campaign's upload too: the same answer as for what does not exist."""
    await world(api)
    theirs = await make(api, TEXT, "two", approve=True)
    person = await enter("advertiser", "acme")
    token = await person.csrf()
    before = await api.contents()
    for one in PAGES:
        campaign = one.path.startswith("/console/campaigns/{id}")
        if "advertiser" in one.roles and (campaign or one.path.startswith(CREATIVES)):
            for id_, nobodys in (("two", "nobody") if campaign else (theirs, "cr-nobody"),):
                got = []
                for each in (id_, nobodys):
                    path = one.path.format_map(defaultdict(lambda: "1", id=each))
                    post = one.method == "POST"
                    got.append(await person.post(path, token=token) if post else await person.get(path))
                assert [reply.status_code for reply in got] == [404, 404], one.path
                assert got[0].text == got[1].text
    assert (await person.get(address(theirs))).status_code == 404
    assert await api.contents() == before
    assert theirs not in (await person.get("/console/creatives")).text


@pytest.mark.parametrize(
    "query", [{"slot": "news/none"}, {"slot": ""}, {"revision": "2"}, {"revision": "x"}, {"revision": "٣"}]
)
async def test_what_is_not_there_is_not_shown(api: Api, enter: Enter, query: dict[str, str]) -> None:
    """A slot that it does not fit or that is none, a revision that there is not."""
    await world(api)
    id_ = await make(api, TEXT)
    assert (await (await enter()).get(address(id_, **query))).status_code == 404


async def test_a_link_shows_its_revision_to_anybody(api: Api) -> None:
    """On a page that says that it is a preview and wants no index; also when a newer revision has come."""
    await world(api, slots=("top", "side"), sizes=["300x250", "728x90"])
    id_ = await make(api, TEXT, approve=True)
    await api.make("PATCH", f"/creatives/{id_}", {"title": "Coffee"})
    for revision, title, words in ((1, "Tea", "serves now"), (2, "Coffee", "waits for review")):
        reply = await api.http.get(link(api, id_, revision))
        assert reply.status_code == 200
        page(reply)
        said = text_of(reply)
        assert "Preview." in said
        assert words in said
        assert said.count(f" {title} ") == 2
        assert reply.headers["x-robots-tag"] == "noindex"
        assert reply.headers["cache-control"] == "no-store"
        assert "script-src" not in reply.headers["content-security-policy"]
        assert "default-src 'none'" in reply.headers["content-security-policy"]


async def test_a_link_ends(api: Api, clock: Clock) -> None:
    """After its days, with the creative, and when anything of it is changed; each says so."""
    await world(api)
    id_ = await make(api, TEXT, approve=True)
    path = link(api, id_)
    altered = await api.http.get(path.replace(f"{id_}.1.", f"{id_}.2."))
    assert (altered.status_code, "altered" in altered.text) == (404, True)
    await api.make("DELETE", f"/creatives/{id_}")
    archived = await api.http.get(path)
    assert (archived.status_code, "archived" in archived.text) == (410, True)
    clock.now += LIFETIME_S
    ended = await api.http.get(path)
    assert (ended.status_code, "ended" in ended.text) == (410, True)
