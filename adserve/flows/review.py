"""Review: approve, reject, pause, resume, archive. Each is live within a second."""

from __future__ import annotations

from adserve.core import lifecycle
from adserve.core import validate as v
from adserve.core.model import Creative
from adserve.errors import Invalid, Problem
from adserve.flows.manage import check_match
from adserve.flows.services import Services
from adserve.flows.submit import get_creative


async def move(
    services: Services, id_: str, action: str, *, actor: str, reason: str = "", if_match: str | None = None
) -> Creative:
    """The creative after the move. Conflict when its state does not allow it."""
    before = await get_creative(services, id_)
    check_match(before, if_match)
    if action == "reject":
        try:
            reason = v.text(500)(reason)
        except ValueError as problem:
            raise Invalid([Problem("/reason", str(problem))]) from None
    after = lifecycle.move(before, action, reason)
    done = await services.catalog.put("creative", after, before, actor=actor, action=action)
    await services.refresh()
    assert isinstance(done, Creative)  # noqa: S101 - it was one
    return done
