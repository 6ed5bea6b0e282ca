"""Today's figures of a slot or of all slots of a site, for the pages of both."""

from __future__ import annotations

from typing import NamedTuple

from adserve.errors import AdserveError
from adserve.flows.report import report
from adserve.web.console.page import Call
from adserve.web.console.table import Column

TODAY = (
    Column("Requests today", "How often a page asked for it since the midnight of the site.", True),
    Column("Fill rate", "The part of the requests that got an ad.", True),
    Column("Impressions", "How often an ad of it began to render, robots and the like left out.", True),
    Column("Clicks", "How often one was clicked, counted likewise.", True),
)


class Today(NamedTuple):
    requests: int = 0
    serves: int = 0
    impressions: int = 0
    clicks: int = 0

    @property
    def fill(self) -> str | None:
        return f"{100 * self.serves / self.requests:.1f}%" if self.requests else None

    @property
    def cells(self) -> tuple[int | str | None, ...]:
        """Under the columns TODAY."""
        return self.requests, self.fill, self.impressions, self.clicks


async def today_of(call: Call, site: str, slot: str = "") -> dict[str, Today]:
    """By the slot's id, since the midnight of the site; nothing where no report can be had."""
    asked = {"site": site, "period": "today", "by": "slot", **({"slot": slot} if slot else {})}
    try:
        answer = await report(call.services, asked, call.account)
    except AdserveError:  # the page is about something else
        return {}
    found: dict[str, Today] = {}
    for row in answer["rows"] if isinstance(answer, dict) else ():
        before = found.get(row["slot"], Today())  # one row a currency
        found[row["slot"]] = Today(*(have + (row[name] or 0) for name, have in zip(Today._fields, before, strict=True)))
    return found
