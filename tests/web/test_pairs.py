"""Keyed pairs: picture and link of one key belong together, whoever fetches them, when and in which order."""

from __future__ import annotations

import asyncio
import io
import re
from collections import Counter
from pathlib import Path
from typing import Any

import html5lib
import httpx2
import pytest
from PIL import Image

from adserve.flows.audit import audit
from adserve.wiring import running
from tests.conftest import ADMIN, BROWSER, Api, Clock

GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
PROXIES = (
    GMAIL,
    "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
    "Mozilla/5.0",
    "Mozilla/4.0 (compatible; ms-office; MSOffice rmj)",
    "github-camo (876de43e)",
)
DAY_S = 86_400
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "email" / "mail.html"


def png(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (300, 250), (shade, 99, 199)).save(out, "PNG")
    return out.getvalue()


async def picture(api: Api, campaign: str, shade: int, *, own: bool = True, weight: int = 1, **fields: Any) -> str:
    """An image creative that leads to a page of its own, in a campaign that is made with it; its id."""
    if own:
        body = {"advertiser": "acme", "name": campaign, "slots": ["news/mail"], **fields}
        await api.make("PUT", f"/campaigns/{campaign}", body)
    form = {"name": "p", "alt": "Tea", "click_url": f"https://shop.example/{shade}", "weight": str(weight)}
    made = await api.http.post(
        f"/api/v1/campaigns/{campaign}/creatives?approve=true",
        data=form, files={"file": ("p.png", png(shade))}, headers={"Authorization": f"Bearer {ADMIN}"},
    )  # fmt: skip
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


@pytest.fixture
async def mail(api: Api) -> Api:
    """A site with a slot for mail and six campaigns of one picture each, of different weights."""
    await api.world(slots=("mail",), count_on="serve")
    await api.make("PATCH", "/sites/news", {"origins": ["https://news.example", "https://m.news.example"]})
    await asyncio.gather(*(picture(api, f"c{number}", number, weight=1) for number in range(6)))
    return api


async def shows(api: Api, key: str, query: str = "", agent: str = GMAIL, **headers: str) -> int | None:
    """The shade of the picture of a key, which tells the creative; None for the pixel."""
    got = await api.http.get(f"/v1/pairs/news/mail/{key}{query}", headers={"User-Agent": agent, **headers})
    assert got.status_code == 200
    assert got.headers["cache-control"] == "private, no-store"
    assert got.headers["adserve-fill"] == str(int(got.headers["content-type"] == "image/png"))
    if got.headers["content-type"] == "image/gif":
        assert len(got.content) == 43
        return None
    shade: Any = Image.open(io.BytesIO(got.content)).convert("RGB").getpixel((0, 0))
    return int(shade[0])


async def leads(api: Api, key: str, query: str = "", agent: str = BROWSER) -> httpx2.Response:
    return await api.http.get(f"/v1/pairs/news/mail/{key}/link{query}", headers={"User-Agent": agent})


async def landing(api: Api, key: str, query: str = "") -> int:
    """The shade to which the link of a key belongs."""
    got = await leads(api, key, query)
    assert got.status_code == 302, got.text
    return int(got.headers["location"].rpartition("/")[2])


async def test_picture_and_link_are_one_creative_and_count_once(mail: Api) -> None:
    """Whoever comes first, through proxies, again and again."""
    for key in ("picture-first", "link-first"):
        first = await (shows if key == "picture-first" else landing)(mail, key)
        for agent in PROXIES:
            assert await shows(mail, key, agent=agent) == first
            assert await landing(mail, key) == first
    totals = await mail.totals()
    assert (totals["requests"], totals["serves"], totals["impressions"], totals["filtered"]) == (2, 2, 2, 0)
    assert (totals["clicks"], totals["clicks_unseen"], totals["duplicates"]) == (2, 0, 9)


async def test_a_hundred_that_race_for_a_key_are_one(mail: Api, store_url: str) -> None:
    """On two workers: one creative, one serve, one impression, one click."""
    async with running(mail.held.settings, store_url, clock=mail.held.worker.clock) as other:
        second = Api(other)
        both = [mail, second] * 50
        found = await asyncio.gather(
            *(shows(one, "race") for one in both), *(landing(one, "race") for one in both)
        )
        assert len(set(found)) == 1
        await second.settle()
        await second.http.aclose()
    totals = await mail.totals()
    assert (totals["serves"], totals["impressions"], totals["clicks"]) == (1, 1, 1)


@pytest.mark.parametrize("agent", PROXIES)
async def test_the_proxy_of_a_mail_service_is_a_reader_of_pictures_alone(mail: Api, agent: str) -> None:
    """As the one who fetches a picture first. It is a robot to a snippet's beacons, as ever."""
    await shows(mail, "a", agent=agent)
    totals = await mail.totals()
    assert (totals["impressions"], totals["filtered"]) == (1, 0)
    decision = await mail.decide("mail")
    got = await mail.http.get(decision["click_url"], headers={"User-Agent": agent})
    assert got.status_code == 302
    totals = await mail.totals(by="slot")
    robot = mail.held.worker.rules.agent(agent.encode()).robot
    assert (totals["clicks"], totals["filtered"]) == (int(not robot), int(robot))


async def test_a_robot_s_serve_is_set_aside_and_a_prefetch_is_none(mail: Api) -> None:
    first = await shows(mail, "a", agent="Googlebot/2.1")
    assert await shows(mail, "a") == first
    totals = await mail.totals()
    assert (totals["serves"], totals["impressions"], totals["filtered"]) == (1, 0, 1)
    early = await shows(mail, "b", **{"Sec-Purpose": "prefetch"})
    assert (await mail.totals())["serves"] == 1
    assert await shows(mail, "b") == early
    totals = await mail.totals()
    assert (totals["serves"], totals["impressions"], totals["filtered"]) == (2, 1, 1)


async def test_what_a_key_got_stays_whatever_becomes_of_the_catalog(mail: Api, clock: Clock) -> None:
    """Paused, without weight, outweighed, ended; for thirty days from the first request on, and no longer."""
    shade = await shows(mail, "a")
    changes: tuple[Any, ...] = ({"weight": 0}, {"state": "paused"}, {"ends": "2027-01-01"}, {"slots": []})
    for body in changes:
        await mail.make("PATCH", f"/campaigns/c{shade}", body)
        assert (await shows(mail, "a"), await landing(mail, "a")) == (shade, shade)
    await mail.make("PUT", "/sites/news/slots/mail", {"sizes": ["300x250"], "count_on": "serve", "state": "paused"})
    assert (await shows(mail, "a"), await landing(mail, "a")) == (shade, shade)
    client, keys = mail.held.services.client, mail.held.services.keys
    (record,) = [one async for one in client.scan_iter(f"{keys.prefix}{{p*}}:k:*")]
    left_s = await client.ttl(record)
    assert 30 * DAY_S - 60 < left_s <= 30 * DAY_S
    await client.delete(record)
    assert await shows(mail, "a") is None


@pytest.mark.parametrize("move", ["reject", "archive"])
async def test_what_may_not_be_shown_any_more_is_not(mail: Api, move: str) -> None:
    """A transparent pixel, and a page without a way on; what was counted stays."""
    shade = await shows(mail, "a")
    (creative,) = (await mail.make("GET", f"/creatives?campaign=c{shade}"))["items"]
    if move == "reject":
        await mail.make("POST", f"/creatives/{creative['id']}/reject", {"reason": "no"})
    else:
        await mail.make("DELETE", f"/creatives/{creative['id']}")
    assert await shows(mail, "a") is None
    got = await leads(mail, "a")
    assert (got.status_code, got.headers.get("location")) == (410, None)
    assert (await mail.totals())["clicks"] == 0


async def test_several_pictures_of_a_mail_differ_in_any_order(mail: Api) -> None:
    """By campaign as long as there are enough; each number stays with its picture and link."""
    for key, order in (("up", range(1, 7)), ("down", range(6, 0, -1)), ("odd", (3, 1, 6, 2, 5, 4))):
        first = {number: await shows(mail, key, f"?n={number}") for number in order}
        assert len(set(first.values())) == 6
        for number, shade in first.items():
            assert await shows(mail, key, f"?n={number}") == shade
            assert await landing(mail, key, f"?n={number}") == shade
        assert await shows(mail, key) == first[1]
    together = await asyncio.gather(*(shows(mail, "at-once", f"?n={number}") for number in range(1, 7)))
    assert len(set(together)) == 6
    totals = await mail.totals()
    assert (totals["serves"], totals["impressions"], totals["clicks"]) == (24, 24, 18)


async def test_creatives_of_one_campaign_follow_when_campaigns_run_out(api: Api) -> None:
    """Two campaigns, one with two pictures: three that differ, and nothing for a fourth."""
    await api.world(slots=("mail",), count_on="serve")
    await picture(api, "one", 1)
    await picture(api, "two", 2)
    await picture(api, "two", 3, own=False)
    for key in "abcdef":
        found = [await shows(api, key, f"?n={number}") for number in (2, 1, 3, 4)]
        assert sorted(found[:3], key=str) == [1, 2, 3]
        assert found[3] is None
        assert 1 in found[:2]


async def test_a_new_catalog_repeats_nothing_that_a_mail_shows(mail: Api) -> None:
    """A picture that is first fetched after a change stands beside those that were fetched before."""
    shown = {await shows(mail, "a", "?n=2"), await shows(mail, "a", "?n=3")}
    for number in {*range(6)} - shown:
        await mail.make("PATCH", f"/campaigns/c{number}", {"state": "paused"})
    await picture(mail, "new", 77)
    assert await shows(mail, "a", "?n=1") == 77


async def test_keys_share_by_weight(mail: Api) -> None:
    await mail.make("PATCH", "/campaigns/c0", {"weight": 5})
    found = Counter([await shows(mail, f"key-{n}") for n in range(300)])
    assert 110 <= found[0] <= 190  # a half of them
    assert all(12 <= found[n] <= 50 for n in range(1, 6))


@pytest.mark.parametrize(("every", "step_s"), [("hour", 3600), ("day", DAY_S), ("week", 7 * DAY_S)])
async def test_a_fixed_key_changes_with_time_where_it_is_to(mail: Api, clock: Clock, every: str, step_s: int) -> None:
    found = []
    for _ in range(6):
        found.append(await shows(mail, "readme", f"?every={every}"))
        assert await landing(mail, "readme", f"?every={every}") == found[-1]
        clock.now += step_s
    assert len(set(found)) > 2
    assert (await mail.totals())["impressions"] == 6


async def test_a_day_is_one_of_the_site(mail: Api, clock: Clock) -> None:
    await mail.make("PATCH", "/sites/news", {"timezone": "Asia/Kolkata"})
    clock.now = 1_800_000_000 // DAY_S * DAY_S + 18.5 * 3600 - 1  # a second before its midnight
    await shows(mail, "readme", "?every=day")
    await shows(mail, "readme", "?every=day")
    clock.now += 1
    await shows(mail, "readme", "?every=day")
    assert (await mail.totals())["impressions"] == 2


async def test_malformed_parameters_are_as_good_as_none(mail: Api) -> None:
    shade, before = await shows(mail, "a"), mail.held.worker.malformed
    wrong = ("?n=0", "?n=11", "?n=01", "?n=x", "?n=-1", "?n=%ff", "?every=year", "?every=DAY", "?n=99999999999")
    for query in wrong:
        assert await shows(mail, "a", query) == shade
    assert await shows(mail, "a", "?n=&every=&other=1") == shade
    assert mail.held.worker.malformed - before >= len(wrong) - 1


async def test_nothing_that_can_be_shown_leads_to_the_site(api: Api) -> None:
    """Or, where that says none, to a plain page; a text or markup is no picture."""
    await api.world(slots=("mail",), count_on="serve")
    await api.creative()
    assert await shows(api, "a") is None
    assert (await leads(api, "a")).status_code == 404
    await api.make("PATCH", "/sites/news", {"origins": ["https://news.example"]})
    got = await leads(api, "a")
    assert (got.status_code, got.headers["location"]) == (302, "https://news.example/")
    assert got.headers["adserve-reason"] == "empty"
    totals = await api.totals()
    assert (totals["requests"], totals["serves"], totals["clicks"]) == (1, 0, 0)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("news/none/a", "unknown-slot"), ("none/mail/a", "unknown-slot"), ("news/top/a", "counts-on-impression"),
        ("news/mail/a.b", "bad-key"), ("news/mail/%3Cscript%3E", "bad-key"), (f"news/mail/{'x' * 65}", "bad-key"),
        ("news/mail/a@b.example", "bad-key"),
    ],
)  # fmt: skip
async def test_what_is_no_pair_is_a_pixel_and_a_plain_page(mail: Api, target: str, reason: str) -> None:
    await mail.make("PUT", "/sites/news/slots/top", {"sizes": ["300x250"]})
    got = await mail.http.get(f"/v1/pairs/{target}?x=%3Cscript%3E")
    assert (got.status_code, got.headers["content-type"], len(got.content)) == (200, "image/gif", 43)
    assert (got.headers["adserve-fill"], got.headers["adserve-reason"]) == ("0", reason)
    link = await mail.http.get(f"/v1/pairs/{target}/link?x=%3Cscript%3E")
    assert (link.status_code, link.headers["adserve-reason"]) == (404, reason)
    assert "script" not in link.text
    assert (await mail.totals())["requests"] == 0


async def test_head_answers_alike_and_counts_nothing(mail: Api) -> None:
    head = await mail.http.head("/v1/pairs/news/mail/a")
    assert (head.headers["content-type"], head.content) == ("image/png", b"")
    link = await mail.http.head("/v1/pairs/news/mail/a/link")
    assert link.status_code == 302
    assert [key for key in await mail.contents() if "{p" in key] == []
    assert (await mail.totals())["requests"] == 0
    assert await landing(mail, "a") == int(link.headers["location"].rpartition("/")[2])
    assert (await mail.http.post("/v1/pairs/news/mail/a")).status_code == 405


async def test_a_flood_of_keys_fills_no_store(mail: Api, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """Beyond the bound a key gets what it always gets, and nothing is counted or kept; what was kept stays so."""
    assert mail.held.worker.pairs is not None
    monkeypatch.setattr(mail.held.worker.pairs, "_an_hour", 3)
    kept = {f"k{n}": await shows(mail, f"k{n}") for n in range(3)}
    before = set(await mail.contents())
    flood = {f"f{n}": await shows(mail, f"f{n}") for n in range(40)}
    assert len(set(flood.values())) > 3
    for key, shade in flood.items():
        assert (await shows(mail, key), await landing(mail, key)) == (shade, shade)
    assert set(await mail.contents()) == before
    for key, shade in kept.items():
        assert (await shows(mail, key), await landing(mail, key)) == (shade, shade)
    totals = await mail.totals()
    assert (totals["serves"], totals["impressions"], totals["clicks"]) == (3, 3, 3)
    clock.now += 3600
    assert await shows(mail, "f1") == flood["f1"]
    assert (await mail.totals())["impressions"] == 4


async def test_without_the_store_a_key_is_shown_what_it_would_get(mail: Api) -> None:
    """By every worker, and not counted; afterwards it is remembered."""
    worker = mail.held.worker
    worker.ledger.breaker.bar()
    shade = await shows(mail, "a")
    assert shade is not None
    assert (await shows(mail, "a"), await landing(mail, "a")) == (shade, shade)
    worker.ledger.breaker.unbar()
    assert (await mail.totals())["serves"] == 0
    assert await shows(mail, "a") == shade
    assert (await mail.totals())["impressions"] == 1


async def test_a_late_click_still_goes_on(mail: Api, clock: Clock) -> None:
    """Counted as late for two days, and then not at all."""
    shade = await shows(mail, "a")
    await shows(mail, "b")
    clock.now += DAY_S + 1
    assert await landing(mail, "a") == shade
    clock.now += 3 * DAY_S
    await landing(mail, "b")
    totals = await mail.totals()
    assert (totals["clicks"], totals["late"]) == (0, 1)


async def test_clicks_of_one_client_are_rated_as_ever(api: Api) -> None:
    await api.world(slots=("mail",), count_on="serve")
    await picture(api, "one", 1)
    for n in range(14):
        await shows(api, f"k{n}")
        assert await landing(api, f"k{n}") == 1
    totals = await api.totals()
    assert (totals["clicks"], totals["filtered"]) == (10, 4)


async def test_caps_and_money_hold(api: Api) -> None:
    """A campaign with a cap serves as many keys as that; its price is that of its impressions."""
    await api.world(slots=("mail",), count_on="serve")
    price = {"model": "cpm", "amount": "1000", "currency": "INR"}
    await picture(api, "one", 1, caps={"total": {"impressions": 5}}, price=price)
    found: list[int | None] = []
    async with asyncio.timeout(10):
        while found.count(1) < 5:
            found.append(await shows(api, f"k{len(found)}"))
            await asyncio.sleep(0.02)
    for n in range(10):
        assert await shows(api, f"later{n}") is None
    totals = await api.totals()
    assert (totals["impressions"], totals["serves"], totals["revenue"]) == (5, 5, "5.00")


async def test_what_is_spoilt_in_the_store_is_shown_as_if_it_were_not_there(mail: Api) -> None:
    """A record of another type, and one that holds nonsense: the picture that the key always gets, uncounted."""
    client, prefix = mail.held.services.client, mail.held.settings.key_prefix
    execute: Any = client.execute_command
    shade = await shows(mail, "a")
    (record,) = [one async for one in client.scan_iter(f"{prefix}{{p*}}:k:*")]
    for spoil in (("SET", "x"), ("HSET", "1", "x"), ("HSET", "x", "y"), ("HSET", "1", "x" * 36)):
        await client.delete(record)
        await execute(spoil[0], record, *spoil[1:])
        assert (await shows(mail, "a"), await landing(mail, "a")) == (shade, shade)
    (counter,) = [one async for one in client.scan_iter(f"{prefix}{{p*}}:new:*")]
    for spoil in (("RPUSH", "x"), ("SET", "x")):
        await client.delete(counter)
        await execute(spoil[0], counter, *spoil[1:])
        assert await shows(mail, f"key-{spoil[0]}") is not None
    assert (await mail.totals())["impressions"] == 1


async def test_the_example_is_a_mail_whose_pictures_and_links_belong_together(mail: Api) -> None:
    """As a mailer fills it in: each picture in its link, and none twice."""
    text = EXAMPLE.read_text("utf-8").replace("https://HOST", "").replace("KEY", "letter-17-a1b2c3")
    page: Any = html5lib.parse(text, namespaceHTMLElements=False)
    pairs = [(link.get("href"), link.find("img").get("src")) for link in page.iter("a")]
    assert len(pairs) == 2
    shown = []
    for link, source in pairs:
        assert link == "/link".join(re.fullmatch(r"([^?]*)(.*)", source).groups())  # type: ignore[union-attr]
        picture_ = await mail.http.get(source, headers={"User-Agent": GMAIL})
        assert picture_.headers["content-type"] == "image/png"
        shown.append((await mail.http.get(link)).headers["location"])
    assert len(set(shown)) == 2
    totals = await mail.totals()
    assert (totals["impressions"], totals["clicks"]) == (2, 2)


async def test_the_key_of_a_pair_stands_nowhere(mail: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither in the store nor in the log: it may stand for a reader."""
    await shows(mail, "very-telling-key")
    await landing(mail, "very-telling-key")
    await mail.settle()
    for name, value in (await mail.contents()).items():
        assert b"very-telling-key" not in name.encode() + value
    said = capsys.readouterr()
    assert "very-telling-key" not in said.out + said.err
    assert await mail.keys_for_ever() == []


async def test_counters_and_ledger_agree(mail: Api) -> None:
    """The audit finds every bit of a pair counted."""
    for n in range(20):
        await shows(mail, f"k{n}", agent=GMAIL if n % 2 else "curl/8")
        await landing(mail, f"k{n}")
    await mail.settle()
    found = await audit(mail.held.services, mail.held.settings.data_dir / "spool")
    assert found["agrees"], found
    totals = await mail.totals()
    assert (totals["serves"], totals["impressions"], totals["filtered"]) == (20, 10, 10)
    assert (totals["clicks"], totals["clicks_unseen"]) == (20, 10)


async def test_nothing_of_a_request_says_where_a_link_leads(mail: Api) -> None:
    """Neither its query nor its headers; and none of it is in an answer."""
    shade = await landing(mail, "a")
    names = ("url", "dest", "next", "to", "redirect", "click_url", "link", "n", "every", "labels", "kv.section")
    for text in ("https://evil.example/", "//evil.example", "javascript:evil", "x\r\nLocation: https://evil.example/"):
        for headers in ({}, dict.fromkeys(("Host", "X-Forwarded-Host", "Referer"), "evil.example")):
            for target in ("/v1/pairs/news/mail/a/link", "/v1/pairs/news/mail/a", "/v1/pairs/news/none/a/link"):
                got = await mail.http.get(target, params=dict.fromkeys(names, text), headers=headers)
                assert got.headers.get("location") in (None, f"https://shop.example/{shade}"), (text, target)
                assert "evil" not in str(got.headers)
                assert b"evil" not in got.content
