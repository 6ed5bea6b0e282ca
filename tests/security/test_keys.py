"""Secrets: what is no key opens nothing, what is one is told once, and neither stands where it could be read later."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest

from adserve.errors import SettingsError, StoreError
from adserve.settings import SETTINGS, Secret, Settings, load
from adserve.store.client import REPLY_ERRORS, connect
from adserve.web.routes import ROUTES
from tests.conftest import ADMIN, SECRET, Clock
from tests.security.places import BOUNDARY, asking, everywhere, form_request, good_request
from tests.security.promises import check, promises
from tests.security.table import BODIES, FORM, FORMS, Address, addresses
from tests.security.test_audit import as_user
from tests.security.world import Answer, Request, World

OPEN = {route.path for route in ROUTES if not route.roles}
"""Addresses that ask for no key; `test_ownership.py` says which."""
CANARY = "CANARY-0f1e2d3c4b5a69788796a5b4c3d2e1f0"
PIECE = 8
"""Characters of a secret that would already help to guess the rest."""


def pieces(secret: str) -> set[str]:
    """Every piece of the part of a key that is its own."""
    own = secret.removeprefix("adserve_")
    return {own[at : at + PIECE] for at in range(len(own) - PIECE + 1)}


def bad_keys(world: World) -> Iterator[tuple[tuple[str, str | bytes], ...]]:
    """Headers that look like a key, stand for one elsewhere, or were never meant to be one."""
    good = next(key for key in world.secrets if key.startswith("adserve_"))
    for part in (
        "",
        " ",
        *(good[:end] for end in range(1, len(good), 6)),
        good + "x",
        good[:-1] + "\u00e9",
        good.upper(),
    ):
        yield (("Authorization", f"Bearer {part}"),)
    for scheme in ("", "Basic", "Digest", "Token", "Bearer:", "Bearer,", "bearerx", "Negotiate"):
        yield (("Authorization", f"{scheme} {good}".strip()),)
    yield (("Authorization", f"Bearer {good}"), ("Authorization", f"Bearer {good}"))
    yield (("Authorization", f"Bearer {good}"), ("Authorization", "Bearer x"))
    yield (("Authorization", f"Bearer {good}, Bearer {good}"),)
    yield (("Authorization", b"Bearer \xe9\xff\x80"),)
    yield (("Authorization", "Bearer " + "x" * 20_000),)
    yield (("Authorization", f"Bearer {world.places['/keys/{id}']}"),)
    for name in ("X-Api-Key", "Api-Key", "X-Auth-Token", "Proxy-Authorization", "X-Authorization", "Authorization2"):
        yield ((name, f"Bearer {good}"),)
    for name in ("session", "key", "Authorization", "adserve", "token", "__Host-session"):
        yield (("Cookie", f"{name}={good}"),)
    for token in world.tokens.values():
        yield (("Authorization", f"Bearer {token}"),)
        yield (("Cookie", f"session={token}"),)
    yield (("Authorization", f"Bearer {SECRET}"),)


async def test_what_is_no_key_opens_no_route(world: World) -> None:
    """Every route, every such header: 401 with one body and one set of headers, no cookie, and nothing stored. Also
    the key itself in the address."""
    good = next(key for key in world.secrets if key.startswith("adserve_"))
    managed = [address for address in addresses(world.app) if address.managed and address.path not in OPEN]
    asked: list[Request] = []
    for at, headers in enumerate(bad_keys(world)):
        for address in managed if at % 12 == 0 else managed[at % 5 :: 5]:  # each route with several, each with some
            asked.append(good_request(world, address)._replace(headers=headers))
    for name in ("key", "access_token", "api_key", "token", "Authorization"):
        for address in managed[::4]:
            request = good_request(world, address)
            asked.append(request._replace(target=asking(request, f"{name}={good}")))
    world.secrets.discard(good)  # it stands in the address of these, which an operator may log
    before = await world.api.contents()
    async with promises(world):
        said = set()
        for request, answer in zip(asked, await world.walk(asked), strict=True):
            check(answer, request)
            assert answer.status in (401, 431), (request, answer)
            if answer.status == 401 and request.method != "HEAD":
                said.add((answer.body, answer.head))
        assert len(said) == 1
        assert await world.api.contents() == before


async def test_delivery_cares_for_no_key(world: World) -> None:
    """A page does not break because of what stands in its Authorization: slots fill, events are taken."""
    asked = []
    for address in addresses(world.app):
        if not address.managed and address.method == "GET":
            for headers in bad_keys(world):
                if not any("x" * 20_000 in str(value) for _, value in headers):
                    asked.append(good_request(world, address)._replace(headers=headers))
    async with promises(world, counts=("clicks_unseen",)):
        for request, answer in zip(asked, await world.walk(asked), strict=True):
            check(answer, request)
            assert answer.status in (200, 302, 307), (request, answer)


async def test_a_key_is_told_once_and_kept_nowhere(world: World) -> None:
    """Made, used, changed for another with both alive, revoked, refused: no piece of either stands in the store, in
    the files that it writes, in the log, in the figures or in any answer but that which gave it."""
    folder = await folder_of_the_store(world)
    before = sizes(folder)
    made: list[dict[str, Any]] = []
    for name in ("one", "two"):
        answer = await world.api.call("POST", "/keys", {"role": "admin", "name": name})
        made.append(answer.json())
    secrets = [one["key"] for one in made]
    world.secrets |= set(secrets)
    reads = [one for one in addresses(world.app) if one.method == "GET"]
    async with promises(world):
        answers: list[Answer] = []
        for key in secrets:
            answers += await world.walk(good_request(world, address).with_key(key) for address in reads)
        await world.api.call("DELETE", f"/keys/{made[0]['id']}")
        turned = (await world.api.call("POST", f"/keys/{made[1]['id']}/rotate")).json()["key"]
        world.secrets.add(turned)
        secrets.append(turned)
        for key in secrets:
            answers += await world.walk(good_request(world, address).with_key(key) for address in reads)
            for (method, path), body in BODIES.items():
                request = good_request(world, Address(method, path, ()))
                wrong = [request._replace(body=b"{"), request._replace(body=json.dumps({**body, "x": 1}).encode())]
                answers += await world.walk(one.with_key(key) for one in wrong)
        assert sum(answer.status == 401 for answer in answers) > 20
        assert sum(answer.status == 200 for answer in answers) > 60
    told = b"".join(answer.head.encode() + answer.body for answer in answers)
    stored = b"".join([*(await world.api.contents()).values(), *written_since(folder, before)])
    assert made[1]["id"].encode() in stored
    log = "\n".join(world.lines()).encode()
    for secret in secrets:
        for piece in pieces(secret):
            for where in (told, stored, log):
                assert piece.encode() not in where


async def folder_of_the_store(world: World) -> Path:
    """Where an embedded store has its log and its dumps."""
    client: Any = world.api.held.services.client
    return Path(str((await client.config_get("dir"))["dir"]))


def sizes(folder: Path) -> dict[Path, int]:
    return {file: file.stat().st_size for file in folder.rglob("*") if file.is_file()}


def written_since(folder: Path, before: dict[Path, int]) -> list[bytes]:
    """What was added to its files: others have tests on the same store, and long logs."""
    return [file.read_bytes()[before.get(file, 0) :] for file in sizes(folder)]


# ---- canaries


async def test_no_secret_of_a_request_is_written_down(world: World) -> None:
    """Wherever somebody puts one: in no log line and not in the store, also where the request fails. The query and
    the body are logged nowhere; a path may be, so it is no place for a secret."""
    world.secrets.add(CANARY)
    probes = list(everywhere(world, [CANARY], places=("query", "cookie")))
    requests = [probe.request for probe in probes]
    for address in addresses(world.app):
        good = good_request(world, address)
        for value in (f"Bearer {CANARY}", f"Basic {CANARY}", CANARY):
            requests.append(good._replace(headers=(*good.headers, ("Authorization", value), ("X-Secret", CANARY))))
    for method, path in FORMS:
        good = good_request(world, Address(method, path, ()))
        unwise = {**FORM, "password": CANARY, CANARY: "x"}
        requests.append(form_request(good, unwise, b"x", filename=f"{CANARY}.png", type=CANARY, name=CANARY).with_key())
        requests.append(
            good._replace(headers=(("Content-Type", f"multipart/form-data; boundary={CANARY}"),)).with_key()
        )
    for method, path in BODIES:
        good = good_request(world, Address(method, path, ())).with_key()
        for body in ({"password": CANARY}, {CANARY: 1}, [CANARY]):
            requests.append(good._replace(body=json.dumps(body).encode()))
        requests.append(good._replace(body=f'{{"key": "{CANARY}'.encode()))
    async with promises(world):
        for request, answer in zip(requests, await world.walk(requests), strict=True):
            check(answer, request)
    assert BOUNDARY not in "".join(world.lines())


BROKEN = ("objects", "changed", "version", "accounts", "accounts_version", "audit", "serials")


async def test_a_failing_store_tells_nothing(world: World) -> None:
    """With each key of the catalog of another type in turn: an answer of ours, without the store's words, the key's
    name or a secret, and a 503 says when to come back."""
    client: Any = world.api.held.services.client
    for broken in BROKEN:
        name = getattr(world.api.held.services.keys, broken)
        kept = await client.execute_command("DUMP", name, NEVER_DECODE=True)
        await client.delete(name)
        await (client.set(name, "x") if broken == "audit" else client.xadd(name, {"a": "b"}))
        asked = [good_request(world, address) for address in addresses(world.app) if address.method != "HEAD"]
        answers = await world.walk(one.with_key() if "/api/" in str(one.target) else one for one in asked)
        await client.delete(name)
        if kept is not None:
            await client.execute_command("RESTORE", name, 0, kept)
        for answer in answers:
            assert 0 < answer.status != 500, (broken, answer)
            assert answer.status != 503 or answer.header("retry-after"), answer
            said = (answer.head.encode() + answer.body).lower()
            for word in ("WRONGTYPE", "ERR ", "{cat}", ADMIN, SECRET, "Traceback", "redis", "valkey"):
                assert word.lower().encode() not in said, (broken, word, answer)
    assert not [line for line in world.lines() if ADMIN in line or SECRET in line]


async def test_health_says_nothing_of_what_the_store_says(settings: Settings, store_url: str, clock: Clock) -> None:
    """A store that refuses its user: whoever asks learns that it does, and neither its words nor the user's name."""
    for right in ("-get", "-hget", "-evalsha", "-config|get", "-info", "-set"):
        async with as_user(settings, store_url, clock, ["~*", "&*", "+@all", right]) as office:
            for path in ("/readyz", "/healthz", "/version", "/metrics", "/v1/slots/news/top"):
                got = await office.api.http.get(path)
                assert got.status_code in (200, 503), (right, got.text)
                for word in ("NOPERM", "permission", "service-password", "User ", "command", ".py", "Traceback"):
                    assert word not in got.text or path == "/metrics", (right, path, got.text)


def secret_settings() -> list[str]:
    """The settings of which the value is a secret, by what parses it."""
    return [one.env for one in SETTINGS if one.name in ("redis_url", "secret", "admin_key")]


def test_a_setting_that_is_secret_prints_nowhere(settings: Settings, tmp_path: Path) -> None:
    """Neither by itself nor within the settings; which ones are secret says their type."""
    given = {
        "ADSERVE_REDIS_URL": f"redis://user:{CANARY}@127.0.0.1:1", "ADSERVE_SECRET": f"{CANARY}-and-more",
        "ADSERVE_ADMIN_KEY": CANARY, "ADSERVE_DATA_DIR": str(tmp_path),
    }  # fmt: skip
    found = load({}, given, tmp_path / "none.toml")
    secret = [one.name for one in fields(found) if isinstance(getattr(found, one.name), Secret)]
    assert sorted(f"ADSERVE_{name.upper()}" for name in secret) == sorted(secret_settings())
    for shown in (
        repr(found),
        str(found),
        f"{found}",
        f"{found!r:>5000}",
        repr([found]),
        repr(asdict(found)["secret"]),
    ):
        assert CANARY not in shown
    assert repr(settings.admin_key) == "<secret>"


def test_a_bad_setting_is_named_and_not_repeated_where_it_may_hold_a_secret(tmp_path: Path) -> None:
    """Every setting with a secret in it, in the environment, in the file and as a flag."""
    addresses_ = (f"redis://user:{CANARY}@[::1", f"redis+sentinel://:{CANARY}@a:b/x", f"https://u:{CANARY}@h/")
    for setting in SETTINGS:
        for value in (CANARY, *addresses_):
            for said in (
                refusal(tmp_path, {}, {setting.env: value}, ""),
                refusal(tmp_path, {setting.name: value}, {}, ""),
                refusal(tmp_path, {}, {}, f'{setting.name} = "{value}"'),
            ):
                assert said == "" or setting.env in said
                if setting.env in secret_settings() or (setting.name == "public_url" and "://" in value):
                    assert CANARY not in said, setting.env


def refusal(folder: Path, flags: dict[str, str], environment: dict[str, str], text: str) -> str:
    """What is said of settings that are refused; nothing of others."""
    file = folder / "adserve.toml"
    file.write_text(text)
    try:
        load(flags, {"ADSERVE_DATA_DIR": str(folder), **environment}, file)
    except SettingsError as refused:
        return str(refused)
    return ""


@pytest.mark.parametrize("address", ["unix://:{}@{}", "unix://user:{}@{}"])
async def test_a_password_that_the_store_refuses_is_told_to_nobody(store_url: str, address: str) -> None:
    """Neither in the failure nor in what it was made of."""
    client = connect(address.format(CANARY, store_url.removeprefix("unix://")))
    with pytest.raises((*REPLY_ERRORS, StoreError)) as raised:
        await client.get("x")
    failure: BaseException | None = raised.value
    while failure is not None:
        assert CANARY not in f"{failure!r} {failure}"
        failure = failure.__cause__ or failure.__context__
    await client.aclose()
    assert CANARY not in repr(client)
