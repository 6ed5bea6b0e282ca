"""Review: approve, reject, pause, resume, archive. Each is live within a second."""

from __future__ import annotations

from adserve.core import lifecycle
from adserve.core import validate as v
from adserve.core.match import ANY, Match
from adserve.core.model import Creative
from adserve.core.revisions import content_hash
from adserve.errors import Conflict, Invalid, Problem, Stale
from adserve.flows.manage import refresh
from adserve.flows.revisions import get_creative, keep
from adserve.flows.services import Services


async def move(
    services: Services,
    id_: str,
    action: str,
    *,
    actor: str,
    reason: str = "",
    hash: str | None = None,
    revision: int | None = None,
    match: Match = ANY,
) -> Creative:
    """The creative after the move. Conflict when its state does not allow it, and when it changed meanwhile or its
    newest content is not that of `hash` or `revision`: nothing is approved that came in after it was looked at."""
    before = await get_creative(services, id_)
    match.check(before)
    if action == "reject":
        try:
            reason = v.text(500)(reason)
        except ValueError as problem:
            raise Invalid([Problem("/reason", str(problem))]) from None
    content = before.content
    if revision not in (None, content.revision) or hash not in (None, content_hash(before.kind, content)):
        raise Conflict(f"its newest content is another, revision {content.revision}: look at that one")
    after = lifecycle.move(before, action, reason, by=actor, at=int(services.clock()))
    await keep(services, before)
    try:
        done = await services.catalog.put("creative", after, before, actor=actor, action=action)
    except Stale:
        if match.must is not None:
            raise
        raise Conflict("it was changed meanwhile: look at it again") from None
    await refresh(services)
    assert isinstance(done, Creative)  # noqa: S101 - it was one
    return done
