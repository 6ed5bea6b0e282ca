"""The running service against its own description: schemathesis draws the requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import httpx2
import pytest

from tests.interface import Tenant, ask, caller, narrowed
from tests.service import command

ADMIN = "an-admin-key-for-the-interface-tests"


class Shared(NamedTuple):
    origin: str
    http: httpx2.Client
    ant: Tenant
    bee: Tenant
    described: dict[str, Any]


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[str]:
    with command(tmp_path, "serve", "--data-dir", str(tmp_path / "data"), ADSERVE_ADMIN_KEY=ADMIN) as (_, found):
        yield found


@pytest.fixture
def shared(origin: str) -> Iterator[Shared]:
    """A service that two tenants share, as its admin sees it."""
    with caller(origin, ADMIN) as http:
        ant, bee = Tenant("ant", "Zebrafinch", http), Tenant("bee", "Quetzal", http)
        ant.settle()
        bee.settle()
        yield Shared(origin, http, ant, bee, http.get("/api/v1/openapi.json").json())


def test_the_service_answers_what_its_description_says(shared: Shared) -> None:
    """For an admin, over the objects of two tenants: no 5xx, no status, media type, header or member that is not
    described; what the schemas forbid is refused, and what they permit is refused for what only the service knows."""
    keys = [str(shared.ant.make("POST", "/keys", {"role": "reader"})["id"]) for _ in range(3)]
    described = narrowed(shared.described, [shared.ant, shared.bee], keys)
    wrong = list(ask(shared.origin, described, ADMIN))
    assert not wrong, "\n\n".join(wrong)


def test_a_tenant_neither_sees_nor_changes_another(shared: Shared) -> None:
    """With an advertiser's key, over everything that its role may ask, of its own ids and the other's: no answer
    holds a word or an id of the other's that the question did not, and all of the other's is as it was."""
    ant, bee = shared.ant, shared.bee
    key = ant.make("POST", "/keys", {"role": "advertiser", "advertiser": "ant"})
    before = bee.state()
    asked: Counter[str] = Counter()

    def look(request: Any, response: Any) -> str | None:
        question = f"{unquote(request.uri)} {request.body or b''!r}"
        answer = f"{response.content!r} {response.headers}"
        asked["of the other's"] += any(one in question for one in bee.ids)
        asked["changed"] += request.method != "GET" and response.status_code < 300
        if bee.word in answer:
            return f"shows what the other wrote: {answer}"
        shown = [one for one in bee.ids if one in answer and one not in question]
        return f"names {shown} of the other's: {answer}" if shown else None

    described = narrowed(shared.described, [ant, bee], [], "advertiser")
    wrong = list(ask(shared.origin, described, key["key"], look, edges=False))
    assert not wrong, "\n\n".join(wrong)
    assert bee.state() == before
    lines = ant.make("GET", f"/audit?actor={key['id']}")["items"]
    assert lines, "it changed nothing at all"
    assert [line for line in lines if any(one in line["what"] for one in bee.ids)] == []
    assert asked["of the other's"] > 50
    assert asked["changed"] > 10
