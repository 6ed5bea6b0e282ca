"""Out of use and back: a campaign together with its creatives, and one creative.

DESIGN. One object is changed at a time, creatives first: whoever is stopped in between leaves a campaign in use with
fewer creatives, and doing it again goes on from there. What came along is marked, so the way back brings no creative
that was archived before. Nothing that comes back serves before somebody approves it again.
"""

from __future__ import annotations

from collections.abc import Callable

from adserve.core import lifecycle
from adserve.core.match import ANY, Match
from adserve.core.model import Creative, Thing
from adserve.flows.manage import again, archive_thing, get_thing, refresh, switch_thing
from adserve.flows.revisions import get_creative, keep
from adserve.flows.services import Services


async def creatives_of(services: Services, campaign: str) -> list[Creative]:
    """All of a campaign, archived ones too, in the order in which they came."""
    found = [one for one in await services.catalog.list("creative") if isinstance(one, Creative)]
    return sorted((one for one in found if one.campaign == campaign), key=lambda one: one.serial)


async def archive_campaign(services: Services, id_: str, *, actor: str, match: Match = ANY) -> Thing:
    """A campaign with all of its creatives that are in use."""
    match.check(await get_thing(services, "campaign", id_))
    for one in await creatives_of(services, id_):
        if one.state != "archived":
            await _change(services, one.id, lifecycle.archive_with, actor, "archive")
    return await archive_thing(services, "campaign", id_, actor=actor, match=match)


async def unarchive_campaign(services: Services, id_: str, state: str, *, actor: str) -> Thing:
    """Back into `state` when it is archived, with what was archived together with it."""
    found = await switch_thing(services, "campaign", id_, state, actor=actor, archived=True)
    for one in await creatives_of(services, id_):
        if one.state == "archived" and one.with_campaign:
            await _change(services, one.id, lifecycle.restore, actor, "unarchive")
    return found


async def unarchive_creative(services: Services, id_: str, *, actor: str) -> Creative:
    """Back from the archive, to wait for review whatever it was; its revisions keep what was said against it."""
    return await _change(services, id_, lifecycle.restore, actor, "unarchive")


async def _change(
    services: Services, id_: str, change: Callable[[Creative], Creative], actor: str, action: str
) -> Creative:
    async def once() -> Creative:
        before = await get_creative(services, id_)
        await keep(services, before)
        done = await services.catalog.put("creative", change(before), before, actor=actor, action=action)
        assert isinstance(done, Creative)  # noqa: S101 - it was one
        return done

    after = await again(once)
    await refresh(services)
    return after
