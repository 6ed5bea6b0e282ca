"""API keys: who may have which, and for how long."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from adserve.core.access import Account
from adserve.core.form import Form
from adserve.core.members import BOUND, KEY, ROTATION
from adserve.core.schedule import parse_moment
from adserve.flows.services import Services

DAY_S, HOUR_S = 86_400, 3600


async def create_key(services: Services, body: Any, *, actor: str, id_: str | None = None) -> tuple[Account, str]:
    """A new key of `{"role", "advertiser"?, "scopes"?, "name", "expires"?}` with its secret, which nobody sees again.
    With a scope it may be without a role. Invalid, or AlreadyMade under this id."""
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
    if said["expires"]:
        now = int(services.clock())
        said["expires"] = _moment(said["expires"], now)
        if said["expires"] <= now:
            form.problem("expires", "is over already")
    form.finish()
    return await services.accounts.create(**said, actor=actor, id_=id_)


async def rotate_key(services: Services, id_: str, body: Any, *, actor: str) -> tuple[Account, str]:
    """A key under another secret, and that secret; the one before works for `{"grace_hours"?}` more. Invalid, or
    NotFound."""
    form = Form(body)
    said = form.read(ROTATION)
    form.finish()
    return await services.accounts.rotate(id_, said["grace_hours"] * HOUR_S, actor=actor)


def _moment(text: str, now: int) -> int:
    return now + int(text[:-1]) * DAY_S if text.endswith("d") else parse_moment(text, ZoneInfo("UTC"))
