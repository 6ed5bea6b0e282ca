"""API keys: who may have which."""

from __future__ import annotations

from typing import Any

from adserve.core.access import Account
from adserve.core.form import Form
from adserve.core.members import BOUND, KEY
from adserve.flows.services import Services


async def create_key(services: Services, body: Any, *, actor: str, id_: str | None = None) -> tuple[Account, str]:
    """A new key of `{"role", "advertiser"?, "scopes"?, "name"}` with its secret, which nobody sees again. With a
    scope it may be without a role. Invalid, or AlreadyMade under this id."""
    form = Form(body)
    said = form.read(KEY)
    scoped = said["scopes"] or any(one.pointer == "/scopes" for one in form.problems)
    if not (scoped or form.has("role")):
        form.problem("role", "is required", "required")
    if said["role"] == "advertiser":
        said |= form.read(BOUND)
        owner = await services.catalog.get("advertiser", said["advertiser"]) if said["advertiser"] else None
        if said["advertiser"] and (owner is None or owner.state == "archived"):
            form.problem("advertiser", "there is no such advertiser in use", "unknown")
    else:
        form.refuse("advertiser", "belongs to keys of the role advertiser")
    form.finish()
    return await services.accounts.create(**said, actor=actor, id_=id_)
