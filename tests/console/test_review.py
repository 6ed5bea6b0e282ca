"""Review at the console: the oldest first, a decision is about what was looked at, and the next one comes."""

from __future__ import annotations

import re

import httpx2
import pytest

from tests.conftest import Api
from tests.console.conftest import Enter, Person, page
from tests.console.making import IMAGE, MARKUP, TEXT, make, state, text_of, world

LOOKED_AT = re.compile(r'type="hidden" name="(hash|version|state)" value="(\w+)"')


async def seen(person: Person, id_: str) -> dict[str, str]:
    """What the forms of a review page say that was looked at."""
    reply = await person.get(f"/console/review/{id_}")
    assert reply.status_code == 200
    page(reply)
    return looked_at(reply)


def looked_at(reply: httpx2.Response) -> dict[str, str]:
    found = dict(LOOKED_AT.findall(reply.text))
    assert {*found} == {"hash", "version", "state"}
    return found


async def test_the_queue_has_the_oldest_first_and_says_how_many_wait(api: Api, enter: Enter) -> None:
    """A revision that came later waits behind, whenever its creative was made; the number stands in the navigation."""
    await world(api)
    first = await make(api, TEXT | {"name": "First"}, approve=True)
    for name in ("Second", "Third"):
        await make(api, TEXT | {"name": name}, "two")
    await api.make("PATCH", f"/creatives/{first}", {"title": "Newer"})
    reply = await (await enter("reviewer")).get("/console/review")
    page(reply)
    said = text_of(reply)
    assert said.index("Second") < said.index("Third") < said.index("First")
    assert '<span class="count">3</span>' in reply.text
    nobody = await (await enter("advertiser", "acme")).get("/console/creatives")
    assert 'class="count"' not in nobody.text


async def test_decisions_lead_through_the_queue(api: Api, enter: Enter) -> None:
    """To the next one, at its end to what is left, then to the empty queue."""
    await world(api)
    ids = [await make(api, fields) for fields in (IMAGE, TEXT, MARKUP)]
    person = await enter("reviewer")
    for id_, action, following in (
        (ids[1], "approve", f"/console/review/{ids[2]}?done=approved"),
        (ids[2], "reject", f"/console/review/{ids[0]}?done=rejected"),
        (ids[0], "approve", "/console/review?done=approved"),
    ):
        said = {**await seen(person, id_), "chosen": "unreadable"}
        reply = await person.post(f"/console/review/{id_}/{action}", said)
        assert (reply.status_code, reply.headers["location"]) == (303, following)
    assert [(await state(api, id_))[0] for id_ in ids] == ["approved", "approved", "rejected"]
    assert "Nothing waits for review" in text_of(await person.get("/console/review"))


async def test_only_what_was_looked_at_is_approved(api: Api, enter: Enter) -> None:
    """What came in after the look is shown instead, with the reason; nothing is decided. Nor without saying what it is
    about."""
    await world(api)
    id_ = await make(api, TEXT)
    person = await enter("reviewer")
    old = await seen(person, id_)
    await api.make("PATCH", f"/creatives/{id_}", {"title": "Came later"})
    for action in ("approve", "reject"):
        for said in (old, {**old, "hash": ""}, {}, {**old, "hash": "0" * 64}, {**old, "version": ""}):
            reply = await person.post(f"/console/review/{id_}/{action}", {**said, "reason": "No"})
            assert reply.status_code == 409, (action, said)
            assert "changed after you looked at it" in text_of(reply)
            assert "Came later" in text_of(reply)
            assert await state(api, id_) == ("pending", 2, None)
    assert (await person.post(f"/console/review/{id_}/approve", looked_at(reply))).status_code == 303
    assert await state(api, id_) == ("approved", 2, 2)


@pytest.mark.parametrize("second", ["approve", "reject"])
@pytest.mark.parametrize("first", ["approve", "reject"])
async def test_who_comes_second_is_told_what_was_decided(api: Api, enter: Enter, first: str, second: str) -> None:
    """And their decision takes nothing back, whether the lifecycle had it or not; who sees what was decided may."""
    await world(api)
    id_ = await make(api, TEXT)
    person, other = await enter("reviewer"), await enter("reviewer")
    stale, at = await seen(person, id_), f"/console/review/{id_}"
    await other.post(f"{at}/{first}", {**await seen(other, id_), "reason": "It hurts"})
    before = await api.make("GET", f"/creatives/{id_}")
    reply = await person.post(f"{at}/{second}", {**stale, "reason": "No"})
    assert reply.status_code == 409
    words = {"approve": "it is approved.", "reject": "it is rejected, because: It hurts."}[first]
    assert f"Somebody else decided about it meanwhile, so you did not: {words}" in text_of(reply)
    assert await api.make("GET", f"/creatives/{id_}") == before
    if first != second:
        assert (await person.post(f"{at}/{second}", {**looked_at(reply), "reason": "No"})).status_code == 303
        assert (await state(api, id_))[0] == {"approve": "approved", "reject": "rejected"}[second]


async def test_a_decision_is_about_all_that_was_looked_at(api: Api, enter: Enter) -> None:
    """Dates and weight stand on the pages too: what changed of them is looked at first, without anybody's decision."""
    await world(api)
    id_ = await make(api, TEXT)
    person = await enter("reviewer")
    stale = await seen(person, id_)
    await api.make("PATCH", f"/creatives/{id_}", {"weight": 7})
    reply = await person.post(f"/console/review/{id_}/approve", stale)
    assert reply.status_code == 409
    assert "changed after you looked at it" in text_of(reply)
    assert await state(api, id_) == ("pending", 1, None)


async def test_what_was_decided_before_stays_in_the_trail(api: Api, enter: Enter) -> None:
    """A rejection that somebody overrules on purpose is shown with its reason, to reviewers and to the owner."""
    await world(api)
    id_ = await make(api, TEXT)
    person = await enter("reviewer")
    for action in ("reject", "approve", "reject"):
        said = {**await seen(person, id_), "reason": f"Reason {action} {await state(api, id_)}"}
        assert (await person.post(f"/console/review/{id_}/{action}", said)).status_code == 303
    shown = text_of(await person.get(f"/console/review/{id_}"))
    assert shown.count("Reason reject ('pending', 1, None)") == 1
    assert "which says the same as the newest" in shown
    owner = text_of(await (await enter("advertiser", "acme")).get(f"/console/creatives/{id_}"))
    parts = [owner.rindex(words) for words in ("('approved', 1, 1)", "approved 20", "('pending', 1, None)")]
    assert parts == sorted(parts)


async def test_a_rejected_creative_that_comes_back_says_so(api: Api, enter: Enter) -> None:
    """Out of the archive, and as a newer revision with other words: why it was rejected stands before everybody."""
    await world(api)
    id_ = await make(api, TEXT)
    person, owner = await enter("reviewer"), await enter("advertiser", "acme")
    pages = ((person, f"/console/review/{id_}"), (owner, f"/console/creatives/{id_}"))
    for one, path in pages:
        assert "rejected before" not in text_of(await one.get(path))
    await person.post(f"/console/review/{id_}/reject", {**await seen(person, id_), "reason": "It hurts"})
    await owner.post(f"/console/creatives/{id_}/archive")
    await owner.post(f"/console/creatives/{id_}/unarchive")
    assert await state(api, id_) == ("pending", 1, None)
    for one, path in pages:
        said = text_of(await one.get(path))
        assert "It was rejected before. Revision 1, which says the same as the newest" in said
        assert "It hurts" in said[: said.index("How it looks")]
    await api.make("PATCH", f"/creatives/{id_}", {"title": "Softer"})
    said = text_of(await person.get(f"/console/review/{id_}"))
    assert "It was rejected before. Revision 1, 20" in said


async def test_a_rejection_says_why(api: Api, enter: Enter) -> None:
    """In words of the list, own ones, or both; without any nothing is rejected and what was typed stays."""
    await world(api)
    person = await enter("reviewer")
    for said, reason in (
        ({"chosen": "rights"}, "It uses names"),
        ({"reason": "The colours hurt"}, "The colours hurt"),
        ({"chosen": "legal", "reason": "See § 5"}, "lacks a notice that the law asks for. See § 5"),
    ):
        id_ = await make(api, TEXT)
        reply = await person.post(f"/console/review/{id_}/reject", {**await seen(person, id_), **said})
        assert reply.status_code == 303
        assert reason in (await api.make("GET", f"/creatives/{id_}"))["reason"]
        advertiser = await (await enter("advertiser", "acme")).get(f"/console/creatives/{id_}")
        assert reason in text_of(advertiser)
    id_ = await make(api, TEXT)
    looked = await seen(person, id_)
    for said in ({}, {"reason": " "}, {"chosen": "invented"}, {"reason": "long " * 200}):
        reply = await person.post(f"/console/review/{id_}/reject", {**looked, **said})
        assert reply.status_code == 422
        assert 'id="wrong-reason"' in reply.text
        assert said.get("reason", "").strip() in reply.text
    assert await state(api, id_) == ("pending", 1, None)


async def test_an_address_that_deceives_is_marked(api: Api, enter: Enter) -> None:
    """Both spellings of the host and what is wrong with it, before anybody approves."""
    await world(api)
    id_ = await make(api, TEXT | {"click_url": "https://\u0430\u0440\u0440\u04cf\u0435.com/"})
    said = text_of(await (await enter("reviewer")).get(f"/console/review/{id_}"))
    assert "xn--80ak6aa92e.com" in said
    assert "\u0430\u0440\u0440\u04cf\u0435.com" in said
    assert "imitate “apple”" in said


async def test_a_new_revision_stands_beside_the_one_that_serves(api: Api, enter: Enter) -> None:
    """Pictures of both, the words that changed, who sent it and whose it is."""
    await world(api)
    id_ = await make(api, IMAGE, approve=True)
    sender = await enter("advertiser", "acme")
    form = await sender.get(f"/console/creatives/{id_}/edit")
    version = re.search(r'name="version" value="(\d+)"', form.text)
    assert version is not None
    assert sender.user is not None
    said = {"name": "p", "alt": "Coffee", "click_url": "https://shop.example/coffee", "version": version[1]}
    await sender.post(f"/console/creatives/{id_}/edit", said)
    reply = await (await enter("reviewer")).get(f"/console/review/{id_}")
    page(reply)
    assert "<del>Tea</del><ins>Coffee</ins>" in reply.text
    assert "https://shop.example/<del>tea</del><ins>coffee</ins>" in reply.text
    assert reply.text.count('<p class="whole"><img src="/m/') == 2
    assert f"by {sender.user.name}" in text_of(reply)
    assert "Acme" in text_of(reply)


async def test_who_may_only_read_decides_nothing(api: Api, enter: Enter) -> None:
    """A reader sees the queue without buttons; an advertiser sees none of it."""
    await world(api)
    id_ = await make(api, TEXT)
    reader, advertiser = await enter("reader"), await enter("advertiser", "acme")
    shown = await reader.get(f"/console/review/{id_}")
    assert shown.status_code == 200
    assert "approve" not in shown.text
    for person in (reader, advertiser):
        for action in ("approve", "reject"):
            assert (await person.post(f"/console/review/{id_}/{action}", {"reason": "x"})).status_code == 403
    for path in ("/console/review", f"/console/review/{id_}"):
        assert (await advertiser.get(path)).status_code == 403
    assert await state(api, id_) == ("pending", 1, None)


async def test_an_approved_creative_can_still_be_rejected(api: Api, enter: Enter) -> None:
    """From its page, without waiting for a new revision; it is off the page at once."""
    await world(api)
    id_ = await make(api, TEXT, approve=True)
    person = await enter("reviewer")
    assert f"/console/review/{id_}" in (await person.get(f"/console/creatives/{id_}")).text
    assert "Approve revision" not in (await person.get(f"/console/review/{id_}")).text
    await person.post(f"/console/review/{id_}/reject", {**await seen(person, id_), "reason": "Complaints"})
    assert await state(api, id_) == ("rejected", 1, None)
    assert not (await api.decide())["filled"]
