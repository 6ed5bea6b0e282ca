"""Share links: one campaign's report for whoever has the secret, until it ends or is revoked."""

from __future__ import annotations

from typing import Any

import pytest

from adserve.core.access import OPERATOR, Account
from adserve.errors import Conflict, Forbidden, Invalid, NotFound
from adserve.flows.access import read_audit
from adserve.flows.report import roll_up_old
from adserve.flows.share import make_share, open_share, revoke_share, shares_of
from adserve.store import shares
from tests.conftest import Api, Clock
from tests.flows.test_delivery import DAY, TODAY, day, put

ACME = Account("k-acme", "advertiser", "n", advertiser="acme")
OTHER = Account("k-other", "advertiser", "n", advertiser="other")


@pytest.fixture
async def world(api: Api) -> Api:
    """Two advertisers with a campaign each, both with figures."""
    await api.world()
    await api.make("PUT", "/advertisers/other", {"name": "Other"})
    await api.creative("one", price={"model": "cpm", "amount": "2.50", "currency": "INR"})
    await api.creative("two", advertiser="other")
    await put(api, TODAY - DAY, 40, clicks=2)
    await put(api, TODAY - 2 * DAY, 7_000, campaign="two")
    return api


async def stored(api: Api) -> str:
    client: Any = api.held.services.client
    return str(await client.hgetall(api.held.services.keys.shares))


async def test_a_link_shows_its_campaign_and_no_money(world: Api) -> None:
    """Delivery and days of that one; nothing of the other advertiser, nothing of prices."""
    _, secret = await make_share(world.held.services, ACME, "one")
    found = await open_share(world.held.services, secret)
    assert (found.campaign.id, found.advertiser, found.delivery.total) == ("one", "Acme", 40)
    assert [(row["impressions"], row["clicks"], row["ctr"]) for row in found.days["rows"]] == [(40, 2, 0.05)]
    assert found.days["totals"]["impressions"] == 40
    assert not {"revenue", "ecpm", "currency", "requests"} & {*found.days["totals"], *found.days["rows"][0]}


async def test_it_shows_old_days_whatever_other_sites_there_are(world: Api) -> None:
    """Days are kept of its own site: that another is in another zone changes nothing, and rolling up neither."""
    services = world.held.services
    await world.make("PUT", "/sites/far", {"name": "Far", "timezone": "Asia/Kolkata"})
    for name, ends in (("over", day(-50)), ("running", day(5))):
        await world.creative(name, starts=day(-70), ends=ends)
        await put(world, TODAY - 60 * DAY, 30, campaign=name)
    await put(world, TODAY - DAY, 12, campaign="running")
    secrets = [(await make_share(services, ACME, name))[1] for name in ("over", "running")]
    for _ in range(2):
        over, running = [(await open_share(services, secret)).days for secret in secrets]
        assert [(row["day"], row["impressions"]) for row in over["rows"]] == [(day(-60), 30)]
        assert [(row["day"], row["impressions"]) for row in running["rows"]] == [(day(-60), 30), (day(-1), 12)]
        assert (over["since"], running["since"]) == (None, None)
        await roll_up_old(services, await services.catalog.all())


async def test_days_that_only_its_site_has_are_left_out_and_told(api: Api) -> None:
    """A campaign in another zone than its site: the page is there also when nothing of it is left."""
    services = api.held.services
    await api.world(timezone="Asia/Kolkata")
    price = {"model": "flat", "amount": "700", "currency": "INR"}
    for name, ends in (("over", day(-50)), ("running", day(5))):
        await api.creative(name, starts=day(-70), ends=ends, timezone="UTC", price=price)
        await put(api, TODAY - 60 * DAY, 30, campaign=name)
    await put(api, TODAY - DAY, 12, campaign="running")
    secrets = [(await make_share(services, ACME, name))[1] for name in ("over", "running")]
    for _ in range(2):
        over, running = [(await open_share(services, secret)).days for secret in secrets]
        assert (over["rows"], over["totals"]["impressions"], over["since"]) == ([], 0, day(-50))
        assert [row["impressions"] for row in running["rows"] if row["impressions"]] == [12]
        assert (running["since"], running["rows"][0]["day"], running["totals"]["impressions"]) == (
            day(-34),
            day(-34),
            12,
        )
        await roll_up_old(services, await services.catalog.all())
    page = await api.http.get(f"/share/{secrets[0]}")
    assert page.status_code == 200
    assert f"no days before {day(-50)}" in page.text


async def test_the_secret_is_stored_nowhere_and_is_long(world: Api) -> None:
    """Who reads the store opens nothing with it."""
    share, secret = await make_share(world.held.services, OPERATOR, "one", note="for the agency")
    assert len(secret) == 43
    assert secret not in await stored(world)
    assert share.digest in await stored(world)
    for wrong in (share.digest, secret[:-1], secret + "x", "", "x" * 43, "\u00e9" * 43, secret.swapcase()):
        with pytest.raises(NotFound, match="no such page"):
            await open_share(world.held.services, wrong)


async def test_it_ends_after_ninety_days_or_when_it_is_told_to(world: Api, clock: Clock) -> None:
    """To the second; one without an end stays."""
    services = world.held.services
    (_, usual), (_, brief), (_, lasting) = [
        await make_share(services, ACME, "one", **more) for more in ({}, {"days": 1}, {"days": None})
    ]
    start = clock.now
    for days, open_ in ((1, (usual, lasting)), (90, (lasting,))):
        clock.now = start + days * DAY - 1
        assert len(await shares_of(services, ACME, "one")) == len(open_) + 1
        clock.now += 1
        assert len(await shares_of(services, ACME, "one")) == len(open_)
        for secret in open_:
            assert (await open_share(services, secret)).campaign.id == "one"
    for secret in (usual, brief):
        with pytest.raises(NotFound):
            await open_share(services, secret)
    await make_share(services, ACME, "one")
    assert (await stored(world)).count("l-") == 2  # what ran out is taken out when another is made


async def test_a_revoked_link_is_dead_at_once(world: Api) -> None:
    """And revoking it again says that there is none."""
    services = world.held.services
    share, secret = await make_share(services, ACME, "one")
    await revoke_share(services, ACME, "one", share.id)
    with pytest.raises(NotFound):
        await open_share(services, secret)
    with pytest.raises(NotFound):
        await revoke_share(services, ACME, "one", share.id)
    assert await shares_of(services, ACME, "one") == []


async def test_a_link_ends_with_its_advertiser(world: Api) -> None:
    """One that is archived shows nothing any more."""
    _, secret = await make_share(world.held.services, ACME, "one")
    for path in ("/campaigns/one", "/advertisers/acme"):
        for creative in (await world.make("GET", "/creatives?campaign=one"))["items"]:
            await world.call("DELETE", f"/creatives/{creative['id']}")
        assert (await world.call("DELETE", path)).status_code in (200, 204)
    with pytest.raises(NotFound):
        await open_share(world.held.services, secret)


@pytest.mark.parametrize(
    ("account", "campaign", "refusal"),
    [
        (OTHER, "one", NotFound),
        (OTHER, "none", NotFound),
        (OPERATOR, "none", NotFound),
        (Account("k", "reader", "n"), "one", Forbidden),
        (Account("k", "reviewer", "n"), "one", Forbidden),
        (Account("k", None, "n", scopes=("delivery",)), "one", Forbidden),
    ],
)
async def test_only_admins_and_the_owner_share(
    world: Api, account: Account, campaign: str, refusal: type[Exception]
) -> None:
    """Nobody else makes, lists or revokes a link, and another's campaign looks like none."""
    services = world.held.services
    share, secret = await make_share(services, ACME, "one")
    with pytest.raises(refusal):
        await make_share(services, account, campaign)
    with pytest.raises(refusal):
        await shares_of(services, account, campaign)
    with pytest.raises(refusal):
        await revoke_share(services, account, campaign, share.id)
    assert (await open_share(services, secret)).campaign.id == "one"


async def test_a_link_is_revoked_through_its_own_campaign_alone(world: Api) -> None:
    """The id of another's link with one's own campaign ends nothing."""
    share, secret = await make_share(world.held.services, ACME, "one")
    with pytest.raises(NotFound):
        await revoke_share(world.held.services, OTHER, "two", share.id)
    assert (await open_share(world.held.services, secret)).share.id == share.id


async def test_the_audit_tells_its_owner_who_shared(world: Api) -> None:
    """Making and revoking are lines about the campaign, with the id of the link and without its secret."""
    services = world.held.services
    share, secret = await make_share(services, ACME, "one")
    await revoke_share(services, OPERATOR, "one", share.id)
    lines, _ = await read_audit(services, ACME, limit=2)
    assert [(line["actor"], line["action"], line["what"], line["before"], line["after"]) for line in lines] == [
        ("command line", "share_revoke", "campaign:one", share.id, ""),
        ("k-acme", "share", "campaign:one", "", share.id),
    ]
    assert secret not in str(lines)


async def test_a_link_that_ran_out_was_ended_by_nobody(world: Api, clock: Clock) -> None:
    """Its owner reads no account of another advertiser, whose next link it made room for."""
    services = world.held.services
    share, _ = await make_share(services, ACME, "one", days=1)
    clock.now += DAY
    await make_share(services, OTHER, "two")
    lines, _ = await read_audit(services, ACME, limit=1)
    assert [(line["actor"], line["action"], line["before"]) for line in lines] == [("expiry", "share_expire", share.id)]


async def test_everything_wrong_is_said_at_once(world: Api) -> None:
    """With the field and what it takes."""
    for days in (0, -1, 3_651):
        with pytest.raises(Invalid) as refused:
            await make_share(world.held.services, ACME, "one", days=days, note="\x00" * 200)
        assert [one.pointer for one in refused.value.problems] == ["/days", "/note"]


async def test_links_cannot_fill_the_store(world: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the most there may be none is made, until one is revoked."""
    monkeypatch.setattr(shares, "MOST", 2)
    services = world.held.services
    share, _ = await make_share(services, ACME, "one")
    await make_share(services, OTHER, "two")
    with pytest.raises(Conflict, match="revoke some"):
        await make_share(services, ACME, "one")
    await revoke_share(services, ACME, "one", share.id)
    await make_share(services, ACME, "one")


async def test_a_campaign_cannot_take_the_links_of_others(world: Api, clock: Clock) -> None:
    """Beyond its own most it is told so, whatever notes say; an ended or revoked link makes room."""
    services = world.held.services
    made = [
        await make_share(services, ACME, "one", days=days, note='"campaign":"two"')
        for days in (1, *[None] * (shares.MOST_OF_ONE - 1))
    ]
    for _ in range(2):
        with pytest.raises(Conflict, match="this campaign has 50 share links: revoke some first"):
            await make_share(services, ACME, "one")
        await make_share(services, OTHER, "two")
        await revoke_share(services, ACME, "one", made.pop()[0].id)
        await make_share(services, ACME, "one")
    clock.now += DAY
    await make_share(services, ACME, "one")


async def test_what_cannot_be_read_opens_nothing(world: Api) -> None:
    """A spoilt entry is left out, and the others work."""
    services = world.held.services
    _, secret = await make_share(services, ACME, "one")
    client: Any = services.client
    await client.hset(services.keys.shares, "spoilt", "{")
    assert len(await shares_of(services, ACME, "one")) == 1
    assert (await open_share(services, secret)).campaign.id == "one"
