"""An explanation as JSON: all of it, or to an advertiser what is its own and the rest as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from math import fsum
from typing import Any

from adserve.core.access import Account, owns
from adserve.core.explanation import Explained, Row
from adserve.core.journal import Decision
from adserve.core.model import DEVICES, Campaign, Thing
from adserve.core.reasons import Reason
from adserve.core.schedule import utc_label
from adserve.core.targeting import label_number

OTHER = "other"
"""The row of everybody else's creatives, and why an advertiser's slot shows none of its own."""
WORKER, CATALOG = "worker", "catalog"
"""Who explains: a running worker, which knows how goals and caps stand, or the stored catalog alone."""
KNOWS = ("known", "unknown", "unanswered")
_ORDER = {reason: at for at, reason in enumerate(Reason)}


def as_json(
    decision: Decision,
    explained: Explained,
    things: Mapping[str, Thing],
    account: Account,
    *,
    limit: int,
    campaign: str,
    labels: Iterable[str] = (),
) -> dict[str, Any]:
    """What `account` may know. `campaign`: only its creatives, when it is not empty; `labels`: names of the page's."""
    all_, choice = account.advertiser is None, decision.choice
    own, odds = explained.rows, []
    if not all_:
        own = []
        for row in explained.rows:
            if owns(account, things, row.campaign):
                own.append(row)
            else:
                odds.append(row.odds)
    mine = choice is not None and (all_ or owns(account, things, choice.campaign))
    rows = [row for row in own if campaign in ("", row.campaign.id)]
    shown = [_row(row) for row in rows[:limit]]
    if not all_:
        share = fsum(odds)
        shown.append(
            {"creative": OTHER, "campaign": None, "tier": None, "share": share, "eligible": share > 0, "rejected": None}
        )
    reason = explained.reason
    if not all_ and not mine:
        lost = [row.rejected for row in own if row.rejected is not None]
        reason = OTHER if choice is not None else max(lost, key=_ORDER.__getitem__, default=Reason.NO_CANDIDATES)
    return {
        "slot": decision.slot.slot.id,
        "outcome": choice.entry.creative.id if choice is not None and mine else None,
        "reason": reason,
        "candidates": shown,
        "left_out": len(rows) - len(rows[:limit]),
        "rejected": dict(Counter(row.rejected for row in rows if row.rejected is not None)),
        "empty_share": float(explained.empty),
        "same": explained.same,
        "at": utc_label(decision.now),
        "draw": f"{decision.point:016x}" if all_ else None,
        "request": _request(decision, things, labels) if all_ else None,
        "page": _page(decision, things) if all_ else None,
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "creative": row.creative.id,
        "campaign": row.campaign.id,
        "tier": row.campaign.tier,
        "share": row.odds,
        "eligible": row.rejected is None,
        "rejected": row.rejected,
    }


def _request(decision: Decision, things: Mapping[str, Thing], labels: Iterable[str]) -> dict[str, Any]:
    request, context = decision.request, decision.request.context
    return {
        "labels": _labels(decision, labels),
        "width": request.width,
        "device": DEVICES[context.device],
        "country": context.country,
        "url": context.url,
        "languages": list(context.languages),
        "kv": {name: list(values) for name, values in context.kv},
        "countable": request.countable,
        "reader": KNOWS[request.knows],
        "sticky": request.sticky is not None,
        "tired_of": _campaigns(request.tired or (), things),
    }


def _labels(decision: Decision, known: Iterable[str]) -> list[str]:
    """The labels of a page. Requests keep their numbers alone, so that those have names which somebody targets, or
    which are `known`; of the others the number is shown."""
    numbers = decision.request.context.labels
    if not numbers:
        return []
    named = {label_number(one): one for one in known}
    for candidate in (one for tier in decision.slot.tiers for one in tier if one.campaign.target is not None):
        rule = candidate.campaign.target.labels if candidate.campaign.target else None
        for one in (*rule.any, *rule.all, *rule.none) if rule else ():
            named[label_number(one)] = one
    return sorted(named.get(number, f"#{number:012x}") for number in numbers)


def _page(decision: Decision, things: Mapping[str, Thing]) -> list[str]:
    """The campaigns that stood on the page."""
    return _campaigns(decision.page.beside, things) if decision.page is not None else []


def _campaigns(serials: Any, things: Mapping[str, Thing]) -> list[str]:
    wanted = {*serials}
    if not wanted:
        return []
    return sorted(one.id for one in things.values() if isinstance(one, Campaign) and one.serial in wanted)
