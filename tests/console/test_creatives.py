"""Creatives at the console: found, looked at, stopped, changed and brought back."""

from __future__ import annotations

from tests.conftest import Api
from tests.console.conftest import Enter, page
from tests.console.making import IMAGE, LANDING, TEXT, make, png, state, text_of, world


async def test_the_list_is_filtered_and_exported(api: Api, enter: Enter) -> None:
    """By state, kind, campaign and advertiser; the export has the same rows."""
    await world(api)
    await make(api, IMAGE | {"name": "Green picture"}, approve=True)
    await make(api, TEXT | {"name": "Loose words"})
    await make(api, TEXT | {"name": "Words of others"}, "two", approve=True)
    person = await enter()
    for query, found in (
        ("", {"Green picture", "Loose words", "Words of others"}),
        ("?state=pending", {"Loose words"}),
        ("?state=serving", {"Green picture", "Words of others"}),
        ("?kind=text", {"Loose words", "Words of others"}),
        ("?campaign=two", {"Words of others"}),
        ("?advertiser=acme&kind=image", {"Green picture"}),
        ("?state=archived", set()),
        ("?page=9", set()),
        ("?page=x", {"Green picture", "Loose words", "Words of others"}),
    ):
        reply = await person.get(f"/console/creatives{query}")
        page(reply)
        said = text_of(reply)
        assert {name for name in ("Green picture", "Loose words", "Words of others") if name in said} == found, query
    csv = await person.get("/console/creatives?kind=text&format=csv")
    assert csv.headers["content-type"].startswith("text/csv")
    assert [line.split(",")[0] for line in csv.text.splitlines()] == ["Creative", "Words of others", "Loose words"]


async def test_an_advertiser_sees_its_own_and_no_button_that_is_not_its(api: Api, enter: Enter) -> None:
    """Pausing and changing, but no review; names of the publisher's people stay with the publisher."""
    await world(api)
    id_ = await make(api, TEXT, approve=True)
    await make(api, TEXT | {"name": "Of others"}, "two")
    person = await enter("advertiser", "acme")
    assert "Of others" not in (await person.get("/console/creatives")).text
    shown = await person.get(f"/console/creatives/{id_}")
    page(shown)
    assert f"/console/creatives/{id_}/pause" in shown.text
    assert "/console/review" not in shown.text
    assert "the publisher" in text_of(shown)
    reader = await (await enter("reader")).get(f"/console/creatives/{id_}")
    assert "<form" not in reader.text.partition("<main")[2]


async def test_a_creative_is_stopped_and_goes_on(api: Api, enter: Enter) -> None:
    """Each button does what it says and is there only where it can; what cannot be done says so."""
    await world(api)
    id_ = await make(api, TEXT, approve=True)
    person = await enter("advertiser", "acme")
    at = f"/console/creatives/{id_}"
    for action, then in (("pause", "paused"), ("resume", "approved"), ("archive", "archived")):
        assert f"{at}/{action}" in (await person.get(at)).text
        reply = await person.post(f"{at}/{action}")
        assert (reply.status_code, reply.headers["location"].partition("?")[0]) == (303, at)
        assert (await state(api, id_))[0] == then
        assert (await api.decide())["filled"] is (then == "approved")
    again = await person.post(f"{at}/pause")
    assert again.status_code == 409
    assert "cannot be moved" in again.text


async def test_an_archive_is_undone_by_review(api: Api, enter: Enter) -> None:
    """At once by a button beside the word, later by one on the page; nothing serves until somebody approves it, and
    not under a campaign that is out of use."""
    await world(api)
    id_ = await make(api, TEXT, approve=True)
    person = await enter("advertiser", "acme")
    at = f"/console/creatives/{id_}"
    done = (await person.post(f"{at}/archive")).headers["location"]
    assert ">Undo</button>" in (await person.get(done)).text
    assert ">Undo</button>" not in (await person.get(at)).text
    await api.make("DELETE", "/campaigns/one")
    assert (await person.post(f"{at}/unarchive")).status_code == 409
    await api.make("PATCH", "/campaigns/one", {"state": "active"})
    assert (await person.post(f"{at}/unarchive")).headers["location"] == f"{at}?done=sent"
    assert await state(api, id_) == ("pending", 1, None)
    assert not (await api.decide())["filled"]
    assert (await person.post(f"{at}/unarchive")).status_code == 409


async def test_a_change_of_content_waits_and_the_rest_does_not(api: Api, enter: Enter) -> None:
    """The old revision serves until the new one is approved, and the form says so beforehand."""
    await world(api)
    id_ = await make(api, IMAGE, approve=True)
    person = await enter("advertiser", "acme")
    at = f"/console/creatives/{id_}"
    form = await person.get(f"{at}/edit")
    assert "serves until that is approved" in text_of(form)
    said = {"name": "Another name", "weight": "7", "alt": "Tea", "click_url": LANDING, "version": "1"}
    reply = await person.post(f"{at}/edit", said | {"version": "2"})
    assert reply.headers["location"].endswith("?done=saved"), reply.text
    assert await state(api, id_) == ("approved", 1, 1)
    version = str((await api.make("GET", f"/creatives/{id_}"))["version"])
    files = {"file": ("new.png", png(shade=10), "image/png")}
    reply = await person.post(f"{at}/edit", said | {"alt": "Coffee", "version": version}, files=files)
    assert reply.headers["location"].endswith("?done=sent")
    assert await state(api, id_) == ("pending", 2, 1)
    found = await api.make("GET", f"/creatives/{id_}")
    assert (found["name"], found["weight"], found["alt"]) == ("Another name", 7, "Coffee")


async def test_a_stale_form_overwrites_nothing(api: Api, enter: Enter) -> None:
    """What came meanwhile stays, and what was typed stands in the form again."""
    await world(api)
    id_ = await make(api, TEXT)
    await api.make("PATCH", f"/creatives/{id_}", {"title": "Theirs"})
    said = {"name": "words", "title": "Mine", "body": "", "click_url": LANDING, "weight": "1", "version": "1"}
    reply = await (await enter()).post(f"/console/creatives/{id_}/edit", said)
    assert reply.status_code == 422
    assert 'value="Mine"' in reply.text
    assert "changed this meanwhile" in text_of(reply)
    assert (await api.make("GET", f"/creatives/{id_}"))["title"] == "Theirs"


async def test_an_old_revision_comes_back_through_review(api: Api, enter: Enter) -> None:
    """Its page shows what differs from the one that serves, and restoring makes a new one that waits."""
    await world(api)
    id_ = await make(api, TEXT | {"title": "Green tea"}, approve=True)
    await api.make("PATCH", f"/creatives/{id_}", {"title": "Black tea"})
    await api.make("POST", f"/creatives/{id_}/approve")
    person = await enter("advertiser", "acme")
    at = f"/console/creatives/{id_}/revisions"
    shown = await person.get(f"{at}/1")
    page(shown)
    assert "<del>Black</del><ins>Green</ins> tea" in shown.text
    assert f"{at}/1/restore" in shown.text
    assert "restore" not in (await person.get(f"{at}/2")).text
    reply = await person.post(f"{at}/1/restore")
    assert reply.headers["location"].endswith("?done=sent")
    assert await state(api, id_) == ("pending", 3, 2)
    assert (await person.post(f"{at}/2/restore")).status_code == 409
    assert (await person.get(f"{at}/9")).status_code == 404
