"""The id of a thing that is to be made, where its maker leaves it to us."""

from __future__ import annotations

from adserve.core.model import Slot
from adserve.core.slug import slug, unused
from adserve.flows.services import Services


async def propose_id(services: Services, kind: str, name: str, *, site: str = "") -> str:
    """A readable id that nothing of this kind has or had; of a slot of `site` its name."""
    things = await services.catalog.list(kind)
    taken = {one.name if isinstance(one, Slot) else one.id for one in things if getattr(one, "site", "") == site}
    return unused(slug(name, kind), taken | {"new"})  # pages that make something stand at `new`
