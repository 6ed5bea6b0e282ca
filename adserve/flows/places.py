"""The slots that a page is to have, found by name; for whoever writes or reads pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from adserve.core.model import Site, Slot
from adserve.core.validate import nearest
from adserve.errors import NotFound
from adserve.flows.services import Services


async def slots_of(services: Services, site: str, names: Sequence[str] = ()) -> tuple[Site, list[Slot]]:
    """A site and those of its slots, in the order of their ranks; without names all. NotFound with the nearest names
    for a site or slots that are not there."""
    listed = await services.catalog.list("site")
    sites = {one.id: one for one in listed if isinstance(one, Site) and one.state != "archived"}
    if site not in sites:
        raise NotFound(f"there is no site {site}{nearest(site, sites)}; {_known('sites', sites)}")
    slots = {
        one.name: one
        for one in await services.catalog.list("slot")
        if isinstance(one, Slot) and one.site == site and one.state != "archived"
    }
    missing = [f"there is no slot {site}/{name}{nearest(name, slots)}" for name in names if name not in slots]
    if missing or not slots:
        raise NotFound("; ".join([*missing, _known(f"slots of {site}", slots)]))
    found = [slots[name] for name in dict.fromkeys(names)] if names else list(slots.values())
    return sites[site], sorted(found, key=lambda one: (one.rank, one.serial))


def _known(what: str, names: Iterable[str]) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - 20} more" if len(listed) > 20 else ""
    return f"{what}: {', '.join(listed[:20])}{more}" if listed else f"there are no {what} yet"
