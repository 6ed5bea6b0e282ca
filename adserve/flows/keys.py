"""API keys: who may have which."""

from __future__ import annotations

from typing import Any

from adserve.core import validate as v
from adserve.core.access import ROLES, SCOPES, Account
from adserve.flows.services import Services

MAX_SCOPES = 10


async def create_key(services: Services, body: Any, *, actor: str) -> tuple[Account, str]:
    """A new key of `{"role", "advertiser"?, "scopes"?, "name"}` with its secret, which nobody sees again. With a
    scope it may be without a role. Invalid."""
    form = v.Form(body)
    scopes: tuple[str, ...] = form.take("scopes", (), v.list_of(v.one_of(*SCOPES), MAX_SCOPES))
    role = form.take("role", None, v.one_of(*ROLES), required=not (scopes or form.problems))
    advertiser: str | None = None
    if role == "advertiser":
        advertiser = form.take("advertiser", None, v.check_id, required=True)
        owner = await services.catalog.get("advertiser", advertiser) if advertiser else None
        if advertiser and (owner is None or owner.state == "archived"):
            form.problem("advertiser", "there is no such advertiser in use", "unknown")
    else:
        form.refuse("advertiser", "belongs to keys of the role advertiser")
    name = form.take("name", "", v.text(100, empty=True))
    form.finish()
    return await services.accounts.create(role, name, actor=actor, advertiser=advertiser, scopes=scopes)
