"""Creatives of several files over the API: what is kept of them, what is served, and what an upload is told."""

from __future__ import annotations

import io
from typing import Any

import html5lib
import httpx2
import msgspec
import pytest
from PIL import Image

from adserve.core.model import Creative
from adserve.flows import submit
from adserve.intake.images import encode_off_loop
from tests.conftest import ADMIN, Api

FIELDS = {"name": "One", "alt": "A shoe", "click_url": "https://shop.example/1"}


def picture(width: int, height: int, kind: str = "PNG", noise: bool = False) -> bytes:
    out = io.BytesIO()
    image = Image.effect_noise((width, height), 100) if noise else Image.linear_gradient("L").resize((width, height))
    image.convert("RGB").save(out, kind)
    return out.getvalue()


async def campaign(api: Api, *sizes: str, **slot: Any) -> None:
    await api.world()
    await api.make("PUT", "/sites/news/slots/top", {"sizes": list(sizes), **slot})
    await api.make("PUT", "/campaigns/one", {"advertiser": "acme", "name": "one", "slots": ["news/*"]})


async def send(api: Api, query: str = "", to: str = "", key: str = ADMIN, **parts: Any) -> httpx2.Response:
    """An upload, or with `to` new content of a creative. `parts`: files, lists of them, or text; None: left out."""
    files = [
        (name, ("p.png", one, "image/png"))
        for name, given in parts.items()
        for one in (given if isinstance(given, list) else [given])
        if isinstance(one, bytes)
    ]
    fields = FIELDS | {name: given for name, given in parts.items() if isinstance(given, str)}
    fields = {name: given for name, given in fields.items() if parts.get(name, "") is not None}
    method, path = ("PUT", f"/creatives/{to}/content") if to else ("POST", "/campaigns/one/creatives")
    if to:
        fields.pop("name")
    return await api.http.request(
        method, f"/api/v1{path}{query}", data=fields, files=files, headers={"Authorization": f"Bearer {key}"}
    )


def problems(got: httpx2.Response) -> dict[str, str]:
    assert got.status_code == 422, got.text
    return {one["pointer"]: one["detail"] for one in got.json()["errors"]}


ALL: dict[str, Any] = {
    "file": picture(728, 90), "file_2x": picture(1456, 180), "file_dark": picture(728, 90),
    "file_dark_2x": picture(1456, 180), "sizes": [picture(320, 50), picture(468, 60)],
}  # fmt: skip


async def test_a_creative_of_several_files_is_a_picture_with_sources(api: Api) -> None:
    """Every file is listed and can be fetched; the snippet is small, valid, has no script and the tag's `a img`."""
    await campaign(api, "728x90", "468x60", "320x50")
    made = (await send(api, "?approve=true", **ALL)).json()
    plain = [one for one in made["files"] if one["type"] == "image/png"]
    assert [(one["width"], one["height"], one["density"], one["scheme"]) for one in plain] == [
        (728, 90, 1, "any"), (1456, 180, 2, "any"), (728, 90, 1, "dark"), (1456, 180, 2, "dark"),
        (320, 50, 1, "any"), (468, 60, 1, "any"),
    ]  # fmt: skip
    assert {one["type"] for one in made["files"]} <= {"image/png", "image/webp", "image/avif"}
    for one in made["files"]:
        got = await api.http.get(one["path"])
        assert (got.status_code, got.headers["content-type"], len(got.content)) == (200, one["type"], one["bytes"])
    decision = await api.decide()
    assert (decision["width"], decision["height"]) == (728, 90)
    assert len(decision["html"].encode()) < 16_000
    parser = html5lib.HTMLParser(namespaceHTMLElements=False)
    found = parser.parseFragment(decision["html"])
    assert not [error for error in parser.errors if "doctype" not in error[1]]
    assert found.find(".//a/picture/img").get("alt") == "A shoe"
    sources = found.findall(".//picture/source")
    assert [one.get("media") for one in sources if not one.get("type")] == [
        "(max-width:467px)", "(max-width:727px)", "(prefers-color-scheme:dark)",
    ]  # fmt: skip
    assert "script" not in {one.tag for one in found.iter()}
    named = {one.get("src") for one in found.iter("img")} | {one.get("srcset") for one in sources}
    assert all("/m/" in one for one in named)


@pytest.mark.parametrize(("width", "size"), [("900", (728, 90)), ("727", (468, 60)), ("467", (320, 50)), ("319", None)])
async def test_the_decision_has_the_widest_size_that_fits(api: Api, width: str, size: tuple[int, int] | None) -> None:
    """Sizes that the slot does not take are no part of it; nothing serves where none is narrow enough."""
    await campaign(api, "728x90", "468x60", "320x50")
    await send(api, "?approve=true", **ALL)
    decision = await api.decide(width=width)
    assert decision["filled"] is (size is not None)
    if size is not None:
        assert (decision["width"], decision["height"]) == size
        assert f'width="{size[0]}" height="{size[1]}" alt=' in decision["html"]


async def test_alternatives_that_do_not_go_with_their_picture_are_all_told(api: Api) -> None:
    """Each at its part, with the pixels that it should have."""
    await campaign(api, "728x90", "320x50")
    wrong: dict[str, Any] = {
        "file_2x": picture(1456, 181), "file_dark": picture(727, 90), "file_dark_2x": picture(728, 90),
        "sizes": [picture(728, 90), picture(320, 50), picture(320, 50)],
    }  # fmt: skip
    found = problems(await send(api, file=picture(728, 90), **wrong))
    assert found == {
        "/file_2x": "has 1456x181 pixels; it takes exactly twice those of file: 1456x180",
        "/file_dark": "has 727x90 pixels; it takes exactly those of file: 728x90",
        "/file_dark_2x": "has 728x90 pixels; it takes exactly twice those of file: 1456x180",
        "/sizes/0": "has the same 728x90 pixels as file: leave one out",
        "/sizes/2": "has the same 320x50 pixels as sizes/1: leave one out",
    }
    assert "is required" in problems(await send(api, file_2x=picture(1456, 180)))["/file"]
    assert set(problems(await send(api, file=picture(728, 90), file_dark_2x=picture(1456, 180)))) == {"/file_dark_2x"}
    many = [picture(8 + at, 8) for at in range(9)]
    assert "at most 8" in problems(await send(api, file=picture(728, 90), sizes=many))["/sizes"]


async def test_an_upload_is_told_everything_at_once(api: Api) -> None:
    """Size, weight, kind of file, texts and landing: one answer has all in a designer's words, and nothing is kept."""
    await campaign(api, "728x90", max_kb=20)
    before = await api.contents()
    found = problems(await send(api, file=picture(1200, 90), alt="", click_url="javascript:alert(1)", weight="x"))
    assert found["/file"] == "1200x90 does not fit top; nearest slot: top 728x90"
    assert set(found) == {"/file", "/alt", "/click_url", "/weight"}
    noise = picture(728, 90, noise=True)
    heavy = problems(await send(api, file=noise, file_2x=b"GIF89a but no picture", alt="x" * 301))
    assert set(heavy) == {"/file_2x", "/alt"}
    heavy = problems(await send(api, file=noise))
    assert "kB; top takes at most 20 kB" in heavy["/file"]
    both = problems(await send(api, file=picture(728, 90), file_dark=b"%PDF-1.7"))
    assert both == {"/file_dark": "the file is no PNG, JPEG, GIF, WebP or AVIF picture"}
    assert await api.contents() == before


async def test_pictures_of_an_upload_have_their_time_together(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is over, the parts that are left are refused, however many there are; the next upload has its own."""
    await campaign(api, "728x90", "320x50")
    times = iter((20.0, 20.0, 0.0, -1.0))
    monkeypatch.setattr("adserve.flows.content.countdown", lambda _: times.__next__)
    sizes = [picture(320, 50), picture(320, 50, noise=True)]
    found = problems(await send(api, file=picture(728, 90), file_dark=picture(728, 90), sizes=sizes))
    assert len(found) == 2
    assert all("together take too long" in detail for detail in found.values())
    monkeypatch.undo()
    assert (await send(api, file=picture(728, 90))).status_code == 201


async def test_a_check_answers_as_an_upload_would_and_stores_nothing(api: Api) -> None:
    """200 with what would be made, without an id; 422 with the same problems."""
    await campaign(api, "728x90", "320x50", "468x60")
    before = await api.contents()
    seen = await send(api, "?check=true&approve=true", **ALL)
    assert seen.status_code == 200, seen.text
    assert "location" not in seen.headers
    assert await api.contents() == before
    made = (await send(api, **ALL)).json()
    same = ("files", "hash", "width", "height", "alt", "click_url", "state", "kind", "revision")
    assert {name: seen.json()[name] for name in same} == {name: made[name] for name in same}
    assert (seen.json()["id"], seen.json()["version"]) == ("", 0)
    assert set(problems(await send(api, "?check=true", file=picture(9, 9)))) == {"/file"}


async def test_new_content_replaces_pictures_together(api: Api) -> None:
    """Texts that are left out stay, alternatives of another picture do not."""
    await campaign(api, "728x90", "320x50", "468x60")
    id_ = (await send(api, **ALL)).json()["id"]
    got = (await send(api, to=id_, file=picture(320, 50))).json()
    assert {one["width"] for one in got["files"]} == {320}
    assert (got["width"], got["alt"]) == (320, "A shoe")
    assert problems(await send(api, to=id_, file_dark=picture(320, 50)))["/file"].startswith("is required")
    changed = await api.make("GET", f"/creatives/{id_}/revisions/2")
    assert {"files", "media", "width", "height"} <= {one["member"] for one in changed["changes"]}


async def test_a_creative_from_before_there_were_files_serves_as_it_did(api: Api) -> None:
    """Its one picture, in the size that it has; an altered file of a newer one does not serve."""
    await campaign(api, "728x90", "320x50", "468x60")
    id_ = (await send(api, "?approve=true", **ALL)).json()["id"]
    services = api.held.services
    now = await services.catalog.get("creative", id_)
    assert isinstance(now, Creative)
    assert now.live is not None
    replace = msgspec.structs.replace

    async def store(creative: Creative) -> Any:
        name, version = f"creative:{id_}", await services.client.incr(services.keys.version)
        await services.client.hset(services.keys.objects, name, msgspec.json.encode(creative).decode())
        await services.client.zadd(services.keys.changed, {name: version})
        await services.refresh()
        return await api.decide()

    old = replace(now.live, files=())
    html = (await store(replace(now, live=old, content=old, pin=None)))["html"]
    assert "<picture" not in html
    assert "srcset" not in html
    assert now.live.media is not None
    assert f"/m/{now.live.media.file}" in html
    swapped = replace(now.live, files=(*now.live.files[1:], now.live.files[0]))
    assert not (await store(replace(now, live=swapped)))["filled"]


async def test_a_text_has_a_button_and_a_small_picture(api: Api) -> None:
    """They are content, like its words; the picture is no `img`, so the whole unit is what is measured."""
    await campaign(api, "300x250")
    text: dict[str, Any] = {"kind": "text", "title": "Tea", "button": "Shop now", "alt": None}
    made = await send(api, "?approve=true", file=picture(100, 100), **text)
    assert made.status_code == 201, made.text
    assert (made.json()["button"], made.json()["width"], len(made.json()["files"])) == ("Shop now", 0, 1)
    html = (await api.decide())["html"]
    assert "Shop now</span>" in html
    assert f"url(http://localhost:8000{made.json()['file']})" in html
    assert "<img" not in html
    assert "400 pixels a side" in problems(await send(api, file=picture(401, 100), **text))["/file"]
    assert set(problems(await send(api, file=picture(9, 9), file_2x=picture(18, 18), **text))) == {"/file_2x"}
    assert set(problems(await send(api, file=b"%PDF-1.7", **text))) == {"/file"}
    assert "25" in problems(await send(api, file=picture(9, 9), **{**text, "button": "x" * 26}))["/button"]


def plain(made: dict[str, Any]) -> list[tuple[int, int, str]]:
    return [(one["width"], one["density"], one["scheme"]) for one in made["files"] if one["type"] == "image/png"]


async def test_a_race_encodes_no_file_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody changes the weight three times while new pictures are stored: they are made on what stands there then,
    of what was encoded once."""
    await campaign(api, "728x90", "320x50")
    id_ = (await send(api, file=picture(728, 90))).json()["id"]
    put, encode, encoded = api.held.services.catalog.put, encode_off_loop, []
    weights = [2, 3, 4]

    async def late(*args: Any, **named: Any) -> Any:
        if named["actor"] != "another" and weights:
            await submit.patch_creative(api.held.services, id_, {"weight": weights.pop(0)}, actor="another")
        return await put(*args, **named)

    async def counted(data: bytes, **named: Any) -> Any:
        encoded.append(data)
        return await encode(data, **named)

    monkeypatch.setattr(api.held.services.catalog, "put", late)
    monkeypatch.setattr("adserve.flows.content.encode_off_loop", counted)
    sent = [picture(320, 50), picture(728, 90, noise=True)]
    made = (await send(api, to=id_, file=sent[0], sizes=sent[1])).json()
    assert (made["weight"], made["revision"], made["width"]) == (4, 2, 320)
    assert encoded == sent


async def test_null_takes_a_picture_off(api: Api) -> None:
    """One part, and all further sizes together; the others stay, and it waits for review like any change of content.
    An image keeps its picture, and the dark one that another is twice of."""
    await campaign(api, "728x90", "320x50", "468x60")
    made = (await send(api, "?approve=true", **ALL)).json()
    path = f"/creatives/{made['id']}"
    found = problems(await api.call("PATCH", path, {"file": None, "sizes": None}))
    assert found == {"/file": "stays: an image is its picture; send another one in its place"}
    found = problems(await api.call("PUT", f"{path}/content", {"file_dark": None}))
    assert found == {"/file_dark": "stays as long as file_dark_2x does: take that one off too"}
    less = await api.make("PATCH", path, {"file_dark": None, "file_dark_2x": None})
    assert plain(less) == [(728, 1, "any"), (1456, 2, "any"), (320, 1, "any"), (468, 1, "any")]
    assert (less["state"], less["revision"], less["live_revision"], less["width"]) == ("pending", 2, 1, 728)
    less = await api.make("PUT", f"{path}/content", {"sizes": None})
    assert plain(less) == [(728, 1, "any"), (1456, 2, "any")]
    again = await api.make("PATCH", path, {"sizes": None, "file_dark": None})
    assert (again["revision"], again["files"]) == (3, less["files"])


async def test_a_text_goes_on_without_its_picture(api: Api) -> None:
    """Its words and its room stay."""
    await campaign(api, "300x250")
    text: dict[str, Any] = {"kind": "text", "title": "Tea", "alt": None}
    made = (await send(api, "?approve=true", file=picture(80, 60), **text)).json()
    less = await api.make("PATCH", f"/creatives/{made['id']}", {"file": None})
    assert (less["file"], less["files"], less["title"], less["state"]) == (None, [], "Tea", "pending")
    await api.make("POST", f"/creatives/{made['id']}/approve")
    assert made["file"] not in (await api.decide())["html"]


async def test_what_is_no_content_changes_whatever_slots_take_today(api: Api) -> None:
    """A lower weight and another size of the slot keep no name, weight or date; new content has to fit."""
    await campaign(api, "728x90", max_kb=200)
    sent = picture(728, 90, noise=True)
    made = (await send(api, "?approve=true", file=sent)).json()
    path = f"/creatives/{made['id']}"
    for limits, detail in (({"max_kb": 20}, "takes at most 20 kB"), ({"sizes": ["320x50"]}, "does not fit top")):
        await api.make("PUT", "/sites/news/slots/top", {"sizes": ["728x90"], **limits})
        free = {"name": f"Fits {limits}", "weight": 5, "ends": "2027-06-01", "companions": "set"}
        changed = await api.make("PATCH", path, free | {"alt": made["alt"]})
        assert {name: changed[name] for name in free} == free
        assert (changed["revision"], changed["state"]) == (1, "approved")
        assert detail in problems(await api.call("PATCH", path, {"alt": "Another"}))["/file"]
        assert detail in problems(await send(api, to=made["id"], file=sent))["/file"]


HTML = {
    "kind": "html", "name": "h", "width": 300, "height": 250, "html": "<p>{random}", "click_url": "https://shop.example/",
}  # fmt: skip


async def test_trackers_are_an_admins_and_are_called_from_within_the_frame(api: Api) -> None:
    """Up to three addresses over https, part of the revision and its hash; others leave them as they are."""
    await campaign(api, "300x250")
    urls = ["https://count.example/i?r={random}&a=%22", "https://two.example/"]
    made = await api.make("POST", "/campaigns/one/creatives?approve=true", HTML | {"trackers": urls})
    assert made["trackers"] == urls
    plain = await api.make("POST", "/campaigns/one/creatives?check=true", HTML)
    assert plain["hash"] != made["hash"]
    decision = await api.decide()
    assert "count.example" not in decision["html"]
    frame = await api.http.get(f"/f/{decision['click_url'].rpartition('/')[2]}")
    page: Any = html5lib.parse(frame.text, namespaceHTMLElements=False)
    first, second = (one.get("src") for one in page.findall(".//img"))
    random = page.find(".//p").text
    assert (first, second) == (f"https://count.example/i?r={random}&a=%22", "https://two.example/")
    many = [f"https://{at}.example/" for at in range(4)]
    for bad in (["http://count.example/"], ["https://127.0.0.1/"], ["javascript:x"], many):
        assert (await api.call("POST", "/campaigns/one/creatives", HTML | {"trackers": bad})).status_code == 422, bad
    key = (await api.make("POST", "/keys", {"role": "advertiser", "advertiser": "acme", "name": "a"}))["key"]
    path = f"/creatives/{made['id']}"
    for method, where, body in (
        ("POST", "/campaigns/one/creatives", HTML | {"trackers": urls}),
        ("PATCH", path, {"trackers": []}), ("PUT", f"{path}/content", {"trackers": None}),
    ):  # fmt: skip
        got = await api.call(method, where, body, Authorization=f"Bearer {key}")
        assert {one["code"] for one in got.json()["errors"] if one["pointer"] == "/trackers"} == {"forbidden"}, where
    kept = await api.call("PATCH", path, {"html": "<b>new"}, Authorization=f"Bearer {key}")
    assert kept.json()["trackers"] == urls


async def test_a_restored_revision_sets_trackers_for_an_admin_alone(api: Api) -> None:
    """Those of the newest stay for others, whether the old revision had some or none; so nothing is left to restore
    of one that differs in them alone."""
    await campaign(api, "300x250")
    key = (await api.make("POST", "/keys", {"role": "advertiser", "advertiser": "acme", "name": "a"}))["key"]
    urls = ["https://count.example/"]
    path = f"/creatives/{(await api.make('POST', '/campaigns/one/creatives', HTML | {'trackers': urls}))['id']}"
    await api.make("PATCH", path, {"trackers": None})

    async def restore(number: int, **headers: str) -> httpx2.Response:
        return await api.call("POST", f"{path}/restore", {"revision": number}, **headers)

    assert (await restore(1, Authorization=f"Bearer {key}")).status_code == 409
    await api.make("PATCH", path, {"html": "<b>new"})
    kept = (await restore(1, Authorization=f"Bearer {key}")).json()
    assert (kept["html"], kept["trackers"]) == (HTML["html"], [])
    assert (await restore(1)).json()["trackers"] == urls
    kept = (await restore(3, Authorization=f"Bearer {key}")).json()
    assert (kept["html"], kept["trackers"]) == ("<b>new", urls)


async def test_a_restored_revision_has_to_fit_the_slots_of_today(api: Api) -> None:
    """422 that names the part, and no revision more."""
    await campaign(api, "728x90", "320x50")
    id_ = (await send(api, file=picture(728, 90))).json()["id"]
    await send(api, to=id_, file=picture(320, 50))
    await api.make("PUT", "/sites/news/slots/top", {"sizes": ["320x50"]})
    found = problems(await api.call("POST", f"/creatives/{id_}/restore", {"revision": 1}))
    assert found == {"/revision": "file: 728x90 does not fit top; nearest slot: top 320x50"}
    assert len((await api.make("GET", f"/creatives/{id_}/revisions"))["items"]) == 2
