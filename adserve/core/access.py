"""Who calls, and which objects they may see: one function for every id, whatever it stands in.

What a role may do says the route table (`adserve.web.routes`); here is whose things it may do it to. Only an
advertiser is bound, to its own: itself, its campaigns and their creatives, and of the publisher's the slots
that its campaigns book, with their sites.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adserve.core.model import Advertiser, Campaign, Creative, Site, Slot, Thing
from adserve.core.schedule import utc_label

ROLES = ("admin", "reviewer", "advertiser", "reader")
SCOPES = ("delivery",)
DELIVERY = "delivery"
"""The scope of a server that calls for browsers: the client address that it forwards is believed."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who calls. `id` is that of the key. Without a role it may do nothing under `/api/v1`. `advertiser`: the one
    that it is bound to; ValueError when it is bound and its role is another, or the other way round. Of a key:
    `prefix`, by which people know it; `expires`, and `old_digest` of the secret before, which works until
    `old_until` (epoch seconds)."""

    id: str
    role: str | None
    name: str
    digest: str = ""
    created: int = 0
    advertiser: str | None = None
    scopes: tuple[str, ...] = ()
    prefix: str = ""
    expires: int | None = None
    old_digest: str = ""
    old_until: int = 0

    def __post_init__(self) -> None:
        if (self.role == "advertiser") != bool(self.advertiser):
            raise ValueError("an advertiser, and nobody else, is bound to one")

    @property
    def speaks_for_browsers(self) -> bool:
        """Whether the client address that it forwards is believed."""
        return DELIVERY in self.scopes

    def as_json(self, last_used: int | None = None) -> dict[str, Any]:
        """What may be shown of it, as a key."""
        return {
            "id": self.id,
            "role": self.role,
            "advertiser": self.advertiser,
            "scopes": list(self.scopes),
            "name": self.name,
            "prefix": self.prefix,
            "created": utc_label(self.created),
            "expires": utc_label(self.expires) if self.expires is not None else None,
            "last_used": utc_label(last_used) if last_used is not None else None,
            "old_until": utc_label(self.old_until) if self.old_until else None,
        }


OPERATOR = Account("command line", "admin", "command line")
"""Whoever may run commands on the store may see everything in it."""
EXPIRY = "expiry"
"""The actor of what ended by itself: whoever was there when it was noticed did not do it."""


def owns(account: Account, things: Mapping[str, Thing], thing: Thing) -> bool:
    """Whether an object is an account's own; everything is that of whoever is not bound. `things`: all objects,
    by `kind:id`."""
    if account.advertiser is None:
        return True
    if isinstance(thing, Creative):
        owner = things.get(f"campaign:{thing.campaign}")
        return isinstance(owner, Campaign) and owner.advertiser == account.advertiser
    if isinstance(thing, Campaign):
        return thing.advertiser == account.advertiser
    return isinstance(thing, Advertiser) and thing.id == account.advertiser


def sees(account: Account, things: Mapping[str, Thing], thing: Thing) -> bool:
    """Whether an object is there for an account: its own, and the slots and sites that its campaigns book."""
    if account.advertiser is None or not isinstance(thing, Site | Slot):
        return owns(account, things, thing)
    own = (one for one in things.values() if isinstance(one, Campaign) and owns(account, things, one))
    return any(_books(place, thing) for one in own for place in one.slots)


def _books(place: str, thing: Site | Slot) -> bool:
    """Whether `site/slot` or `site/*` is, or lies in, a slot or site."""
    site, _, name = place.partition("/")
    if isinstance(thing, Site):
        return site == thing.id
    return site == thing.site and name in ("*", thing.name)
