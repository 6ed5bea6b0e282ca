"""What a campaign's price was, and from when on.

DESIGN. `cpm` and `cpc` are earned event by event, at the rate of the moment. A `flat` price is spread over
its flight when a report is made, so a report must know what it was: a campaign keeps a line for every
price it had, with the flight of a flat one. Each is spread over its own flight, for the time in which it
was in force, so no edit changes what was earned before it. Nothing is kept until the first change (nor
did earlier versions keep anything): then the present price has been the price since ever. Not chosen: a
job that books shares as counters, which earns nothing while it does not run.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from adserve.core.model import Campaign, Price, Priced
from adserve.errors import Conflict

MAX_PRICES = 200
"""Lines a campaign keeps. None is ever dropped, for it is money: the next change is refused."""
FOREVER = 1 << 62


def remember(before: Campaign | None, made: Campaign, now: int) -> tuple[Priced, ...]:
    """The history of `made`, which takes the place of `before` now. Conflict when it is full."""
    if before is None:
        return ()
    trail = history(before)
    since = max(now, trail[-1].since)  # a clock that was set back changes nothing earlier either
    kept = tuple(one for one in trail if one.since < since)
    line = _line(made, since)
    if line == replace(trail[-1], since=since):
        return before.priced
    if kept and line == replace(kept[-1], since=since):
        return kept
    if len(kept) >= MAX_PRICES:
        raise Conflict(f"price, flight or sites changed {MAX_PRICES} times: make another campaign")
    return (*kept, line)


def history(campaign: Campaign) -> tuple[Priced, ...]:
    """Every price of a campaign, in order; the first has stood since ever."""
    return campaign.priced or (_line(campaign, 0),)


def price_at(campaign: Campaign, moment: int) -> Price | None:
    """The price in force at a moment."""
    return next((one.price for one in reversed(history(campaign)) if one.since <= moment), None)


def flat_prices(campaign: Campaign) -> Iterator[tuple[Price, Priced, int]]:
    """The flat prices that a campaign had: price, line, and when the next one took its place."""
    trail = history(campaign)
    ends = [*(one.since for one in trail[1:]), FOREVER]
    for one, end in zip(trail, ends, strict=True):
        if one.price is not None and one.price.model == "flat":
            yield one.price, one, end


def _line(campaign: Campaign, since: int) -> Priced:
    """The present price. What only a flat one depends on is left out of others, whose line is then the same."""
    if campaign.price is None or campaign.price.model != "flat":
        return Priced(since, campaign.price)
    sites = {place.partition("/")[0] for place in campaign.slots}
    site = sites.pop() if len(sites) == 1 else None
    return Priced(since, campaign.price, campaign.starts_at, campaign.ends_at, site)
