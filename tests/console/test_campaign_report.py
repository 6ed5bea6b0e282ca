"""A campaign's report page, its share links, and the page behind one."""

from __future__ import annotations

import re

import pytest

from adserve.web.console.cookies import SESSION, VISIT
from tests.conftest import Api, Clock
from tests.console.conftest import Enter, Person, page
from tests.console.reading import Reading
from tests.console.test_reports import HOSTILE, rows
from tests.flows.test_delivery import DAY, TODAY, day, put

REPORT = "/console/campaigns/one/report"


@pytest.fixture
async def world(api: Api) -> Api:
    """A campaign that is behind its plan, and one of somebody else."""
    await api.world()
    await api.make("PUT", "/advertisers/other", {"name": "Other"})
    price = {"model": "cpm", "amount": "2.50", "currency": "INR"}
    await api.creative("one", starts=day(-4), ends=day(6), goal={"impressions": 10_000}, price=price)
    await api.creative("two", advertiser="other")
    await put(api, TODAY - DAY, 900, clicks=9)
    await put(api, TODAY, 77, campaign="two")
    return api


async def made(person: Person, **form: str) -> str:
    """The path of a new share link."""
    reply = await person.post(f"{REPORT}/links", {"days": "90", **form}, token=await person.csrf(REPORT))
    assert reply.status_code == 200, reply.text
    found = re.search(r'<code id="made">http://localhost:8000(/share/[\w-]+)</code>', reply.text)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("role", ["admin", "reader", "advertiser"])
async def test_it_shows_delivery_beside_the_plan(world: Api, enter: Enter, role: str) -> None:
    """In words, as a chart with a name, and by day."""
    reply = await (await enter(role, "acme" if role == "advertiser" else None)).get(REPORT)
    document = page(reply)
    text = " ".join("".join(document.itertext()).split())
    assert "behind plan" in text
    assert "900 delivered" in text
    assert "impressions planned" in text
    assert rows(document) == [
        ["2027-01-14", "900", "0", "9", "1.00 %", "0.00 %"], ["Total", "900", "0", "9", "1.00 %", "0.00 %"],
    ]  # fmt: skip
    assert 'role="img"' in reply.text
    assert "style=" not in reply.text


async def test_another_advertisers_campaign_is_not_there(world: Api, enter: Enter) -> None:
    """Nor are its links: all of it answers as what does not exist."""
    person = await enter("advertiser", "other")
    for path in (REPORT, "/console/campaigns/none/report"):
        assert (await person.get(path)).status_code == 404
    token = await person.csrf("/console/")
    for path in (f"{REPORT}/links", f"{REPORT}/links/l-1/revoke"):
        assert (await person.post(path, {"days": "1"}, token=token)).status_code == 404


async def test_a_link_opens_without_an_account(world: Api, enter: Enter) -> None:
    """It sets no cookie, is in no index, sends no referrer, and shows that campaign without money."""
    path = await made(await enter("advertiser", "acme"), note="For the agency")
    stranger = Person(world)
    reply = await stranger.get(path)
    assert reply.status_code == 200
    text = " ".join("".join(page(reply).itertext()).split())
    assert "behind plan" in text
    assert "900" in text
    assert not {"INR", "Revenue", "eCPM", "2.50"} & {*text.split()}
    assert "two" not in text.split()
    assert "set-cookie" not in reply.headers
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert "noindex" in reply.headers["x-robots-tag"]
    assert reply.headers["cache-control"] == "no-store"
    assert "script" not in reply.text
    assert "/console/" not in {link.get("href") for link in page(reply).iter("a")}
    export = await stranger.get(f"{path}?format=csv")
    assert export.text.splitlines()[1].startswith("2027-01-14,900,0,9,")


async def test_it_tells_nobody_who_is_signed_in_more(world: Api, enter: Enter) -> None:
    """An admin sees by it what a stranger sees."""
    admin = await enter()
    path = await made(admin)
    assert (await admin.get(path)).text == (await Person(world).get(path)).text
    assert {*admin.cookies} <= {SESSION, VISIT}


async def test_a_wrong_ended_or_revoked_link_says_the_same(world: Api, enter: Enter, clock: Clock) -> None:
    """With the same page and headers."""
    owner = await enter("advertiser", "acme")
    brief, revoked, lasting = await made(owner, days="1"), await made(owner), await made(owner, days="")
    page_ = (await owner.get(REPORT)).text
    ids = re.findall(r"links/(l-[0-9a-f]+)/revoke", page_)
    assert len(ids) == 3
    found = await world.held.services.shares.find(revoked.rpartition("/")[2])
    assert found is not None
    wanted = found.id
    reply = await owner.post(f"{REPORT}/links/{wanted}/revoke", {}, token=await owner.csrf(REPORT))
    assert reply.status_code == 303
    clock.now += DAY
    stranger = Person(world)
    answers = [await stranger.get(path) for path in (brief, revoked, "/share/nothing", f"/share/{'x' * 43}")]
    assert {reply.status_code for reply in answers} == {404}
    assert len({reply.text for reply in answers}) == 1
    assert (await stranger.get(lasting)).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_nothing_can_be_done_by_a_link(world: Api, enter: Enter, method: str) -> None:
    """It is read and nothing else; a HEAD says what a GET would."""
    path = await made(await enter())
    before = await world.contents()
    reply = await Person(world).call(method, path, data={"x": "1"})
    assert (reply.status_code, reply.headers["allow"]) == (405, "GET, HEAD")
    assert (await Person(world).call("HEAD", path)).status_code == 200
    assert await world.contents() == before


async def test_what_is_wrong_with_a_link_is_told_beside_its_field(world: Api, enter: Enter) -> None:
    """And what was typed stays."""
    owner = await enter("advertiser", "acme")
    token = await owner.csrf(REPORT)
    for days in ("0", "-1", "9999", "soon", "1.5"):
        reply = await owner.post(f"{REPORT}/links", {"days": days, "note": "Zoë's"}, token=token)
        assert reply.status_code == 422
        fields = {one.get("name"): one.get("value") for one in page(reply).iter("input")}
        assert (fields["days"], fields["note"]) == (days, "Zoë's")
        assert 'id="wrong-days"' in reply.text
    assert await world.held.services.shares.of("one") == []


async def test_the_next_link_ends_as_the_first_does(world: Api, enter: Enter) -> None:
    """The page that shows a link has the form with what is usual in it again."""
    owner = await enter()
    for _ in range(2):
        reply = await owner.post(f"{REPORT}/links", {"days": "7", "note": "Ann"}, token=await owner.csrf(REPORT))
        shown = Reading(reply)
        assert (reply.status_code, shown.field("days"), shown.field("note")) == (200, "90", "")


async def test_stored_text_is_text_on_both_pages(world: Api, enter: Enter) -> None:
    """Names, notes: none becomes markup."""
    await world.make("PATCH", "/campaigns/one", {"name": HOSTILE})
    await world.make("PATCH", "/advertisers/acme", {"name": HOSTILE})
    owner = await enter("advertiser", "acme")
    path = await made(owner, note=HOSTILE)
    for reply in (await owner.get(REPORT), await Person(world).get(path)):
        page(reply)
        assert "XSS1" in reply.text
        assert "<img" not in reply.text


async def test_a_reader_makes_no_links(world: Api, enter: Enter) -> None:
    """The form is not there, and sending it is refused."""
    person = await enter("reader")
    assert "Share links" not in (await person.get(REPORT)).text
    reply = await person.post(f"{REPORT}/links", {"days": "1"}, token=await person.csrf("/console/"))
    assert reply.status_code == 403


async def test_links_are_a_file_without_secrets(world: Api, enter: Enter) -> None:
    """Who made which for whom, and until when it opens."""
    owner = await enter("advertiser", "acme")
    path = await made(owner, note="=Agency")
    reply = await owner.get(f"{REPORT}?table=links&format=csv")
    assert "'=Agency,2027-01-15,until 2027-04-15," in reply.text
    assert path.rpartition("/")[2] not in reply.text
