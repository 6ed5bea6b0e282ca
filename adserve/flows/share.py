"""Links by which somebody without an account reads the report of one campaign, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

from adserve.core.access import Account
from adserve.core.delivery import Delivery
from adserve.core.model import Advertiser, Campaign
from adserve.core.schedule import local_day
from adserve.core.validate import text
from adserve.errors import Forbidden, Invalid, NotFound, Problem, StoreUnavailable
from adserve.flows.access import require
from adserve.flows.delivery import delivery
from adserve.flows.report import report
from adserve.flows.services import Services
from adserve.store.client import REPLY_ERRORS
from adserve.store.shares import Share

DAYS, MOST_DAYS = 90, 3_650
"""How long a link opens when nothing else is said, and at most."""
_NOTE = text(100, empty=True)
SHOWN_DAYS = 400
"""Days of figures that a link shows, the newest ones."""
MAY_SHARE = frozenset({"admin", "advertiser"})
_GONE = "there is no such page, or its link has ended"


class Shared(NamedTuple):
    """What a link shows: the campaign's delivery, and its figures by day (a report as JSON, without money)."""

    share: Share
    campaign: Campaign
    advertiser: str
    delivery: Delivery
    days: dict[str, Any]


async def make_share(
    services: Services, account: Account, campaign: str, *, days: int | None = DAYS, note: str = ""
) -> tuple[Share, str]:
    """A link to a campaign's report and its secret, which nobody sees again. `days`: None for one that does not end.
    Forbidden, NotFound, or Invalid with everything that is wrong."""
    await _may(services, account, campaign)
    problems = []
    if days is not None and not 1 <= days <= MOST_DAYS:
        problems.append(Problem("/days", f"takes a whole number from 1 to {MOST_DAYS}, or nothing for no end"))
    try:
        note = _NOTE(note)
    except ValueError as problem:
        problems.append(Problem("/note", str(problem)))
    if problems:
        raise Invalid(problems)
    expires = int(services.clock()) + days * 86_400 if days is not None else 0
    return await services.shares.make(campaign, by=account.id, expires=expires, note=note)


async def shares_of(services: Services, account: Account, campaign: str) -> list[Share]:
    """The links that open a campaign's report, the newest first."""
    await _may(services, account, campaign)
    return await services.shares.of(campaign)


async def revoke_share(services: Services, account: Account, campaign: str, id_: str) -> None:
    """Ends a link at once. NotFound when the campaign has no such link."""
    await _may(services, account, campaign)
    await services.shares.revoke(campaign, id_, by=account.id)


async def open_share(services: Services, secret: str) -> Shared:
    """What a link shows. NotFound, in the same words, for what is no secret, a link that ended or was revoked, and a
    campaign or advertiser that is gone."""
    try:
        share = await services.shares.find(secret)
        things = await services.catalog.all() if share is not None else {}
    except REPLY_ERRORS as problem:
        raise StoreUnavailable("the store does not answer") from problem
    campaign = things.get(f"campaign:{share.campaign}") if share is not None else None
    if share is None or not isinstance(campaign, Campaign):
        raise NotFound(_GONE)
    owner = things.get(f"advertiser:{campaign.advertiser}")
    if not isinstance(owner, Advertiser) or owner.state == "archived":
        raise NotFound(_GONE)
    reader = Account(f"share {share.id}", "advertiser", share.id, advertiser=campaign.advertiser)
    told = await delivery(services, reader, campaign.id)
    return Shared(share, campaign, owner.name, told, await days_of(services, told, campaign, reader))


async def days_of(services: Services, told: Delivery, campaign: Campaign, account: Account) -> dict[str, Any]:
    """The figures of the days that a campaign's delivery shows, as a report, without money. Of a campaign with older
    figures of sites in other zones than it, only those of the days of which quarter-hours are kept: `since` is the
    first of them, None when nothing is left out."""
    asked, whole = _days(told, campaign), True
    try:
        days = await report(services, asked, account)
    except Invalid as refused:
        if refused.code != "rolled_up":
            raise
        whole, days = False, await report(services, asked, account, old=False)
    assert isinstance(days, dict)  # noqa: S101 - it is asked for as JSON
    since = None if whole else days["from"][:10]
    figures = ("impressions", "views", "clicks", "ctr", "viewability")
    rows = [{name: row[name] for name in ("day", *figures, "final")} for row in days["rows"]]
    return {**days, "since": since, "rows": rows, "totals": {name: days["totals"][name] for name in figures}}


def _days(told: Delivery, campaign: Campaign) -> dict[str, str]:
    """The days that its delivery shows and that have begun."""
    window = told.window
    last = max(window.begin, min(window.end - 1, told.now))
    end = local_day(last, window.tz)
    first = max(local_day(window.begin, window.tz), end - timedelta(days=SHOWN_DAYS - 1))
    until = end + timedelta(days=1)
    return {
        "campaign": campaign.id, "by": "day", "tz": window.tz.key, "from": first.isoformat(), "to": until.isoformat(),
    }  # fmt: skip


async def _may(services: Services, account: Account, campaign: str) -> None:
    if account.role not in MAY_SHARE:
        raise Forbidden("this role may not share a report")
    await require(services, account, "campaign", campaign)
    found = (await services.catalog.all()).get(f"campaign:{campaign}")
    if not isinstance(found, Campaign):
        raise NotFound("there is no campaign with this id")
