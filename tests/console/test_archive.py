"""Campaigns are cloned, archived with their creatives, and taken back."""

from __future__ import annotations

from typing import Any

from tests.conftest import Api
from tests.console.conftest import Enter
from tests.console.reading import Reading

ONE = "/console/campaigns/one"


async def states(api: Api, campaign: str = "one") -> dict[str, str]:
    """Of a campaign's creatives."""
    found = (await api.call("GET", f"/creatives?campaign={campaign}")).json()["items"]
    return {one["id"]: one["state"] for one in found}


async def text(api: Api, title: str, approve: str = "true") -> str:
    body = {"kind": "text", "name": title, "title": title, "click_url": "https://shop.example/"}
    made = await api.make("POST", f"/campaigns/one/creatives?approve={approve}", body)
    return str(made["id"])


async def test_an_undo_brings_back_what_was_archived_together(api: Api, enter: Enter) -> None:
    """The campaign as it was; its creatives to review, the rejected one as rejected, and none that was archived
    before."""
    await api.world()
    served = await api.creative("one")
    rejected, before = await text(api, "Rejected"), await text(api, "Before")
    await api.call("POST", f"/creatives/{rejected}/reject", {"reason": "Too loud"})
    await api.call("DELETE", f"/creatives/{before}")
    person = await enter()
    asked = Reading(await person.get(f"{ONE}/archive"))
    assert "t (approved)" in asked.words
    assert "Before" not in asked.words
    gone = await person.post(f"{ONE}/archive", {"together": "1", "version": asked.field("version")})
    assert gone.headers["location"] == f"{ONE}?done=archived&was=active"
    assert set((await states(api)).values()) == {"archived"}
    assert not (await api.decide())["filled"]
    shown = Reading(await person.get(gone.headers["location"]))
    assert "Archived. Undo" in shown.words
    back = await person.post(f"{ONE}/unarchive", {"was": shown.field("was")})
    assert back.headers["location"] == f"{ONE}?done=restored"
    assert (await api.call("GET", "/campaigns/one")).json()["state"] == "active"
    assert await states(api) == {served: "pending", rejected: "rejected", before: "archived"}
    assert (await api.call("GET", f"/creatives/{rejected}")).json()["reason"] == "Too loud"
    assert not (await api.decide())["filled"], "nobody has reviewed it since"
    await api.call("POST", f"/creatives/{served}/approve")
    assert (await api.decide())["filled"]


async def test_an_undo_starts_no_campaign_that_was_paused(api: Api, enter: Enter) -> None:
    """Nor does whoever takes an old one into use again."""
    await api.world()
    await api.creative("one", state="paused")
    person = await enter()
    for was in (None, "paused"):
        await person.post(f"{ONE}/archive", {"together": "1"})
        await person.post(f"{ONE}/unarchive", {"was": was} if was else {})
        assert (await api.call("GET", "/campaigns/one")).json()["state"] == "paused"


async def test_a_creative_that_came_meanwhile_is_not_archived_unseen(api: Api, enter: Enter) -> None:
    """The page said that there are none: the form is shown again, and says which is there."""
    await api.world()
    await api.make("PUT", "/campaigns/one", {"advertiser": "acme", "name": "one", "slots": ["news/*"]})
    person = await enter()
    assert not Reading(await person.get(f"{ONE}/archive")).has("together")
    late = await text(api, "Late")
    refused = await person.post(f"{ONE}/archive", {})
    assert refused.status_code == 422
    assert f"the creative {late} is still in use" in Reading(refused).words
    assert (await api.call("GET", "/campaigns/one")).json()["state"] == "active"


async def test_an_older_state_is_not_archived(api: Api, enter: Enter) -> None:
    """Somebody changed it meanwhile: nothing of it goes."""
    await api.world()
    await api.creative("one")
    person = await enter()
    asked = Reading(await person.get(f"{ONE}/archive"))
    await api.call("PATCH", "/campaigns/one", {"weight": 5})
    refused = await person.post(f"{ONE}/archive", {"together": "1", "version": asked.field("version")})
    assert refused.status_code == 422
    assert set((await states(api)).values()) == {"approved"}


async def test_every_step_stands_in_the_audit(api: Api, enter: Enter) -> None:
    """Who archived and who brought back, of the campaign and of its creative."""
    await api.world()
    made = await api.creative("one")
    person = await enter()
    assert person.user is not None
    await person.post(f"{ONE}/archive", {"together": "1"})
    await person.post(f"{ONE}/unarchive", {"was": "active"})
    lines = (await api.call("GET", f"/audit?actor={person.user.id}")).json()["items"]
    found = [(one["what"], one["action"]) for one in reversed(lines) if one["what"].startswith(("camp", "crea"))]
    assert found == [
        (f"creative:{made}", "archive"),
        ("campaign:one", "archive"),
        ("campaign:one", "replace"),
        (f"creative:{made}", "unarchive"),
    ]


async def test_a_clone_says_the_same_and_waits(api: Api, enter: Enter) -> None:
    """Every member but id, name and state; its creatives as new ones that wait for review, each with one revision."""
    await api.world()
    more: dict[str, Any] = {"goal": {"impressions": 500}, "ends": "2027-06-01"}
    more["target"] = {"labels": {"any": ["tea"]}}
    more["price"] = {"model": "flat", "amount": "99.00", "currency": "INR"}
    served = await api.creative("one", **more)
    archived = await text(api, "Gone")
    await api.call("DELETE", f"/creatives/{archived}")
    person = await enter()
    form = Reading(await person.get(f"{ONE}/clone"))
    assert (form.field("name"), form.field("id")) == ("one (copy)", "one-copy")
    made = await person.post(f"{ONE}/clone", {"name": "Second", "id": "second", "creatives": "1"})
    assert made.headers["location"] == "/console/campaigns/second?done=cloned"
    source, copy = [(await api.call("GET", f"/campaigns/{one}")).json() for one in ("one", "second")]
    own = {"id": "second", "name": "Second", "state": "paused", "version": 1}
    assert copy == {**source, **own}
    (copied,) = await states(api, "second")
    assert copied not in (served, archived)
    one, other = [(await api.call("GET", f"/creatives/{id_}")).json() for id_ in (served, copied)]
    same = ("name", "kind", "title", "body", "click_url", "weight")
    assert {name: one[name] for name in same} == {name: other[name] for name in same}
    assert (other["state"], other["revision"], other["live_revision"]) == ("pending", 1, None)
    revisions = (await api.call("GET", f"/creatives/{copied}/revisions")).json()["items"]
    assert [each["revision"] for each in revisions] == [1]
    assert await states(api) == {served: "approved", archived: "archived"}


async def test_a_clone_overwrites_nothing_and_takes_no_creatives_unasked(api: Api, enter: Enter) -> None:
    await api.world()
    await api.creative("one")
    person = await enter()
    refused = Reading(await person.post(f"{ONE}/clone", {"name": "Mine", "id": "one"}))
    assert "taken" in refused.wrong("id")
    assert refused.field("name") == "Mine"
    assert Reading(await person.post(f"{ONE}/clone", {"name": "", "id": "x"})).wrong("name")
    await person.post(f"{ONE}/clone", {"name": "Bare", "id": ""})
    assert await states(api, "bare") == {}


async def test_an_advertiser_is_archived_when_its_campaigns_are(api: Api, enter: Enter) -> None:
    """And comes back by the undo; its campaigns stay where they are."""
    await api.world()
    await api.creative("one")
    person = await enter()
    page = "/console/advertisers/acme"
    assert f"{page}/archive" not in Reading(await person.get(page)).actions
    await person.post(f"{ONE}/archive", {"together": "1"})
    gone = await person.post(f"{page}/archive")
    shown = Reading(await person.get(gone.headers["location"]))
    assert "Archived. Undo" in shown.words
    refused = await person.post(f"{ONE}/unarchive", {"was": "active"})
    assert refused.status_code == 409
    assert "the advertiser is archived" in refused.text
    await person.post(f"{page}/unarchive", {"was": shown.field("was")})
    assert (await api.call("GET", "/advertisers/acme")).json()["state"] == "active"
    assert (await api.call("GET", "/campaigns/one")).json()["state"] == "archived"


async def test_an_advertiser_is_made_and_changed(api: Api, enter: Enter) -> None:
    """With an id of its name, and the list of its campaigns."""
    await api.world()
    await api.creative("one")
    person = await enter()
    made = await person.post("/console/advertisers/new", {"name": "Kettle & Fern", "categories": "food\nTea"})
    assert made.headers["location"] == "/console/advertisers/kettle-fern?done=created"
    assert (await api.call("GET", "/advertisers/kettle-fern")).json()["categories"] == ["food", "tea"]
    refused = Reading(await person.post("/console/advertisers/new", {"name": "", "id": "A"}))
    assert refused.wrong("name")
    assert refused.wrong("id")
    await person.post("/console/advertisers/kettle-fern/edit", {"name": "Kettle", "categories": ""})
    assert (await api.call("GET", "/advertisers/kettle-fern")).json()["categories"] == []
    shown = Reading(await person.get("/console/advertisers/acme"))
    assert shown.links["one"] == "/console/campaigns/one"
    await enter("advertiser", "acme")
    shown = Reading(await person.get("/console/advertisers/acme"))
    assert any(href.startswith("/console/users/u-") for href in shown.links.values())
    invited = Reading(await person.get(shown.links["Invite somebody"]))
    assert (invited.field("role"), invited.field("advertiser")) == ("advertiser", "acme")
    assert "People" not in Reading(await (await enter("reader")).get("/console/advertisers/acme")).words
    assert (await person.get("/console/advertisers?format=csv")).text.splitlines()[1] == "Acme,acme,,1,active"


async def test_a_creative_that_is_archived_comes_back_to_review(api: Api, enter: Enter) -> None:
    """By the undo, also an advertiser's own; never as what serves, and not another's."""
    await api.world()
    made = await api.creative("one")
    page = f"/console/creatives/{made}"
    person = await enter("advertiser", "acme")
    gone = await person.post(f"{page}/archive")
    shown = Reading(await person.get(gone.headers["location"]))
    assert "Archived. Undo" in shown.words
    back = await person.post(f"{page}/unarchive")
    assert back.headers["location"] == f"{page}?done=sent"
    assert await states(api) == {made: "pending"}
    assert not (await api.decide())["filled"]
    assert (await person.post(f"{page}/unarchive")).status_code == 409
    await api.make("PUT", "/advertisers/rival", {"name": "Rival"})
    assert (await (await enter("advertiser", "rival")).post(f"{page}/unarchive")).status_code == 404
    await person.post(f"{page}/archive")
    await api.call("DELETE", "/campaigns/one")
    refused = await person.post(f"{page}/unarchive")
    assert refused.status_code == 409
    assert "the campaign is archived" in refused.text
