"""The frozen values of the domain, as they are stored (JSON) and as decisions see them.

Every stored object carries `serial` (small integer, given once by the store, used in tokens and
keys instead of text from outside) and `version` (raised by every change). Times are UTC epoch
seconds, money is integer micro-units of the currency, sizes are CSS pixels.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, NewType

from msgspec import Meta, Struct

from adserve.core.content import Content as Content
from adserve.core.content import File as File
from adserve.core.content import Media as Media
from adserve.core.content import Pixels as Pixels
from adserve.core.content import RevisionSerial as RevisionSerial
from adserve.core.content import Size as Size

SiteId = NewType("SiteId", str)
CampaignId = NewType("CampaignId", str)
CreativeId = NewType("CreativeId", str)

Kind = Literal["site", "slot", "advertiser", "campaign", "creative"]
CreativeKind = Literal["image", "text", "html", "passback"]
TIERS = ("sponsor", "standard", "remnant", "house")
MAX_WEIGHT = 1_000_000
MAX_SIDE = 4096
"""CSS pixels of a side of a size."""
MAX_MARKUP = 60_000
"""Characters of an `html` creative: what a JSON body has room for."""
Weight = Annotated[int, Meta(ge=0, le=MAX_WEIGHT)]
Serial = Annotated[int, Meta(ge=0, lt=2**24)]
"""What a token has room for; an object with another one would fail every request that meets it."""
SizeText = Annotated[str, Meta(pattern=r"\A[1-9][0-9]{0,3}x[1-9][0-9]{0,3}\Z")]
DEVICES = ("unknown", "desktop", "mobile", "tablet")


class State(StrEnum):
    """States of a creative."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    PAUSED = "paused"
    ARCHIVED = "archived"


class Site(Struct, frozen=True, kw_only=True):
    id: str
    serial: Serial
    version: int
    name: str
    origins: tuple[str, ...] = ()
    timezone: str = "UTC"
    clients: Literal["browser", "app"] = "browser"
    unlabelled: Literal["serve", "block"] = "serve"
    state: Literal["active", "paused", "archived"] = "active"


class Slot(Struct, frozen=True, kw_only=True):
    """`id` is `site/name`."""

    id: str
    serial: Serial
    version: int
    site: str
    name: str
    title: str = ""
    sizes: tuple[SizeText, ...] = ()
    label: str = "Advertisement"
    rank: int = 0
    rotation: Literal["even", "random", "sticky"] = "even"
    empty: Literal["keep", "collapse"] = "keep"
    repeat: Literal["never", "creative", "any"] = "never"
    count_on: Literal["impression", "serve"] = "impression"
    max_kb: int = 150
    state: Literal["active", "paused", "archived"] = "active"


class Advertiser(Struct, frozen=True, kw_only=True):
    id: str
    serial: Serial
    version: int
    name: str
    categories: tuple[str, ...] = ()
    state: Literal["active", "archived"] = "active"


class Price(Struct, frozen=True):
    """`micros`: price in millionths of the currency, per 1,000 impressions, per click or per flight."""

    model: Literal["cpm", "cpc", "flat"]
    micros: int
    currency: str


class Priced(Struct, frozen=True):
    """What a campaign was priced at from `since` on (0: since ever). Flight and `site`, the only one that
    it booked, are told of a flat price alone."""

    since: int
    price: Price | None
    starts_at: int | None = None
    ends_at: int | None = None
    site: str | None = None


class Goal(Struct, frozen=True, omit_defaults=True):
    """One of them: impressions or clicks in all, or percent of the requests of each slot."""

    impressions: int | None = None
    clicks: int | None = None
    share: int | None = None


class Limit(Struct, frozen=True, omit_defaults=True):
    """None: no limit."""

    impressions: int | None = None
    clicks: int | None = None


class Caps(Struct, frozen=True, omit_defaults=True):
    """`daily`: a local day of the campaign's zone."""

    total: Limit = Limit()
    daily: Limit = Limit()


class Frequency(Struct, frozen=True):
    """At most `limit` impressions of a reader in a window that starts at the first. `unknown`: what becomes of a
    reader of whom nothing is known."""

    limit: int
    window: Literal["hour", "day", "week"]
    unknown: Literal["serve", "skip"] = "serve"

    @property
    def window_s(self) -> int:
        return {"hour": 3600, "day": 86_400, "week": 7 * 86_400}[self.window]


class Rule(Struct, frozen=True, omit_defaults=True):
    """Of what a request says: one of `any`, all of `all`, none of `none`. An empty list is no rule."""

    any: tuple[str, ...] = ()
    all: tuple[str, ...] = ()
    none: tuple[str, ...] = ()


class Target(Struct, frozen=True, omit_defaults=True):
    """Where a campaign may serve; `hours` as `core.hours` reads them, in its zone."""

    labels: Rule = Rule()
    urls: Rule = Rule()
    languages: Rule = Rule()
    countries: Rule = Rule()
    devices: Rule = Rule()
    kv: dict[str, Rule] = {}
    hours: tuple[str, ...] = ()


class Campaign(Struct, frozen=True, kw_only=True):
    id: str
    serial: Serial
    version: int
    advertiser: str
    name: str
    tier: Literal["sponsor", "standard", "remnant", "house"] = "standard"
    weight: Weight = 1
    slots: tuple[str, ...] = ()
    timezone: str | None = None
    starts: str | None = None
    """As the caller wrote it: RFC 3339 or a local date."""
    ends: str | None = None
    starts_at: int | None = None
    """`starts` resolved to epoch seconds when it was stored."""
    ends_at: int | None = None
    zone: str = "UTC"
    """The zone of its days: `timezone`, or that of its sites when it was stored."""
    goal: Goal | None = None
    caps: Caps | None = None
    pacing: Literal["even", "asap"] | None = None
    """None: what `paces` says."""
    frequency: Frequency | None = None
    target: Target | None = None
    categories: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    """`advertiser:ID` or `category:NAME`: what may not stand beside it on a page view."""
    price: Price | None = None
    priced: tuple[Priced, ...] = ()
    """Its prices so far, see `core.pricing`; empty until the first change."""
    state: Literal["active", "paused", "archived"] = "active"

    @property
    def paces(self) -> Literal["even", "asap"]:
        """Its pacing; left out, `even` with a goal and an end, else `asap`."""
        return self.pacing or ("even" if self.goal is not None and self.ends_at is not None else "asap")

    @property
    def ceiling(self) -> Limit:
        """What it may have in all: of goal and total cap the lower."""
        goal, total = self.goal or Goal(), (self.caps or Caps()).total
        return Limit(_lower(goal.impressions, total.impressions), _lower(goal.clicks, total.clicks))

    @property
    def daily(self) -> Limit:
        """What it may have on a local day."""
        return (self.caps or Caps()).daily

    @property
    def allotted(self) -> bool:
        """Whether a serve of it takes an allowance: it has a goal or cap of impressions."""
        return self.ceiling.impressions is not None or self.daily.impressions is not None

    @property
    def limited(self) -> bool:
        """Whether goals and caps can keep it from serving."""
        return self.allotted or self.ceiling.clicks is not None or self.daily.clicks is not None


def _lower(one: int | None, other: int | None) -> int | None:
    return one if other is None else other if one is None else min(one, other)


class Revision(Struct, frozen=True):
    """The trail of a revision that reports need for good."""

    revision: int
    serial: RevisionSerial


class Pin(Struct, frozen=True):
    """What was approved: the hash of `core.revisions`, when (epoch s) and by whom."""

    hash: str
    at: int
    by: str


class Verdict(Struct, frozen=True):
    """What a review came to."""

    state: str
    at: int
    by: str
    reason: str = ""


class Judged(Struct, frozen=True):
    """The verdict of a review: on which revision (its serial), and which version of the creative it made."""

    revision: RevisionSerial
    version: int
    verdict: Verdict


class Creative(Struct, frozen=True, kw_only=True):
    id: str
    serial: Serial
    version: int
    campaign: str
    name: str
    kind: CreativeKind
    weight: Weight = 1
    companions: str | None = None
    """The name of the set of its campaign's creatives that stand on a page together or not at all."""
    starts: str | None = None
    ends: str | None = None
    starts_at: int | None = None
    ends_at: int | None = None
    state: Literal["pending", "approved", "rejected", "paused", "archived"] = "pending"
    reason: str = ""
    with_campaign: bool = False
    """Archived together with its campaign: an undo brings both back."""
    content: Content
    """The newest revision, the one that review is about."""
    live: Content | None = None
    """The approved revision, which serves while a newer one waits."""
    pin: Pin | None = None
    """Of `live`; None where that was approved before there were pins."""
    judged: Judged | None = None
    """Its newest review; None before the first, and where that was before it stood here."""
    revisions: tuple[Revision, ...] = ()


Thing = Site | Slot | Advertiser | Campaign | Creative
