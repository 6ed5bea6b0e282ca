"""The running service against its own description: schemathesis draws the requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interface import Tenant, ask, caller, narrowed
from tests.service import command

ADMIN = "an-admin-key-for-the-interface-tests"


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[str]:
    with command(tmp_path, "serve", "--data-dir", str(tmp_path / "data"), ADSERVE_ADMIN_KEY=ADMIN) as (_, found):
        yield found


def test_the_service_answers_what_its_description_says(origin: str) -> None:
    """For an admin, over the objects of two tenants: no 5xx, no status, media type, header or member that is not
    described; what the schemas forbid is refused, and what they permit is refused for what only the service knows."""
    with caller(origin, ADMIN) as http:
        tenants = [Tenant("ant", "Zebrafinch", http), Tenant("bee", "Quetzal", http)]
        for one in tenants:
            one.settle()
        keys = [str(tenants[0].make("POST", "/keys", {"role": "admin"})["id"]) for _ in range(3)]
        described = http.get("/api/v1/openapi.json").json()
    wrong = list(ask(origin, narrowed(described, tenants, keys), ADMIN))
    assert not wrong, "\n\n".join(wrong)
