"""The harness itself: that it walks all there is, and that its checks see what they are for."""

from __future__ import annotations

import pytest

from tests.security.places import everywhere, good_request, without_bodies
from tests.security.promises import check, check_keys, check_log, declared, promises
from tests.security.table import addresses
from tests.security.world import CLIENT_V4, Answer, World


async def test_every_route_answers_its_good_request(world: World) -> None:
    """So a walk fails for its input and for nothing else; each route that takes a body has one."""
    assert without_bodies() == set()
    table = [one for one in addresses(world.app) if one.method != "DELETE" and "reject" not in one.path]
    async with promises(world):
        for address in table:
            request = good_request(world, address)
            answer = await world.ask(request.with_key() if address.managed else request)
            assert answer.status in (200, 201, 204, 302, 307, 409), (address, answer)


async def test_ordinary_text_everywhere_breaks_no_promise(world: World) -> None:
    """The walk reaches every route, and every place that there is."""
    probes = list(everywhere(world, ["plain"]))
    assert {(probe.address.method, probe.address.path) for probe in probes} == {
        (one.method, one.path) for one in addresses(world.app)
    }
    assert {probe.place.partition(" ")[0] for probe in probes} == {"path", "query", "header", "cookie", "json", "form"}
    async with promises(world):
        answers = await world.walk(probe.request for probe in probes)
        for probe, answer in zip(probes, answers, strict=True):
            check(answer, probe)


async def test_no_secret_in_any_place_reaches_the_log(world: World) -> None:
    """Keys and tokens where they do not belong: a service that logs every request writes none of them down."""
    key = next(secret for secret in world.secrets if secret.startswith("adserve_"))
    strays = [world.tokens["c"], key, f"x/{key}/{world.tokens['i']}"]
    probes = list(everywhere(world, strays, places=("path", "query", "header", "cookie")))
    async with promises(world):
        for probe, answer in zip(probes, await world.walk((p.request for p in probes), logged=True), strict=True):
            check(answer, probe)
    assert len(world.lines()) >= len(probes)


def test_the_table_of_keys_is_read_whole() -> None:
    lines = declared()
    assert len(lines) >= 18
    assert {line.type for line in lines} == {"hash", "zset", "string", "stream", "list"}
    assert any(line.shape.fullmatch("{s15}:l:iv:1f:500000") and not line.lasting for line in lines)


async def test_the_checks_see_what_they_are_for(world: World) -> None:
    """Each of them with the one thing wrong that it looks for."""
    client, prefix = world.api.held.services.client, world.api.held.settings.key_prefix
    for name in ("{cat}:evil", f"{{s1}}:r:{'0' * 24}", "{s16}:days"):
        key = prefix + name
        await client.set(key, "x")
        with pytest.raises(AssertionError):
            await check_keys(world)
        await client.delete(key)
    await client.hset(f"{prefix}{{s1}}:c:900", "1", CLIENT_V4)
    with pytest.raises(AssertionError):
        await check_keys(world)
    await client.delete(f"{prefix}{{s1}}:c:900")
    await check_keys(world)
    check_log(world)
    for line in ("no json", '{"a": "' + "x" * 1000 + '"}', f'{{"path": "/c/{world.tokens["c"]}"}}'):
        world.log.write(line + "\n")
        with pytest.raises(AssertionError):
            check_log(world)
        world.log.seek(world.log.tell() - len(line) - 1)
        world.log.truncate()
    good = Answer(200, [("content-type", "text/plain")], b"fine")
    check(good)
    for bad in (
        good._replace(status=500), good._replace(status=0), good._replace(body=b"Traceback (most"),
        good._replace(headers=[("server", "x")]), good._replace(headers=[("set-cookie", "x=1")]),
    ):  # fmt: skip
        with pytest.raises(AssertionError):
            check(bad)
