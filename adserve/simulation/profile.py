"""Generated traffic: page views by a profile, and what becomes of their serves.

    {"page_views": 20000, "noise": 0.1, "rendered": 0.85, "clicks": 0.004, "devices": {"desktop": 2, "mobile": 3},
     "pages": [{"site": "news", "slots": ["top", "side"], "share": 3, "country": "IN"}]}

Everything has a default: `adserve.simulation.profile.Profile` says which.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from itertools import accumulate, product
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from adserve.core.catalog import Catalog, CompiledSlot
from adserve.core.context import Context
from adserve.core.curve import DAY_QUARTERS, PLAUSIBLE, quarter_of
from adserve.core.model import DEVICES
from adserve.core.schedule import BUCKET_S, zone
from adserve.core.slot import SlotRequest
from adserve.core.targeting import label_number
from adserve.errors import Invalid, Problem

MOBILE_WIDTH = 360


class Page(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of page: its slots (none: all of the site), how many of the page views are of it, who reads it."""

    site: str
    slots: tuple[str, ...] = ()
    share: float = 1.0
    labels: tuple[str, ...] = ()
    country: str | None = None
    languages: tuple[str, ...] = ()


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Page views a day and how they spread, and what becomes of serves. Shares are relative, rates from 0 to 1,
    delays mean seconds."""

    page_views: float = 20_000
    day: tuple[float, ...] = PLAUSIBLE
    """By quarter-hours or hours of the sites' days."""
    weekdays: tuple[float, ...] = (1, 1, 1, 1, 1, 0.85, 0.75)
    """From Monday on."""
    noise: float = 0.1
    """By how much of itself a quarter-hour is off, as a standard deviation."""
    pages: tuple[Page, ...] = ()
    """Left out: one of each site, with all of its slots."""
    devices: dict[str, float] = msgspec.field(
        default_factory=lambda: {"desktop": 0.4, "mobile": 0.55, "tablet": 0.05}
    )
    robots: float = 0.02
    """Of the page views: they are shown something, and nothing of it is counted."""
    rendered: float = 0.85
    """Of the serves, those of which an impression is reported."""
    delay_s: float = 20.0
    """From the serve to its impression."""
    late: float = 0.005
    """Of the impressions, those reported when their time was over."""
    clicks: float = 0.004
    """Of the impressions."""
    click_delay_s: float = 30.0


class Visit(NamedTuple):
    """A page view: its slots in the order of their ranks, and what it says of itself."""

    slots: tuple[CompiledSlot, ...]
    request: SlotRequest


class Arrivals(NamedTuple):
    """The page views of a quarter-hour of a site, in their order."""

    begin: int
    moments: Sequence[int]
    visits: Sequence[Visit]


def read_profile(text: bytes) -> Profile:
    """A profile of a file. Invalid with what is wrong."""
    try:
        profile = msgspec.json.decode(text, type=Profile)
    except (msgspec.DecodeError, msgspec.ValidationError) as problem:
        raise Invalid([Problem("", f"is no profile: {problem}")]) from None
    problems = [
        Problem(f"/{name}", f"takes a number from 0 to {most:g}")
        for name, most in (("noise", 1), ("robots", 1), ("rendered", 1), ("late", 1), ("clicks", 1),
                           ("page_views", 1e9), ("delay_s", 1e6), ("click_delay_s", 1e6))
        if not 0 <= getattr(profile, name) <= most
    ]  # fmt: skip
    if len(profile.day) not in (24, DAY_QUARTERS) or not _weights(profile.day):
        problems.append(Problem("/day", "takes 24 or 96 numbers, not all of them 0"))
    if len(profile.weekdays) != 7 or not _weights(profile.weekdays):
        problems.append(Problem("/weekdays", "takes 7 numbers, not all of them 0"))
    if not set(profile.devices) <= set(DEVICES) or not _weights(tuple(profile.devices.values())):
        problems.append(Problem("/devices", f"takes shares of {', '.join(DEVICES)}"))
    if problems:
        raise Invalid(problems)
    return profile


def _weights(values: Sequence[float]) -> bool:
    return all(0 <= value < math.inf for value in values) and sum(values) > 0


class Generator:
    """The page views of a profile, the same for the same seed."""

    def __init__(self, profile: Profile, catalog: Catalog, seed: int) -> None:
        self._profile = profile
        self._chance = random.Random(seed)  # noqa: S311 - figures, not secrets
        day = profile.day if len(profile.day) == DAY_QUARTERS else [hour for hour in profile.day for _ in range(4)]
        self._day = [value / sum(day) for value in day]
        self._week = [value * 7 / sum(profile.weekdays) for value in profile.weekdays]
        pages = profile.pages or tuple(Page(site) for site, slots in catalog.pages.items() if slots)
        problems: list[Problem] = []
        by_zone: dict[ZoneInfo, list[tuple[Visit, float]]] = {}
        for at, page in enumerate(pages):
            slots = _slots(page, catalog, f"/pages/{at}", problems)
            if slots:
                by_zone.setdefault(zone(slots[0].site.timezone), []).extend(_visits(page, profile, slots))
        if problems:
            raise Invalid(problems)
        total = sum(share for visits in by_zone.values() for _, share in visits)
        self._zones = [
            (tz, [visit for visit, _ in visits], list(accumulate(share for _, share in visits)), total)
            for tz, visits in by_zone.items()
        ]

    def arrivals(self, start: int, end: int) -> Iterator[Arrivals]:
        """Quarter-hour by quarter-hour, from one epoch second to another."""
        chance = self._chance
        for begin in range(start - start % BUCKET_S, end, BUCKET_S):
            moments: list[int] = []
            visits: list[Visit] = []
            for tz, known, shares, total in self._zones:
                day, quarter = divmod(quarter_of(begin, tz), DAY_QUARTERS)
                expected = self._profile.page_views * self._day[quarter] * self._week[day] * shares[-1] / total
                count = _poisson(expected * max(0.0, chance.gauss(1, self._profile.noise)), chance)
                moments += [begin + int(chance.random() * BUCKET_S) for _ in range(count)]
                visits += chance.choices(known, cum_weights=shares, k=count)
            order = sorted(range(len(moments)), key=moments.__getitem__)
            order = [at for at in order if start <= moments[at] < end]
            yield Arrivals(begin, [moments[at] for at in order], [visits[at] for at in order])


def _slots(page: Page, catalog: Catalog, pointer: str, problems: list[Problem]) -> tuple[CompiledSlot, ...]:
    of_site = catalog.pages.get(page.site, ())
    if not of_site:
        problems.append(Problem(f"{pointer}/site", f"there is no site {page.site} with slots", "unknown"))
    names = {one.slot.name for one in of_site}
    for name in page.slots:
        if name not in names and of_site:
            problems.append(Problem(f"{pointer}/slots", f"there is no slot {page.site}/{name}", "unknown"))
    return tuple(one for one in of_site if not page.slots or one.slot.name in page.slots)


def _visits(page: Page, profile: Profile, slots: tuple[CompiledSlot, ...]) -> Iterator[tuple[Visit, float]]:
    """The page views of a kind of page that differ, with their shares."""
    devices = sum(profile.devices.values())
    readers = ((True, 1 - profile.robots), (False, profile.robots))
    for (device, share), (countable, part) in product(profile.devices.items(), readers):
        labels = frozenset(map(label_number, page.labels))
        context = Context(labels, None, page.languages, page.country, DEVICES.index(device))
        request = SlotRequest(MOBILE_WIDTH if device == "mobile" else None, context, countable)
        if share and part:
            yield Visit(slots, request), page.share * share * part / devices


def _poisson(mean: float, chance: random.Random) -> int:
    """How many came where `mean` were expected: exact for few, by its normal approximation for many."""
    if mean > 60:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    limit, count, product_ = math.exp(-mean), 0, chance.random()
    while product_ > limit:
        count += 1
        product_ *= chance.random()
    return count


def fields() -> dict[str, Any]:
    """The defaults, as JSON shows them."""
    shown: dict[str, Any] = msgspec.to_builtins(Profile())
    return shown
