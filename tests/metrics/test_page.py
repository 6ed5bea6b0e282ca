"""What `/metrics` says of one worker, and what nobody can make it say."""

from __future__ import annotations

import contextlib
import math
import random
import string
from urllib.parse import quote

from adserve.metrics.table import METRICS
from tests.conftest import Api, Clock
from tests.figures import Page, kinds, samples

CHARACTERS = string.ascii_letters + string.digits + "-_.~<>\"'{}\\\n é"


async def figures(api: Api) -> Page:
    return samples((await api.http.get("/metrics")).text)


async def test_every_metric_is_there_from_the_start(api: Api) -> None:
    """With every value that its labels can have, so that an alarm on an increase sees the first one too."""
    text = (await api.http.get("/metrics")).text
    printed = kinds(text)
    assert printed == {f"adserve_{one.name}{'_total' if one.kind == 'counter' else ''}": one.kind for one in METRICS}
    before = samples(text)
    await api.world()
    await api.creative()
    made = await api.decide()
    await api.http.get(made["impression_url"])
    await api.http.get("/api/v1/none")
    await api.settle()
    assert {*await figures(api)} == {*before}


async def test_the_management_api_is_counted_by_the_class_of_its_answers(api: Api) -> None:
    """Whatever answers: a route, the reply for no route, the one for a method that is none, a failure of ours."""
    for path in ("/sites", "/sites", "/sites/none", "/none"):
        await api.call("GET", path)
    await api.call("BREW", "/sites")
    await api.http.get("/api/v1/sites")
    api.held.services.accounts.find = None  # type: ignore[method-assign, assignment]
    with contextlib.suppress(TypeError):
        await api.call("GET", "/sites")
    found = await figures(api)
    counted = {hundreds: found[f'adserve_api_requests_total{{status="{hundreds}xx"}}'] for hundreds in range(2, 6)}
    assert counted == {2: 2, 3: 0, 4: 4, 5: 1}


async def test_batches_of_served_counts_are_timed(api: Api) -> None:
    """One observation a batch, in the buckets up to the last and in their sum."""
    await api.world()
    await api.creative()
    before = (await figures(api))["adserve_store_commit_seconds_count"]
    await api.decide()
    await api.settle()
    found = await figures(api)
    assert found["adserve_store_commit_seconds_count"] > before
    assert found["adserve_store_commit_seconds_sum"] > 0
    assert found['adserve_store_commit_seconds_bucket{le="+Inf"}'] == found["adserve_store_commit_seconds_count"]


async def test_what_waits_in_the_spool_shows(api: Api) -> None:
    """While the breaker is open everything goes there; counted later, it waits no more."""
    await api.world()
    await api.creative()
    made = await api.decide()
    await api.settle()
    breaker = api.held.worker.ledger.breaker
    breaker.failed(at_once=True)
    breaker._until = math.inf  # until this test is done
    assert (await api.http.get(made["impression_url"])).status_code == 200
    found = await figures(api)
    assert found["adserve_spool_records"] == 1
    assert 0 < found["adserve_spool_bytes"] < found["adserve_spool_limit_bytes"]
    assert found["adserve_breaker_closed"] == 0
    assert found['adserve_breaker_workers{state="open"}'] == 1
    breaker._until = 0.0
    await api.settle()
    assert (await figures(api))["adserve_spool_records"] == 0


async def test_a_catalog_has_a_version_and_an_age(api: Api, clock: Clock) -> None:
    """The version is that of the copy; the age that of the last answer of the store about it."""
    await api.world()
    version = (await figures(api))["adserve_catalog_version"]
    await api.creative()
    api.held.last_contact -= 50
    found = await figures(api)
    assert found["adserve_catalog_version"] == found["adserve_catalog_version_newest"] > version
    assert 0 <= found["adserve_catalog_age_seconds"] < 100


async def test_nothing_that_is_sent_becomes_a_label(api: Api) -> None:
    """A thousand names, tokens, paths, parameters, methods and headers that were never heard of: the page has the
    samples that it had, and no more bytes than numbers grow by."""
    await api.world()
    await api.creative()
    chance = random.Random(7)
    before = await api.http.get("/metrics")
    sent: list[str] = []
    for _ in range(100):
        names = ["".join(chance.choices(CHARACTERS, k=chance.randint(1, 60))) for _ in range(10)]
        a, b, c, d, e, f, g, h, i, j = names
        sent += names
        await api.http.get(f"/v1/slots/{quote(a)}/{quote(b)}", params={c: d}, headers={"Accept": "application/json"})
        await api.http.get("/v1/slots/news/top", params={"width": e, "device": f, "pv": g, c: d})
        await api.http.get("/v1/pages/news", params={"slots": f"top,{h},{i}:1"})
        await api.http.get(f"/v1/pages/{quote(j)}")
        for path in ("/e/i/", "/e/v/", "/c/"):
            await api.http.get(path + quote(a))
        await api.http.get(f"/{quote(b)}", headers={"X-Test": quote(c)})
        await api.http.request(chance.choice(("BREW", "LOCK", "PURGE")), f"/api/v1/{quote(d)}")
        await api.http.get("/api/v1/sites", params={e: f}, headers={"Authorization": f"Bearer {quote(g)}"})
    after = await api.http.get("/metrics")
    assert {*samples(after.text)} == {*samples(before.text)}
    assert len(after.content) < len(before.content) + 500
    assert [name for name in sent if len(name) > 4 and name in after.text] == []
