"""Upload at the console: limits first, then every problem at once beside its field, and nothing typed is lost."""

from __future__ import annotations

import asyncio
from threading import Event
from typing import Any

import httpx2
import pytest

from adserve.intake.images import _WAITING
from adserve.web.api.body import UPLOADS_OF_ONE
from tests.conftest import ADMIN, Api
from tests.console.conftest import Enter, page
from tests.console.making import IMAGE, LANDING, MARKUP, TEXT, png, state, text_of, world

HERE = "/console/campaigns/one/creatives/new"
SEVERAL = {"file": (300, 250), "file_2x": (600, 500), "sizes": (320, 50)}


def picture(width: int = 300, height: int = 250) -> dict[str, Any]:
    return {"file": ("red-shoes.png", png(width, height), "image/png")}


async def test_limits_stand_there_before_anything_is_sent(api: Api, enter: Enter) -> None:
    """Each slot with sizes and weight, the kinds of files, and how long words may be."""
    await world(api, slots=("top", "side"), sizes=["728x90", "320x50"], max_kb=77, title="Top of the page")
    person = await enter("advertiser", "acme")
    chosen = await person.get("/console/creatives/new")
    page(chosen)
    assert HERE in chosen.text
    assert "/console/campaigns/two" not in chosen.text
    for kind, words in (
        ("image", ("Top of the page", "news/side", "728x90, 320x50", "77 kB")),
        ("image", ("PNG, JPEG, GIF, WebP, AVIF", "30 seconds and 300 frames", "5.0 MB")),
        ("text", ("At most 120 characters", "fits every slot")),
        ("html", ("sandboxed frame", "{click}")),
        ("passback", ("what the page itself has",)),
    ):
        shown = await person.get(f"{HERE}?kind={kind}")
        page(shown)
        said = text_of(shown)
        assert [word for word in words if word not in said] == [], kind


@pytest.mark.parametrize("fields", [IMAGE, TEXT, MARKUP, {"kind": "passback", "name": "p", "width": "", "height": ""}])
async def test_each_kind_is_uploaded_and_waits_for_review(api: Api, enter: Enter, fields: dict[str, str]) -> None:
    """By an advertiser, for a campaign of its own; then it is looked at."""
    await world(api)
    person = await enter("advertiser", "acme")
    reply = await person.post(HERE, fields, files=picture() if fields["kind"] == "image" else None)
    assert reply.status_code == 303, text_of(reply)
    at, _, done = reply.headers["location"].partition("?")
    assert done == "done=sent"
    shown = await person.get(f"{at}?{done}")
    page(shown)
    assert ("<iframe" in shown.text) is (fields["kind"] != "passback")
    assert await state(api, at.rpartition("/")[2]) == ("pending", 1, None)


async def test_a_picture_without_a_name_has_that_of_its_file(api: Api, enter: Enter) -> None:
    """Without the folders and the ending that a browser may send with it."""
    await world(api)
    files = {"file": ("C:\\work\\red-shoes.v2.png", png(), "image/png")}
    reply = await (await enter()).post(HERE, IMAGE | {"name": ""}, files=files)
    id_ = reply.headers["location"].partition("?")[0].rpartition("/")[2]
    assert (await api.make("GET", f"/creatives/{id_}"))["name"] == "red-shoes.v2"


async def test_a_picture_brings_more_of_its_kind(api: Api, enter: Enter) -> None:
    """For dense screens, dark pages and other sizes; each is shown with its weight, and in each size."""
    await world(api, sizes=["300x250", "320x50"])
    person = await enter("advertiser", "acme")
    sent = [
        ("file", ("a.png", png(300, 250), "image/png")),
        ("file_2x", ("b.png", png(600, 500), "image/png")),
        ("file_dark", ("c.png", png(300, 250, 5), "image/png")),
        ("sizes", ("d.png", png(320, 50), "image/png")),
    ]
    reply = await person.post(HERE, IMAGE, files=sent)
    assert reply.status_code == 303, text_of(reply)
    at = reply.headers["location"].partition("?")[0]
    shown = await person.get(at)
    page(shown)
    said = text_of(shown)
    for words in ("300x250, for dense screens", "300x250, for dark pages", "320x50 image/png"):
        assert words in said, words
    assert {width for width in ("300", "320") if f'width="{width}"' in shown.text} == {"300", "320"}
    wrong = await person.post(HERE, IMAGE, files=[*sent[:1], ("file_2x", ("b.png", png(601, 500), "image/png"))])
    assert wrong.status_code == 422
    assert 'id="wrong-file_2x"' in wrong.text
    assert "600x500" in text_of(wrong)


async def test_all_files_of_an_upload_have_one_limit(api: Api, enter: Enter) -> None:
    """At the console and by the API, of what is new and in an edit; it is told at the largest, with what was typed."""
    await world(api, sizes=["300x250", "320x50"])
    person, files = await enter("advertiser", "acme"), {name: png(*size) for name, size in SEVERAL.items()}
    total = sum(map(len, files.values()))
    sent = {name: (f"{name}.png", data, "image/png") for name, data in files.items()}
    most, key = api.held.services, {"Authorization": f"Bearer {ADMIN}"}
    told = f"all files of an upload together have at most {total - 1:,} bytes, and these {total:,}: send a smaller one"
    made = (await person.post(HERE, IMAGE, files=sent)).headers["location"].partition("?")[0]
    for at, fields in ((HERE, IMAGE), (f"{made}/edit", {**IMAGE, "version": "1"})):
        most.max_upload_bytes = total - 1
        refused = await person.post(at, {**fields, "alt": "As typed"}, files=sent)
        assert (refused.status_code, 'id="wrong-file_2x"' in refused.text) == (422, True)
        assert told in text_of(refused)
        assert "As typed" in refused.text
        most.max_upload_bytes = total
        assert (await person.post(at, fields, files=sent)).status_code == 303
    most.max_upload_bytes = total - 1
    path = "/api/v1/campaigns/one/creatives"
    refused = await api.http.post(path, data=IMAGE, files=sent, headers=key)
    (problem,) = refused.json()["errors"]
    assert (refused.status_code, problem) == (422, {"pointer": "/file_2x", "detail": told, "code": "too_large"})
    most.max_upload_bytes = total
    assert (await api.http.post(path, data=IMAGE, files=sent, headers=key)).status_code == 201


async def test_an_edit_without_files_keeps_all_of_them(api: Api, enter: Enter) -> None:
    """And one with a file replaces them together, as the form says."""
    await world(api)
    person = await enter("advertiser", "acme")
    sent = {"file": ("a.png", png(), "image/png"), "file_2x": ("b.png", png(600, 500), "image/png")}
    at = (await person.post(HERE, IMAGE, files=sent)).headers["location"].partition("?")[0]
    id_ = at.rpartition("/")[2]
    for files, count in ((None, 2), ({"file": ("c.png", png(shade=7), "image/png")}, 1)):
        version = str((await api.make("GET", f"/creatives/{id_}"))["version"])
        reply = await person.post(f"{at}/edit", IMAGE | {"weight": "2", "version": version}, files=files)
        assert reply.status_code == 303, text_of(reply)
        files_now = (await api.make("GET", f"/creatives/{id_}"))["files"]
        assert len([one for one in files_now if one["type"] == "image/png"]) == count


async def test_an_edit_takes_pictures_off(api: Api, enter: Enter) -> None:
    """Boxes for those that are there and need not be."""
    await world(api)
    person = await enter("advertiser", "acme")
    two = {"file": ("a.png", png(), "image/png"), "file_2x": ("b.png", png(600, 500), "image/png")}
    for fields, files, part in ((IMAGE, two, "file_2x"), (TEXT, picture(40, 40), "file")):
        at = (await person.post(HERE, fields, files=files)).headers["location"].partition("?")[0]
        form = await person.get(f"{at}/edit")
        boxes = [one.get("value") for one in page(form).iter("input") if one.get("name") == "off"]
        assert boxes == [part]
        reply = await person.post(f"{at}/edit", fields | {"weight": "1", "version": "1", "off": part})
        assert reply.status_code == 303, text_of(reply)
        found = await api.make("GET", f"/creatives/{at.rpartition('/')[2]}")
        assert len([one for one in found["files"] if one["type"] == "image/png"]) == len(files) - 1
        assert (found["state"], found["revision"]) == ("pending", 2)


async def test_trackers_are_set_by_an_admin_alone(api: Api, enter: Enter) -> None:
    """Others have no field for them, what they send all the same is left out, and their edits keep what is set."""
    await world(api)
    said = MARKUP | {"trackers": "https://count.example/a?x=1,2\nhttps://count.example/b"}
    admin, advertiser = await enter(), await enter("advertiser", "acme")
    assert 'name="trackers"' in (await admin.get(f"{HERE}?kind=html")).text
    assert 'name="trackers"' not in (await advertiser.get(f"{HERE}?kind=html")).text
    made = []
    for person in (admin, advertiser):
        at = (await person.post(HERE, said)).headers["location"].partition("?")[0]
        made.append(at.rpartition("/")[2])
    trackers = ["https://count.example/a?x=1,2", "https://count.example/b"]
    assert [(await api.make("GET", f"/creatives/{id_}"))["trackers"] for id_ in made] == [trackers, []]
    edit = f"/console/creatives/{made[0]}/edit"
    reply = await advertiser.post(edit, said | {"html": "<b>New</b>", "weight": "1", "version": "1", "trackers": ""})
    assert reply.status_code == 303, text_of(reply)
    found = await api.make("GET", f"/creatives/{made[0]}")
    assert (found["html"], found["trackers"]) == ("<b>New</b>", trackers)
    wrong = await admin.post(HERE, said | {"trackers": "http://plain.example/"})
    assert 'id="wrong-trackers"' in wrong.text


async def test_all_problems_come_at_once_beside_their_fields(api: Api, enter: Enter) -> None:
    """In words that name the slots' sizes; what was typed stands there again, and the file's name with the wish to
    choose it again. Nothing is stored."""
    await world(api, sizes=["728x90"])
    person = await enter("advertiser", "acme")
    token = await person.csrf()
    before = await api.contents()
    said = {"kind": "image", "name": "N" * 201, "alt": "", "click_url": "javascript:alert(1)", "weight": "many"}
    reply = await person.post(HERE, said, files=picture(1200, 90), token=token)
    assert reply.status_code == 422
    document = page(reply)
    wrong = {one.get("id"): " ".join(one.itertext()) for one in document.iter("p") if one.get("class") == "wrong"}
    assert set(wrong) == {"wrong-name", "wrong-alt", "wrong-click_url", "wrong-weight", "wrong-file"}
    assert "1200x90" in wrong["wrong-file"]
    assert "728x90" in wrong["wrong-file"]
    assert 'value="javascript:alert(1)"' in reply.text
    assert 'value="many"' in reply.text
    assert "choose red-shoes.png again" in text_of(reply)
    assert await api.contents() == before


async def test_a_missing_or_strange_file_is_a_problem_of_its_field(api: Api, enter: Enter) -> None:
    """Beside what else is wrong, and alone."""
    await world(api)
    person = await enter()
    for files in (None, {"file": ("", b"", "application/octet-stream")}, {"file": ("x.png", b"<svg>", "image/png")}):
        for alt in ("Tea", ""):
            reply = await person.post(HERE, IMAGE | {"alt": alt}, files=files)
            assert reply.status_code == 422
            assert "PNG, JPEG, GIF, WebP or AVIF" in text_of(reply)
    big = b"\x89PNG\r\n\x1a\n" + bytes(6_000_000)
    reply = await person.post(HERE, IMAGE, files={"file": ("big.png", big, "image/png")})
    assert reply.status_code == 422
    assert f'value="{LANDING}"' in reply.text


async def test_an_advertiser_uploads_to_its_own_campaigns_alone(api: Api, enter: Enter) -> None:
    """Another's is not there, in whatever form the kind or campaign comes; readers may not upload."""
    await world(api)
    person = await enter("advertiser", "acme")
    other = "/console/campaigns/two/creatives/new"
    assert (await person.get(other)).status_code == 404
    before = await api.make("GET", "/creatives?campaign=two")
    assert (await person.post(other, TEXT)).status_code == 404
    foreign = {"campaign": "two", "state": "approved", "advertiser": "other"}
    assert (await person.post(HERE, TEXT | foreign)).status_code == 303
    assert await api.make("GET", "/creatives?campaign=two") == before
    assert (await api.make("GET", "/creatives?campaign=one"))["items"][0]["state"] == "pending"
    assert (await (await enter("reader")).get(HERE)).status_code == 403


async def test_a_campaign_without_slots_and_one_that_ended_say_so(api: Api, enter: Enter) -> None:
    """Before the upload, and instead of it."""
    await world(api)
    await api.make("PATCH", "/campaigns/one", {"slots": []})
    person = await enter()
    assert "books no slot yet" in text_of(await person.get(HERE))
    await api.make("DELETE", "/campaigns/one")
    reply = await person.post(HERE, TEXT)
    assert reply.status_code == 422
    assert "archived" in text_of(reply)


async def test_markup_may_have_60000_characters_and_more_of_it_is_kept(api: Api, enter: Enter) -> None:
    """The page says so before; a bit too long, in letters of four bytes and with a browser's line ends, it is told
    beside its field and stands there again."""
    await world(api, max_kb=1000)
    person = await enter("advertiser", "acme")
    assert "At most 60,000 characters" in text_of(await person.get(f"{HERE}?kind=html"))
    token = await person.csrf()
    plain = {"": ("", b"", "application/octet-stream")}
    for letter, more in (("x", 0), ("\U0001f375", 0), ("\U0001f375", 1_000)):
        markup = letter * (60_000 + more)
        reply = await person.post(HERE, MARKUP | {"html": markup}, files=plain, token=token)
        assert reply.status_code == (422 if more else 303), text_of(reply)[:300]
        if more:
            page(reply)
            assert "takes at most 60000 characters" in reply.text
            assert markup in reply.text
    assert (await person.post(HERE, MARKUP | {"html": "x" * 300_000}, files=plain, token=token)).status_code == 400


@pytest.mark.parametrize("count", [17, 30])
async def test_too_many_sizes_are_told_beside_their_field(api: Api, enter: Enter, count: int) -> None:
    """And what was typed stands there again."""
    await world(api)
    sent = [("file", ("a.png", png(), "image/png")), *[("sizes", ("b.png", b"x", "image/png"))] * count]
    reply = await (await enter()).post(HERE, IMAGE | {"alt": "Tea in tins"}, files=sent)
    assert reply.status_code == 422
    assert "takes at most 8 pictures" in text_of(reply)
    assert "Tea in tins" in reply.text


async def test_an_upload_has_its_room_until_it_is_decoded(api: Api, enter: Enter) -> None:
    """Pictures that wait for the decoder are in memory, too: who sends more meanwhile is told when to come again."""
    await world(api)
    person = await enter("advertiser", "acme")
    token, go_on, waiting = await person.csrf(), Event(), _WAITING._work_queue

    async def send() -> httpx2.Response:
        return await person.post(HERE, IMAGE, files=picture(), token=token)

    for _ in range(_WAITING._max_workers):
        _WAITING.submit(go_on.wait)
    try:
        sent = [asyncio.create_task(send()) for _ in range(UPLOADS_OF_ONE)]
        while waiting.qsize() < UPLOADS_OF_ONE:  # noqa: ASYNC110 - a queue of threads, which tells nobody
            await asyncio.sleep(0.01)
        late = asyncio.create_task(send())
        while not late.done() and waiting.qsize() == UPLOADS_OF_ONE:  # noqa: ASYNC110 - the same
            await asyncio.sleep(0.01)
    finally:
        go_on.set()
    assert [(await one).status_code for one in sent] == [303] * UPLOADS_OF_ONE
    refused = await late
    assert (refused.status_code, refused.headers.get("retry-after")) == (429, "2")
    assert (await send()).status_code == 303
