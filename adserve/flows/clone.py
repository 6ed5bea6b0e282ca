"""A campaign made after another one."""

from __future__ import annotations

from msgspec.structs import replace

from adserve.core.match import Match
from adserve.core.model import Campaign, Creative, Revision, Thing
from adserve.core.revisions import Kept
from adserve.flows.archive import creatives_of
from adserve.flows.manage import get_thing, public, put_thing, refresh
from adserve.flows.services import Services
from adserve.flows.submit import creative_id

OWN = ("id", "version", "accepts", "state", "pacing")


async def clone_campaign(
    services: Services, id_: str, new: str, name: str, *, actor: str, creatives: bool = False
) -> Thing:
    """Everything that a campaign says under another id and name, paused. `creatives`: also the newest content of those
    in use, as creatives of their own that nobody has reviewed. Stale when the id is taken."""
    source = await get_thing(services, "campaign", id_)
    assert isinstance(source, Campaign)  # noqa: S101 - what the store holds under this kind
    shown = {member: value for member, value in (await public(services, source)).items() if member not in OWN}
    body = {**shown, "name": name, "pacing": source.pacing, "state": "paused"}
    made, _ = await put_thing(services, "campaign", new, body, actor=actor, match=Match(must_not="*"))
    for one in await creatives_of(services, id_) if creatives else ():
        if one.state != "archived":
            await _copy(services, one, new, actor)
    await refresh(services)
    return made


async def _copy(services: Services, creative: Creative, campaign: str, actor: str) -> None:
    """Its files are named by their hash, so both have the same."""
    serial = await services.catalog.serial("revision")
    content = replace(creative.content, revision=1, serial=serial)
    copied = replace(
        creative,
        id=creative_id(),
        serial=await services.catalog.serial("creative"),
        version=0,
        campaign=campaign,
        state="pending",
        reason="",
        content=content,
        live=None,
        pin=None,
        judged=None,
        revisions=(Revision(1, serial),),
    )
    await services.revisions.keep(copied.serial, Kept(content, int(services.clock()), actor))
    await services.catalog.put("creative", copied, None, actor=actor, action="submit")
